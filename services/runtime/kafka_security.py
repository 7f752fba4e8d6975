"""How a program proves to Kafka who it is, and whom it trusts: SASL, and TLS from files.

Certificates are renewed on disk while programs run, so each new connection is made with
what the files hold then.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from services.runtime.logs import get_logger
from services.runtime.settings import ProgramSettings, SettingsError, read_secret

log = get_logger(__name__)

#: What tells that a file was replaced: time of change, inode and size; None while it is away.
_Stamp = tuple[int, int, int] | None


def security_options(settings: ProgramSettings) -> dict[str, Any]:
    """What a Kafka client needs to be let in.

    Raises:
        SettingsError: A file cannot be read, or does not hold what it should; names both.
    """
    options: dict[str, Any] = {"security_protocol": settings.kafka_security_protocol}
    if settings.kafka_security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": _password(settings),
        }
    if settings.kafka_security_protocol.endswith("SSL"):
        options["ssl_context"] = FreshContext(
            TlsFiles(
                settings.kafka_ssl_ca_file,
                settings.kafka_ssl_certificate_file,
                settings.kafka_ssl_key_file,
            )
        )
    return options


def _password(settings: ProgramSettings) -> str | None:
    try:
        return read_secret(settings.kafka_sasl_password, settings.kafka_sasl_password_file)
    except SettingsError as error:
        raise SettingsError(f"KAFKA_SASL_PASSWORD_FILE={error}") from None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a client's TLS, PEM; each may be missing but the key's certificate."""

    #: Certificates to trust; the system's without it.
    ca: Path | None
    certificate: Path | None
    #: The certificate's key; without it, the key stands in the certificate's file.
    key: Path | None

    def stamps(self) -> tuple[_Stamp, ...]:
        """Changes when a file is replaced or written to."""
        return tuple(_stamp(path) for path in (self.ca, self.certificate, self.key))

    def load(self) -> ssl.SSLContext:
        """A context from what the files hold now.

        Raises:
            SettingsError: Names the setting, its file, and what is wrong with it.
        """
        context = ssl.create_default_context(cafile=self._readable("CA", self.ca))
        certificate = self._readable("CERTIFICATE", self.certificate)
        key = self._readable("KEY", self.key)
        if certificate is None:
            return context
        try:
            # A passphrase is nowhere to be had; without one given OpenSSL asks the terminal.
            context.load_cert_chain(certificate, key, password="")
        except ssl.SSLError as error:
            raise self._unfit(error) from None
        return context

    def _readable(self, what: str, path: Path | None) -> Path | None:
        if path is None:
            return None
        try:
            path.read_bytes()
            if what != "KEY":
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except ssl.SSLError:
            raise _wrong(what, path, "it holds no certificate in PEM") from None
        except OSError as error:
            raise _wrong(what, path, str(error.strerror)) from None
        return path

    def _unfit(self, error: ssl.SSLError) -> SettingsError:
        if error.reason == "KEY_VALUES_MISMATCH":
            what = "it holds the key of another certificate than KAFKA_SSL_CERTIFICATE_FILE"
        else:
            what = "it holds no key in PEM, or one with a passphrase, which cannot be used"
        if self.key is not None:
            return _wrong("KEY", self.key, what)
        without = " (there is no KAFKA_SSL_KEY_FILE, so the key should stand in it too)"
        return _wrong("CERTIFICATE", self.certificate, what + without)


def _wrong(what: str, path: Path | None, why: str) -> SettingsError:
    return SettingsError(f"KAFKA_SSL_{what}_FILE={path}: {why}")


def _stamp(path: Path | None) -> _Stamp:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class FreshContext(ssl.SSLContext):
    """A context whose new connections use what its files hold then, not what they once held.

    While the files are being replaced and do not fit together, they use what was read last.
    """

    def __new__(cls, files: TlsFiles) -> Self:
        """Make one; `files` is for `__init__`."""
        del files
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: TlsFiles) -> None:
        """Read the files.

        Raises:
            SettingsError: One cannot be read, or does not hold what it should.
        """
        self._files = files
        # Looked at before reading: what is written in between is read the next time.
        self._seen = files.stamps()
        self._now = files.load()

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio and uvloop begin each connection with."""
        seen = self._files.stamps()
        if seen != self._seen:
            try:
                self._now = self._files.load()
            except SettingsError as error:
                log.warning(
                    "certificates not read again, the last ones are used", reason=str(error)
                )
            else:
                log.info("certificates read again")
                self._seen = seen
        return self._now.wrap_bio(*args, **options)
