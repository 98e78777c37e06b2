"""Pacing on recorded prices: the protocol, and the real logs where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.errors import EvaluationError
from models.pacing.controllers import Pid
from models.pacing.evaluation import LOG_HORIZON, read_logs
from models.pacing.logs import EPISODE, Log, budget_of, constant_bid, fixed, paced, value

DATA = Path(__file__).resolve().parents[3] / "shared/data/rtb"


def made_log(auctions: int = 2_500) -> Log:
    rng = np.random.default_rng(4)
    price = rng.integers(1, 200, auctions)
    pctr = rng.gamma(2.0, 0.001, auctions)
    click = (rng.random(auctions) < pctr).astype(np.int64)
    histogram = np.bincount(price, minlength=301).astype(np.float64)
    return Log("made", price, click, pctr, float(price.mean()), 0.002, histogram)


def test_a_log_is_cut_into_episodes_with_a_budget_each() -> None:
    log = made_log()
    played = fixed(log, 0.125, np.full(len(log.price), 90.0))
    assert log.episodes == 3
    assert len(played.cost) == 3
    assert (played.cost <= budget_of(log, 0.125)).all()
    assert played.cost[0] > 0.9 * played.budget


def test_a_bid_pays_the_market_price_and_skips_what_it_can_not_pay() -> None:
    facts = (5.0, 0.5, np.ones(301))
    price, click = np.array([10, 30, 8, 2, 60]), np.array([1, 0, 0, 1, 1])
    log = Log("five", price, click, np.full(5, 0.5), *facts)
    played = fixed(log, 16.0 / (5.0 * EPISODE), np.array([20.0, 30.0, 8.0, 2.0, 59.0]))
    assert played.budget == 16
    assert (played.cost.sum(), played.clicks.sum()) == (12.0, 2)


def test_the_constant_bid_spends_its_share_of_the_training_log() -> None:
    log = made_log()
    bid = constant_bid(log, 0.25)
    spent = (log.price * (log.price <= bid)).mean()
    assert spent == pytest.approx(0.25 * log.mean_price, rel=0.03)


def test_pacing_never_spends_more_than_the_budget_and_nearly_all_of_it() -> None:
    log = made_log()
    played = paced(log, 0.25, Pid(), 100)
    assert (played.cost <= played.budget).all()
    assert played.cost[0] > 0.95 * played.budget


def test_logs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="train_market_price_hist"):
        read_logs(tmp_path)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the logs in {DATA.name}, beside the project")
def test_the_published_clicks_of_the_unpaced_rule_come_out_to_the_last_one() -> None:
    log = read_logs(DATA)[0][0]
    played = value(log, 1.0 / 32.0)
    assert (played.clicks.sum(), played.cost.sum()) == (48, 307_751)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the logs in {DATA.name}, beside the project")
def test_pacing_gets_more_clicks_than_the_unpaced_rule_on_each_log_and_never_more_money() -> None:
    for log, train in read_logs(DATA):
        shares = (1 / 64, 1 / 16, 1 / 4) if train else (1 / 32, 1 / 8)
        followed = [paced(log, share, Pid(), LOG_HORIZON) for share in shares]
        rushed = [value(log, share) for share in shares]
        assert sum(played.clicks.sum() for played in followed) > 1.2 * sum(
            played.clicks.sum() for played in rushed
        )
        assert all((played.cost <= played.budget).all() for played in followed)
