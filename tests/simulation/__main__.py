"""Run seeds by hand: ``python -m tests.simulation 4711 [--trace]``, ``--seeds 5000``."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.simulation.report import shrink, story
from tests.simulation.run import Outcome, simulate

TRACED = 200
"""Notes shown before the first broken promise."""


def main() -> int:
    """Do what the command line says; returns the exit code, 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="one seed to run")
    parser.add_argument("--seeds", type=int, default=0, help="run so many seeds instead")
    parser.add_argument("--first", type=int, default=0, help="of --seeds, the first one")
    parser.add_argument("--without", default="", help="numbers of faults to leave out: 3,5")
    parser.add_argument("--trace", action="store_true", help="show all that happened")
    parser.add_argument("--shrink", action="store_true", help="leave out faults that don't matter")
    asked = parser.parse_args()
    if asked.seed is None:
        return _many(range(asked.first, asked.first + (asked.seeds or 200)))
    if asked.shrink:
        return _shrink(asked.seed)
    without = frozenset(int(number) for number in asked.without.split(",") if number)
    outcome = simulate(asked.seed, without=without, keeps_notes=asked.trace)
    _show(outcome)
    return 1 if outcome.wrongs else 0


def _show(outcome: Outcome) -> None:
    for note in outcome.notes:
        print(note)
    print(story(outcome) if outcome.wrongs else f"seed {outcome.plan.seed} kept every promise")
    print(f"  {outcome.counts}\n  history {outcome.digest}")


def _many(seeds: range) -> int:
    """Run seeds; tell of each failure at once, and of all in the end."""
    broken: dict[int, str] = {}
    sums: Counter[str] = Counter()
    for seed in seeds:
        outcome = simulate(seed)
        sums.update(outcome.counts)
        if outcome.wrongs:
            broken[seed] = outcome.rule
            print(story(outcome), flush=True)
    print(f"{len(seeds)} seeds from {seeds.start}: {len(broken)} broke a promise {broken}")
    print(f"  in all: {dict(sums)}")
    return 1 if broken else 0


def _shrink(seed: int) -> int:
    smallest = None
    for smallest in shrink(seed):
        print(f"still broken with {len(smallest.plan.faults)} faults", flush=True)
    _show(smallest or simulate(seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
