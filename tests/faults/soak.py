"""All faults mixed at random for some minutes: `python -m tests.faults.soak MINUTES [SEED]`.

The seed is printed: with it the faults and their order are the same again. Contacts are handed
in all the time. In the end the four sources are reconciled as after any case, and the memory of
each program is drawn. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.faults.cases import PATIENT, Case, at_random
from tests.faults.memory import Memory, draw, judge
from tests.faults.runner import keep, play, run
from tests.faults.scene import Scene
from tests.faults.schedule import Step
from tests.faults.starting import run_servers, start_case

#: More than any soak gets through.
_STEPS = 10_000
#: Contacts in a second, at most, and how many numbers there are to choose from.
_A_SECOND = 30
NUMBERS = 7_000_000


def numbers(count: int) -> Iterator[str]:
    """Numbers of Washington, D.C., each once, far apart in order."""
    for n in range(count):
        yield f"+1202{2_000_000 + n * 3_000_017 % NUMBERS}"


def soak(minutes: float, seed: int, directory: Path) -> bool:
    """Run; returns whether all is well."""
    schedule = at_random(seed, _STEPS).schedule
    case = Case(f"soak of {minutes:g} minutes, seed {seed}", (), settings=PATIENT)
    # Those of the file that is handed in first are the sample's, as in every case.
    further = tuple(numbers(int(minutes * 60 * _A_SECOND)))
    with ExitStack() as stack:
        servers = stack.enter_context(run_servers())
        scene = start_case(case, servers, directory, stack, further=further)
        memory = stack.enter_context(Memory(scene.stack.programs))
        until = time.monotonic() + minutes * 60
        kept = directory / "books"
        books, outcome = run(scene, lambda: _play(scene, schedule, until), kept)
        keep(books, outcome, kept)
    draw(memory.curves, directory / "memory.svg")
    lines, too_much = judge(memory.curves)
    print("\n".join([*lines, json.dumps(outcome.figures, indent=2)]))
    findings = [*outcome.verdict.findings, *too_much]
    for finding in findings:
        print(f"WRONG: {finding}")
    return not findings


def _play(scene: Scene, schedule: tuple[Step, ...], until: float) -> None:
    """Play one step after the other, and say of each how far the contacts are by then."""
    began = time.monotonic()
    for step in schedule:
        if time.monotonic() >= until:
            break
        play(scene, (step,))
        print(
            f"{time.monotonic() - began:6.0f} s  {step.cause} {' '.join(step.whom)}: "
            f"{scene.sampler.finished:,} of {len(scene.contacts):,} have their end, "
            f"{len(scene.noted.losses)} processes lost",
            flush=True,
        )
    print("every contact is waited for", flush=True)


def main(minutes: str, seed: str | None = None) -> int:
    """Run with the arguments of the command line."""
    chosen = int(seed) if seed else secrets.randbelow(1_000_000)
    directory = Path(tempfile.mkdtemp(prefix="bulk-lookup-soak-"))
    directory.chmod(0o711)
    print(f"seed {chosen}, logs and books in {directory}", flush=True)
    well = soak(float(minutes), chosen, directory)
    if well:
        picture = Path(tempfile.gettempdir()) / f"bulk-lookup-soak-{chosen}.svg"
        shutil.copy(directory / "memory.svg", picture)
        shutil.rmtree(directory)
        print(f"all is well; memory in {picture}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
