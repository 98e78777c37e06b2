"""Bidding rules: their arithmetic against slow obvious twins, and the published numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bidding import ortb, rlb
from models.bidding.evaluation import gain, play_all
from models.pacing.evaluation import read_logs
from models.pacing.logs import EPISODE, Log, Played, budget_of

DATA = Path(__file__).resolve().parents[3] / "shared/data/rtb"


def made_log(auctions: int = 1_300) -> Log:
    rng = np.random.default_rng(4)
    price = rng.integers(1, 12, auctions)
    pctr = rng.gamma(2.0, 0.02, auctions)
    click = (rng.random(auctions) < pctr).astype(np.int64)
    histogram = np.bincount(price, minlength=301).astype(np.float64)
    return Log("made", price, click, pctr, float(price.mean()), 0.04, histogram)


def slow_value(often: list[float], chance: float, auctions: int, budget: int) -> list[list[float]]:
    """Try every bid in every state, as the equation of Bellman says."""
    table = [[0.0] * (budget + 1)]
    for _ in range(1, auctions):
        before, row = table[-1], []
        for left in range(budget + 1):
            returns = []
            for bid in range(min(left, len(often) - 1) + 1):
                won = sum(often[d] * (chance + before[left - d]) for d in range(bid + 1))
                returns.append(won + (1.0 - sum(often[: bid + 1])) * before[left])
            row.append(max(returns))
        table.append(row)
    return table


def test_the_table_of_values_is_what_trying_every_bid_finds() -> None:
    histogram = np.array([0.0, 3.0, 0.0, 5.0, 2.0, 7.0])
    often = (histogram / histogram.sum()).tolist()
    table = rlb.values(histogram, 0.1, 9, 20)
    np.testing.assert_allclose(table, slow_value(often, 0.1, 9, 20), rtol=1e-6, atol=1e-7)


def test_a_bid_is_the_highest_price_whose_click_is_worth_its_budget() -> None:
    row = rlb.values(np.array([0.0, 3.0, 0.0, 5.0, 2.0, 7.0]), 0.1, 9, 20)[8]
    for left in (0, 1, 7, 20):
        for chance in (0.01, 0.1, 0.4):
            worth = [d for d in range(left + 1) if chance + row[left - d] >= row[left]]
            bid = rlb.bids(row, np.array([left]), np.array([chance]))
            assert bid.tolist() == [max(worth)]


def test_episodes_side_by_side_are_what_they_are_one_by_one() -> None:
    log = made_log()
    share = 0.25
    table = rlb.values(log.histogram, log.click_rate, EPISODE, int(budget_of(log, share)))
    played = rlb.play(log, share, table)
    for episode, length in enumerate((1_000, 300)):
        left, clicks = int(budget_of(log, share)), 0
        for number in range(length):
            at = episode * EPISODE + number
            row = table[length - number - 1]
            if log.price[at] <= rlb.bids(row, np.array([left]), log.pctr[at : at + 1])[0]:
                left -= int(log.price[at])
                clicks += int(log.click[at])
        assert (played.clicks[episode], played.cost[episode]) == (clicks, played.budget - left)


def test_ortb_bids_maximise_clicks_less_the_price_of_the_budget_they_take() -> None:
    c, price_of_budget, chance = 40.0, 0.0004, 0.03
    bid = ortb.ortb_bids(np.array([chance]), c, price_of_budget)[0]
    grid = np.linspace(0.1, 300.0, 30_000)
    worth = (chance - price_of_budget * grid) * grid / (c + grid)
    assert bid == pytest.approx(grid[np.argmax(worth)], abs=0.02)


def test_the_price_at_which_half_is_won_is_found_again() -> None:
    won = np.arange(301) / (50.0 + np.arange(301))
    won[-1] = 1.0  # whoever asks more than the range asks its highest price
    assert ortb.fitted_c(np.diff(won, prepend=0.0)) == pytest.approx(50.0, rel=0.05)


def test_no_rule_spends_more_than_an_episode_has() -> None:
    log = made_log()
    for rule, results in play_all(log, None, (0.125, 0.5)).items():
        for played in results:
            assert (played.cost <= played.budget).all(), rule
            assert played.clicks.sum() > 0, rule


def test_a_gain_is_the_sum_of_the_paired_differences_inside_its_interval() -> None:
    ours = Played(np.array([3, 1, 2]), np.zeros(3), 1.0)
    theirs = Played(np.array([1, 1, 1]), np.zeros(3), 1.0)
    found = gain([ours, ours], [theirs, theirs], np.random.default_rng(1))
    assert found.mean == 6.0
    assert found.low <= 6.0 <= found.high


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the logs in {DATA.name}, beside the project")
def test_the_published_clicks_of_rlb_come_out_at_the_smallest_budget() -> None:
    log = read_logs(DATA)[0][0]
    table = rlb.values(log.histogram, log.click_rate, EPISODE, int(budget_of(log, 1 / 32)))
    assert rlb.play(log, 1 / 32, table).clicks.sum() == 78
