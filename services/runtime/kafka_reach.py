"""Why Kafka cannot be reached: the clients say only that they cannot.

One connection of our own, made after a client has failed, tells a refused password from a
certificate nobody trusts, and both from a Kafka that is away.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime.kafka_security import security_options
from services.runtime.settings import ProgramSettings, SettingsError

#: Milliseconds that Kafka has for each step of letting us in.
_PATIENCE_MS = 5_000
#: X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED = 9, 10
#: X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH, of the same.
_OTHER_NAME = (62, 64)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an address does not let us in."""

    why: str
    #: Waiting does not help: a setting is wrong, or what stands in its file.
    settings: bool = False


async def find_trouble(settings: ProgramSettings) -> str | None:
    """Why Kafka does not let us in now, said for people; None if it does.

    Raises:
        SettingsError: Kafka is there, and only other settings will do.
    """
    options = {**security_options(settings), "request_timeout_ms": _PATIENCE_MS}
    found: dict[str, Trouble] = {}
    for host, port, _ in collect_hosts(settings.kafka_bootstrap_servers):
        try:
            connection = await create_conn(host, port, **options)
        except (KafkaError, OSError) as error:
            found[f"{host}:{port}"] = explain(error, settings)
        else:
            return await _trouble_of_brokers(connection, options, settings)
    said = "; ".join(f"{address}: {trouble.why}" for address, trouble in sorted(found.items()))
    if any(trouble.settings for trouble in found.values()):
        raise SettingsError(f"Kafka at {said}")
    return said


async def say_trouble(settings: ProgramSettings) -> str:
    """Why Kafka does not answer, wrong settings too, for who only wants to know."""
    try:
        return await find_trouble(settings) or "it does not answer"
    except SettingsError as error:
        return str(error)


async def _trouble_of_brokers(
    connection: AIOKafkaConnection, options: dict[str, Any], settings: ProgramSettings
) -> str | None:
    """What keeps us from the brokers as Kafka itself names them."""
    try:
        brokers = (await connection.send(MetadataRequest([]))).brokers
    except (KafkaError, OSError) as error:
        return f"{connection.host}:{connection.port}: {explain(error, settings).why}"
    finally:
        connection.close()
    for _, host, port, *_ in brokers:
        try:
            (await create_conn(host, port, **options)).close()
        except (KafkaError, OSError) as error:
            return (
                f"{connection.host}:{connection.port} answers, and names {host}:{port} as a broker "
                f"(its advertised.listeners): {explain(error, settings).why}"
            )
    return None


def explain(error: BaseException, settings: ProgramSettings) -> Trouble:
    """What an error of a connection means to who runs the program. Pure."""
    protocol = settings.kafka_security_protocol
    for cause in _causes(error):
        if isinstance(cause, SaslAuthenticationFailed):
            return Trouble(
                f"it refuses KAFKA_SASL_USERNAME={settings.kafka_sasl_username!r} or its password "
                f"by {settings.kafka_sasl_mechanism}; check both, and KAFKA_SASL_MECHANISM",
                settings=True,
            )
        if isinstance(cause, UnsupportedSaslMechanismError):
            return Trouble(
                f"it does not take KAFKA_SASL_MECHANISM={settings.kafka_sasl_mechanism}; name one "
                "of its sasl.enabled.mechanisms",
                settings=True,
            )
        if isinstance(cause, IllegalSaslStateError):
            return Trouble(
                f"it asks for no password on this port, and KAFKA_SECURITY_PROTOCOL={protocol} "
                f"gives one: say {'SSL' if protocol == 'SASL_SSL' else 'PLAINTEXT'}, or name "
                "another port",
                settings=True,
            )
        if isinstance(cause, ssl.SSLError):
            return _explain_tls(cause, settings)
    if isinstance(error, TimeoutError):
        return Trouble(f"no answer within {_PATIENCE_MS // 1000} s")
    return Trouble(_hint(error, settings))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _explain_tls(error: ssl.SSLError, settings: ProgramSettings) -> Trouble:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in {_EXPIRED, _NOT_YET_VALID}:
            what = "has expired" if error.verify_code == _EXPIRED else "is not valid yet"
            return Trouble(
                f"its certificate, or its authority's, {what}: renew it there, or set the clocks"
            )
        if error.verify_code in _OTHER_NAME:
            return Trouble(
                "its certificate is for another name: name it in KAFKA_BOOTSTRAP_SERVERS as the "
                f"certificate does ({error.verify_message})",
                settings=True,
            )
        trusted = settings.kafka_ssl_ca_file
        where = "the system's authorities" if trusted is None else f"KAFKA_SSL_CA_FILE={trusted}"
        return Trouble(
            f"its certificate is not signed by any of {where} ({error.verify_message}); put the "
            "authority that signed it into KAFKA_SSL_CA_FILE",
            settings=True,
        )
    reason = error.reason or ""
    if "ALERT" in reason and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        own = settings.kafka_ssl_certificate_file
        if own is None:
            why = "it wants a certificate of ours: set KAFKA_SSL_CERTIFICATE_FILE"
        else:
            why = (
                f"it refuses KAFKA_SSL_CERTIFICATE_FILE={own}: has it expired, and does Kafka "
                "trust who signed it?"
            )
        return Trouble(f"{why} ({reason.lower().replace('_', ' ')})", settings=True)
    return Trouble(_hint(error, settings))


def _hint(error: BaseException, settings: ProgramSettings) -> str:
    said = str(error) or type(error).__name__
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if not isinstance(error, OSError) or isinstance(error, ssl.SSLError | ConnectionError):
        said += f" (is KAFKA_SECURITY_PROTOCOL={settings.kafka_security_protocol} right for it?)"
    return said
