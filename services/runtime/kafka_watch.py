"""Waits for Kafka at the start, watches it afterwards, and says why it is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiokafka.errors import KafkaError

from services.runtime.health import Readiness
from services.runtime.kafka import Publisher
from services.runtime.kafka_reach import find_trouble
from services.runtime.logs import get_logger
from services.runtime.program import Stop
from services.runtime.settings import ProgramSettings

log = get_logger(__name__)
T = TypeVar("T")

_RETRY_AFTER = 0.5
#: Seconds between two looks at whether Kafka still answers, and how long it has for it.
_LOOK_EVERY = 2.0
_ANSWER_WITHIN = 3.0


async def wait_for_kafka(
    settings: ProgramSettings,
    start: Callable[[], Awaitable[T]],
    readiness: Readiness,
    stop: Stop,
) -> T:
    """Call `start()` until Kafka answers; `readiness` loses and regains `kafka`.

    Raises:
        SettingsError: Kafka answers, and refuses what the settings say.
        asyncio.CancelledError: A stop was asked for while waiting.
    """
    while True:
        try:
            result = await start()
        except (KafkaError, OSError) as error:
            why = await find_trouble(settings) or str(error) or type(error).__name__
            readiness.unmet("kafka", why)
            log.warning("waiting for kafka", reason=why)
            await stop.pause(_RETRY_AFTER)
        else:
            readiness.met("kafka")
            return result


async def watch_kafka(
    publisher: Publisher,
    readiness: Readiness,
    why_unheard: Callable[[], str | None] = lambda: None,
) -> None:
    """Look whether Kafka still answers, until cancelled; `readiness` loses and regains `kafka`.

    A Kafka that answers may still not hear of this program's own work: `why_unheard()` says so.
    """
    away = False
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        why = await publisher.trouble(_ANSWER_WITHIN) or why_unheard()
        if why is None:
            readiness.met("kafka")
            if away:
                log.info("kafka answers again")
        else:
            readiness.unmet("kafka", why)
            log.warning("kafka does not answer", reason=why)
        away = why is not None
