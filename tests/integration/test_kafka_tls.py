"""TLS of Kafka's clients from files: what is wrong with them, and what replaces them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import uvloop

from services.runtime.kafka_reach import find_trouble
from services.runtime.kafka_security import FreshContext, TlsFiles, security_options
from services.runtime.settings import ProgramSettings, SettingsError

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


class Pems:
    """An authority, and files of a directory made with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = trustme.CA()

    def ca(self, name: str = "ca.pem") -> Path:
        """Write the authority's own certificate."""
        self.authority.cert_pem.write_to_path(self.directory / name)
        return self.directory / name

    def leaf(self, name: str = "client") -> tuple[Path, Path]:
        """Write a new certificate and its key."""
        made = self.authority.issue_cert("client@example.org")
        certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        made.cert_chain_pems[0].write_to_path(certificate)
        made.private_key_pem.write_to_path(key)
        return certificate, key


@pytest.fixture
def pems(tmp_path: Path) -> Pems:
    return Pems(tmp_path)


def server_side(leaf: trustme.LeafCert, clients: trustme.CA | None = None) -> ssl.SSLContext:
    """What a server with this certificate serves; only to `clients`, if they are given."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    leaf.configure_cert(context)
    if clients is not None:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def serving(context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server that greets who is let in, and hangs up; gives its port."""

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def greeting(port: int, context: ssl.SSLContext) -> bytes:
    """What the server says to a new connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        return await reader.read()
    finally:
        writer.close()


def settings_for(port: int, **more: object) -> ProgramSettings:
    options = {"kafka_security_protocol": "SSL", **more}
    return ProgramSettings(kafka_bootstrap_servers=f"127.0.0.1:{port}", **options)  # type: ignore[arg-type] # by name


@pytest.mark.parametrize(
    ("names", "not_before", "not_after", "wrong", "said"),
    [
        (["elsewhere.example"], None, None, True, "is for another name: name it in KAFKA_BOOT"),
        (["127.0.0.1"], NOW - 2 * DAY, NOW - DAY, False, "has expired: renew it there"),
        (["127.0.0.1"], NOW + DAY, NOW + 2 * DAY, False, "is not valid yet"),
    ],
)
async def test_a_certificate_of_kafka_that_does_not_hold(
    pems: Pems,
    names: list[str],
    not_before: datetime | None,
    not_after: datetime | None,
    wrong: bool,
    said: str,
) -> None:
    """What a setting can mend is a wrong setting; what is to be mended at Kafka is waited for."""
    leaf = pems.authority.issue_cert(*names, not_before=not_before, not_after=not_after)
    async with serving(server_side(leaf)) as port:
        settings = settings_for(port, kafka_ssl_ca_file=pems.ca())
        if wrong:
            with pytest.raises(SettingsError, match=said):
                await find_trouble(settings)
        else:
            assert said in str(await find_trouble(settings))


@pytest.mark.parametrize("own_file", [True, False])
async def test_an_authority_that_is_not_trusted(pems: Pems, own_file: bool) -> None:
    """The setting is named, and whether its file or the system's authorities were looked at."""
    leaf = trustme.CA().issue_cert("127.0.0.1")
    looked_at = f"KAFKA_SSL_CA_FILE={pems.ca()}" if own_file else "the system's authorities"
    async with serving(server_side(leaf)) as port:
        settings = settings_for(port, kafka_ssl_ca_file=pems.ca() if own_file else None)
        with pytest.raises(SettingsError) as caught:
            await find_trouble(settings)
    assert f"not signed by any of {looked_at}" in str(caught.value)
    assert "put the authority that signed it into KAFKA_SSL_CA_FILE" in str(caught.value)


async def test_nobody_at_all() -> None:
    """Each address is named with what came of it, and none of it is a wrong setting."""
    async with serving(None) as port:
        pass
    several = settings_for(port).model_copy(
        update={"kafka_bootstrap_servers": f"127.0.0.1:{port},127.0.0.1:1"}
    )
    trouble = str(await find_trouble(several))
    assert f"127.0.0.1:{port}: nobody listens there" in trouble
    assert "127.0.0.1:1: nobody listens there" in trouble


