from pathlib import Path

import pytest

from services.local.jars import (
    KAFKA_JARS,
    Jar,
    JarError,
    cache_directory,
    parse_jar_list,
    repository_url,
)

SUM = "0123456789abcdef" * 4


def test_a_line_becomes_a_jar_with_its_place_in_a_repository() -> None:
    """A coordinate's group becomes folders, and artifact and version name the file."""
    (jar,) = parse_jar_list(f"\norg.example.deep:thing_2.13:1.0-2 {SUM}\n")

    assert jar == Jar(coordinate="org.example.deep:thing_2.13:1.0-2", sha256=SUM)
    assert jar.path == "org/example/deep/thing_2.13/1.0-2/thing_2.13-1.0-2.jar"


@pytest.mark.parametrize(
    "line",
    [
        f"org.example:thing {SUM}",  # no version
        f"org.example::1.0 {SUM}",  # an empty part
        f"org.example:thing:jar:1.0 {SUM}",  # a part too many
        "org.example:thing:1.0",  # no sum
        f"org.example:thing:1.0 {SUM[1:]}",  # a digit too few
        f"org.example:thing:1.0 {SUM.upper()}",  # not as sums are compared
        f"org.example:thing:1.0 {SUM} again",
    ],
)
def test_a_line_of_another_form_is_named(line: str) -> None:
    """A wrong line is refused with its number and its text."""
    with pytest.raises(JarError, match="line 2 of the list of jars") as caught:
        parse_jar_list(f"org.example:good:1.0 {SUM}\n{line}\n")

    assert line in str(caught.value)


def test_the_committed_list_is_kafka_with_a_log_binding() -> None:
    """The list parses, names no jar twice, and has Kafka and what makes it log."""
    jars = parse_jar_list(KAFKA_JARS.read_text(encoding="utf-8"))
    artifacts = [jar.coordinate.rsplit(":", 1)[0] for jar in jars]

    assert len(artifacts) == len(set(artifacts))
    assert "org.apache.kafka:kafka_2.13" in artifacts
    assert "org.apache.logging.log4j:log4j-slf4j-impl" in artifacts


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"XDG_CACHE_HOME": "/caches"}, Path("/caches/bulk-lookup/jars")),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache/bulk-lookup/jars"),
        ({"XDG_CACHE_HOME": "relative"}, Path.home() / ".cache/bulk-lookup/jars"),
        ({}, Path.home() / ".cache/bulk-lookup/jars"),
    ],
)
def test_the_cache_is_the_users_own(environ: dict[str, str], expected: Path) -> None:
    """Jars are kept in the user's cache directory as the XDG specification finds it."""
    assert cache_directory(environ) == expected


def test_the_repository_is_a_setting() -> None:
    """MAVEN_REPOSITORY_URL replaces the public repository, with or without a slash at its end."""
    assert repository_url({"MAVEN_REPOSITORY_URL": "http://127.0.0.1/m2/"}) == "http://127.0.0.1/m2"
    assert repository_url({"MAVEN_REPOSITORY_URL": ""}).startswith("https://")
