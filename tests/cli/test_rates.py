"""``bidwright rates``: what currencies are worth, and a new table in the place of the old one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    Run = Callable[..., Result]


def table(**rates: float) -> str:
    return json.dumps({"dataAsOf": "2026-11-24", "conversions": {"USD": rates}})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node's own table, named in its settings."""
    path = tmp_path / "own" / "rates.json"
    monkeypatch.setenv("BIDWRIGHT_MARKET__RATES", str(path))
    return path


def test_without_a_table_of_its_own_a_node_goes_by_the_sample(run: Run) -> None:
    shown: dict[str, Any] = json.loads(run("rates", "show", "-o", "json").stdout)
    assert shown["file"] == ""
    assert shown["dollars"]["USD"] == 1.0
    assert "the sample of the package" in run("rates", "show").stdout


def test_an_update_is_checked_put_in_place_and_shown(run: Run, file: Path) -> None:
    result = run("rates", "update", "-", "-o", "json", text=table(EUR=0.8))
    assert result.exit_code == Exit.OK, result.stderr
    assert json.loads(result.stdout)["dollars"] == {"EUR": 1.25, "USD": 1.0}
    assert json.loads(run("rates", "show", "-o", "json").stdout)["file"] == str(file)
    assert [each.name for each in file.parent.iterdir()] == ["rates.json"]


def test_a_faulty_update_leaves_the_old_table(run: Run, file: Path, tmp_path: Path) -> None:
    run("rates", "update", "-", text=table(EUR=0.8))
    news = tmp_path / "news.json"
    news.write_text(table(EUR=-1))
    result = run("rates", "update", str(news))
    assert result.exit_code == Exit.INVALID
    assert f"{news}: USD to EUR is -1.0; a rate is above 0" in result.stderr
    assert json.loads(file.read_text())["conversions"]["USD"] == {"EUR": 0.8}


def test_the_sample_of_the_package_is_not_written_to(run: Run) -> None:
    result = run("rates", "update", "-", text=table(EUR=0.8))
    assert result.exit_code == Exit.INVALID
    assert "market.rates" in result.stderr


def test_a_faulty_table_of_the_node_is_told_with_its_place(run: Run, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{")
    for command in (("rates", "show"), ("up",)):
        result = run(*command)
        assert result.exit_code == Exit.INVALID
        assert str(file) in result.stderr
