"""Measuring models of sequences from the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from cli.main import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Sessions that walk round a ring of twenty items."""
    rng = np.random.default_rng(1)
    rows = [(rng.integers(20) + np.arange(rng.integers(2, 7))) % 20 + 1 for _ in range(150)]
    pq.write_table(
        pa.table({"items": [r.tolist() for r in rows]}), tmp_path / "train_sessions.parquet"
    )
    prefixes = [[i, i + 1] for i in range(1, 18)]
    table = pa.table({"prefix": prefixes, "label": [p[-1] + 1 for p in prefixes]})
    pq.write_table(table, tmp_path / "test_pairs.parquet")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "profiler", *words])


def test_what_trains_nothing_is_measured_first(log: Path) -> None:
    found = json.loads(run("--data", str(log), "-o", "json").stdout)
    assert [row["model"] for row in found["rows"]] == [
        "popular", "repeats", "rules", "V-SKNN", "VSTAN",
    ]  # fmt: skip
    assert (found["cut"], found["questions"], found["part"]) == (20, 17, "test")
    assert found["rows"][3]["beats_vsknn"]["mean"] == 0.0


def test_a_blend_trains_its_encoders_and_tells_its_weights(log: Path) -> None:
    small = ["--dim", "8", "--epochs", "2", "--loss", "full", "--encoders", "narm,sasrec"]
    place = ["--data", str(log), "--model", "blend", "--checkpoint", str(log / "ck")]
    found = json.loads(run(*place, *small, "-o", "json").stdout)
    assert [row["model"] for row in found["rows"]][-3:] == ["narm", "sasrec", "blend"]
    assert sum(found["blend"]["weights"].values()) == pytest.approx(1.0)
    assert found["settings"]["narm"]["dim"] == 8
    assert {path.name for path in (log / "ck").iterdir()} == {
        "narm-fit.pt", "sasrec-fit.pt", "narm-whole.pt", "sasrec-whole.pt",
    }  # fmt: skip
    table = run(*place, *small).stdout  # from the checkpoints
    assert "blend" in table
    assert "NDCG@20" in table


def test_settings_are_chosen_without_the_test_part(log: Path) -> None:
    words = ["--model", "narm", "--dim", "8", "--epochs", "1", "--part", "validation"]
    found = json.loads(run("--data", str(log), *words, "-o", "json").stdout)
    assert found["part"] == "validation"
    assert found["sequences"] == 135


def test_a_folder_that_is_no_log_is_invalid(tmp_path: Path) -> None:
    result = run("--data", str(tmp_path))
    assert result.exit_code == 4
    assert "train_sessions.parquet" in result.stderr


@pytest.mark.parametrize(
    "words", [["--device", "abacus"], ["--encoders", "gpt"], ["--minutes", "0"]]
)
def test_what_is_not_there_is_a_usage_error(log: Path, words: list[str]) -> None:
    assert run("--data", str(log), *words).exit_code == 2
