"""`make record-alerts`: one fault after the other on the real stack, under the shipped rules.

The rules' windows are shortened, nothing else of them is changed. Each fault must make exactly
its own alerts fire; then a runbook is followed word for word, and all must clear. It takes a
quarter of an hour or more, and ends with 0 only if all was so.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from services.runtime.logs import configure_logging
from tests.alerts.faults import FAULTS, Fault
from tests.alerts.follow import Follower
from tests.alerts.record import Seen, table, written
from tests.alerts.stage import Stage, Watch, stage
from tests.deploy.runbooks import ROOT

_PAGE = ROOT / "docs" / "operations.md"
_FIRE_SECONDS = 240.0
#: The longest short window of a service level, six hours, and what else there is.
_CLEAR_SECONDS = 900.0
#: Nothing has fired for so long: the rules have had their data.
_QUIET_SECONDS = 20.0
_POLL_SECONDS = 0.5


def main() -> int:
    """Run all faults, or those named; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.alerts", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into operations.md")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="only faults with this text in their name"
    )
    arguments = parser.parse_args()
    configure_logging("alerts", "error")
    if arguments.write:
        # Whether it can be written is known before, not after, a quarter of an hour.
        written(_PAGE.read_text(encoding="utf-8"), "")
    faults = [fault for fault in FAULTS if arguments.only in fault.name]
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-alerts-"))
    # PostgreSQL started by root runs as somebody else, who must be able to pass through.
    directory.chmod(0o711)
    with stage(directory) as where:
        _say("All of it runs; waiting until nothing fires")
        where.watch.begin()
        _settle(where.watch)
        seen = [_see(where, fault, directory) for fault in faults]
    text = table(seen)
    _say(text)
    problems = [problem for one in seen for problem in one.problems]
    for problem in problems:
        _say(f"NOT AS IT MUST BE: {problem}")
    if problems:
        _say(f"Logs: {directory}")
    else:
        shutil.rmtree(directory)
    if arguments.write and not problems:
        _PAGE.write_text(written(_PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    return 1 if problems else 0


def _see(where: Stage, fault: Fault, directory: Path) -> Seen:
    _say(f"\n{fault.name}")
    watch = where.watch
    work = directory / fault.runbook
    work.mkdir()
    follower = Follower(where, work, _say)
    watch.begin()
    follower.words = fault.strike(where)
    # As a person who is paged: the runbook's own alert begins it.
    _until(_FIRE_SECONDS, lambda: any(fault.runbook == name.split()[0] for name in _told(watch)))
    _say(f"  following {fault.runbook}.md")
    said = follower.first_minutes(fault.runbook)
    _until(
        _FIRE_SECONDS, lambda: _told(watch) is not None and fault.fires <= watch.first_seen.keys()
    )
    follower.mitigation(fault.runbook, fault.before)
    fault.heal(where)
    _say(f"  {watch.seconds:5.0f} s  {fault.healed}")
    follower.mitigation(fault.runbook, fault.after)
    mended = watch.seconds
    still = _settle(watch)
    return Seen(
        fault=fault.name,
        fired=dict(watch.first_seen),
        expected=fault.fires,
        runbook=fault.runbook,
        not_shown=tuple(pattern for pattern in fault.shows if not re.search(pattern, said)),
        cleared_by=_steps(fault),
        cleared={
            name: max(0.0, last - mended)
            for name, last in watch.last_seen.items()
            if name not in still
        },
    )


def _steps(fault: Fault) -> str:
    typed = [[f"`{line}`" for line in lines] for lines in (fault.before, fault.after)]
    return "; then ".join([*typed[0], fault.healed, *typed[1]])


def _told(watch: Watch) -> frozenset[str]:
    """What fires, telling what has begun to."""
    before = set(watch.first_seen)
    firing = watch.firing()
    for name in watch.first_seen.keys() - before:
        _say(f"  {watch.first_seen[name]:5.0f} s  {name} fires")
    return firing


def _settle(watch: Watch) -> frozenset[str]:
    """Wait until nothing has fired for a while; gives what fires still after a generous time."""
    begun = watch.seconds

    def quiet() -> bool:
        last = max(watch.last_seen.values(), default=begun)
        return not _told(watch) and watch.seconds - max(begun, last) > _QUIET_SECONDS

    if _until(_CLEAR_SECONDS, quiet):
        _say(f"  {watch.seconds:5.0f} s  nothing fires any more")
        return frozenset()
    still = _told(watch)
    _say(f"  {', '.join(sorted(still))}: still firing")
    return still


def _until(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
