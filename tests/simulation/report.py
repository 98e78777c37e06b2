"""A failed run in words: what broke, what had gone wrong before it, how to see it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.plan import plan_of
from tests.simulation.run import Outcome, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOWN = 6
"""Broken promises that are shown; the first ones tell the story."""


def story(outcome: Outcome) -> str:
    """Tell about a run: seed, commands that replay it, faults, broken promises."""
    seed = outcome.plan.seed
    left_out = _left_out(outcome)
    return "\n".join(
        (
            f"seed {seed} broke a promise: {outcome.rule}",
            (
                "  replay it:         python -m tests.simulation "
                f"{seed}{left_out} --trace   (or: pytest tests/simulation --seed {seed})"
            ),
            f"  find the culprits: python -m tests.simulation {seed} --shrink",
            "  faults, by the seconds since the start:",
            *(f"    {fault}" for fault in outcome.plan.faults),
            "  broken promises (the clock starts at 1000 s):",
            *(f"    {wrong}" for wrong in outcome.wrongs[:SHOWN]),
        )
    )


def _left_out(outcome: Outcome) -> str:
    planned = {fault.number for fault in plan_of(outcome.plan.seed).faults}
    gone = sorted(planned - {fault.number for fault in outcome.plan.faults})
    return f" --without {','.join(map(str, gone))}" if gone else ""


def shrink(whole: Outcome) -> Iterator[Outcome]:
    """Leave out one fault after the other for as long as the same promise breaks.

    Yields:
        Each smaller run that still breaks it; nothing if ``whole`` breaks none.
    """
    seed, left_out = whole.plan.seed, frozenset[int]()
    for fault in reversed(whole.plan.faults if whole.rule else ()):
        tried = simulate(seed, without=left_out | {fault.number})
        if tried.rule == whole.rule:
            left_out |= {fault.number}
            yield tried
