"""A node from the outside: the commands that people type, one after the other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cli.chaos.sandbox import free_ports
from cli.exits import Exit
from config.paths import NodePaths

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(150)]

ROOT = Path(__file__).resolve().parents[2]
REQUEST = {
    "id": "r1",
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.01}],
    "site": {"domain": "news.example", "cat": ["IAB17"]},
    "device": {
        "ua": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0 Safari/537.36",
        "ip": "93.184.216.34",
        "devicetype": 2,
        "geo": {"country": "DEU"},
    },
    "user": {"id": "u1"},
    "tmax": 1000,
}


class Shell:
    """Runs ``bidwright`` on a data folder and on ports of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        first = free_ports(3)
        self.environment = {
            **os.environ,
            "BIDWRIGHT_NODE__DATA_DIR": str(data_dir),
            "BIDWRIGHT_GATEWAY__PORT": str(first),
            "BIDWRIGHT_GATEWAY__EVENT_PORT": str(first + 1),
            "BIDWRIGHT_EDGE__PORT": str(first + 2),
        }

    def __call__(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def json(self, *arguments: str, text: str = "") -> Any:
        result = self(*arguments, "-o", "json", text=text)
        assert result.returncode == Exit.OK, result.stderr
        return json.loads(result.stdout)

    def family(self) -> list[psutil.Process]:
        first = psutil.Process(self.json("status")["pid"])
        return [first, *first.children(recursive=True)]


@pytest.fixture
def bidwright(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path / "data")
    yield shell
    shell("down", "--force")


def pids_in(tree: dict[str, Any]) -> set[int]:
    inner = (pids_in(child) for child in tree["children"])
    return {tree["pid"], *(pid for pids in inner for pid in pids)}


def is_gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_node_comes_up_answers_and_leaves_nothing_behind(bidwright: Shell) -> None:
    up = bidwright("up", "--detach")
    assert up.returncode == Exit.OK, up.stderr
    assert bidwright.json("status")["state"] == "ready"
    family = bidwright.family()
    assert pids_in(bidwright.json("tree")) <= {process.pid for process in family}
    answer = bidwright.json("bid", "-", "--explain", text=json.dumps(REQUEST))
    assert answer["id"] == "r1"
    assert answer["ext"]["bidwright"]["impressions"][0]["steps"]

    second = bidwright("up", "--detach")
    assert second.returncode == Exit.ERROR
    assert "already" in second.stderr

    down = bidwright("down")
    assert down.returncode == Exit.OK, down.stderr
    assert all(is_gone(process) for process in family)
    assert bidwright("down").returncode == Exit.NOT_RUNNING
    assert bidwright("ledger", "verify").returncode == Exit.OK


def test_a_node_starts_again_after_everything_was_killed(bidwright: Shell) -> None:
    assert bidwright("up", "--detach").returncode == Exit.OK
    for process in bidwright.family():
        process.send_signal(signal.SIGKILL)
    again = bidwright("up", "--detach")
    assert again.returncode == Exit.OK, again.stderr
    summary = bidwright.json("load", "--count", "100")
    assert (summary["answered"], summary["unanswered"], summary["invalid"]) == (100, 0, 0)
    assert summary["events_acknowledged"] == summary["events_sent"]
    verified = bidwright.json("ledger", "verify")
    assert verified["ok"]
    assert verified["summary"]["settled_micros"] == summary["spend_micros"]


def test_a_node_that_can_not_start_says_why_and_leaves_nothing_behind(bidwright: Shell) -> None:
    (bidwright.data_dir / "notice.new").mkdir(parents=True)
    up = bidwright("up", "--detach")
    assert up.returncode == Exit.ERROR
    assert f"{bidwright.data_dir / 'notice.new'}: Is a directory" in up.stderr
    assert "Traceback" not in up.stderr
    assert str(bidwright.data_dir / "logs") in up.stderr
    assert not NodePaths(bidwright.data_dir).runtime_dir.exists()
    assert bidwright("status").returncode == Exit.NOT_RUNNING


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_node_in_the_foreground_tells_what_it_does(bidwright: Shell, number: int) -> None:
    command = [sys.executable, "-m", "cli.main", "up"]
    with subprocess.Popen(
        command, cwd=ROOT, env=bidwright.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("starting node-1 on ")
        ready = process.stderr.readline()
        assert f"ready (pid {process.pid})" in ready
        assert bidwright.environment["BIDWRIGHT_GATEWAY__PORT"] in ready
        assert "Ctrl-C" in ready
        process.send_signal(number)
        assert process.stderr.readline() == f"stopped the node on {bidwright.data_dir}\n"
        assert process.wait(timeout=30) == Exit.OK
    assert not NodePaths(bidwright.data_dir).runtime_dir.exists()
    assert bidwright("status").returncode == Exit.NOT_RUNNING


def test_a_start_that_is_interrupted_leaves_no_node_behind(bidwright: Shell) -> None:
    # Whoever runs the tests in the background may have left interrupts ignored.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "cli.main", "up", "--detach"]
    with subprocess.Popen(
        command, cwd=ROOT, env=bidwright.environment, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("starting node-1 on ")
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "interrupted\n"
        assert process.wait(timeout=30) == Exit.INTERRUPTED
    assert all(is_gone(each) for each in family)
    assert bidwright("status").returncode == Exit.NOT_RUNNING
    assert bidwright("down").returncode == Exit.NOT_RUNNING
