"""What is held is shown, by account and cause."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import generate_latest

from services.contracts.codec import encode
from services.contracts.control import account_key, job_key, package_key
from services.contracts.messages import ControlState
from services.contracts.packages import Package
from services.contracts.topics import topic_table
from services.runtime.control_topic import ControlTopic, show_running
from services.runtime.metrics import registry_for


def _shown(account: str) -> set[str]:
    lines = generate_latest(registry_for("lookup")).decode().splitlines()
    return {line for line in lines if "_held{" in line and f'"{account}"' in line}


async def _read(*states: tuple[str, bool]) -> None:
    nothing: Any = None
    control = ControlTopic(nothing, nothing, topic_table().control)
    for key, held in states:
        state = ControlState(key=key, held=held, why="w", by="b", at=datetime.now(UTC))
        await control._apply(encode(state))


async def test_a_cause_is_shown_until_it_is_gone() -> None:
    """Each by itself: one that is cleared hides no other."""
    await _read(
        (account_key("shown", "person"), True),
        (account_key("shown", "refused"), True),
        (account_key("shown", "person"), False),
        (package_key("shown", Package.CALLER_NAME), True),
    )
    assert _shown("shown") == {
        'twilio_account_held{account="shown",cause="person"} 0.0',
        'twilio_account_held{account="shown",cause="refused"} 1.0',
        'twilio_package_held{account="shown",package="caller_name"} 1.0',
    }


@pytest.mark.parametrize("cause", ["person", "configuration"])
async def test_a_job_is_in_no_label(cause: Any) -> None:
    """There are as many jobs as people like."""
    job = uuid4()
    await _read((job_key(job, cause), True))
    assert _shown(str(job)) == set()


def test_an_account_that_nobody_held_is_shown_running() -> None:
    """With every cause at 0, so that its absence is no riddle."""
    show_running("fresh")
    assert _shown("fresh") == {
        f'twilio_account_held{{account="fresh",cause="{cause}"}} 0.0'
        for cause in ("refused", "flood", "person", "budget")
    }
