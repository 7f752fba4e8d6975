"""Explores the model, deeper than the tests do: `python -m tests.model --kills 2 --doubles 1`."""

from __future__ import annotations

import argparse
import logging
import sys
import time

import structlog

from tests.model.decisions import Weakening
from tests.model.explore import TooManyWorldsError, explore
from tests.model.world import Budget


def main() -> int:
    """Explore as told; 0 if every invariant holds, 1 if one broke, 2 if it got too large."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    for name in Budget._fields:
        default = Budget._field_defaults[name]
        parser.add_argument(f"--{name}", type=int, default=default, help=f"({default})")
    parser.add_argument("--requests", type=int, default=1, help="of one number (1)")
    names = {weakening.name.lower().replace("_", "-"): weakening for weakening in Weakening}
    parser.add_argument("--weakening", choices=sorted(names), help="one rule left out")
    parser.add_argument("--limit", type=int, default=2_000_000, help="of worlds (2,000,000)")
    asked = vars(parser.parse_args())
    budget = Budget(*(asked[name] for name in Budget._fields))
    weakening = names[asked["weakening"]] if asked["weakening"] else None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    started = time.perf_counter()
    try:
        found = explore(
            budget, requests=asked["requests"], weakening=weakening, limit=asked["limit"]
        )
    except TooManyWorldsError as error:
        sys.stderr.write(f"{error}; allow less to go wrong, or raise --limit\n")
        return 2
    for number, label in enumerate(found.trace, start=1):
        sys.stdout.write(f"{number:3}. {label}\n")
    sys.stdout.write(
        f"{found.broken or 'every invariant holds'}: {found.worlds:,} worlds, "
        f"{found.ends:,} of them ends, {time.perf_counter() - started:.1f} s\n"
    )
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
