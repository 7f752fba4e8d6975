"""JSON logs, one line each, with every number and secret masked, the libraries' too."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog

from services.contracts.masking import mask_phone, mask_text

#: Libraries that say at `info` what only their authors need.
_QUIET = ("aiokafka", "asyncio", "faust", "mode", "httpx", "httpcore", "uvicorn")
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
    """A record that cannot be written is said so; the default repeats it, unmasked."""

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
            foreign_pre_chain=shared,
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


def _add_service(service: str) -> Any:
    def add(_: Any, __: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
        event["service"] = service
        return event

    return add


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
