"""Measuring from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from cli.main import cli

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
