"""Chaos on real nodes: two experiments that pass, one that finds a weakness, and a short monkey."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from cli.chaos.guard import EXCHANGE_MARK
from cli.chaos.sandbox import MARK
from cli.exits import Exit
from tests.integration.node import ROOT
from tests.integration.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


def chaos(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run ``bidwright chaos WORDS -o json``; return its code and what it printed."""
    command = [sys.executable, "-m", "cli.main", "chaos", *words]
    out, err = folder / "out", folder / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        done = subprocess.run(
            [*command, "-o", "json", "--data-dir", str(folder / "data")],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            check=False,
        )
    assert out.read_text(), err.read_text()
    return done.returncode, json.loads(out.read_text())


def bearing(mark: str) -> list[int]:
    """The processes of all nodes, or of all exchanges, that experiments have started."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_experiments_share_a_node_pass_and_leave_a_report_and_nothing_else(tmp_path: Path) -> None:
    before = set(bearing(MARK))
    html = tmp_path / "r.html"
    code, result = chaos(tmp_path, "run", "kill-ledger", "link-duplicate", "--report", str(html))
    why = [each["why"] for each in result["experiments"]]
    assert (code, result["verdict"]) == (Exit.OK, "PASS"), why
    killed, doubled = result["experiments"]
    assert killed["restarts"] == 1
    assert 0 < killed["detect_s"] < killed["recover_s"] + 0.2
    assert doubled["settlements"] == doubled["wins"] > 20
    for each in result["experiments"]:
        assert each["answered"] == each["requests"] > 200
        journal = json.loads(Path(each["journal"]).read_text())
        assert journal["steady_states"]["after"]["steady_state_met"]
        assert len(journal["bidwright"]["timeline"]) > 10
        assert journal["bidwright"]["faults"]
        assert all(check["holds"] for check in journal["bidwright"]["checks"])
    assert html.read_text().count("<svg") == 2
    assert set(bearing(MARK)) <= before


def test_a_defence_that_is_switched_off_is_found_missing(tmp_path: Path) -> None:
    code, result = chaos(tmp_path, "run", "agent-slow", "--set", "defences.fallbacks=false")
    assert (code, result["verdict"]) == (Exit.DEGRADED, "WEAKNESS"), result["why"]
    assert "share of answers with a bid" in result["why"]


def test_whoever_kills_the_controller_leaves_no_node_and_no_exchange(tmp_path: Path) -> None:
    before = {*bearing(MARK), *bearing(EXCHANGE_MARK)}
    command = [sys.executable, "-m", "cli.main", "chaos", "run", "stop-ledger"]
    controller = subprocess.Popen(
        [*command, "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: not set(bearing(EXCHANGE_MARK)) <= before, 40, "the exchange plays")
    controller.kill()
    controller.wait()
    eventually(
        lambda: {*bearing(MARK), *bearing(EXCHANGE_MARK)} <= before, 30, "nothing is left of it"
    )


def test_a_monkey_costs_no_answer_and_no_micro(tmp_path: Path) -> None:
    words = ("--for", "8s", "--every", "0.25s", "--bidders", "1", "--seed", "3")
    code, result = chaos(tmp_path, "monkey", *words)
    assert (code, result["verdict"]) == (Exit.OK, "PASS"), result["why"]
    assert result["kills"] > 8
    assert result["unanswered"] == result["violations"] == 0
    assert result["settlements"] == result["wins"] > 0
    assert sum(each["number"] for each in result["mttr"].values()) > 3
