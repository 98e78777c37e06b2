"""How the last seconds went, as those who look in are told it."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.recent import WINDOW_S, Recent
from supervision import VirtualClock
from supervision.inspection.tree import tree_of, walk
from tests.actors.nodes import Node

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_000.25)


def nearest_rank(values: list[float], share: float) -> float:
    """The slow, obvious percentile."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


@given(
    st.lists(st.floats(0.001, 90_000.0), min_size=1, max_size=300),
    st.sampled_from((0.01, 0.5, 0.9, 0.99, 1.0)),
)
def test_a_percentile_is_within_three_per_cent_of_the_true_one(
    values: list[float], share: float
) -> None:
    recent = Recent(VirtualClock(5.0))
    for start in range(0, len(values), 7):
        recent.times("x", values[start : start + 7])
    (found,) = recent.percentiles_ms("x", share)
    assert found == pytest.approx(nearest_rank(values, share), rel=0.03)


def test_nothing_happened_yet(clock: VirtualClock) -> None:
    recent = Recent(clock)
    recent.times("x", [])
    assert recent.percentiles_ms("x", 0.5, 0.99) == [None, None]
    assert recent.total("x") == 0
    assert recent.span_s() == 0.0


def test_times_out_of_all_bounds_count_as_the_least_and_the_longest(clock: VirtualClock) -> None:
    recent = Recent(clock)
    recent.times("x", [0.0, -1.0, 1e12])
    least, longest = recent.percentiles_ms("x", 0.5, 1.0)
    assert least == pytest.approx(0.001, rel=0.03)
    assert longest is not None
    assert longest > 90_000.0


def test_what_is_older_than_the_window_is_forgotten(clock: VirtualClock) -> None:
    recent = Recent(clock)
    recent.count("x", 3)
    recent.times("x", [5.0])
    clock.advance(WINDOW_S - 1)
    recent.count("x", 4)
    assert recent.total("x") == 7
    assert recent.percentiles_ms("x", 1.0) != [None]
    clock.advance(1.0)
    assert recent.total("x") == 4
    assert recent.percentiles_ms("x", 1.0) == [None]
    clock.advance(1e6)
    assert recent.total("x") == 0


def test_counts_of_any_course_of_time_are_those_of_the_last_seconds() -> None:
    chance, clock = random.Random(4), VirtualClock(0.5)
    recent, happened = Recent(clock), []
    for _ in range(500):
        clock.advance(chance.choice((0.0, 0.1, 0.7, 1.0, 2.5, 30.0)))
        recent.count("x", 1)
        happened.append(int(clock()))
        newest = int(clock())
        assert recent.total("x") == sum(second > newest - WINDOW_S for second in happened)


def test_the_window_is_as_long_as_what_it_covers(clock: VirtualClock) -> None:
    recent = Recent(clock)
    clock.advance(2.0)
    assert recent.span_s() == 2.0
    clock.advance(100.5)  # the present second is half over
    assert recent.span_s() == pytest.approx(WINDOW_S - 1 + 0.75)


@pytest.mark.slow
def test_each_agent_and_the_gateway_tell_how_they_did(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.play(30)
    node.world.run(1.0)
    details = {each["id"]: each.get("details", {}) for each in walk(tree_of(node.bidder, 0.0))}
    gateway = details["gateway"]
    assert gateway["requests"] == 30
    assert gateway["bids"] > 0
    assert gateway["shed"] == gateway["late"] == 0
    assert gateway["requests_per_s"] == pytest.approx(30 / 1.76, rel=0.2)
    assert gateway["p50_ms"] <= gateway["p99_ms"] < 100.0
    for role in ("fraud-detector", "user-profiler", "budget-manager", "oversight"):
        told = details[role]
        assert (told["fallbacks"], told["retried"], told["window_s"]) == (0, 0, WINDOW_S)
        assert told["answered"] > 20
        assert 0.0 < told["p50_ms"] <= told["p99_ms"]
    # Funding and reserving are two questions.
    assert details["budget-manager"]["answered"] > details["fraud-detector"]["answered"]
    node.close()


@pytest.mark.slow
def test_an_agent_that_is_gone_shows_in_fallbacks_and_late_answers_in_the_gateway(
    tmp_path: Path,
) -> None:
    node = Node(tmp_path)
    actors = node.light_actors()
    node.world.cell.suspend(actors["bidder-1/agents/creative-selector"])
    node.play(10)
    node.world.run(1.0)
    told = actors["bidder-1/agents/creative-selector"].actor.describe()
    assert told["fallbacks"] > 5
    assert (told["answered"], told["p50_ms"]) == (0, None)
    node.close()
