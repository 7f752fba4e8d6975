"""Twilio accounts from settings."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import SettingsConfigDict

from services.lookup.accounts import TwilioSettings, load_accounts
from services.runtime.settings import ProgramSettings, SettingsError, load_settings

SID, KEY = "AC" + "1" * 32, "SK" + "2" * 32
TOKEN = "a-token-nobody-may-see"


class Settings(ProgramSettings, TwilioSettings):
    """Lookup's settings as far as Twilio matters."""

    model_config = SettingsConfigDict(frozen=True)


@pytest.fixture(autouse=True)
def _no_twilio_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("TWILIO_"):
            monkeypatch.delenv(name)


def load(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings(Settings)


@pytest.mark.parametrize(
    ("values", "username", "secret"),
    [
        ({"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}, SID, TOKEN),
        ({"TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": TOKEN}, KEY, TOKEN),
        # A key is preferred, whether or not the account's own secret is there.
        (
            {
                "TWILIO_API_KEY": KEY,
                "TWILIO_API_SECRET": TOKEN,
                "TWILIO_ACCOUNT_SID": SID,
                "TWILIO_AUTH_TOKEN": "other",
            },
            KEY,
            TOKEN,
        ),
        (
            {"TWILIO_API_KEY": KEY, "TWILIO_API_SECRET": TOKEN, "TWILIO_ACCOUNT_SID": SID},
            KEY,
            TOKEN,
        ),
    ],
)
def test_the_account_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], username: str, secret: str
) -> None:
    """The environment defines the account `default`, by API key or by account id."""
    account = load_accounts(load(monkeypatch, **values))["default"]
    assert (account.username, account.secret()) == (username, secret)
    assert (account.base_url, account.concurrency) == ("https://lookups.twilio.com", 20)
    assert (account.connect_timeout, account.read_timeout) == (3.0, 10.0)
    assert TOKEN not in repr(account)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"TWILIO_ACCOUNT_SID": TOKEN}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_API_KEY": TOKEN, "TWILIO_API_SECRET": TOKEN}, "TWILIO_API_KEY"),
        ({"TWILIO_API_KEY": SID}, "TWILIO_API_KEY"),
        ({"TWILIO_ACCOUNT_SID": SID}, "TWILIO_AUTH_TOKEN"),
        ({"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN_FILE"),
        ({"TWILIO_AUTH_TOKEN": TOKEN}, "TWILIO_ACCOUNT_SID"),
        ({"TWILIO_API_SECRET": TOKEN}, "TWILIO_API_KEY"),
        ({"TWILIO_BASE_URL": "lookups.twilio.com"}, "TWILIO_BASE_URL"),
        ({"TWILIO_BASE_URL": "https://lookups.twilio.com/v2"}, "TWILIO_BASE_URL"),
        ({"TWILIO_CONCURRENCY": "0"}, "TWILIO_CONCURRENCY"),
        ({"TWILIO_READ_TIMEOUT": "ten"}, "TWILIO_READ_TIMEOUT"),
    ],
)
def test_wrong_settings_are_named(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], named: str
) -> None:
    """A wrong setting is named, and nothing that may be a secret is shown."""
    with pytest.raises(SettingsError, match=named) as raised:
        load(monkeypatch, **values)
    assert TOKEN not in str(raised.value)


def test_no_account_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials it says which settings give them."""
    with pytest.raises(SettingsError, match="TWILIO_API_KEY"):
        load_accounts(load(monkeypatch))


def write(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_more_accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file names more accounts, each with settings of its own."""
    secret = write(tmp_path / "secret", f"{TOKEN}\n")
    file = write(
        tmp_path / "accounts.json",
        {
            "europe": {
                "api_key": KEY,
                "api_secret_file": secret,
                "base_url": "https://lookups.ie1.twilio.com/",
                "concurrency": 5,
                "read_timeout": "30s",
            }
        },
    )
    settings = load(
        monkeypatch, TWILIO_ACCOUNTS_FILE=file, TWILIO_API_KEY=KEY, TWILIO_API_SECRET="own"
    )
    accounts = load_accounts(settings)
    assert accounts.keys() == {"default", "europe"}
    europe = accounts["europe"]
    assert (europe.secret(), europe.concurrency, europe.read_timeout) == (TOKEN, 5, 30.0)
    assert europe.base_url == "https://lookups.ie1.twilio.com"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "file"),
        ([], "file"),
        ({"Bad Name": {}}, "Bad Name"),
        ({"one": {"api_key": TOKEN}}, "one.api_key"),
        ({"one": {"api_key": KEY, "secret": TOKEN}}, "one.secret"),
        ({"one": {"api_key": KEY}}, "api_secret_file"),
        ({"default": {"api_key": KEY, "api_secret": TOKEN}}, "default"),
    ],
)
def test_a_wrong_file_of_accounts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: Any, named: str
) -> None:
    """What is wrong in the file of accounts is named, without its values."""
    settings = load(
        monkeypatch,
        TWILIO_ACCOUNTS_FILE=write(tmp_path / "accounts.json", content),
        TWILIO_API_KEY=KEY,
        TWILIO_API_SECRET="own",
    )
    with pytest.raises(SettingsError, match=named) as raised:
        load_accounts(settings)
    assert "TWILIO_ACCOUNTS_FILE" in str(raised.value)
    assert TOKEN not in str(raised.value)


def test_a_secret_that_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret is read again when its file was replaced, and kept while the file is away."""
    path = tmp_path / "token"
    write(path, "first")
    settings = load(monkeypatch, TWILIO_ACCOUNT_SID=SID, TWILIO_AUTH_TOKEN_FILE=str(path))
    account = load_accounts(settings)["default"]
    assert account.secret() == "first"
    path.unlink()
    assert account.secret() == "first"
    write(path, "")
    assert account.secret() == "first"
    write(tmp_path / "new", "second")
    (tmp_path / "new").replace(path)
    assert account.secret() == "second"


def test_a_secret_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret's file that is missing or empty at the start is an error that names it."""
    missing = tmp_path / "token"
    settings = load(monkeypatch, TWILIO_ACCOUNT_SID=SID, TWILIO_AUTH_TOKEN_FILE=str(missing))
    with pytest.raises(SettingsError, match="token"):
        load_accounts(settings)
    write(missing, " \n")
    with pytest.raises(SettingsError, match="empty"):
        load_accounts(settings)
