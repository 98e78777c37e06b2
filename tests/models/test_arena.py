"""The arena: hard budgets, equal luck, and advertisers that differ as they are said to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from models.arena import (
    OBSERVED,
    Arena,
    ArenaSettings,
    Landscapes,
    Totals,
    open_arena,
    read_landscapes,
    synthetic_landscapes,
)
from models.arena.auction import NOBODY, clear
from models.arena.landscapes import from_histogram
from models.errors import EvaluationError
from models.pacing.controllers import DualDescent, Reading

if TYPE_CHECKING:
    from pathlib import Path

    from models.arena.settings import Kind
    from models.market.world import Floats

SMALL = ArenaSettings(auctions=3_000, users=200)


def play(arena: Arena, action: float = 0.0, heat: float = 0.0) -> Totals:
    ads = arena.settings.advertisers
    arena.reset()
    while not arena.done:
        arena.step(np.full(ads, action), np.full(ads, heat))
    return arena.totals()


def slow_clear(
    bids: Floats, market: Floats, left: Floats, *, first_price: bool
) -> tuple[list[int], list[float], Floats]:
    """The twin: one auction after the other."""
    left, winners, paid = left.copy(), [], []
    for row, price_to_beat in zip(bids, market, strict=True):
        cut = [min(bid, mine) for bid, mine in zip(row, left, strict=True)]
        highest = max(cut)
        if highest <= 0.0 or highest < price_to_beat:
            winners.append(NOBODY)
            paid.append(0.0)
            continue
        best = cut.index(highest)
        others = [bid for number, bid in enumerate(cut) if number != best]
        price = highest if first_price else max([*others, price_to_beat])
        left[best] = max(left[best] - price, 0.0)
        winners.append(best)
        paid.append(price)
    return winners, paid, left


@pytest.mark.parametrize("first_price", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_a_batch_is_what_one_auction_after_the_other_gives(seed: int, first_price: bool) -> None:
    rng = np.random.default_rng(seed)
    bids = rng.integers(0, 40, (150, 3)).astype(np.float64)
    market = rng.integers(0, 40, 150).astype(np.float64)
    left = rng.integers(0, 1_200, 3).astype(np.float64)
    batch = clear(bids, market, left, first_price=first_price)
    winners, paid, rest = slow_clear(bids, market, left, first_price=first_price)
    assert batch.winner.tolist() == winners
    np.testing.assert_allclose(batch.paid, paid)
    np.testing.assert_allclose(batch.left, rest)


@pytest.mark.parametrize("first_price", [True, False])
def test_nobody_spends_more_than_its_budget(first_price: bool) -> None:
    settings = msgspec.structs.replace(SMALL, first_price=first_price, budget_share=0.2)
    arena = open_arena(settings, 3)
    totals = play(arena, action=0.5)
    assert (totals.cost <= arena.budgets).all()
    assert totals.cost.sum() > 0.5 * arena.budgets.sum()
    assert (arena.left == arena.budgets - totals.cost).all()
    assert (arena.left >= 0.0).all()


def test_a_run_can_be_played_again_and_what_one_does_changes_nobodys_luck() -> None:
    first, second = open_arena(SMALL, 5), open_arena(SMALL, 5)
    for one, other in zip(play(first), play(second), strict=True):
        np.testing.assert_array_equal(one, other)
    again = play(first, action=0.3, heat=1.0)
    for one, other in zip(again, play(second, action=0.3, heat=1.0), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.traffic.market, second.traffic.market)
    assert not np.array_equal(first.traffic.market, open_arena(SMALL, 6).traffic.market)


def test_only_learning_advertisers_act_and_no_further_than_the_bound() -> None:
    arena = open_arena(SMALL, 7)
    learns = np.isin(np.arange(8), arena.learning)
    arena.reset()
    bounded = arena.step(np.where(learns, 0.5, 0.0))
    arena.reset()
    wild = arena.step(np.where(learns, 9.0, -9.0))
    for one, other in zip(bounded, wild, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_click_and_conversion_is_heard_of_once_and_later() -> None:
    arena = open_arena(msgspec.structs.replace(SMALL, click_delay_ticks=30.0), 2)
    arena.reset()
    ticks = [arena.step(np.zeros(8)) for _ in range(arena.settings.ticks)]
    totals, state = arena.totals(), arena._state
    for heard, name in ((0, "clicks"), (1, "conversions")):
        in_time = np.sum([getattr(tick, name) for tick in ticks], axis=0)
        np.testing.assert_array_equal(in_time + state.heard[heard, -1], getattr(totals, name))
    assert state.heard[:, -1].sum() > 0.0


def test_in_first_price_shading_pays_and_truth_does_not() -> None:
    kinds: tuple[Kind, ...] = ("truthful", "shaded")
    rows = [
        play(open_arena(ArenaSettings(kinds=kinds, auctions=3_000, budget_share=50.0), seed))
        for seed in range(3)
    ]
    truthful, shaded = np.sum([row.surplus for row in rows], axis=0)
    assert shaded > 2.0 * abs(truthful)


def test_pacing_spends_the_budget_over_the_day_and_buys_more_with_it() -> None:
    settings = ArenaSettings(kinds=("shaded", "paced"), auctions=5_000, budget_share=0.3)
    arena = open_arena(settings, 4)
    arena.reset()
    at_noon = np.zeros(2)
    while not arena.done:
        arena.step(np.zeros(2))
        if arena.tick == 48:
            at_noon = 1.0 - arena.left / arena.budgets
    spent = 1.0 - arena.left / arena.budgets
    assert at_noon[0] > 0.9
    assert 0.25 < at_noon[1] < 0.6
    assert spent[1] > 0.95


def test_the_levels_move_as_the_dual_descent_of_pacing_does() -> None:
    settings = ArenaSettings(kinds=("paced",), auctions=2_000)
    arena = open_arena(settings, 1)
    arena.reset()
    planned, unit = arena.traffic.planned, settings.horizon_ticks / settings.ticks
    for number in range(20):
        before, left = arena._state.level[0], arena.left[0]
        cost = arena.step(np.zeros(1)).cost[0]
        thrift = left / arena.budgets[0] / planned[number:].sum()
        share = planned[number] / unit
        reading = Reading(1.0, cost / arena.budgets[0] / unit, share, 0, 0, 0, 0, thrift)
        moved = DualDescent(settings.rate).step(reading)
        np.testing.assert_allclose(arena._state.level[0] - before, moved, atol=1e-9)


def test_with_heat_other_creatives_are_shown_too() -> None:
    arena = open_arena(SMALL, 8)
    arena.reset()
    for _ in range(10):
        arena.step(np.zeros(8))
    greedy = (arena._state.expected > 0.0).sum()
    arena.reset()
    for _ in range(10):
        arena.step(np.zeros(8), np.full(8, 5.0))
    assert (arena._state.expected > 0.0).sum() > greedy


def test_an_observation_has_a_number_for_each_name_and_all_are_tame() -> None:
    arena = open_arena(SMALL, 9)
    observed = arena.reset()
    assert observed.shape == (8, len(OBSERVED))
    while not arena.done:
        arena.step(np.full(8, -0.5))
        observed = arena.observe()
        assert np.isfinite(observed).all()
        assert np.abs(observed).max() < 50.0


def test_chances_come_true() -> None:
    arena = open_arena(msgspec.structs.replace(SMALL, auctions=20_000), 11)
    clicks = arena.traffic.luck[:, 0] < arena.traffic.click[:, 0, 0]
    expected = arena.traffic.click[:, 0, 0].sum()
    assert abs(clicks.sum() - expected) < 4.0 * np.sqrt(expected)


def test_a_landscape_draws_what_was_counted() -> None:
    counts = np.array([0.0, 5.0, 0.0, 20.0, 75.0])
    landscapes = Landscapes(("1",), from_histogram(counts)[None])
    drawn = landscapes.prices(
        np.zeros(50_000, dtype=np.int64), np.random.default_rng(1).random(50_000)
    )
    shares = np.bincount(drawn.astype(np.int64), minlength=5) / 50_000
    np.testing.assert_allclose(shares, counts / 100.0, atol=0.01)


def test_the_best_bid_is_that_of_a_search_over_all_bids() -> None:
    landscapes = synthetic_landscapes()
    values, bids = landscapes.best_bids()
    prices = np.sort(landscapes.quantiles.ravel())
    for value in (30.0, 80.0, 200.0):
        tried = np.arange(1.0, value)
        surplus = [(value - bid) * (prices <= bid).mean() for bid in tried]
        bid = np.interp(value, values, bids)
        assert (value - bid) * (prices <= bid).mean() > 0.97 * max(surplus)


def test_a_folder_without_landscapes_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"train_market_price_hist\.parquet"):
        read_landscapes(tmp_path)


@pytest.mark.parametrize(
    "wrong", [{"kinds": ()}, {"kinds": ("clever",)}, {"auctions": 0}, {"bound": -1.0}]
)
def test_an_arena_that_cannot_be_played_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ArenaSettings(**wrong)


def test_a_wrong_action_or_a_step_after_the_end_is_refused() -> None:
    arena = open_arena(ArenaSettings(kinds=("learning",), auctions=100, users=10), 1)
    with pytest.raises(ValueError, match="actions must be 1 finite"):
        arena.step(np.zeros(2))
    with pytest.raises(ValueError, match="finite"):
        arena.step(np.array([np.nan]))
    play(arena)
    with pytest.raises(ValueError, match="reset"):
        arena.step(np.zeros(1))
