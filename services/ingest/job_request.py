"""What a sender asks for with a file: read from the query, and made a job of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from services.contracts.messages import AccountName
from services.contracts.packages import Package
from services.ingest import ids
from services.ingest.accept import with_basic
from services.ingest.body import Body, named_as_json
from services.ingest.jobs import NewJob
from services.ingest.options import Options
from services.ingest.problem_types import UNKNOWN_ACCOUNT
from services.ingest.settings import IngestSettings, split_names
from services.ingest.submissions import Upload
from services.runtime.problems import Problem
from services.runtime.settings import Duration

#: Characters of a file's name, and of an Idempotency-Key.
MAX_NAME = 255


# JSON Schema's own format of that name is another one: P30D.
_DURATION = {"type": "string", "pattern": r"^\s*([0-9]+\.?[0-9]*|\.[0-9]+)(ms|s|m|h|d)\s*$"}


class JobQuery(Options):
    """How to read the file, and what to ask for each of its contacts."""

    packages: Annotated[tuple[Package, ...] | None, BeforeValidator(split_names)] = Field(
        default=None,
        description="Packages of Twilio Lookup, comma-separated; `basic` is always with them. "
        "Without it, what DEFAULT_PACKAGES says.",
    )
    account: AccountName | None = Field(
        default=None,
        description="Twilio account to ask, one of ACCOUNTS; DEFAULT_ACCOUNT without it.",
    )
    fresh_for: Annotated[Duration, WithJsonSchema(_DURATION)] | None = Field(
        default=None,
        description="How old an earlier answer may be to be taken, such as 12h or 30d; 0s asks "
        "anew. Without it, what FRESH_FOR says.",
    )
    file_name: str | None = Field(
        default=None,
        max_length=MAX_NAME,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="The file's name, for people to know the job by.",
    )
    dry_run: bool = Field(
        default=False,
        description="Only say what would be taken and rejected; nothing is stored or published.",
    )


def account_of(named: str | None, settings: IngestSettings) -> str:
    """Give the account to ask.

    Raises:
        Problem: 422; it may not be named.
    """
    account = named or settings.default_account
    nameable = settings.nameable_accounts
    if account not in nameable:
        raise Problem(
            UNKNOWN_ACCOUNT,
            f"account: '{account}' is neither DEFAULT_ACCOUNT nor among ACCOUNTS of ingest. "
            "Name one of those listed, or none.",
            accounts=sorted(nameable),
        )
    return account


def upload_of(
    query: JobQuery,
    account: str,
    body: Body,
    source: str,
    key: str | None,
    settings: IngestSettings,
) -> Upload:
    """Make a job of a file and what is asked for it; `key` is the Idempotency-Key, if any."""
    reading = reading_of(query, body)
    packages = with_basic(query.packages or settings.default_packages)
    fresh_for = (settings.fresh_for if query.fresh_for is None else query.fresh_for).total_seconds()
    options = reading.named() | {
        "account": account,
        "packages": list(packages),
        "fresh_for": fresh_for,
    }
    name = query.file_name or _printable(body.name)
    fingerprint = ids.content_key(body.file.sha256, options)
    job = NewJob(
        job_id=ids.job_id(source, key or fingerprint),
        source=source,
        idempotency_key=key,
        fingerprint=fingerprint,
        content_sha256=body.file.sha256,
        file_name=name,
        account=account,
        packages=packages,
        options=options,
    )
    return Upload(job, reading, fresh_for, body.file, is_json(query, body))


def reading_of(query: JobQuery, body: Body) -> Options:
    """Say how to read the file: by the query, or else by what came with the body."""
    options = Options(**query.model_dump(include=set(Options.model_fields)))
    if options.encoding is None:
        return options.model_copy(update={"encoding": body.encoding})
    return options


def is_json(query: JobQuery, body: Body) -> bool:
    """Tell whether the file is JSON by its type or name."""
    return body.is_json or named_as_json(query.file_name or body.name)


def _printable(name: str | None) -> str | None:
    return "".join(filter(str.isprintable, name or ""))[:MAX_NAME] or None
