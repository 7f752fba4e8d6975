"""The proxy that the fault tests put between two parts: it does what a case says it does."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.local.processes import HOST
from tests.faults.proxy import Proxy

_GUARD_SECONDS = 30


class _Echo(socketserver.BaseRequestHandler):
    """Gives back what it gets, and `bye` when nothing more comes."""

    def handle(self) -> None:
        try:
            while piece := self.request.recv(1024):
                self.request.sendall(piece)
            self.request.sendall(b"bye")
        except OSError:
            return


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back what it gets."""
    with socketserver.ThreadingTCPServer((HOST, 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def connected(proxy: Proxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), _GUARD_SECONDS) as connection:
        connection.sendall(b"hello")
        assert connection.recv(1024) == b"hello"
        yield connection


def test_what_is_said_passes_and_an_end_too(echo: int) -> None:
    """Both ways, also more slowly; who has no more to say still hears what the other says."""
    with Proxy(echo) as proxy, connected(proxy) as connection:
        proxy.delay_seconds = 0.01
        connection.sendall(b"again")
        assert connection.recv(1024) == b"again"
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1024) == b"bye"
        assert connection.recv(1024) == b""


def test_a_cut_resets_both_ends(echo: int) -> None:
    """Whoever reads then gets an error, and no end that could be taken for an orderly one."""
    with Proxy(echo) as proxy, connected(proxy) as connection:
        assert proxy.cut() == 2
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_half_closed_both_ends_hear_no_more(echo: int) -> None:
    """Each is told that the other one has no more to send, and stays connected."""
    with Proxy(echo) as proxy, connected(proxy) as connection:
        assert proxy.half_close() == 2
        assert connection.recv(1024) == b""
        connection.sendall(b"into the void")


def test_a_closed_way_lets_nobody_in(echo: int) -> None:
    """New connections end at once, until it is open again."""
    with Proxy(echo) as proxy:
        proxy.closed = True
        with (
            socket.create_connection((HOST, proxy.port), _GUARD_SECONDS) as connection,
            pytest.raises(ConnectionError),
        ):
            _hear(connection)
        proxy.closed = False
        with connected(proxy):
            pass


def _hear(connection: socket.socket) -> None:
    """An end without a word counts as a reset: which of the two comes is the kernel's choice."""
    connection.sendall(b"hello")
    if connection.recv(1) == b"":
        raise ConnectionResetError
