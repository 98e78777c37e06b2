"""What should be spent by when, how levels move, and what comes of it on a day."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.campaigns import load_campaigns
from models.market.day import DAY_S, HOURLY, Day, day, traffic
from models.market.world import World
from models.pacing.controllers import DualDescent, Pid, Reading
from models.pacing.pacer import HIGHEST_LEVEL, LOWEST_LEVEL, Pacer, PaceState
from models.pacing.plan import EVEN, SpendPlan
from models.pacing.trial import Terms, Trial, run

NOON_S = 1_764_331_200.0
MOMENTS = st.floats(0.0, 4e9)
PROFILES = st.lists(st.floats(0.0, 50.0), min_size=24, max_size=24).map(tuple)


@pytest.fixture(scope="module")
def sample_day() -> Day:
    campaign = next(each for each in load_campaigns() if each.id == "campus-online")
    world = World()
    value_micros = campaign.value_per_conversion_micros
    return day(world, world.ads([campaign]), value_micros, 120_000, np.random.default_rng(3))


def unpaced(auctions: Day, budget_micros: int) -> Trial:
    return run(auctions, Terms(SpendPlan(0.0, DAY_S), budget_micros), None)


def reading(**facts: float) -> Reading:
    even = {"elapsed": 0.1, "spent": 0.1, "planned": 0.1, "behind": 0.0, "behind_before": 0.0}
    return Reading(**{**even, "drift": 0.0, "drift_before": 0.0, "thrift": 1.0, **facts})


# --- plans ----------------------------------------------------------------------------------------


def test_an_even_plan_is_a_straight_line() -> None:
    plan = SpendPlan(NOON_S, NOON_S + 1_000.0)
    assert [plan.share(NOON_S + at) for at in (-5.0, 0.0, 250.0, 1_000.0, 2e9)] == [
        0.0, 0.0, pytest.approx(0.25), 1.0, 1.0,
    ]  # fmt: skip


def test_a_profile_spends_each_hour_by_its_weight() -> None:
    weights = tuple(3.0 if hour == 12 else 1.0 if hour == 13 else 0.0 for hour in range(24))
    plan = SpendPlan(NOON_S, NOON_S + 7_200.0, weights)
    assert plan.share(NOON_S + 1_800.0) == pytest.approx(0.375)
    assert plan.share(NOON_S + 3_600.0) == pytest.approx(0.75)
    assert plan.between(NOON_S + 3_600.0, NOON_S + 5_400.0) == pytest.approx(0.125)


def test_hours_without_weight_make_an_even_plan_where_there_are_no_others() -> None:
    night = tuple(1.0 if hour < 6 else 0.0 for hour in range(24))
    assert SpendPlan(NOON_S, NOON_S + 100.0, night).share(NOON_S + 25.0) == pytest.approx(0.25)


@given(MOMENTS, st.floats(1.0, 1e7), PROFILES, st.lists(MOMENTS, min_size=2, max_size=6))
def test_a_plan_never_takes_back_what_it_gave(
    starts_s: float, length_s: float, profile: tuple[float, ...], moments: list[float]
) -> None:
    if max(profile) <= 0.0:
        profile = EVEN
    plan = SpendPlan(starts_s, starts_s + length_s, profile)
    shares = [plan.share(moment) for moment in sorted(moments)]
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert all(b >= a - 1e-6 for a, b in pairwise(shares))


@pytest.mark.parametrize("profile", [(), (1.0,) * 23, (0.0,) * 24, (-1.0,) + (1.0,) * 23])
def test_a_profile_that_is_none_is_refused(profile: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="24 numbers"):
        SpendPlan(0.0, 1.0, profile)


# --- controllers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("controller", [Pid(), Pid(derivative=0.1), DualDescent()])
def test_on_plan_nothing_moves(controller: Pid | DualDescent) -> None:
    assert controller.step(reading()) == pytest.approx(0.0)


@pytest.mark.parametrize("controller", [Pid(), Pid(derivative=0.1), DualDescent()])
def test_whoever_spends_too_much_bids_less(controller: Pid | DualDescent) -> None:
    fast = reading(spent=0.3, behind=-0.2, drift=-2.0)
    slow = reading(spent=0.0, behind=0.1, drift=1.0)
    assert controller.step(fast) < 0.0 < controller.step(slow)


def test_dual_descent_without_replanning_is_the_proportional_part() -> None:
    same = reading(spent=0.4, behind=-0.3, behind_before=0.0)
    assert DualDescent(0.7).step(same) == pytest.approx(Pid(0.7, 0.0).step(same))


# --- a pacer --------------------------------------------------------------------------------------


def test_a_look_that_comes_again_changes_nothing() -> None:
    plan, state = SpendPlan(0.0, DAY_S), PaceState(5.0, 10, -1.0)
    assert Pacer().step(state, plan, 1_000, 5.0, 400) is state
    assert Pacer().step(state, plan, 1_000, 4.0, 400) is state
    assert Pacer().step(state, plan, 0, 50.0, 400) is state


@given(
    st.lists(st.tuples(st.floats(0.01, 5e4), st.integers(0, 10**7)), max_size=20),
    st.integers(1, 10**8),
    st.sampled_from([EVEN, HOURLY]),
    st.sampled_from([Pid(), DualDescent(), Pid(2.0, 3.0, 0.5)]),
)
def test_a_level_stays_within_its_bounds(
    looks: list[tuple[float, int]],
    budget_micros: int,
    profile: tuple[float, ...],
    controller: Pid | DualDescent,
) -> None:
    pacer, plan = Pacer(controller), SpendPlan(0.0, DAY_S, profile)
    state = PaceState(0.0, 0, -1.0)
    for elapsed_s, more_micros in looks:
        spent_micros = state.spent_micros + more_micros
        state = pacer.step(state, plan, budget_micros, state.at_s + elapsed_s, spent_micros)
        assert LOWEST_LEVEL <= state.level <= HIGHEST_LEVEL
        assert math.isfinite(state.behind)
        assert 0.0 < state.multiplier <= 1.0


def test_the_unit_of_money_makes_no_difference() -> None:
    pacer, plan = Pacer(), SpendPlan(0.0, DAY_S, HOURLY)
    levels = []
    for scale in (1, 1_000):
        state = PaceState(0.0, 0, -1.0)
        for look in range(1, 30):
            spent_micros = scale * look * look * 1_000
            state = pacer.step(state, plan, scale * 10**7, look * 60.0, spent_micros)
        levels.append(state.level)
    assert levels[0] == pytest.approx(levels[1])


def test_what_a_pacer_remembers_can_be_sent() -> None:
    state = PaceState(1.5, 2, -0.5, 0.25, -3.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=PaceState) == state


# --- a day ----------------------------------------------------------------------------------------


def test_traffic_has_waves_and_a_surge() -> None:
    quarters = traffic(np.random.default_rng(5)).reshape(24, 4)
    assert quarters.sum() == pytest.approx(1.0)
    assert quarters[18:21].mean() > 2.0 * quarters[2:5].mean()
    assert quarters.max() > 2.0 * np.median(quarters)


def test_the_same_seed_is_the_same_day(sample_day: Day) -> None:
    assert (np.diff(sample_day.at_s) >= 0.0).all()
    assert sample_day.at_s[0] >= 0.0
    assert sample_day.at_s[-1] < DAY_S
    assert (sample_day.conversion < sample_day.click).all()
    drawn = [traffic(np.random.default_rng(9)) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()


@pytest.mark.parametrize(("profile", "share"), [(EVEN, 0.25), (HOURLY, 0.25), (HOURLY, 0.5)])
def test_a_day_is_within_five_per_cent_of_its_plan_and_ends_within_one(
    sample_day: Day, profile: tuple[float, ...], share: float
) -> None:
    budget_micros = int(share * unpaced(sample_day, 10**15).spent_micros)
    terms = Terms(SpendPlan(0.0, DAY_S, profile), budget_micros, math.log(0.2))
    trial = run(sample_day, terms, Pacer())
    assert trial.worst_from_second_hour < 0.05
    assert 0.99 * budget_micros <= trial.spent_micros <= budget_micros


def test_a_paced_day_buys_more_for_the_same_money_than_an_unpaced_one(sample_day: Day) -> None:
    budget_micros = int(0.25 * unpaced(sample_day, 10**15).spent_micros)
    terms = Terms(SpendPlan(0.0, DAY_S, HOURLY), budget_micros, math.log(0.2))
    paced, rushed = run(sample_day, terms, Pacer()), unpaced(sample_day, budget_micros)
    assert rushed.spent_micros <= budget_micros
    assert rushed.worst_from_second_hour > 1.0
    assert paced.clicks > 1.3 * rushed.clicks
    assert paced.surplus_micros > 1.5 * rushed.surplus_micros


def test_a_budget_that_bidding_the_value_can_not_spend_is_bid_at_the_value(
    sample_day: Day,
) -> None:
    everything = unpaced(sample_day, 10**15)
    budget_micros = int(3.0 * everything.spent_micros)
    trial = run(sample_day, Terms(SpendPlan(0.0, DAY_S), budget_micros, -1.6), Pacer())
    assert trial.level[-1] == HIGHEST_LEVEL
    assert trial.spent_micros > 0.97 * everything.spent_micros
