"""Pacing in bidders: the same everywhere, taken up where it was, true to plan and goal."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.budget.pacing import Pacing
from config.trade import PacingSettings
from models.pacing.pacer import LOWEST_MULTIPLIER
from tests.models.helpers import campaign
from transport.money import CampaignStanding

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
DAY = "2026-11-23"
BUDGET = 10_000_000
SIX_HOURS: dict[str, Any] = {"starts_at": NOON, "ends_at": NOON + timedelta(hours=6)}


def pacing(start: float = 0.2, controller: Literal["pid", "dual"] = "pid", **facts: Any) -> Pacing:
    settings = PacingSettings(plan="even", start=start, controller=controller)
    return Pacing((campaign(budget_micros=BUDGET, **facts),), settings, UTC)


def standing(at_s: float, settled: int, today: int | None = None, **more: Any) -> CampaignStanding:
    facts: dict[str, Any] = {
        "campaign_id": "c1",
        "budget_micros": BUDGET,
        "settled_micros": settled,
        "leased_micros": 0,
        "free_micros": BUDGET - settled,
        "day": DAY,
        "day_settled_micros": settled if today is None else today,
        "daily_budget_micros": None,
        "at": NOON_S + at_s,
    }
    return CampaignStanding(**{**facts, **more})


def market(multiplier: float) -> float:
    """Micros per second that such bids spend; on plan at a multiplier of about 0.3."""
    return 5_000.0 * multiplier**2


def test_a_campaign_without_an_end_and_a_daily_budget_is_not_held_back() -> None:
    free = pacing()
    assert free.multiplier("c1") == 1.0
    free.hear(standing(5.0, 9_000_000))
    assert free.multiplier("c1") == 1.0
    assert free.multiplier("who") == 1.0
    assert free.describe() == {}


def test_a_campaign_begins_carefully_and_finds_its_pace() -> None:
    paced = pacing(**SIX_HOURS)
    assert paced.multiplier("c1") == 0.2
    spent = 0.0
    for second in range(0, 6 * 3_600, 5):
        spent = min(spent + 5.0 * market(paced.multiplier("c1")), BUDGET)
        paced.hear(standing(second + 5.0, int(spent)))
        planned = BUDGET * (second + 5) / (6 * 3_600)
        if second >= 7_200:
            assert spent == pytest.approx(planned, rel=0.05)
    assert 0.99 * BUDGET < spent <= BUDGET


@pytest.mark.parametrize("controller", ["pid", "dual"])
def test_bidders_that_hear_the_same_bid_the_same(controller: Literal["pid", "dual"]) -> None:
    first, second = (pacing(controller=controller, **SIX_HOURS) for _ in range(2))
    spent = 0.0
    for at_s in range(5, 3_600, 5):
        spent += 5.0 * market(first.multiplier("c1"))
        heard = standing(at_s, int(spent))
        first.hear(heard)
        second.hear(heard)
        assert first.multiplier("c1") == second.multiplier("c1")


def test_a_bidder_that_starts_late_goes_on_where_the_others_are() -> None:
    first, late = pacing(**SIX_HOURS), pacing(start=1.0, **SIX_HOURS)
    for at_s in range(5, 3_600, 5):
        first.hear(standing(at_s, at_s * 700))
    pace, goal = first.levels("c1")
    assert 0.0 < pace < 0.2
    assert goal == 0.0
    late.hear(standing(3_605.0, 3_605 * 700, pace=pace))
    assert late.multiplier("c1") == pytest.approx(pace)


def test_bidders_that_lost_news_of_each_other_grow_together_again() -> None:
    cheap, dear = pacing(start=0.1, **SIX_HOURS), pacing(start=0.9, **SIX_HOURS)
    spent, told = 0.0, 0.0
    for at_s in range(1, 1_800):
        spent += 0.5 * (market(cheap.multiplier("c1")) + market(dear.multiplier("c1")))
        asker = cheap if at_s % 4 < 2 else dear
        told = asker.levels("c1")[0] if at_s > 60 else 0.0
        for each in (cheap, dear):
            each.hear(standing(float(at_s), int(spent), pace=told))
    assert cheap.multiplier("c1") == pytest.approx(dear.multiplier("c1"), rel=0.03)
    assert spent == pytest.approx(BUDGET * 1_799 / 21_600, rel=0.1)


def test_a_campaign_that_fell_far_behind_gets_a_new_plan_instead_of_a_rush() -> None:
    paced = pacing(**SIX_HOURS)
    spent = 0.0
    for at_s in range(5, 3 * 3_600, 5):
        paced.hear(standing(at_s, 0))  # nobody sold anything for three hours
    for at_s in range(3 * 3_600, 6 * 3_600, 5):
        spent += 5.0 * 20.0 * market(paced.multiplier("c1"))
        paced.hear(standing(at_s, int(min(spent, BUDGET))))
        if at_s == 4 * 3_600 + 1_800:
            assert spent == pytest.approx(BUDGET / 2, rel=0.1)
    assert 0.99 * BUDGET < spent < 1.01 * BUDGET


def test_a_day_whose_money_is_spent_only_takes_what_is_nearly_given_away() -> None:
    paced = pacing(daily_budget_micros=1_000_000)
    paced.hear(standing(0.0, 400_000, daily_budget_micros=1_000_000))
    assert paced.multiplier("c1") == pytest.approx(0.2)
    paced.hear(standing(1.0, 1_000_000, daily_budget_micros=1_000_000))
    assert paced.multiplier("c1") == LOWEST_MULTIPLIER
    tomorrow = standing(43_200.0, 1_000_000, 0, day="2026-11-24", daily_budget_micros=1_000_000)
    paced.hear(tomorrow)
    assert paced.multiplier("c1") == pytest.approx(0.2, rel=0.2)


def test_the_same_word_heard_twice_or_too_late_moves_nothing() -> None:
    paced = pacing(**SIX_HOURS)
    words = [standing(at_s, int(at_s * 900)) for at_s in (0.0, 60.0, 120.0)]
    for word in words:
        paced.hear(word)
    multiplier = paced.multiplier("c1")
    for word in (words[2], words[1], words[0]):
        paced.hear(word)
    assert paced.multiplier("c1") == multiplier


# --- goals ----------------------------------------------------------------------------------------


def test_a_goal_below_the_worth_of_a_conversion_lowers_all_bids() -> None:
    assert pacing(goal_cpa_micros=2_000_000).multiplier("c1") == pytest.approx(0.4)
    assert pacing(goal_roas=2.0).multiplier("c1") == pytest.approx(0.5)
    assert pacing(goal_cpa_micros=50_000_000).multiplier("c1") == 1.0


@pytest.mark.parametrize(
    ("facts", "conversion_micros"),
    [({"goal_cpa_micros": 2_000_000}, None), ({"goal_roas": 2.0}, 4_000_000)],
)
def test_conversions_that_do_not_come_cost_a_goal_its_pace_and_good_ones_give_it_back(
    facts: dict[str, Any], conversion_micros: int | None
) -> None:
    paced = pacing(**facts)
    paced.hear(standing(0.0, 0))
    first = paced.multiplier("c1")
    for number in range(1, 30):
        paced.hear(standing(number * 60.0, number * 600_000, budget_micros=10**9))
    poor = paced.multiplier("c1")
    assert poor < 0.8 * first
    for number in range(30, 60):
        paced.converted("c1", conversion_micros)
        paced.converted("who", conversion_micros)
        paced.hear(standing(number * 60.0, number * 600_000, budget_micros=10**9))
    assert paced.multiplier("c1") > poor


def test_a_goal_that_others_have_learnt_is_taken_over() -> None:
    late = pacing(goal_cpa_micros=2_000_000)
    late.hear(standing(0.0, 5_000_000, goal=0.5))
    assert late.multiplier("c1") == pytest.approx(0.2)
    assert late.levels("c1")[1] == pytest.approx(0.5)
    assert math.isclose(late.describe()["c1"], 0.2)


@given(
    words=st.lists(
        st.tuples(
            st.floats(-2e5, 4e5),
            st.integers(0, 2 * BUDGET),
            st.integers(0, 2 * BUDGET),
            st.integers(0, 2 * BUDGET),
            st.sampled_from([0.0, 1e-6, 0.5, 1_000.0]),
            st.integers(21, 26),
        ),
        max_size=12,
    ),
    daily=st.none() | st.integers(1, BUDGET),
    flight=st.sampled_from([{}, SIX_HOURS, {"ends_at": NOON}, {"goal_cpa_micros": 7}]),
)
def test_whatever_is_heard_a_multiplier_is_above_0_and_at_most_1(
    words: list[tuple[float, int, int, int, float, int]], daily: int | None, flight: dict[str, Any]
) -> None:
    paced = pacing(daily_budget_micros=daily, **flight)
    for at_s, settled, today, budget, told, day in words:
        paced.hear(
            standing(
                at_s,
                settled,
                today,
                budget_micros=budget,
                daily_budget_micros=daily,
                day=f"2026-11-{day}",
                pace=told,
                goal=told,
            )
        )
        paced.converted("c1", settled)
        assert 0.0 < paced.multiplier("c1") <= 1.0
        assert all(0.0 <= level <= 1_000.0 for level in paced.levels("c1"))
