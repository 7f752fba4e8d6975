"""Where aiokafka would end, or spin, a program waits and goes on, or says so and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import conn
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from services.runtime import kafka_mended
from services.runtime.kafka import Publisher, make_consumer
from services.runtime.kafka_mended import Connection
from services.runtime.program import FaultError
from services.runtime.settings import ProgramSettings


class Writer:
    """Of a transport of uvloop's, whose socket has gone."""

    def __init__(self, *, closing: bool) -> None:
        self._closing = closing
        self.closed = False

    def is_closing(self) -> bool:
        return self._closing

    def write(self, _: bytes) -> None:
        raise RuntimeError("unable to perform operation on a closed transport")

    def close(self) -> None:
        self.closed = True


def broken(*, closing: bool) -> Any:
    connection: Any = Connection("127.0.0.1", 9092)
    connection._writer, connection._reader = (
        Writer(closing=closing),
        SimpleNamespace(at_eof=lambda: False),
    )
    connection._read_task = asyncio.get_running_loop().create_future()
    connection._versions = {3: (0, 4)}
    return connection


@pytest.mark.parametrize(
    "send",
    [
        lambda connection: connection.send(MetadataRequest([])),
        lambda connection: connection._send_sasl_token(b"token"),
    ],
)
async def test_a_write_to_a_closed_connection_is_a_broken_connection(send: Any) -> None:
    """As the library knows it, which then connects again; any other fault stays what it is."""
    connection = broken(closing=True)
    with pytest.raises(KafkaConnectionError):
        send(connection)
    assert not connection.connected()
    sound = broken(closing=False)
    with pytest.raises(RuntimeError):
        send(sound)
    sound.close()


def test_every_connection_is_ours() -> None:
    """The library makes its connections itself, by the name that was replaced."""
    assert conn.create_conn.__globals__["AIOKafkaConnection"] is Connection


async def test_a_consumer_whose_fetching_ended_ends_the_program() -> None:
    """It would wait for ever, with heartbeats going on."""
    consumer = make_consumer(ProgramSettings())
    ended = asyncio.get_running_loop().create_future()
    ended.set_exception(KafkaError("Unexpected error during data retrieval"))
    consumer._fetcher = SimpleNamespace(error_future=ended)
    with pytest.raises(FaultError, match="given the fetching up"):
        await consumer.getmany()
    consumer._closed = True  # it was never started


async def test_metadata_that_cannot_be_had_is_asked_for_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failed update of the metadata takes at least the pause; one that succeeds, no longer."""
    paused: list[float] = []
    go_on = asyncio.sleep

    async def pause(seconds: float) -> None:
        paused.append(seconds)
        await go_on(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        port = nobody_listens.getsockname()[1]
        publisher = Publisher(ProgramSettings(kafka_bootstrap_servers=f"127.0.0.1:{port}"))
        client = publisher._producer.client
        with contextlib.suppress(KafkaError):
            await client.bootstrap()
        paused.clear()
        assert not await client._metadata_update(client.cluster, [])
        assert paused == [kafka_mended._METADATA_AFTER]
        await publisher.stop()
