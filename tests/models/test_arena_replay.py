"""Recorded logs in the arena: the same auctions, and simulators that behave like them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from cli.main import cli
from models.arena import synthetic_landscapes
from models.arena.auction import clear
from models.arena.evaluation import TOLERANCE, evaluate_field, evaluate_replay, halves
from models.arena.replay import compare, drawn, fit, play, recorded
from models.pacing.evaluation import read_logs
from models.pacing.logs import EPISODE, Log, budget_of, constant_bid, fixed

DATA = Path(__file__).resolve().parents[3] / "shared/data/rtb"
SIDES = ("real", "simulated")


def made_log(count: int = 12_000, seed: int = 3) -> Log:
    """Dear impressions are clicked more often, as in real logs."""
    rng = np.random.default_rng(seed)
    pctr = rng.gamma(2.0, 0.02, count)
    price = np.clip(rng.gamma(2.0, 30.0, count) * (pctr / 0.04) ** 0.3, 1, 300).astype(np.int64)
    click = (rng.random(count) < np.minimum(pctr * price / price.mean(), 1.0)).astype(np.int64)
    histogram = np.bincount(price, minlength=301).astype(np.float64)
    return Log("made", price, click, pctr, float(price.mean()), float(click.mean()), histogram)


@pytest.mark.parametrize("share", [1 / 16, 1 / 4])
def test_a_log_by_episodes_gives_what_the_published_protocol_gives(share: float) -> None:
    log = made_log()
    bids = constant_bid(log, share) * log.pctr / log.click_rate
    published = fixed(log, share, bids)
    whole = np.minimum(bids.astype(np.int64), 300).astype(np.float64)
    for episode in range(log.episodes):
        part = slice(episode * EPISODE, (episode + 1) * EPISODE)
        budget = np.array([budget_of(log, share)], dtype=np.float64)
        cleared = clear(
            whole[part, None], log.price[part].astype(np.float64), budget, first_price=False
        )
        assert cleared.paid.sum() == published.cost[episode]
        assert log.click[part][cleared.winner == 0].sum() == published.clicks[episode]


def test_a_recorded_log_is_played_as_it_is() -> None:
    log = made_log()
    worth = constant_bid(log, 0.25) / log.click_rate
    found = play(recorded(log, worth), "truthful", fit(log).landscapes, 1e12)
    won = worth * log.pctr >= log.price
    assert (found.wins, found.clicks) == (won.sum(), log.click[won].sum())
    assert found.spend == pytest.approx(log.price[won].sum())


def test_a_simulator_is_within_five_percent_of_the_log_it_is_fitted_to() -> None:
    for row in compare(made_log(), made_log(), (1 / 8, 1 / 2), 3):
        for name in ("clicks", "spend"):
            assert row["simulated"][name] == pytest.approx(row["real"][name], rel=TOLERANCE)


def test_a_simulator_of_another_log_is_not() -> None:
    other = made_log(seed=4)
    dearer = Log("dear", other.price * 2 % 301, *(getattr(other, name) for name in
                 ("click", "pctr", "mean_price", "click_rate", "histogram")))  # fmt: skip
    rows = compare(made_log(), dearer, (1 / 2,), 2)
    assert rows[0]["simulated"]["spend"] != pytest.approx(rows[0]["real"]["spend"], rel=TOLERANCE)


def test_simulated_traffic_has_the_logs_clicks_and_prices() -> None:
    log = made_log()
    traffic = drawn(fit(log), 24_000, 1.0, 5)
    assert traffic.click.mean() == pytest.approx(log.click.mean(), rel=1e-3)
    assert traffic.market.mean() == pytest.approx(log.price.mean(), rel=0.02)
    assert np.corrcoef(traffic.market, traffic.predicted[:, 0])[0, 1] == pytest.approx(
        np.corrcoef(log.price, log.pctr)[0, 1], abs=0.03
    )


def test_halves_are_all_of_a_log() -> None:
    log = made_log(7)
    first, second = halves(log)
    assert np.concatenate([first.price, second.price]).tolist() == log.price.tolist()


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the recorded logs are not here")
def test_the_real_logs_agree_with_their_simulators_within_five_percent() -> None:
    for log, train in read_logs(DATA):
        rows = compare(log, log, (1 / 8, 1 / 2), 2)
        # 1458 has some sixty clicks: how many come before a budget ends is luck in two runs.
        for name in ("spend", "clicks") if train is None else ("spend",):
            for rule in ("unlimited", "paced"):
                found = [row for row in rows if row["rule"] == rule]
                real, simulated = (sum(r[side][name] for r in found) for side in SIDES)
                assert simulated == pytest.approx(real, rel=TOLERANCE), (log.name, rule, name)


def test_the_field_is_paired_and_nobody_overspends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.arena.evaluation._AUCTIONS", 4_000)
    rows = evaluate_field(synthetic_landscapes(), 2)
    assert [(row["auction"], row["kind"]) for row in rows[:2]] == [
        ("first price", "truthful"),
        ("first price", "shaded"),
    ]
    assert all(row["most_spent"] <= 1.0 for row in rows)
    assert rows[2]["more_than_truthful"].low > 0.0
    assert rows[3]["surplus"] == rows[4]["surplus"]


def test_the_command_prints_logs_and_field(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.arena.evaluation._AUCTIONS", 1_000)
    monkeypatch.setattr("models.arena.evaluation.SHARES", (0.5,))
    monkeypatch.setattr(
        "models.arena.evaluation.read_logs",
        lambda folder: [(made_log(3_000), None), (made_log(3_000), made_log(3_000, 4))],
    )
    monkeypatch.setattr("models.arena.read_landscapes", lambda folder: synthetic_landscapes())
    words = ["evaluate", "arena", "--data", str(tmp_path), "--seeds", "2"]
    found = json.loads(CliRunner().invoke(cli, [*words, "-o", "json"]).stdout)
    fitted = [row["fitted_to"] for row in found["replay"]]
    fits = ("itself", "first half", "itself", "training log")
    assert fitted == [name for name in fits for _ in ("unlimited", "paced")]
    assert len(found["field"]) == 6
    table = CliRunner().invoke(cli, words).stdout
    assert "first half" in table
    assert "more than truthful" in table


def test_without_the_histograms_the_command_names_the_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["evaluate", "arena", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "train_market_price_hist.parquet" in result.stderr


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="train_market_price_hist"):
        evaluate_replay(tmp_path, 2)
