"""Whether the programs would find all they need: settings, Kafka, PostgreSQL, Twilio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import asyncpg
from aiokafka.errors import KafkaError

from services.cli import database
from services.cli.logs import quiet_logs
from services.cli.topic_report import compare, find_topics
from services.ingest.settings import IngestSettings
from services.lookup.accounts import Account, load_accounts
from services.lookup.classify import Reading
from services.lookup.scheduler import SchedulerSettings
from services.lookup.settings import LookupSettings
from services.lookup.twilio import TwilioClient
from services.results.settings import ResultsSettings
from services.runtime.database import UNAVAILABLE
from services.runtime.kafka_reach import say_trouble
from services.runtime.settings import ProgramSettings, SettingsError, load_settings
from services.runtime.tokens import Tokens

_SECONDS = 15
_PROGRAMS: Mapping[str, type[ProgramSettings]] = {
    "ingest": IngestSettings,
    "lookup": LookupSettings,
    "scheduler": SchedulerSettings,
    "results": ResultsSettings,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one check."""

    what: str
    ok: bool
    #: What was found; if it is wrong, with the way out.
    detail: str


async def findings() -> AsyncIterator[Finding]:
    """Check everything there is, one thing after the other; a failed one stops no other."""
    accounts: Mapping[str, Account] = {}
    for program, model in _PROGRAMS.items():
        finding, found = _settings(program, model)
        accounts = found or accounts
        yield finding
    yield await _kafka()
    yield await _postgresql()
    if not accounts:
        yield Finding("twilio", ok=False, detail="no account to check: mend lookup's settings")
        return
    async for finding in _twilio(accounts):
        yield finding


def _settings(
    program: str, model: type[ProgramSettings]
) -> tuple[Finding, Mapping[str, Account] | None]:
    what = f"settings of {program}"
    accounts = None
    try:
        settings = load_settings(model)
        detail = "can be read"
        if isinstance(settings, IngestSettings | ResultsSettings):
            given = bool(Tokens.from_settings(settings))
            detail += ", API with tokens" if given else ", API without a token: on 127.0.0.1 only"
        if isinstance(settings, LookupSettings):
            accounts = load_accounts(settings)
            detail += f", Twilio accounts: {', '.join(sorted(accounts))}"
    except SettingsError as error:
        return Finding(what, ok=False, detail=str(error)), None
    return Finding(what, ok=True, detail=detail), accounts


async def _kafka() -> Finding:
    try:
        settings = load_settings(ProgramSettings)
        with quiet_logs():
            async with asyncio.timeout(_SECONDS):
                found = await find_topics(settings)
    except SettingsError as error:
        return Finding("kafka", ok=False, detail=str(error))
    except (KafkaError, OSError):
        with quiet_logs():
            detail = await say_trouble(settings)
        return Finding("kafka", ok=False, detail=detail)
    where = settings.kafka_bootstrap_servers
    if not found and settings.kafka_create_topics:
        return Finding(
            "kafka", ok=True, detail=f"{where} answers; the programs will make the topics"
        )
    report = compare(settings.topics, found)
    if report.problems:
        more = f" (and {len(report.problems) - 1} more: see `bulk-lookup topics`)"
        detail = report.problems[0] + (more if report.problems[1:] else "")
        return Finding("kafka", ok=False, detail=detail)
    return Finding("kafka", ok=True, detail=f"{where} answers, all topics are as they must be")


async def _postgresql() -> Finding:
    what = "postgresql"
    try:
        schema = await database.look_at_schema(database.database_url())
    except SettingsError as error:
        return Finding(what, ok=False, detail=f"DATABASE_URL_FILE: {error}")
    except (*UNAVAILABLE, asyncpg.PostgresError, ValueError) as error:
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return Finding(what, ok=False, detail=f"{said}; check DATABASE_URL")
    if schema.problem is not None:
        return Finding(what, ok=False, detail=schema.problem)
    who = ", ".join(schema.programs)
    detail = f"answers, its schema is up to date, its user serves {who}"
    return Finding(what, ok=True, detail=detail)


async def _twilio(accounts: Mapping[str, Account]) -> AsyncIterator[Finding]:
    client = TwilioClient(accounts)
    try:
        for name, account in sorted(accounts.items()):
            with quiet_logs():
                reading = await client.check(name)
            yield _account(account, reading)
    finally:
        await client.close()


def _account(account: Account, reading: Reading) -> Finding:
    what = f"twilio account {account.name}"
    if not reading.problems:
        return Finding(what, ok=True, detail=f"{account.base_url} lets it in")
    return Finding(
        what,
        ok=False,
        detail=f"{account.base_url}: {reading.problems[0].detail.rstrip('.')}. Check the account's TWILIO_ "
        "settings, and the account in Twilio's console",
    )
