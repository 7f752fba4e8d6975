"""A Kafka that lets nobody in unasked: TLS, passwords, clients' certificates, access rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import trustme
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from services.contracts.topics import Topics
from services.local.kafka import Guards, KafkaServer
from services.local.processes import free_port
from services.runtime.settings import ProgramSettings

#: By security protocol, and MUTUAL_TLS for SSL that asks clients for a certificate.
LISTENERS = ("SSL", "MUTUAL_TLS", "SASL_PLAINTEXT", "SASL_SSL")
PROGRAMS = ("ingest", "lookup", "scheduler", "results")
#: May do all there is, by password or certificate.
OPERATOR = "operator"
#: Users by name, with their passwords.
USERS = {name: f"{name}-secret" for name in (*PROGRAMS, OPERATOR)}

#: Codes of Kafka's ResourceType, PatternType, AclOperation and AclPermissionType.
_TOPIC, _GROUP, _LITERAL = 2, 3, 3
_OPERATIONS = {"Read": 3, "Write": 4}
_DENY, _ALLOW = 2, 3
_DAY = timedelta(days=1)

Settings = TypeVar("Settings", bound=ProgramSettings)


def read_settings(environ: Mapping[str, str], model: type[Settings]) -> Settings:
    """Settings as a program reads them from this environment."""
    return model(**{name.lower(): value for name, value in environ.items()})  # type: ignore[arg-type] # as text


class SecuredKafka:
    """The broker, and the files of its clients, in a directory.

    `User:ANONYMOUS`, who comes over the open listener, and the operator may do everything;
    everybody else what `allow` says.
    """

    def __init__(self, directory: Path) -> None:
        self._files = directory / "files"
        self._files.mkdir()
        self.ports = {name: free_port() for name in LISTENERS}
        self.authority = trustme.CA()
        self.renew()
        self.server = KafkaServer(
            directory / "kafka",
            guards=Guards(
                self.ports,
                [
                    "ssl.keystore.type=PEM",
                    f"ssl.keystore.location={self._files}/broker.pem",
                    "ssl.truststore.type=PEM",
                    f"ssl.truststore.location={self._files}/ca.pem",
                    "listener.name.mutual_tls.ssl.client.auth=required",
                    "ssl.principal.mapping.rules=RULE:^CN=([^,]*),.*$/$1/,DEFAULT",
                    "sasl.enabled.mechanisms=SCRAM-SHA-512",
                    *(
                        f"listener.name.{name}.scram-sha-512.sasl.jaas.config="
                        "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                        for name in ("sasl_plaintext", "sasl_ssl")
                    ),
                    "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                    f"super.users=User:ANONYMOUS;User:{OPERATOR}",
                ],
                USERS,
            ),
        )

    def renew(self) -> None:
        """Write the authority's certificate, the broker's and the operator's anew."""
        self.authority.cert_pem.write_to_path(self._files / "ca.pem")
        self._write("broker", self.authority.issue_cert("127.0.0.1"))
        self.client_file(OPERATOR)

    def client_file(
        self, name: str, *, expired: bool = False, authority: trustme.CA | None = None
    ) -> Path:
        """A client's certificate and key in one file, made anew."""
        end = datetime.now(UTC) - _DAY if expired else None
        leaf = (authority or self.authority).issue_cert(
            "client@example.org",
            common_name=name,
            not_before=end and end - _DAY,
            not_after=end,
        )
        return self._write(name, leaf)

    def settings(
        self, listener: str, user: str = OPERATOR, **changes: str | Path | None
    ) -> dict[str, str]:
        """The environment of a program that comes to a listener as a user; `changes` win."""
        protocol = "SSL" if listener == "MUTUAL_TLS" else listener
        found: dict[str, str | Path | None] = {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self.ports[listener]}",
            "KAFKA_SECURITY_PROTOCOL": protocol,
        }
        if protocol.endswith("SSL"):
            found["KAFKA_SSL_CA_FILE"] = self._files / "ca.pem"
        if listener == "MUTUAL_TLS":
            found["KAFKA_SSL_CERTIFICATE_FILE"] = self._files / f"{user}.pem"
        if protocol.startswith("SASL"):
            found |= {"KAFKA_SASL_USERNAME": user, "KAFKA_SASL_PASSWORD": USERS[user]}
        return {name: str(value) for name, value in (found | changes).items() if value is not None}

    async def allow(
        self, topics: Topics, prefix: str, programs: Mapping[str, str], *, but: Iterable[str] = ()
    ) -> None:
        """Give each program, called in `programs` by its user, the rights of the topic table.

        `but` leaves rights out, such as `Write on PREFIXlookup.parked`.
        """
        rights = [
            (_TOPIC, topic.name, user, right)
            for topic in topics.all
            for right, names in (("Read", topic.read_by), ("Write", topic.written_by))
            for program, user in programs.items()
            if program in names and f"{right} on {topic.name}" not in but
        ]
        rights += [
            (_GROUP, f"{prefix}{program}", user, "Read")
            for program, user in programs.items()
            if f"Read on the group {prefix}{program}" not in but
        ]
        await self._rule(rights, _ALLOW)

    async def deny(self, topic: str, user: str, right: str) -> None:
        """Take a right away, whatever else was allowed."""
        await self._rule([(_TOPIC, topic, user, right)], _DENY)

    async def _rule(self, rights: Iterable[tuple[int, str, str, str]], permission: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.server.bootstrap_servers)
        await admin.start()
        try:
            for kind, name, user, right in rights:
                request = CreateAclsRequest(
                    kind, name, _LITERAL, f"User:{user}", "*", _OPERATIONS[right], permission
                )
                ((code, message),) = (await admin._send_request(request)).creation_responses
                assert code == 0, message
        finally:
            await admin.close()

    def _write(self, name: str, leaf: trustme.LeafCert) -> Path:
        # Kafka reads PKCS#8 alone.
        key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
        file = self._files / f"{name}.pem"
        file.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + leaf.cert_chain_pems[0].bytes()
        )
        return file
