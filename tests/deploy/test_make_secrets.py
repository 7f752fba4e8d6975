"""The secrets of a trial installation: made up once, each where only its reader is sent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from services.ingest.settings import IngestSettings
from services.local.twilio.config import SimulatorConfig
from services.lookup.accounts import load_accounts
from services.lookup.settings import LookupSettings
from services.runtime.tokens import Tokens
from tests.deploy.render import ROOT
from tests.deploy.tools import run


def make(directory: Path) -> dict[str, str]:
    """What the script leaves in a directory, by place."""
    run(sys.executable, ROOT / "deploy" / "make_secrets.py", directory)
    return {
        str(file.relative_to(directory)): file.read_text(encoding="utf-8")
        for file in directory.rglob("*")
        if file.is_file()
    }


def test_no_two_installations_share_a_secret(tmp_path: Path) -> None:
    """All of it is new each time, but what is asked for again stays."""
    first, second = make(tmp_path / "first"), make(tmp_path / "second")
    assert first.keys() == second.keys()
    assert [place for place in first if first[place] == second[place]] == []
    assert make(tmp_path / "first") == first


def test_only_its_owner_can_enter(tmp_path: Path) -> None:
    """Containers are each given a folder; nobody else on the machine gets to them."""
    make(tmp_path / "made")
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700


def test_programs_and_simulator_understand_them(tmp_path: Path) -> None:
    """Tokens, the Twilio account and its twin in the simulator are read by what reads them."""
    made = make(tmp_path)
    ingest = IngestSettings(api_tokens_file=tmp_path / "ingest" / "api-tokens")
    assert Tokens.from_settings(ingest).name_of(f"Bearer {made['client/api-token']}") == "client"
    lookup = LookupSettings(
        twilio_api_key=made["lookup/twilio-api-key"],
        twilio_api_secret_file=tmp_path / "lookup" / "twilio-api-secret",
    )
    simulator = SimulatorConfig.model_validate_json(made["twilio/config.json"])
    account = load_accounts(lookup)["default"]
    assert (account.username, account.secret()) == (
        simulator.accounts[0].sid,
        simulator.accounts[0].secret,
    )
    [named] = json.loads(made["lookup/twilio-accounts.json"]).values()
    assert (named["api_key"], named["api_secret"]) == (account.username, account.secret())
