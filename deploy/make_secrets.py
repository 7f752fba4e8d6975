"""Makes up the secrets of a trial installation: `python deploy/make_secrets.py DIRECTORY`.

One folder for each who is to read them, one file for each secret. What is there already
stays, so that a database keeps its passwords. For Docker Compose and the overlay `dev`; it
needs nothing but Python. Real installations have their secrets from elsewhere.
"""

from __future__ import annotations

import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

_USERS = ("owner", "ingest", "lookup", "results", "grafana")
#: Where PostgreSQL and the simulator are, in Docker Compose and in the cluster alike.
_POSTGRES = "postgres:5432"
_TWILIO = "http://twilio:8080"
_CONCURRENCY = 20


def made_up() -> Mapping[str, str]:
    """New secrets by their place, as `folder/file`; no two calls give the same."""
    password = {user: secrets.token_urlsafe(24) for user in _USERS}
    login = {user: f"bulk_lookup_{user}_user" for user in _USERS} | {"owner": "bulk_lookup_owner"}
    url = {
        user: f"postgresql://{login[user]}:{password[user]}@{_POSTGRES}/bulk_lookup"
        for user in _USERS
    }
    token = secrets.token_hex(24)
    sid, secret = f"SK{secrets.token_hex(16)}", secrets.token_hex(16)
    account = {
        "api_key": sid,
        "api_secret": secret,
        "base_url": _TWILIO,
        "concurrency": _CONCURRENCY,
    }
    simulated = {"name": "default", "sid": sid, "secret": secret, "concurrency": _CONCURRENCY}
    return {
        "postgres/superuser": secrets.token_urlsafe(24),
        **{f"postgres/{user}": password[user] for user in _USERS},
        "migrate/database-url": url["owner"],
        "ingest/database-url": url["ingest"],
        "ingest/api-tokens": f"client:{token}\n",
        "lookup/database-url": url["lookup"],
        "lookup/twilio-api-key": sid,
        "lookup/twilio-api-secret": secret,
        "lookup/twilio-accounts.json": json.dumps({"default": account}),
        "results/database-url": url["results"],
        "results/api-tokens": f"client:{token}\n",
        "twilio/config.json": json.dumps({"accounts": [simulated]}),
        "grafana/admin-password": secrets.token_urlsafe(24),
        "grafana/postgres-password": password["grafana"],
        "client/api-token": token,
    }


def write(directory: Path) -> bool:
    """Write made-up secrets, unless some are there; gives whether it wrote any.

    The client's token comes last: with it the others are whole.
    """
    if (directory / "client" / "api-token").exists():
        return False
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for place, secret in made_up().items():
        file = directory / place
        file.parent.mkdir(exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(secret, encoding="utf-8")
        # Containers of other users read them; each is given its own folder only.
        file.chmod(0o444)
    return True


def main() -> None:
    """Write them into the directory that is named."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program's name and one argument
        sys.exit(__doc__)
    directory = Path(sys.argv[1])
    print(f"{'made' if write(directory) else 'kept'} the secrets in {directory}")


if __name__ == "__main__":
    main()
