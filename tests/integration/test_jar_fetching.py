import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.local.jars import Jar, JarError, fetch_jars, missing_jars


@dataclass
class Repository:
    """A Maven repository on 127.0.0.1 that can be told to fail a few times first."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    failures: list[HTTPStatus] = field(default_factory=list)

    def holding(self, coordinate: str, content: bytes) -> Jar:
        """Give a jar that the repository holds."""
        jar = Jar(coordinate=coordinate, sha256=hashlib.sha256(content).hexdigest())
        self.files[f"/{jar.path}"] = content
        return jar


@pytest.fixture
def repository() -> Iterator[Repository]:
    """An empty repository over HTTP."""
    state = Repository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = self.files_content()
            self.send_response(HTTPStatus.OK if isinstance(content, bytes) else content)
            self.end_headers()
            if isinstance(content, bytes):
                self.wfile.write(content)

        def files_content(self) -> bytes | HTTPStatus:
            if state.failures:
                return state.failures.pop()
            return state.files.get(self.path, HTTPStatus.NOT_FOUND)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        state.url = f"http://127.0.0.1:{server.server_port}"
        yield state
        server.shutdown()
        thread.join()


def files(directory: Path) -> list[Path]:
    """Give every file below the directory."""
    return [path for path in directory.rglob("*") if path.is_file()]


def test_what_is_missing_or_damaged_is_fetched(repository: Repository, tmp_path: Path) -> None:
    """After a fetch every jar is whole in the cache, also one that lay there with other bytes."""
    jars = tuple(repository.holding(f"org.example:part{i}:1", bytes([i])) for i in range(20))
    damaged = tmp_path / jars[3].path
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"half a j")

    assert missing_jars(jars, tmp_path) == jars
    fetch_jars(jars, tmp_path, repository.url)

    assert missing_jars(jars, tmp_path) == ()
    assert sorted(files(tmp_path)) == sorted(tmp_path / jar.path for jar in jars)


def test_a_jar_with_another_sum_is_refused(repository: Repository, tmp_path: Path) -> None:
    """What a repository gives under the right name with the wrong bytes never reaches the cache."""
    jar = repository.holding("org.example:thing:1", b"as listed")
    repository.files[f"/{jar.path}"] = b"something else"

    with pytest.raises(JarError, match=r"org\.example:thing:1: .* SHA-256 .*MAVEN_REPOSITORY_URL"):
        fetch_jars((jar,), tmp_path, repository.url)

    assert files(tmp_path) == []


def test_a_jar_that_the_repository_lacks_is_named(repository: Repository, tmp_path: Path) -> None:
    """A fetch that fails for good says which jar it was and which setting helps."""
    jar = Jar(coordinate="org.example:absent:1", sha256="0" * 64)

    with pytest.raises(JarError, match=r"org\.example:absent:1: .*404.*MAVEN_REPOSITORY_URL"):
        fetch_jars((jar,), tmp_path, repository.url)


def test_a_passing_trouble_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    """A repository that is busy for a moment does not fail the fetch."""
    jar = repository.holding("org.example:thing:1", b"content")
    repository.failures.append(HTTPStatus.SERVICE_UNAVAILABLE)

    fetch_jars((jar,), tmp_path, repository.url)

    assert missing_jars((jar,), tmp_path) == ()


def test_a_cache_that_cannot_be_written_is_named(repository: Repository, tmp_path: Path) -> None:
    """The error of a cache that cannot be written says where else it can be put."""
    jar = repository.holding("org.example:thing:1", b"content")
    (tmp_path / "org").write_text("a file where a folder must be")

    with pytest.raises(JarError, match=r"org\.example:thing:1: .*XDG_CACHE_HOME"):
        fetch_jars((jar,), tmp_path, repository.url)
