"""What a flight leaves for a day, and what conversions may cost."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.pacing.flights import Account, Flight
from models.pacing.goals import HIGHEST_GOAL_LEVEL, LOWEST_GOAL_LEVEL, GoalKeeper, GoalState
from models.pacing.plan import DAY_S
from tests.models.helpers import campaign

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
MONDAY_S = MONDAY.timestamp()
WEEKS = tuple(float(hour % 12) + 1.0 for hour in range(24))


def account(budget: int = 1_000, settled: int = 0, today: int = 0) -> Account:
    return Account(budget, None, settled, today)


def test_a_flight_of_ten_days_leaves_a_tenth_for_each() -> None:
    flight = Flight(MONDAY_S, MONDAY_S + 10 * DAY_S)
    planned = flight.day_plan("2026-11-23", account())
    assert planned is not None
    assert planned.allowance_micros == 100
    assert planned.due_micros(MONDAY_S + DAY_S / 4) == 25


def test_what_one_day_missed_is_spread_over_all_that_are_left() -> None:
    flight = Flight(MONDAY_S, MONDAY_S + 5 * DAY_S)
    planned = flight.day_plan("2026-11-24", account(settled=120, today=20))
    assert planned is not None
    assert planned.allowance_micros == 900 // 4


def test_the_last_day_has_all_that_is_left_and_ends_with_the_flight() -> None:
    flight = Flight(MONDAY_S, MONDAY_S + 1.5 * DAY_S)
    planned = flight.day_plan("2026-11-24", account(settled=700))
    assert planned is not None
    assert planned.allowance_micros == 300
    assert planned.plan.share(MONDAY_S + 1.25 * DAY_S) == pytest.approx(0.5)


def test_a_daily_budget_limits_a_day_and_alone_makes_a_plan() -> None:
    limited = Account(1_000, 30, 0, 0)
    with_end = Flight(MONDAY_S, MONDAY_S + 10 * DAY_S).day_plan("2026-11-23", limited)
    without = Flight(None, None).day_plan("2026-11-23", limited)
    assert with_end is not None
    assert without is not None
    assert with_end.allowance_micros == without.allowance_micros == 30
    assert Flight(None, None).day_plan("2026-11-23", account()) is None


def test_midnight_is_where_the_campaign_is_billed() -> None:
    flight = Flight(None, None, zone=ZoneInfo("Asia/Tokyo"))
    planned = flight.day_plan("2026-11-24", Account(1_000, 240, 0, 0))
    assert planned is not None
    assert planned.plan.starts_s == MONDAY_S + 15 * 3_600
    assert planned.plan.ends_s - planned.plan.starts_s == DAY_S


def test_a_campaigns_own_hours_come_before_those_of_the_settings() -> None:
    nights = tuple(float(hour < 6) for hour in range(24))
    whose = campaign(starts_at=MONDAY, hour_weights=nights, daily_budget_micros=60)
    planned = Flight.of(whose, WEEKS).day_plan("2026-11-23", Account(600, 60, 0, 0))
    assert planned is not None
    assert planned.due_micros(MONDAY_S + 6 * 3_600) == 60


@given(
    st.integers(1, 10**12),
    st.lists(st.floats(0.0, 2.0), min_size=1, max_size=8),
    st.floats(0.1, 7.9),
    st.sampled_from([(1.0,) * 24, WEEKS]),
)
def test_days_together_never_get_more_than_the_budget_and_in_the_end_all_of_it(
    budget: int, follows: list[float], length_days: float, weights: tuple[float, ...]
) -> None:
    flight = Flight(MONDAY_S + 3_600.0, MONDAY_S + length_days * DAY_S, weights)
    settled = 0
    for number, follow in enumerate(follows):
        planned = flight.day_plan(f"2026-11-{23 + number}", account(budget, settled))
        assert planned is not None
        assert 0 <= planned.allowance_micros <= budget - settled
        if number + 1 >= length_days:
            assert planned.allowance_micros == budget - settled
        settled += min(int(planned.allowance_micros * follow), budget - settled)


# --- goals ----------------------------------------------------------------------------------------


def kept(cost_of_each: float, keeper: GoalKeeper | None = None) -> GoalState:
    """Spend steadily at a cost per conversion that follows the multiplier."""
    keeper, state = keeper or GoalKeeper(), GoalState()
    spent = conversions = 0.0
    for _ in range(4_000):
        spent += 50.0
        conversions += 50.0 / (cost_of_each * state.multiplier)
        state = keeper.step(state, 1_000.0, 1_000.0 * conversions, int(spent))
    return state


@pytest.mark.parametrize(("cost", "expected"), [(500.0, 2.0), (1_000.0, 1.0), (4_000.0, 0.25)])
def test_the_level_finds_what_makes_a_conversion_cost_its_goal(
    cost: float, expected: float
) -> None:
    assert kept(cost).multiplier == pytest.approx(expected, rel=0.02)


def test_a_level_has_bounds() -> None:
    assert kept(100.0).level == HIGHEST_GOAL_LEVEL
    assert kept(1e6).level == LOWEST_GOAL_LEVEL
    assert kept(100.0, GoalKeeper(highest=math.log(20.0))).multiplier == pytest.approx(10, rel=0.05)


def test_the_first_money_is_spent_within_the_goal_until_conversions_say_otherwise() -> None:
    keeper, state = GoalKeeper(grace=3.0), GoalState()
    state = keeper.step(state, 1_000.0, 0.0, 2_900)
    assert state.level == pytest.approx(0.0, abs=0.01)
    assert keeper.step(state, 1_000.0, 0.0, 6_000).level < -0.2


def test_without_news_nothing_changes() -> None:
    state = GoalState(-0.5, 100, -0.01)
    again = GoalKeeper(grace=0.0).step(state, 1.0, 99.9, 100)
    assert again.level == pytest.approx(state.level)
