"""Kafka's jars: a committed list of coordinates and SHA-256 sums, fetched once into a cache."""

import hashlib
import os
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

KAFKA_JARS = Path(__file__).with_name("kafka-jars.txt")

_THREADS = 8
_ATTEMPTS = 4
_FIRST_PAUSE_SECONDS = 0.5
_TIMEOUT_SECONDS = 60
_SHA256_LENGTH = 64


class JarError(RuntimeError):
    """A jar cannot be had; the message names its coordinate and the way out."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the list: what to fetch, and the sum that its bytes must have."""

    coordinate: str
    sha256: str

    @property
    def path(self) -> str:
        """Where the jar lies, in a Maven repository and in the cache alike."""
        group, artifact, version = self.coordinate.split(":")
        return f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"


def parse_jar_list(text: str) -> tuple[Jar, ...]:
    """Read a list with `group:artifact:version sha256` on each line; empty lines are skipped.

    Raises:
        JarError: a line has another form.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        fields = line.split()
        well_formed = (
            len(fields) == 2  # noqa: PLR2004 - a coordinate and its sum
            and fields[0].count(":") == 2  # noqa: PLR2004 - group:artifact:version
            and all(fields[0].split(":"))
            and len(fields[1]) == _SHA256_LENGTH
            and not set(fields[1]) - set("0123456789abcdef")
        )
        if not well_formed:
            raise JarError(
                f"line {number} of the list of jars is not 'group:artifact:version sha256': {line!r}"
            )
        jars.append(Jar(coordinate=fields[0], sha256=fields[1]))
    return tuple(jars)


def repository_url(environ: Mapping[str, str]) -> str:
    """Base address of the Maven repository: `MAVEN_REPOSITORY_URL`, else the public one jgo names."""
    address = environ.get("MAVEN_REPOSITORY_URL")
    if not address:
        # Importing jgo takes half a second, and most starts have nothing to fetch.
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - see above

        address = str(MAVEN_CENTRAL_URL)
    return address.rstrip("/")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where jars are kept between runs: `bulk-lookup/jars` in the user's cache directory."""
    base = environ.get("XDG_CACHE_HOME") or ""
    # The XDG specification says that a relative path is to be ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "bulk-lookup" / "jars"


def missing_jars(jars: tuple[Jar, ...], cache: Path) -> tuple[Jar, ...]:
    """Give the jars that are not in the cache, or are there with other bytes than they must have."""
    return tuple(jar for jar in jars if not _is_whole(cache / jar.path, jar.sha256))


def fetch_jars(jars: tuple[Jar, ...], cache: Path, repository: str) -> None:
    """Fetch jars into the cache; several processes may do this at once.

    Raises:
        JarError: a jar cannot be fetched or written, or is not the one that the list means.
    """
    with ThreadPoolExecutor(_THREADS) as executor:
        for _ in executor.map(lambda jar: _fetch(jar, cache, repository), jars):
            pass


def kafka_class_path() -> str:
    """Give Java's class path for Kafka, after fetching the jars that are missing or damaged.

    Raises:
        JarError: see `fetch_jars`.
    """
    jars = parse_jar_list(KAFKA_JARS.read_text(encoding="utf-8"))
    cache = cache_directory(os.environ)
    if missing := missing_jars(jars, cache):
        fetch_jars(missing, cache, repository_url(os.environ))
    return os.pathsep.join(str(cache / jar.path) for jar in jars)


def _is_whole(file: Path, sha256: str) -> bool:
    return file.exists() and hashlib.sha256(file.read_bytes()).hexdigest() == sha256


def _fetch(jar: Jar, cache: Path, repository: str) -> None:
    content = _download(jar, repository)
    found = hashlib.sha256(content).hexdigest()
    if found != jar.sha256:
        raise JarError(
            f"{jar.coordinate}: the repository gave a file with SHA-256 {found}, the list says "
            f"{jar.sha256}. A proxy or mirror may have changed it: check MAVEN_REPOSITORY_URL."
        )
    target = cache / jar.path
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when whole, so that nobody ever reads half a jar under the final name.
        partial.write_bytes(content)
        partial.replace(target)
    except OSError as error:
        raise JarError(
            f"{jar.coordinate}: cannot keep it in the cache: {error}. "
            "Set XDG_CACHE_HOME to a directory that can be written."
        ) from error


def _download(jar: Jar, repository: str) -> bytes:
    address = f"{repository}/{jar.path}"
    failure: Exception | None = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            with urllib.request.urlopen(address, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the operator's own setting; any scheme they choose, and the sum is checked
                return bytes(answer.read())
        except HTTPError as error:
            failure = error
            error.close()
            if error.code < 500 and error.code != 429:  # noqa: PLR2004 - HTTP: these stay as they are
                break
        except (OSError, ValueError) as error:
            failure = error
    raise JarError(
        f"{jar.coordinate}: cannot be fetched from the Maven repository: {failure}. Check the "
        "network, or set MAVEN_REPOSITORY_URL to a repository or mirror that has it."
    ) from failure
