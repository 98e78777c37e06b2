"""The tables of results: each is one evaluate command, read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli.evaluate import COMMANDS
from cli.main import cli
from cli.reproduce import readers
from cli.reproduce.rows import Goal, Row, by
from cli.reproduce.tables import TABLES

if TYPE_CHECKING:
    from pathlib import Path


def reproduce(*words: str) -> tuple[int, Any]:
    result = CliRunner().invoke(cli, ["reproduce", *words, "-o", "json"], catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout) if result.exit_code in (0, 1) else None


def test_each_table_is_made_by_an_evaluate_command_and_has_a_name_of_its_own() -> None:
    assert {table.words[0] for table in TABLES} <= set(COMMANDS)
    assert len({table.name for table in TABLES}) == len(TABLES)


@pytest.mark.slow
def test_a_small_version_of_a_table_is_made_and_written(tmp_path: Path) -> None:
    code, made = reproduce("team", "--quick", "--out", str(tmp_path))
    assert code == 0
    assert [each["status"] for each in made] == ["made"]
    written = json.loads((tmp_path / "team.json").read_bytes())
    assert written == made[0]
    assert written["command"].startswith("bidwright evaluate team --requests 40")
    assert written["commit"]
    assert written["wall_s"] > 0.0
    gain = written["rows"][0]
    assert gain["low"] <= gain["ours"] <= gain["high"]
    assert written["found"]["teams"][1]["learned_gain"]["mean"] == gain["ours"] * 1e6


def test_a_table_without_its_data_is_skipped_with_a_reason(tmp_path: Path) -> None:
    code, made = reproduce("bidding,shading-2259", "--out", str(tmp_path))
    assert code == 0
    assert [(each["table"], each["status"]) for each in made] == [
        ("bidding", "skipped"),
        ("shading-2259", "skipped"),
    ]
    assert "rtb/ipinyou_2259_dlf" in made[1]["why"]


def test_a_table_that_can_not_be_made_fails_alone_and_tells_why(tmp_path: Path) -> None:
    (tmp_path / "data" / "rtb").mkdir(parents=True)
    words = ("bidding", "--data", str(tmp_path / "data"), "--out", str(tmp_path))
    code, made = reproduce(*words)
    assert code == 1
    assert made[0]["status"] == "failed"
    assert "parquet" in made[0]["why"]


def test_a_name_that_is_no_table_is_refused_with_those_that_there_are() -> None:
    result = CliRunner().invoke(cli, ["reproduce", "bids"])
    assert result.exit_code == 1
    assert "no table 'bids'" in result.stderr
    assert "bidding" in result.stderr


def test_a_goal_is_met_on_its_side_only() -> None:
    assert Goal(0.6).is_met(0.61)
    assert not Goal(0.6).is_met(0.59)
    assert Goal(5.4, "below").is_met(5.3)
    assert not Goal(5.4, "below").is_met(5.5)
    assert Row("x", 1.0).is_met is None


def test_a_result_that_a_command_left_out_is_missed() -> None:
    with pytest.raises(LookupError, match="lin"):
        by([{"rule": "rlb"}], rule="lin")


def test_bidding_is_read_against_lin_with_its_goal() -> None:
    gain = {"mean": 3.0, "low": 1.0, "high": 5.0}
    common = {"log": "ipinyou_2997_test", "spent": 0.995, "more_than_lin": gain}
    rules = [{**common, "rule": "lin", "clicks": 860}, {**common, "rule": "x", "clicks": 1_040}]
    clicks, more, spent = readers.bidding_rows({"rules": rules})
    assert (clicks.ours, clicks.baseline, clicks.is_met) == (1_040, 860, True)
    assert "1,021" in clicks.anchor
    assert (more.ours, more.low, more.high) == (3.0, 1.0, 5.0)
    assert spent.is_met


def test_the_profiler_is_read_against_v_sknn_and_what_was_published() -> None:
    def row(model: str, hit: float) -> dict[str, Any]:
        ranking = {
            name: {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}
            for name, mean in (("hit", hit), ("mrr", 0.19), ("ndcg", 0.3))
        }
        return {"model": model, "ranking": ranking}

    found = {"log": "diginetica", "kind": "sessions", "cut": 20}
    rows = [row("V-SKNN", 0.51), row("blend", 0.54)]
    hit, mrr = readers.profiler_rows({**found, "rows": rows})
    assert (hit.what, hit.ours, hit.baseline) == ("diginetica: P@20 of blend", 0.54, 0.51)
    assert "GCE-GNN" in hit.anchor
    assert (hit.low, hit.high) == (0.54 - 0.01, 0.54 + 0.01)
    assert hit.is_met
    assert mrr.is_met


def test_replays_are_held_against_five_per_cent_and_all_intervals_are_named() -> None:
    gain = {"mean": 2.0, "low": 1.0, "high": 3.0}
    replay = {"log": "x", "rule": "lin", "fitted_to": "train"}
    found = {
        "replay": [{**replay, "apart": {"clicks": -0.02, "spend": 0.07}}],
        "field": [{"auction": "first", "kind": "paced", "surplus": gain}],
    }
    clicks, spend, surplus = readers.arena_rows(found)
    assert (clicks.is_met, spend.is_met) == (True, False)
    assert surplus.what == "field, first, paced: surplus"
    assert (surplus.ours, surplus.low, surplus.high) == (2.0, 1.0, 3.0)


def test_off_policy_values_are_held_against_what_was_published() -> None:
    value = {"mean": 0.0052, "low": 0.003, "high": 0.0078}
    estimates = [
        {"estimator": "IPS", "value": value, "covers": True, "relative_error": 0.31},
        {"estimator": "DRos", "value": value, "covers": True, "relative_error": 0.25},
    ]
    campaign = {"campaign": "all", "published": 0.005, "random": 0.0035, "estimates": estimates}
    rows = readers.selector_rows({"campaigns": [campaign], "logs": []})
    assert [row.is_met for row in rows] == [None, True, False]
    assert rows[0].anchor.startswith("0.0050 published")
    assert (rows[0].low, rows[0].baseline, rows[2].baseline) == (0.003, 0.0035, 0.31)
    assert (
        len(readers.selector_rows({"campaigns": [{**campaign, "published": None}], "logs": []}))
        == 1
    )
