"""``python -m tests.mutants [NAME ...] [--json FILE]``: hunt all planted faults, or some.

Prints which test noticed which fault after how long. Exits with 3 if one survived, with 1 if one no
longer fits the source.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TextIO

from tests.mutants.hunt import BrokenFaultError, Catch, Copy
from tests.mutants.planted import FAULTS

SURVIVED, BROKEN = 3, 1


def main(arguments: list[str], out: TextIO) -> int:
    """Hunt, tell, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", help="only these faults")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    chosen = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if not chosen.names or fault.name in chosen.names]
    catches: list[Catch] = []
    try:
        with tempfile.TemporaryDirectory(prefix="bidwright-mutants-") as folder:
            copy = Copy(Path(folder))
            for fault in faults:
                catches.append(copy.hunt(fault))
                tell(catches[-1], out)
    except BrokenFaultError as error:
        out.write(f"{error}\n")
        return BROKEN
    sum_up(catches, out)
    if chosen.json is not None:
        rows = [catch.as_row() for catch in catches]
        chosen.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0 if all(catch.caught_by for catch in catches) else SURVIVED


def tell(catch: Catch, out: TextIO) -> None:
    caught = catch.caught_by or "SURVIVED"
    out.write(f"{catch.fault.file:22} {catch.fault.name:58} {catch.seconds:5.1f} s  {caught}\n")
    out.flush()


def sum_up(catches: list[Catch], out: TextIO) -> None:
    files = Counter(catch.caught_by.partition("::")[0] for catch in catches if catch.caught_by)
    out.writelines(f"{number:4} first noticed by {name}\n" for name, number in files.most_common())
    survivors = [catch.fault.name for catch in catches if not catch.caught_by]
    out.write(f"{len(catches)} faults, {len(survivors)} survived {' '.join(survivors)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
