"""What of our environment reaches the local programs, and where their state is kept."""

from pathlib import Path

import pytest

from services.local.environment import (
    inherited,
    own_database,
    own_kafka,
    own_twilio,
    without_settings,
)
from services.local.home import home_directory

OURS = {
    "PATH": "/bin",
    "LOG_LEVEL": "debug",
    "HTTP_PORT": "1",
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "KAFKA_SASL_PASSWORD": "x",
    "KAFKA_TOPIC_PREFIX": "p.",
    "DATABASE_URL_FILE": "/run/url",
    "TWILIO_AUTH_TOKEN": "x",
}


@pytest.mark.parametrize(
    ("keep", "names"),
    [
        # A part the stack brings is told by the stack alone.
        ((), {"PATH", "LOG_LEVEL", "KAFKA_TOPIC_PREFIX"}),
        (
            ("kafka",),
            {
                *("PATH", "LOG_LEVEL", "KAFKA_TOPIC_PREFIX"),
                *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_SASL_PASSWORD"),
            },
        ),
        (("database",), {"PATH", "LOG_LEVEL", "KAFKA_TOPIC_PREFIX", "DATABASE_URL_FILE"}),
        (("twilio",), {"PATH", "LOG_LEVEL", "KAFKA_TOPIC_PREFIX", "TWILIO_AUTH_TOKEN"}),
    ],
)
def test_programs_inherit_settings_only_of_parts_that_are_not_embedded(
    keep: tuple[str, ...], names: set[str]
) -> None:
    """No credential for Twilio, and no address of another part, reaches a program unasked."""
    kept = {part: part in keep for part in ("kafka", "database", "twilio")}

    assert set(inherited(OURS, **kept)) == names


def test_a_stack_without_settings_keeps_none_of_ours() -> None:
    """The demo is the same whatever is set."""
    assert without_settings({**OURS, "HOME": "/root", "API_TOKENS": "x"}) == {
        "PATH": "/bin",
        "HOME": "/root",
    }


def test_what_the_environment_brings_is_told_apart() -> None:
    """An empty setting is none."""
    assert [own(OURS) for own in (own_kafka, own_database, own_twilio)] == [True, True, True]
    empty = dict.fromkeys(OURS, "")
    assert [own(empty) for own in (own_kafka, own_database, own_twilio)] == [False, False, False]


@pytest.mark.parametrize(
    ("environ", "root", "directory"),
    [
        ({"BULK_LOOKUP_HOME": "/srv/x"}, True, Path("/srv/x")),
        ({}, True, Path("/var/lib/bulk-lookup")),
        # Root's own directories are closed to PostgreSQL's user.
        ({"XDG_STATE_HOME": "/root/state"}, True, Path("/var/lib/bulk-lookup")),
        ({"XDG_STATE_HOME": "/state"}, False, Path("/state/bulk-lookup")),
        ({"XDG_STATE_HOME": "relative"}, False, Path.home() / ".local/state/bulk-lookup"),
        ({}, False, Path.home() / ".local/state/bulk-lookup"),
    ],
)
def test_the_state_is_kept_where_such_things_belong(
    environ: dict[str, str], root: bool, directory: Path
) -> None:
    """BULK_LOOKUP_HOME wins; root has a place that others can pass through."""
    assert home_directory(environ, root=root) == directory
