"""Fuzzes both APIs for a time: `python -m tests.fuzz MINUTES`, half of it each.

On a Kafka and a PostgreSQL of its own, with a seed that it prints. It ends with 1 if an answer
was not as described, or a server's error, and says how to have it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import get_args

from services.local.stack import Stack
from tests.fuzz.running import Api, Fuzzing, plan


def main() -> int:
    """Run it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("minutes", type=float)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    arguments = parser.parse_args()
    apis = get_args(Api)
    seconds = max(1, round(arguments.minutes * 60 / len(apis)))
    failed = False
    with (
        tempfile.TemporaryDirectory(prefix="bulk-lookup-fuzz-") as directory,
        Stack(Path(directory), plan({}, {}), say=_say) as stack,
    ):
        fuzzing = Fuzzing.of(stack)
        for api in apis:
            _say(f"Fuzzing {api} for {seconds} s, with the seed {arguments.seed}")
            clean = fuzzing.run(api, f"--seed={arguments.seed}", f"--max-time={seconds}")
            failed |= not clean
    return int(failed)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
