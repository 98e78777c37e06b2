"""Run seeds by hand: ``python -m tests.simulation 4711 [--trace]``, ``--seeds 5000``."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # as in the tests, and before numpy looks

from tests.simulation.report import shrink, story  # noqa: E402
from tests.simulation.run import Outcome, simulate  # noqa: E402


def main() -> int:
    """Do what the command line says; returns the exit code, 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="one seed to run")
    parser.add_argument("--seeds", type=int, default=200, help="or so many seeds")
    parser.add_argument("--first", type=int, default=0, help="of --seeds, the first one")
    parser.add_argument("--without", default="", help="numbers of faults to leave out: 3,5")
    parser.add_argument("--trace", action="store_true", help="show all that happened")
    parser.add_argument("--shrink", action="store_true", help="leave out faults that don't matter")
    asked = parser.parse_args()
    if asked.seed is None:
        return _many(range(asked.first, asked.first + asked.seeds))
    if asked.shrink:
        return _shrink(asked.seed)
    without = frozenset(int(number) for number in asked.without.split(",") if number)
    return _show(simulate(asked.seed, without=without, keeps_notes=asked.trace))


def _say(text: object) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _show(outcome: Outcome) -> int:
    for note in outcome.notes:
        _say(note)
    _say(story(outcome) if outcome.wrongs else f"seed {outcome.plan.seed} kept every promise")
    _say(f"  {outcome.counts}\n  history {outcome.digest}")
    return 1 if outcome.wrongs else 0


def _many(seeds: range) -> int:
    """Run seeds; tell of each failure at once, and of all in the end."""
    broken: dict[int, str] = {}
    sums: Counter[str] = Counter()
    for seed in seeds:
        outcome = simulate(seed)
        sums.update(outcome.counts)
        if outcome.wrongs:
            broken[seed] = outcome.rule
            _say(story(outcome))
    _say(f"{len(seeds)} seeds from {seeds.start}: {len(broken)} broke a promise {broken or ''}")
    _say(f"  in all: {dict(sums)}")
    return 1 if broken else 0


def _shrink(seed: int) -> int:
    smallest = simulate(seed)
    for tried in shrink(smallest):
        _say(f"breaks with {len(tried.plan.faults)} faults, too")
        smallest = tried
    return _show(smallest)


if __name__ == "__main__":
    sys.exit(main())
