from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cli.main import cli
from models.errors import EvaluationError
from models.landscape.learner import LandscapeSettings, fit_landscape, log_likelihood
from models.landscape.logs import read_log
from models.landscape.survival import (
    Auctions,
    best_bids,
    censored,
    kaplan_meier,
    win_chances,
    win_log_loss,
)

if TYPE_CHECKING:
    from pathlib import Path

prices = st.lists(st.integers(0, 12), min_size=1, max_size=30)


def slow_kaplan_meier(auctions: Auctions, highest: int) -> list[float]:
    """The product limit in words: at each price, who was still there, and whom did it stop?"""
    chances, alive = [], 1.0
    pairs = list(zip(auctions.bid, auctions.won, auctions.price, strict=True))
    for bid_now in range(highest + 1):
        chances.append(1.0 - alive)
        reached = [(bid, won, price) for bid, won, price in pairs if bid > bid_now and not won]
        won_here = [price for _, won, price in pairs if won and price == bid_now]
        won_later = [price for _, won, price in pairs if won and price > bid_now]
        at_risk = len(reached) + len(won_here) + len(won_later)
        if at_risk:
            alive *= 1.0 - len(won_here) / at_risk
    return chances


@given(price=prices, seed=st.integers(0, 100))
def test_kaplan_meier_is_the_product_limit(price: list[int], seed: int) -> None:
    bid = np.random.default_rng(seed).integers(1, 14, len(price))
    auctions = censored(bid, np.array(price))
    assert kaplan_meier(auctions, 15) == pytest.approx(slow_kaplan_meier(auctions, 15))


def test_without_losses_kaplan_meier_counts_the_prices_below_a_bid() -> None:
    price = np.array([1, 1, 2, 5])
    auctions = censored(np.full(4, 9), price)
    assert kaplan_meier(auctions, 6).tolist() == [0, 0, 0.5, 0.75, 0.75, 0.75, 1]


@given(
    hazards=st.lists(st.floats(0.01, 0.9), min_size=3, max_size=3),
    bid=st.integers(0, 11),
    price=st.integers(-1, 11),
    won=st.booleans(),
)
def test_the_likelihood_is_that_of_prices_one_by_one(
    hazards: list[float], bid: int, price: int, won: bool
) -> None:
    # Prices of a bin share its mass evenly; what is above the last bin has the rest.
    mass, alive = [], 1.0
    for hazard in hazards:
        mass += [alive * hazard / 4] * 4
        alive *= 1.0 - hazard
    below = sum(mass[:bid])
    expected = below if won and price < 0 else mass[price] if won else 1.0 - below
    logits = torch.logit(torch.tensor([hazards], dtype=torch.float64))
    seen = (torch.tensor([bid]), torch.tensor([int(won)]), torch.tensor([price]))
    found = math.exp(log_likelihood(logits, *seen, width=4).item())
    assert found == pytest.approx(expected, abs=2e-6)
    chances = win_chances(np.array([hazards]), 4, 12)
    assert chances[0, bid] == pytest.approx(below)


@given(prices=prices, value=st.integers(0, 14))
def test_the_best_bid_is_the_best_of_all_bids(prices: list[int], value: int) -> None:
    chances = kaplan_meier(censored(np.full(len(prices), 13), np.array(prices)), 14)
    expected = max(range(value + 1), key=lambda bid: ((value - bid) * chances[bid], -bid))
    assert best_bids(chances, value) == expected


def test_the_log_loss_of_a_coin_is_that_of_a_coin() -> None:
    loss = win_log_loss(np.array([0.5, 0.5]), np.array([0, 1]))
    assert loss == pytest.approx([math.log(2)] * 2)


def test_context_is_learnt_from_censored_bids_with_and_without_prices() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 1_500)
    price = np.clip(rng.normal(np.where(kind, 70, 20), 8), 0, 99).astype(np.int64)
    seen = censored(rng.integers(1, 100, len(price)), price)
    first_price = Auctions(seen.bid, seen.won, np.full(len(price), -1))
    settings = LandscapeSettings(width=10, bins=10, steps=60, rate=0.1)
    for auctions in (seen, first_price):
        model = fit_landscape(kind[:, None] + 1, auctions, 3, settings, 0)
        cheap, dear = model.win_chances(np.array([[1], [2]]))
        assert cheap[45] > 0.9
        assert dear[45] < 0.15
        assert dear[95] > 0.9


def write_log(folder: Path) -> None:
    rng = np.random.default_rng(1)
    for name in ("train", "test"):
        kind = rng.integers(0, 2, 400)
        columns = {
            "bid": rng.integers(20, 120, 400),
            "market_price": np.clip(rng.normal(np.where(kind, 110, 40), 15), 0, 299).astype(int),
            "adexchange": np.where(kind, "1", "2"),
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def test_evaluate_tells_models_and_rules_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.landscape.evaluation.RESAMPLES", 50)
    write_log(tmp_path)
    words = ["evaluate", "shading", "--data", str(tmp_path), "-o", "json"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    found = json.loads(done.stdout)
    plain, model = found["fits"]
    assert plain["beats_kaplan_meier"]["mean"] == 0
    assert model["beats_kaplan_meier"]["low"] > 0
    by_rule = {row["rule"]: row["mean"] for row in found["shading"]}
    assert by_rule["unshaded"] == 0
    assert by_rule["contextual survival"] == max(by_rule.values())


def test_a_person_gets_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.landscape.evaluation.RESAMPLES", 5)
    write_log(tmp_path)
    done = CliRunner().invoke(cli, ["evaluate", "shading", "--data", str(tmp_path)])
    assert done.exit_code == 0
    assert "Kaplan-Meier" in done.stdout


def test_a_fact_that_is_rare_or_new_is_not_known(tmp_path: Path) -> None:
    write_log(tmp_path)
    log = read_log(tmp_path)
    assert log.facts == 3
    assert set(log.train.facts.ravel()) == {1, 2}


def test_a_folder_without_a_log_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"train\.parquet"):
        read_log(tmp_path)
    done = CliRunner().invoke(cli, ["evaluate", "shading", "--data", str(tmp_path)])
    assert done.exit_code == 1
    assert "Traceback" not in done.output
