"""Measuring from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

from cli.main import cli
from models.pacing.logs import Log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    """One campaign, one budget and one start: the command is tested here, not the rules."""
    for name, value in (("CAMPAIGNS", ("velo-nord",)), ("DAY_SHARES", (0.25,)), ("STARTS", (0.2,))):
        monkeypatch.setattr(f"models.pacing.evaluation.{name}", value)


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["evaluate", "pacing", *words], catch_exceptions=False)
    return result.exit_code, result.stdout


def test_days_are_measured_for_each_plan_budget_and_rule() -> None:
    code, out = run("--auctions", "3000", "-o", "json")
    found = json.loads(out)
    assert code == 0
    assert {row["plan"] for row in found["days"]} == {"even", "traffic"}
    assert {row["rule"] for row in found["days"]} == {"unpaced", "pid", "dual descent"}
    assert all(row["most_spent"] <= 1.0 for row in found["days"])


def test_a_person_gets_a_table() -> None:
    code, out = run("--auctions", "1000")
    assert code == 0
    assert [line.split()[2] for line in out.splitlines()[2:]] == 2 * ["unpaced", "pid", "dual"]


def test_a_folder_without_logs_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    arguments = ["evaluate", "pacing", "--auctions", "1000", "--data", str(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "train_market_price_hist.parquet" in result.stderr


def test_bidding_without_its_logs_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["evaluate", "bidding", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert "train_market_price_hist.parquet" in result.stderr


def test_bidding_prints_a_row_for_each_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    price, pctr = rng.integers(1, 20, 1_500), rng.gamma(2.0, 0.02, 1_500)
    click = (rng.random(1_500) < pctr).astype(np.int64)
    histogram = np.bincount(price, minlength=301).astype(np.float64)
    log = Log("made", price, click, pctr, float(price.mean()), 0.04, histogram)
    monkeypatch.setattr("models.bidding.evaluation.read_logs", lambda folder: [(log, None)])
    monkeypatch.setattr("models.bidding.evaluation.LOG_SHARES", (0.5, 0.25))
    words = ["evaluate", "bidding", "--data", str(tmp_path)]
    found = json.loads(CliRunner().invoke(cli, [*words, "-o", "json"]).stdout)["rules"]
    assert [row["rule"] for row in found][-2:] == ["rlb", "dual pacing"]
    assert all(list(row["by_budget"]) == ["1/4"] for row in found)
    assert "dual pacing" in CliRunner().invoke(cli, words).stdout


def test_a_log_of_choices_is_played_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    rows = zip(rng.integers(0, 3, 400), rng.integers(20, 60, 400), rng.random(400), strict=True)
    lines = [f"ad{arm},{age},0.3333,{int(luck < 0.3)}" for arm, age, luck in rows]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["ad,age,propensity,click", *lines]), encoding="utf-8")
    words = ["evaluate", "selector", "--data", str(log)]
    found = json.loads(CliRunner().invoke(cli, [*words, "-o", "json"]).stdout)["logs"][0]
    assert (found["decisions"], found["arms"], found["columns"]["reward"]) == (400, 3, "click")
    rows_of = {row["policy"]: row for row in found["policies"]}
    assert {"random", "best fixed arm", "gate", "linear thompson"} <= set(rows_of)
    assert "best fixed arm" in CliRunner().invoke(cli, words).stdout


def test_a_log_that_can_not_be_used_is_invalid_and_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("age,propensity\n3,0.5\n", encoding="utf-8")
    result = CliRunner().invoke(cli, ["evaluate", "selector", "--data", str(log)])
    assert result.exit_code == 4
    assert "--action" in result.stderr