async def test_a_port_that_speaks_otherwise(pems: Pems) -> None:
    """A listener without TLS is waited for, with the setting that may be wrong."""
    async with serving(None) as port:
        trouble = str(await find_trouble(settings_for(port, kafka_ssl_ca_file=pems.ca())))
    assert "is KAFKA_SECURITY_PROTOCOL=SSL right for it?" in trouble


def spoil(pems: Pems, what: str) -> dict[str, Path]:
    """The settings of a client whose files are whole but for one."""
    certificate, key = pems.leaf()
    files = {
        "kafka_ssl_ca_file": pems.ca(),
        "kafka_ssl_certificate_file": certificate,
        "kafka_ssl_key_file": key,
    }
    spoiled = pems.directory / "spoiled"
    name, _, how = what.partition(" ")
    if how == "text":
        spoiled.write_text("no PEM", encoding="utf-8")
    elif how == "directory":
        spoiled.mkdir()
    elif how == "other":
        spoiled = pems.leaf("other")[1]
    elif how == "locked":
        locked = (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
        spoiled.write_text(locked, encoding="utf-8")
    elif how == "lacking":
        del files["kafka_ssl_key_file"]
        return files
    files[f"kafka_ssl_{name}_file"] = spoiled
    return files


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("ca missing", "CA_FILE=.*spoiled: No such file"),
        ("ca directory", "CA_FILE=.*spoiled: Is a directory"),
        ("ca text", "CA_FILE=.*spoiled: it holds no certificate in PEM"),
        ("certificate missing", "CERTIFICATE_FILE=.*spoiled: No such file"),
        ("certificate text", "CERTIFICATE_FILE=.*spoiled: it holds no certificate in PEM"),
        ("key missing", "KEY_FILE=.*spoiled: No such file"),
        ("key text", "KEY_FILE=.*spoiled: it holds no key in PEM"),
        ("key locked", "KEY_FILE=.*spoiled: it holds no key in PEM, or one with a passphrase"),
        ("key other", "KEY_FILE=.*other.key: it holds the key of another certificate"),
        ("key lacking", "CERTIFICATE_FILE=.*client.crt: it holds no key .*no KAFKA_SSL_KEY_FILE"),
    ],
)
def test_a_file_that_is_not_what_it_should_be(pems: Pems, what: str, said: str) -> None:
    """The setting, its file and what is wrong with it are named before anything is connected."""
    with pytest.raises(SettingsError, match=f"KAFKA_SSL_{said}"):
        security_options(settings_for(1, **spoil(pems, what)))


def test_a_key_may_stand_with_its_certificate(pems: Pems) -> None:
    """One file with both is enough."""
    certificate, key = pems.leaf()
    certificate.write_bytes(key.read_bytes() + certificate.read_bytes())
    TlsFiles(pems.ca(), certificate, None).load()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_new_connections_use_what_the_files_hold_then(
    pems: Pems, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A renewed authority and certificate count from the next connection on, the old no more."""
    other = Pems(pems.directory)  # the same files, by another authority

    async def run() -> None:
        context = FreshContext(TlsFiles(pems.ca(), *pems.leaf()))
        former = server_side(pems.authority.issue_cert("127.0.0.1"), pems.authority)
        renewed = server_side(other.authority.issue_cert("127.0.0.1"), other.authority)
        async with serving(former) as old, serving(renewed) as new:
            assert await greeting(old, context) == b"hello"
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeting(new, context)

            certificate = other.leaf()[0]
            other.ca()
            assert await greeting(new, context) == b"hello"
            with pytest.raises(ssl.SSLCertVerificationError):
                await greeting(old, context)

            certificate.write_text("half of a certificate", encoding="utf-8")
            assert await greeting(new, context) == b"hello"

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
