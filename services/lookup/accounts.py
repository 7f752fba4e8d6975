"""Twilio accounts: who we are to Twilio, where it is, and how hard it may be asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

import httpx
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.contracts.messages import AccountName
from services.runtime.logs import get_logger
from services.runtime.settings import Duration, SettingsError, read_secret

log = get_logger(__name__)

DEFAULT_ACCOUNT = "default"
TWILIO_URL = "https://lookups.twilio.com"
_SID = {prefix: re.compile(rf"{prefix}[0-9a-f]{{32}}") for prefix in ("AC", "SK")}


def _check_origin(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.raw_path != b"/":
        raise ValueError(f"must be http:// or https:// with a host and no path, as {TWILIO_URL}")
    return text.rstrip("/")


def _check_sid(value: SecretStr | None, prefix: str) -> SecretStr | None:
    if value is not None and not _SID[prefix].fullmatch(value.get_secret_value()):
        raise ValueError(f"must be {prefix} and 32 hexadecimal digits; see the Twilio console")
    return value


Origin = Annotated[str, AfterValidator(_check_origin)]
# No secrets, but kept as such: what is pasted into the wrong setting must not be shown.
AccountSid = Annotated[SecretStr | None, AfterValidator(lambda value: _check_sid(value, "AC"))]
ApiKey = Annotated[SecretStr | None, AfterValidator(lambda value: _check_sid(value, "SK"))]


class TwilioSettings(BaseModel):
    """The account called `default`, and a file that names more; mixed into lookup's settings."""

    twilio_account_sid: AccountSid = Field(
        default=None, description="Twilio account, AC...; with TWILIO_AUTH_TOKEN."
    )
    twilio_auth_token: SecretStr | None = Field(default=None, description="Its auth token.")
    twilio_auth_token_file: Path | None = Field(
        default=None, description="File that holds the auth token; read again when it changes."
    )
    twilio_api_key: ApiKey = Field(
        default=None,
        description="Twilio API key, SK...; with TWILIO_API_SECRET. Preferred to the auth token.",
    )
    twilio_api_secret: SecretStr | None = Field(default=None, description="Its secret.")
    twilio_api_secret_file: Path | None = Field(
        default=None, description="File that holds the secret; read again when it changes."
    )
    twilio_base_url: Origin = Field(
        default=TWILIO_URL,
        description="Where Twilio Lookup is: another region, or the simulator.",
    )
    twilio_concurrency: PositiveInt = Field(
        default=20,
        le=10_000,
        description="Most calls of the account in flight over all processes.",
    )
    twilio_connect_timeout: Duration = Field(
        default=timedelta(seconds=3), description="Longest time for a connection."
    )
    twilio_read_timeout: Duration = Field(
        default=timedelta(seconds=10),
        description="Longest time from sending a call to its whole answer.",
    )
    twilio_accounts_file: Path | None = Field(
        default=None,
        description="JSON file of more accounts: an object of these settings, without "
        "`twilio_` and in lower case, by account name.",
    )

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        _check_pair(_own_values(self), lambda field: f"twilio_{field}".upper())
        return self


