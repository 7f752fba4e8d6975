"""The whole path of a contact, with nothing in its way."""

from services.local.twilio.config import Latency, SimulatorConfig
from services.local.twilio.ledger import repeats
from tests.pipeline.harness import StartPipeline


def test_every_contact_is_asked_once_and_completed(start_pipeline: StartPipeline) -> None:
    """What is submitted is asked once per number, and ends completed."""
    pipeline = start_pipeline(
        simulator=SimulatorConfig(latency=Latency(median_seconds=0.01)),
    )
    numbers = pipeline.numbers(300)

    job = pipeline.submit(numbers, packages="line_type_intelligence")
    pipeline.wait_complete(job)

    assert pipeline.counts(job) == {"completed": 300}
    calls = pipeline.calls()
    assert sorted(call.number for call in calls) == sorted(numbers)
    assert repeats(calls) == {}
