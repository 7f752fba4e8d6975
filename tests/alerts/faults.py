"""The faults, what each must make fire, and whose runbook is followed to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.local.twilio.config import Latency
from services.local.twilio.faults import Fault as TwilioFault
from tests.alerts.stage import LATENCY, Stage
from tests.pipeline.books import PACKAGE

_ACCOUNT = {"ACCOUNT": "default"}
_WORKER = "lookup-2"
#: Twilio takes none of these for a request that it can answer. The traffic has none of them.
_FLOOD = [f"+493023{number}" for number in range(140_000, 148_000)]
_REFUSED = TwilioFault(
    name="refused", kind="http_error", number=r"\+49302314[0-7]", status=400, code=21211
)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of the outside, with what the alerts and a runbook must make of it."""

    #: As the table calls it.
    name: str
    #: Gives what is filled in for the runbook's words in capitals.
    strike: Callable[[Stage], Mapping[str, str]]
    #: Mends the cause, which no command of ours can.
    heal: Callable[[Stage], None]
    #: Alerts that fire, each as `Name severity`. None else may.
    fires: frozenset[str]
    #: The alert whose runbook is followed.
    runbook: str
    #: What the steps of its first five minutes must show, as regular expressions.
    shows: tuple[str, ...]
    #: What healed it, for the table.
    healed: str
    #: Lines of its mitigation that are typed before the cause is mended, and after.
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def _stop_twilio(stage: Stage) -> Mapping[str, str]:
    stage.pipeline.simulator.stop()
    return _ACCOUNT


def _revoke_key(stage: Stage) -> Mapping[str, str]:
    stage.pipeline.simulator.control.set_account("default", state="refused")
    return _ACCOUNT


def _kill_worker(stage: Stage) -> Mapping[str, str]:
    url = stage.pipeline[_WORKER].url
    stage.pipeline[_WORKER].kill()
    return {"POD": _WORKER, "POD_URL": url}


def _start_worker(stage: Stage) -> None:
    stage.pipeline[_WORKER].start()
    stage.pipeline[_WORKER].wait_ready()


def _stop_postgres(stage: Stage) -> Mapping[str, str]:
    stage.postgres.stop()
    return {}


def _flood(stage: Stage) -> Mapping[str, str]:
    control = stage.pipeline.simulator.control
    control.set_faults(_REFUSED)
    # Slow enough that it lasts until somebody stops it.
    control.set_latency(Latency(median_seconds=0.2))
    return {"JOB": stage.pipeline.submit(_FLOOD, packages=PACKAGE)}


def _end_flood(stage: Stage) -> None:
    stage.pipeline.simulator.control.set_faults()
    stage.pipeline.simulator.control.set_latency(LATENCY)


FAULTS: tuple[Fault, ...] = (
    Fault(
        name="Twilio is down",
        strike=_stop_twilio,
        heal=lambda stage: stage.pipeline.simulator.start(),
        fires=frozenset({"TwilioErrorRatioHigh warning"}),
        runbook="TwilioErrorRatioHigh",
        shows=(r"outcome=transient", r"default \| connect-failed", r"connect-failed"),
        before=('bulk-lookup accounts stop ACCOUNT --why "Twilio fails"',),
        healed="Twilio came back",
        after=(
            "kubectl -n bulk-lookup exec deployment/lookup -- bulk-lookup check",
            'bulk-lookup accounts resume ACCOUNT --why "Twilio is well"',
        ),
    ),
    Fault(
        name="The Twilio key is revoked",
        strike=_revoke_key,
        heal=lambda stage: stage.pipeline.simulator.control.set_account("default", state="ok"),
        fires=frozenset({"TwilioAccountStopped critical"}),
        runbook="TwilioAccountStopped",
        shows=(r"refused", r"20003", r"state=pending"),
        healed="the key was good again",
        after=(
            "kubectl -n bulk-lookup exec deployment/lookup -- bulk-lookup check",
            'bulk-lookup accounts resume ACCOUNT --why "key replaced"',
        ),
    ),
    Fault(
        name="A lookup worker is killed and stays away",
        strike=_kill_worker,
        heal=_start_worker,
        fires=frozenset({"LookupTargetMissing warning"}),
        runbook="LookupTargetMissing",
        shows=(r"pod=lookup-2\} 0", r"(?i)failed to connect|could not connect"),
        healed="the worker was started",
    ),
    Fault(
        name="PostgreSQL is stopped",
        strike=_stop_postgres,
        heal=lambda stage: stage.postgres.start(),
        fires=frozenset(
            {
                "ResultsWriteErrors critical",
                "LookupNotReady critical",
                "LookupNotReady warning",
                "IngestAvailabilityBudgetBurn critical",
                "IngestAvailabilityBudgetBurn warning",
                "LookupConsumerGroupStalled critical",
            }
        ),
        runbook="ResultsWriteErrors",
        shows=(r"ConnectionRefusedError", r"failed +postgresql: ConnectionRefusedError"),
        healed="PostgreSQL was started",
    ),
    Fault(
        name="A flood of dead letters",
        strike=_flood,
        heal=_end_flood,
        fires=frozenset(
            {
                "LookupDeadLetterBudgetBurn critical",
                "LookupDeadLetterBudgetBurn warning",
                # Twilio's code for it is not in our table, which does not know either whether
                # such a call is paid.
                "TwilioUnknownErrorCode warning",
                "TwilioBillingUncertain warning",
            }
        ),
        runbook="LookupDeadLetterBudgetBurn",
        shows=(r"bad-request",),
        before=('bulk-lookup job stop JOB --why "its contacts are at fault"',),
        healed="Twilio took the numbers",
        after=(
            'bulk-lookup job resume JOB --why "its contacts are mended"',
            "bulk-lookup results JOB --state dead --out dead.csv",
            "bulk-lookup submit dead.csv",
        ),
    ),
)