class _FileAccount(BaseModel):
    """One account of TWILIO_ACCOUNTS_FILE."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_sid: AccountSid = None
    auth_token: SecretStr | None = None
    auth_token_file: Path | None = None
    api_key: ApiKey = None
    api_secret: SecretStr | None = None
    api_secret_file: Path | None = None
    base_url: Origin = TWILIO_URL
    concurrency: PositiveInt = Field(default=20, le=10_000)
    connect_timeout: Duration = timedelta(seconds=3)
    read_timeout: Duration = timedelta(seconds=10)

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        _check_pair(self)
        return self


_FILE = TypeAdapter(dict[AccountName, _FileAccount])


@dataclass(frozen=True, slots=True)
class Account:
    """One Twilio account, ready to be asked."""

    name: str
    #: An API key, or the account's own id.
    username: str
    #: The secret as it is now: read again when its file has changed.
    secret: Callable[[], str]
    base_url: str
    #: Most calls in flight over all processes.
    concurrency: int
    #: Seconds.
    connect_timeout: float
    #: Seconds.
    read_timeout: float

    def __repr__(self) -> str:
        return f"Account({self.name!r}, {self.base_url!r})"


class SecretFile:
    """A secret in a file, which may be replaced while the program runs.

    Raises:
        SettingsError: It cannot be read at first, or is empty.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._secret = self._read()

    def __call__(self) -> str:
        """The secret; a file that is away for the moment leaves the last one."""
        state = self._state()
        if state not in {self._seen, None}:
            try:
                self._secret = self._read()
                self._seen = state
            except SettingsError as error:
                log.warning("secret not read again, the last one is used", reason=str(error))
        return self._secret

    def _state(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def _read(self) -> str:
        secret = read_secret(None, self._path)
        if not secret:
            raise SettingsError(f"{self._path}: is empty; it should hold a secret")
        return secret


def load_accounts(settings: TwilioSettings) -> Mapping[str, Account]:
    """Every account there is, by name.

    Raises:
        SettingsError: There is none, the file of accounts is wrong, or a secret's file is.
    """
    accounts: dict[str, Account] = {}
    if settings.twilio_accounts_file is not None:
        for name, found in _read_accounts(settings.twilio_accounts_file).items():
            accounts[name] = _account(name, found)
    own = _own_values(settings)
    if own.account_sid is not None or own.api_key is not None:
        if DEFAULT_ACCOUNT in accounts:
            raise SettingsError(
                f"TWILIO_ACCOUNTS_FILE names the account {DEFAULT_ACCOUNT}, which the TWILIO_ "
                "settings define too: call it something else, or unset those"
            )
        accounts[DEFAULT_ACCOUNT] = _account(DEFAULT_ACCOUNT, own)
    if not accounts:
        raise SettingsError(
            "No Twilio account: set TWILIO_API_KEY and TWILIO_API_SECRET (or _FILE), or "
            "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN (or _FILE), or TWILIO_ACCOUNTS_FILE"
        )
    return accounts


def _own_values(settings: TwilioSettings) -> _FileAccount:
    """The environment's account in the file's form; its pairs are checked elsewhere."""
    return _FileAccount.model_construct(
        **{name: getattr(settings, f"twilio_{name}") for name in _FileAccount.model_fields}
    )


def _check_pair(account: _FileAccount, name: Callable[[str], str] = str) -> None:
    """Check that an id comes with its secret, and a secret with its id."""
    for who, secret in (("api_key", "api_secret"), ("account_sid", "auth_token")):
        value, file = getattr(account, secret), getattr(account, f"{secret}_file")
        who_name, secret_name = name(who), name(secret)
        has_secret = file is not None or (value is not None and value.get_secret_value() != "")
        if getattr(account, who) is not None and not has_secret:
            if who == "account_sid" and account.api_key is not None:
                continue  # the key says who we are; the account's id is then only for people
            raise ValueError(f"{who_name} needs {secret_name} or {name(secret + '_file')}")
        if getattr(account, who) is None and has_secret:
            raise ValueError(f"{secret_name} needs {who_name}")


def _read_accounts(path: Path) -> dict[str, _FileAccount]:
    try:
        return _FILE.validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"TWILIO_ACCOUNTS_FILE={path}: {error.strerror}") from None
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc'] if part != '[key]') or 'file'}: "
            + problem["msg"].removeprefix("Value error, ")
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise SettingsError(f"TWILIO_ACCOUNTS_FILE={path} is wrong:\n" + "\n".join(lines)) from None


def _account(name: str, found: _FileAccount) -> Account:
    by_key = found.api_key is not None
    username = found.api_key if by_key else found.account_sid
    value = found.api_secret if by_key else found.auth_token
    file = found.api_secret_file if by_key else found.auth_token_file
    return Account(
        name=name,
        username=_reveal(username),
        secret=SecretFile(file) if file is not None else _constant(value),
        base_url=found.base_url,
        concurrency=found.concurrency,
        connect_timeout=found.connect_timeout.total_seconds(),
        read_timeout=found.read_timeout.total_seconds(),
    )


def _constant(value: SecretStr | None) -> Callable[[], str]:
    secret = _reveal(value)
    return lambda: secret


def _reveal(value: SecretStr | None) -> str:
    return "" if value is None else value.get_secret_value().strip()
