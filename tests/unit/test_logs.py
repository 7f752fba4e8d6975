"""Logs: one JSON object a line, and no number or secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from services.runtime.logs import configure_logging, get_logger

PHONE = "+12015550123"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What was logged so far, one object each; logging is as before afterwards."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("ingest", "info")

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line(lines: Lines) -> None:
    """It says when, how severe, which service and module, and what."""
    get_logger("services.ingest.api").info("took an upload", rows=3)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "took an upload",
        "rows": 3,
        "level": "info",
        "logger": "services.ingest.api",
        "service": "ingest",
    }


def test_less_severe_than_the_level_is_not_logged(lines: Lines) -> None:
    """LOG_LEVEL decides."""
    get_logger("a").debug("quiet")
    logging.getLogger("b").debug("quiet")
    assert lines() == []


def test_context_stands_on_each_line(lines: Lines) -> None:
    """Request, job and partition, bound once, on our lines and the libraries'; ids stay whole."""
    job = "0c2c1e3a-9a55-5b0f-8f1c-6b7a5d4e3f21"
    with structlog.contextvars.bound_contextvars(job_id=job, partition=3):
        get_logger("a").info("ours")
        logging.getLogger("library").warning("theirs")
    for line in lines():
        assert (line["job_id"], line["partition"]) == (job, 3)


def raise_it(message: str) -> None:
    raise ValueError(message)


def in_message() -> None:
    get_logger("a").info(f"asked for {PHONE}")


def in_arguments() -> None:
    get_logger("a").info("asked for %s", PHONE)


def in_a_field() -> None:
    get_logger("a").info("asked", reason=f"no answer for {PHONE}", other=["x", {"y": PHONE}])


def in_a_key() -> None:
    get_logger("a").info("asked", found={PHONE: 1})


def in_an_object() -> None:
    get_logger("a").info("asked", error=ValueError(PHONE))


def as_a_number() -> None:
    get_logger("a").info("asked", phone=int(PHONE))


def in_bytes() -> None:
    get_logger("a").info("asked", record_key=PHONE.encode())


def in_an_exception() -> None:
    try:
        raise_it(f"cannot ask for {PHONE}")
    except ValueError:
        get_logger("a").exception("failed")


def in_a_cause() -> None:
    try:
        try:
            raise_it(PHONE)
        except ValueError as error:
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        get_logger("a").error("failed", exc_info=error)


def in_a_library_s_message() -> None:
    logging.getLogger("library").warning("asked for %s", PHONE)


def in_a_library_s_exception() -> None:
    try:
        raise_it(PHONE)
    except ValueError:
        logging.getLogger("library").exception("failed")


def in_a_library_s_extra() -> None:
    logging.getLogger("library").warning("asked", extra={"who": PHONE})


def in_the_context() -> None:
    with structlog.contextvars.bound_contextvars(key=PHONE):
        logging.getLogger("library").warning("asked")


@pytest.mark.parametrize(
    "log",
    [
        in_message,
        in_arguments,
        in_a_field,
        in_a_key,
        in_an_object,
        as_a_number,
        in_bytes,
        in_an_exception,
        in_a_cause,
        in_a_library_s_message,
        in_a_library_s_exception,
        in_a_library_s_extra,
        in_the_context,
    ],
)
def test_a_number_is_masked_wherever_it_stands(
    log: Callable[[], None], lines: Lines, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ours or a library's, in message, arguments, fields, context or exception."""
    log()
    (line,) = lines()
    assert "2015550123" not in json.dumps(line)
    assert "5550" not in json.dumps(line)
    assert capsys.readouterr().err == ""


def test_an_exception_keeps_its_traceback(lines: Lines) -> None:
    """Masking leaves what a developer needs."""
    in_an_exception()
    (line,) = lines()
    assert "ValueError: cannot ask for" in line["exception"]
    assert "in raise_it" in line["exception"]


@pytest.mark.parametrize(
    "name",
    ["password", "authorization", "Authorization", "auth_token", "api_key", "client_secret"],
)
def test_secrets_are_known_by_their_names(name: str, lines: Lines) -> None:
    """Whatever the value is, also inside other fields."""
    get_logger("a").info("connecting", **{name: "hunter2"}, headers={name: "hunter2"})
    (line,) = lines()
    assert "hunter2" not in json.dumps(line)
    assert line[name] == "***"


def test_a_record_that_cannot_be_written(lines: Lines, capsys: pytest.CaptureFixture[str]) -> None:
    """A library's mistake is said without repeating what it wanted to say."""
    wrong = {"name": "library", "msg": "asked for %s and %s", "args": (PHONE,)}
    logging.getLogger().handlers[0].handle(logging.makeLogRecord(wrong))
    assert lines() == []
    assert capsys.readouterr().err == "a log record of library cannot be written: TypeError\n"
