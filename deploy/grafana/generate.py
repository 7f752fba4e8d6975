"""Writes the dashboards: `python -m deploy.grafana.generate`, with `--check` only compares."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana import ingest, jobs, kafka, overview, results, slo, twilio

DASHBOARDS = Path(__file__).with_name("dashboards")
BOARDS = tuple(module.BOARD for module in (overview, ingest, kafka, twilio, results, slo, jobs))


def generated() -> dict[Path, str]:
    """Every file, and what belongs in it."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return {
        DASHBOARDS / f"{board.uid}.json": encoder.encode(board.build()) + "\n" for board in BOARDS
    }


def outdated() -> list[Path]:
    """Files that differ from what they should be, are missing, or belong to no board."""
    wanted = generated()
    there = {file: file.read_text(encoding="utf-8") for file in DASHBOARDS.glob("*")}
    return sorted(file for file in {*wanted, *there} if wanted.get(file, "") != there.get(file, ""))


def main() -> int:
    """Write the files; or compare, and return 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    changed = outdated()
    for file in changed:
        if not check and file in generated():
            DASHBOARDS.mkdir(exist_ok=True)
            file.write_text(generated()[file], encoding="utf-8")
        elif not check:
            file.unlink()
        print(f"{'differs: run python -m deploy.grafana.generate' if check else 'wrote'}: {file}")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
