"""``bidwright chaos`` as a person drives it, without a node of its own."""

from __future__ import annotations

import fcntl
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli.chaos import series
from cli.chaos.catalogue import find
from cli.chaos.commands import seconds_of
from cli.chaos.series import kind_of, prune, together
from cli.exits import Exit
from cli.main import cli
from tests.chaos.test_report import journal

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_the_list_is_for_people_and_for_scripts() -> None:
    assert "ledger-killed-in-commit" in run("chaos", "list").stdout
    entries = json.loads(run("chaos", "list", "-o", "json").stdout)
    (entry,) = [each for each in entries if each["name"] == "stop-ledger"]
    assert entry["faults"] == [
        {"what": "signal STOP", "whom": "node/ledger", "mode": "one", "ttl_s": 20.0}
    ]


def test_one_experiment_is_shown_with_its_hypothesis_and_its_faults() -> None:
    shown = run("chaos", "show", "link-drop").stdout
    for words in ("0 to 0.25", "link", "drop", "blast radius", "take back"):
        assert words in shown, words
    assert json.loads(run("chaos", "show", "link-drop", "-o", "json").stdout)["title"]


def test_an_experiment_that_is_not_there_is_a_plain_error(tmp_path: Path) -> None:
    done = run("chaos", "run", "stop-leger", "--data-dir", tmp_path)
    assert done.exit_code == Exit.ERROR
    assert "stop-ledger" in done.stderr


@pytest.mark.parametrize("words", [(), ("kill-ledger", "--all")])
def test_one_says_which_experiments_or_all(words: tuple[str, ...], tmp_path: Path) -> None:
    assert run("chaos", "run", *words, "--data-dir", tmp_path).exit_code == Exit.USAGE


@pytest.mark.parametrize("words", [("run", "kill-ledger"), ("monkey", "--for", "1s")])
def test_a_node_that_somebody_else_started_is_not_hurt_without_a_yes(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "state_of", lambda _paths: "ready")
    done = run("chaos", *words, "--data-dir", tmp_path)
    assert done.exit_code == Exit.NEEDS_APPROVAL
    assert "--yes" in done.stderr


def test_settings_are_for_a_node_that_is_started_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "state_of", lambda _paths: "ready")
    words = ("chaos", "run", "kill-ledger", "--yes", "--set", "defences.heartbeats=false")
    done = run(*words, "--data-dir", tmp_path)
    assert done.exit_code == Exit.ERROR
    assert "--set" in done.stderr


def test_one_experiment_runs_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "chaos"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run("chaos", "run", "kill-ledger", "--data-dir", tmp_path)
    assert done.exit_code == Exit.ERROR
    assert "another experiment runs" in done.stderr


@pytest.mark.parametrize(
    ("module", "words"), [("chaoslib", ("run", "kill-ledger")), ("yaml", ("list",))]
)
def test_a_missing_library_is_said_with_what_to_install(
    module: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    where = ("--data-dir", str(tmp_path)) if words[0] == "run" else ()
    done = run("chaos", *words, *where)
    assert done.exit_code == Exit.ERROR
    assert "pip install 'bidwright[chaos]'" in done.stderr


def test_a_report_is_written_from_journals(tmp_path: Path) -> None:
    file, html = tmp_path / "j.json", tmp_path / "r.html"
    file.write_text(json.dumps(journal()))
    assert run("chaos", "report", file, "--html", html).exit_code == Exit.OK
    assert "kill-ledger" in html.read_text()
    file.write_text("{}")
    assert run("chaos", "report", file, "--html", html).exit_code == Exit.INVALID


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("250ms", 0.25)]
)
def test_durations_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "-5s", "0", "inf", "nan", "5 weeks"])
def test_what_is_no_duration_is_a_usage_error(text: str, tmp_path: Path) -> None:
    done = run("chaos", "monkey", "--for", text, "--data-dir", tmp_path)
    assert done.exit_code == Exit.USAGE


def test_experiments_share_a_node_where_they_can() -> None:
    names = ("kill-ledger", "corrupt-model", "stop-edge", "node-killed", "link-drop")
    queue = together([find(name) for name in names])
    assert [each.name for each in queue] == [
        "kill-ledger",
        "stop-edge",
        "link-drop",
        "corrupt-model",
        "node-killed",
    ]
    fresh = find("node-killed").plan
    assert kind_of(fresh) != kind_of(fresh)


def test_of_old_journals_only_the_newest_are_kept(tmp_path: Path) -> None:
    import os

    for number in range(5):
        file = tmp_path / f"{number}.json"
        file.write_text("{}")
        os.utime(file, (number, number))
    prune(tmp_path, most=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.json", "4.json"]


def test_what_a_result_says_is_what_scripts_rely_on() -> None:
    from cli.chaos.engine import Run

    measured: dict[str, Any] = {"requests": 240}
    result = Run("x", trouble="no node", measured=measured).result()
    assert result == {"verdict": "INVALID", "experiment": "x", "why": "no node", "requests": 240}
