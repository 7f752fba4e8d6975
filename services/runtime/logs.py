"""JSON logs, one line each, with every number and secret masked, the libraries' too."""

from __future__ import annotations

import logging
import sys
import threading
import time
from contextlib import suppress
from typing import Any, TextIO

import structlog

from services.contracts.masking import mask_phone, mask_text
from services.runtime.log_repeats import Repeats, line_of

#: Libraries that say at `info` what only their authors need.
_QUIET = ("aiokafka", "asyncio", "faust", "mode", "httpx", "httpcore", "uvicorn")
#: Loggers that warn, some with a traceback, of what our own words or metrics say already: of each
#: commit that takes longer than the pause between two, of each connection that is refused.
_SILENT = ("mode.timers", "asyncpg.pool")
_SECRET_WORDS = ("authorization", "password", "secret", "token", "api_key")


def mask_event(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Mask what looks like a phone number in every value, and secrets by their names."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: Any) -> Any:
    if any(word in key.lower() for word in _SECRET_WORDS):
        return "***"
    if "phone" in key.lower() and not isinstance(value, bool | None):
        return mask_phone(str(value))
    if key in {"timestamp", "level", "logger", "job_id", "request_id"} or isinstance(
        value, int | float | bool | None
    ):
        return value
    if isinstance(value, dict):
        return {mask_text(str(k)): _masked(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(key, item) for item in value]
    return mask_text(str(value))


class _Handler(logging.StreamHandler[TextIO]):
    """Writes no flood; says of a record that cannot be written so, not the record, unmasked."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless the same was written a moment ago; called under a lock."""
        try:
            line = line_of(record)
        except (TypeError, ValueError):
            self.handleError(record)
            return
        left_out = 0 if line is None else self._repeats.admit(line, time.monotonic())
        if left_out is not None:
            if left_out and isinstance(record.msg, dict):
                record.msg = {**record.msg, "left_out": left_out}
            record.left_out = left_out  # of a library's, whose message is still a text
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Say on standard error whose record it was, and what was wrong."""
        error = sys.exc_info()[0]
        why = error.__name__ if error is not None else "unknown"
        with suppress(OSError, ValueError):
            sys.stderr.write(f"a log record of {record.name} cannot be written: {why}\n")


def configure_logging(service: str, level: str) -> None:
    """Send structlog's and the standard library's records through one JSON pipeline.

    Context bound with `structlog.contextvars` (request, job, partition) stands on each line.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _add_service(service),
        mask_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_say_left_out, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)

    threading.excepthook = _log_thread


def _say_left_out(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    if left_out := event["_record"].left_out:
        event["left_out"] = left_out
    return event


def _log_thread(ended: threading.ExceptHookArgs) -> None:
    """A thread's last words are masked like all others; the default prints them."""
    error = ended.exc_value
    if error is not None and not isinstance(error, SystemExit):
        name = ended.thread.name if ended.thread is not None else None
        get_logger(__name__).error("a thread ended by an error", thread=name, exc_info=error)


def _add_service(service: str) -> Any:
    def add(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["service"] = service
        return event

    return add


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
