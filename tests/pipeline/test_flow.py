"""The ways a contact goes besides the straight one: again, upstream, retried, held."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from services.local.twilio.config import Account, Latency, SimulatorConfig
from services.local.twilio.faults import Fault
from tests.pipeline.books import PACKAGE, assert_whole, paid_again
from tests.pipeline.harness import Pipeline, StartPipeline

QUICK = SimulatorConfig(latency=Latency(median_seconds=0.01))


def reused(result: Mapping[str, Any]) -> bool:
    return any(p["package"] == PACKAGE and p["reused"] for p in result["packages"])


def test_the_same_file_again_costs_nothing(start_pipeline: StartPipeline) -> None:
    """Sent again, the same job and no call; with another key, all reused and no call."""
    pipeline = start_pipeline(simulator=QUICK)
    numbers = pipeline.numbers(200)
    first = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_complete(first)
    assert len(pipeline.calls()) == 200

    assert pipeline.submit(numbers, packages=PACKAGE) == first
    another = pipeline.submit(numbers, packages=PACKAGE, key="another")
    assert another != first
    pipeline.wait_complete(another)

    assert len(pipeline.calls()) == 200
    results = pipeline.results(another)
    assert len(results) == 200
    assert all(reused(result) for result in results)


def test_a_number_twice_in_a_job_is_paid_once(start_pipeline: StartPipeline) -> None:
    """Each row gets its result; the later ones are marked as reused."""
    pipeline = start_pipeline(simulator=QUICK)
    numbers = pipeline.numbers(50)
    job = pipeline.submit([*numbers, *numbers, *numbers], packages=PACKAGE, fresh_for="0s")
    pipeline.wait_complete(job)

    assert pipeline.counts(job) == {"completed": 150}
    assert len(pipeline.calls()) == 50
    assert sum(reused(result) for result in pipeline.results(job)) == 100


async def _produce_and_await(pipeline: Pipeline, contact: dict[str, Any]) -> dict[str, Any]:
    servers = pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"]
    prefix = pipeline.settings["KAFKA_TOPIC_PREFIX"]
    consumer = AIOKafkaConsumer(
        f"{prefix}lookup.results", bootstrap_servers=servers, auto_offset_reset="earliest"
    )
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    await consumer.start()
    await producer.start()
    try:
        await producer.send_and_wait(f"{prefix}contacts.inbound", json.dumps(contact).encode())
        async with asyncio.timeout(120):
            record = await consumer.getone()
    finally:
        await producer.stop()
        await consumer.stop()
    result: dict[str, Any] = json.loads(record.value)
    return result


def test_an_upstream_system_gets_its_result(start_pipeline: StartPipeline) -> None:
    """A contact produced to contacts.inbound comes out of lookup.results and of a search.

    What was sent along with it stands in both.
    """
    pipeline = start_pipeline(simulator=QUICK)
    number = pipeline.numbers(1)[0]
    contact = {"phone": number, "reference": "crm-7", "extra": {"tier": "=gold"}}
    result = asyncio.run(_produce_and_await(pipeline, contact))
    assert (result["phone"], result["reference"], result["state"]) == (number, "crm-7", "completed")
    assert result["extra"] == contact["extra"]

    def found() -> bool:
        with pipeline.api as api:
            answer = api.post("/v1/numbers/search", {"phone": number})
        return any(
            str(r["request_id"]) == result["request_id"] and r["extra"] == contact["extra"]
            for r in answer["requests"]
        )

    pipeline.wait_until("the search finds it", found)


def test_failures_end_as_the_table_says(start_pipeline: StartPipeline) -> None:
    """Transient ones recover; one that never does, and one not found twice, are dead letters."""
    pipeline = start_pipeline(settings={"RETRY_DELAYS": "200ms,400ms,800ms"}, simulator=QUICK)
    numbers = pipeline.numbers(60)
    gone, broken = numbers[0], numbers[1]

    def only(number: str) -> Any:
        return "\\" + number + "$"

    pipeline.simulator.control.set_faults(
        Fault(name="gone", kind="not_found", number=only(gone)),
        Fault(name="broken", kind="http_500", number=only(broken)),
        Fault(name="503", kind="http_503", share=0.3, times_per_number=2),
        Fault(name="cut", kind="cut", share=0.3, times_per_number=1),
        Fault(name="429", kind="rate_limited", share=0.3, times_per_number=2),
        Fault(
            name="package",
            kind="package_error",
            share=0.3,
            times_per_number=1,
            package=PACKAGE,
            code=60608,
        ),
    )
    job = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_complete(job)

    assert pipeline.counts(job) == {"completed": 58, "dead": 2}
    with pipeline.api as api:
        letters = list(api.pages("/v1/dead-letters", job=job))
    assert {letter["reason"] for letter in letters} == {"number-not-found", "attempts-exhausted"}
    calls = pipeline.calls()
    assert sum(call.number == gone for call in calls) == 2
    assert sum(call.number == broken for call in calls) == 4
    assert paid_again(calls) == 0


def test_a_person_stops_one_account_of_two_and_lets_it_go_on(
    start_pipeline: StartPipeline,
) -> None:
    """Its requests are held once and all finish; the other account never waits."""
    accounts = tuple(
        Account(name=name, sid="SK" + digit * 32, secret="simulated", concurrency=10)
        for name, digit in [("default", "0"), ("second", "1")]
    )
    pipeline = start_pipeline(
        simulator=SimulatorConfig(accounts=accounts, latency=Latency(median_seconds=0.05))
    )
    numbers = pipeline.numbers(1_200)
    held, free = numbers[:600], numbers[600:]
    job = pipeline.submit(held, packages=PACKAGE, account="second")
    other = pipeline.submit(free, packages=PACKAGE)

    pipeline.wait_until("some are finished", lambda: pipeline.finished(job) >= 50)
    with pipeline.api as api:
        api.post("/v1/accounts/second/stop", {"why": "a test"})
    pipeline.wait_complete(other)
    pipeline.wait_until(
        "the rest is held",
        lambda: pipeline.counts(job).keys() == {"completed", "parked"},
        explain=lambda: pipeline.counts(job),
    )
    calls_while_held = len(pipeline.calls())
    parked = pipeline.counts(job)["parked"]
    with pipeline.api as api:
        api.post("/v1/accounts/second/resume", {"why": "the test goes on"})
    pipeline.wait_complete(job)

    assert_whole_of_both(pipeline, {job: held, other: free})
    assert calls_while_held == len(numbers) - parked
    assert len(pipeline.calls()) == len(numbers)
    assert asyncio.run(_parked_records(pipeline)) == parked


def assert_whole_of_both(pipeline: Pipeline, jobs: dict[str, list[str]]) -> None:
    for job, numbers in jobs.items():
        assert pipeline.counts(job) == {"completed": len(numbers)}
    assert paid_again(pipeline.calls()) == 0


async def _parked_records(pipeline: Pipeline) -> int:
    prefix = pipeline.settings["KAFKA_TOPIC_PREFIX"]
    consumer = AIOKafkaConsumer(
        f"{prefix}lookup.parked", bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"]
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(consumer.assignment()))
    finally:
        await consumer.stop()
    return sum(ends.values())


def test_refused_credentials_stop_the_account_and_burn_nothing(
    start_pipeline: StartPipeline,
) -> None:
    """Refused in mid-run: nothing is dead-lettered, no attempt burnt; a person's resume ends it."""
    pipeline = start_pipeline(simulator=SimulatorConfig(latency=Latency(median_seconds=0.05)))
    numbers = pipeline.numbers(800)
    job = pipeline.submit(numbers, packages=PACKAGE)
    pipeline.wait_until("some are finished", lambda: pipeline.finished(job) >= 100)
    pipeline.simulator.control.set_account("default", state="refused")

    def refused() -> bool:
        with pipeline.api as api:
            return any(a["holds"] for a in api.get("/v1/accounts")["accounts"])

    pipeline.wait_until("the account is stopped", refused)
    pipeline.simulator.control.set_account("default", state="ok")
    with pipeline.api as api:
        api.post("/v1/accounts/default/resume", {"why": "the key is back"})
    pipeline.wait_complete(job)

    assert_whole(pipeline, job, numbers)
    assert paid_again(pipeline.calls()) == 0
    assert {result["attempts"] for result in pipeline.results(job)} == {0}
    with pipeline.api as api:
        assert list(api.pages("/v1/dead-letters", job=job)) == []


def test_garbage_on_contacts_is_a_dead_letter(start_pipeline: StartPipeline) -> None:
    """Bytes that are no request go to the dead letters whole, and what follows goes on."""
    pipeline = start_pipeline(simulator=QUICK)
    prefix = pipeline.settings["KAFKA_TOPIC_PREFIX"]
    garbage = uuid.uuid4().bytes

    async def produce() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=pipeline.settings["KAFKA_BOOTSTRAP_SERVERS"])
        await producer.start()
        try:
            await producer.send_and_wait(f"{prefix}contacts", garbage, key=b"+14155550100")
        finally:
            await producer.stop()

    asyncio.run(produce())
    job = pipeline.submit(pipeline.numbers(20), packages=PACKAGE)
    pipeline.wait_complete(job)

    def letters() -> list[Any]:
        with pipeline.api as api:
            return list(api.pages("/v1/dead-letters", reason="undecodable"))

    pipeline.wait_until("the dead letter is stored", letters)
    assert {letter["original_topic"] for letter in letters()} == {f"{prefix}contacts"}
