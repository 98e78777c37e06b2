"""The decision over its whole small input space: every history of a supervisor of few children.

Within the seconds of an ordinary run one child is walked to the last state, two and three to a
depth; with ``BIDWRIGHT_SOAK`` set two are walked to the last state and three much deeper.
"""

from __future__ import annotations

import os
from itertools import product
from typing import Any, get_args

import pytest

from supervision import ChildSpec, Start, SupervisorFlags
from supervision.specs import Restart
from tests.supervision.space import Walk, walk

SOAK = bool(os.environ.get("BIDWRIGHT_SOAK"))
STATIC = ("one_for_one", "one_for_all", "rest_for_one")
KINDS: tuple[Any, ...] = get_args(Restart)
PERIOD_S = 1
pytestmark = pytest.mark.timeout(3600 if SOAK else 60)


def spec(key: str, restart: Any, **more: Any) -> ChildSpec:
    return ChildSpec(key, Start(object), restart=restart, **more)


def walk_all(number: int, strategy: Any, intensity: int, depth: int | None) -> Walk:
    """Walk with every combination of restart types; add up what was seen."""
    total = Walk()
    for kinds in product(KINDS, repeat=number):
        specs = [spec(key, kind) for key, kind in zip("abc", kinds, strict=False)]
        seen = walk(SupervisorFlags(strategy, intensity, PERIOD_S), specs, depth)
        total.states += seen.states
        total.steps += seen.steps
        total.ends += seen.ends
        total.was_cut |= seen.was_cut
    return total


@pytest.mark.parametrize("intensity", [0, 1, 2] if SOAK else [0, 1])
@pytest.mark.parametrize("strategy", STATIC)
def test_every_history_of_one_child_is_as_the_books_say(strategy: Any, intensity: int) -> None:
    seen = walk_all(1, strategy, intensity, None)
    assert not seen.was_cut
    assert seen.states > 200
    assert seen.ends > 0


@pytest.mark.parametrize(
    ("number", "intensity", "depth"),
    [(2, 1, None), (3, 0, None), (3, 1, 10)] if SOAK else [(2, 1, 6), (3, 1, 5)],
)
@pytest.mark.parametrize("strategy", STATIC)
@pytest.mark.slow
def test_every_history_of_siblings_is_as_the_books_say(
    strategy: Any, number: int, intensity: int, depth: int | None
) -> None:
    seen = walk_all(number, strategy, intensity, depth)
    assert seen.was_cut == (depth is not None)
    assert seen.states > 2000


@pytest.mark.slow
def test_every_history_of_two_children_that_may_not_be_restarted_is_as_the_books_say() -> None:
    seen = walk_all(2, "one_for_all", 0, None)
    assert not seen.was_cut
    assert seen.states > 5000


@pytest.mark.parametrize("shutdown", ["brutal_kill", 100])
@pytest.mark.parametrize("restart", KINDS)
def test_every_history_of_dynamic_children_is_as_the_books_say(restart: Any, shutdown: Any) -> None:
    flags = SupervisorFlags("simple_one_for_one", 1, PERIOD_S)
    seen = walk(flags, [spec("w", restart, shutdown=shutdown)], None if SOAK else 10)
    assert seen.states > 100


@pytest.mark.parametrize("auto_shutdown", ["any_significant", "all_significant"])
@pytest.mark.parametrize("strategy", STATIC)
def test_every_history_of_significant_children_is_as_the_books_say(
    strategy: Any, auto_shutdown: Any
) -> None:
    flags = SupervisorFlags(strategy, 1, PERIOD_S, auto_shutdown)
    specs = [
        spec("a", "transient", significant=True),
        spec("b", "temporary", significant=True, shutdown="brutal_kill"),
        spec("c", "permanent"),
    ]
    assert walk(flags, specs, 9 if SOAK else 6).states > 500
