"""The whole node, driven by the command: whatever is killed, every request is answered."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from config.paths import NodePaths
from tests.integration.node import Node, running_node
from tests.integration.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def node() -> Iterator[Node]:
    with running_node(bidders=2) as node:
        yield node


def process_names(nodes: dict[str, dict[str, object]]) -> list[str]:
    return [name for name, node in nodes.items() if node["placement"] == "process"]


def light_names(nodes: dict[str, dict[str, object]]) -> list[str]:
    return [name for name, node in nodes.items() if node["placement"] == "light"]


def is_back(node: Node, whole: set[str], name: str, before: tuple[int, int]) -> bool:
    """Whether all run again and ``name`` in another life, by one look at the tree."""
    lives = node.lives(whole)
    return lives is not None and lives[name] != before


def reported_deaths(node: Node) -> set[str]:
    """Whose ends stand in the node's log."""
    log = NodePaths.of_node(node.folder / "data").log_file.read_text()
    lines = map(json.loads, log.splitlines())
    return {line["offender"]["id"] for line in lines if line["event"] == "child_terminated"}


def test_every_request_is_answered_while_each_part_of_the_tree_is_killed_in_turn(
    node: Node,
) -> None:
    whole = set(node.nodes())
    load = node.start_load("--rate", 300, "--duration", 600, "--patience", 20)
    try:
        for name in process_names(node.nodes()):
            pid = node.nodes()[name]["pid"]
            os.kill(pid, signal.SIGKILL)
            eventually(
                lambda pid=pid: node.is_whole(whole, frozenset({pid})),  # type: ignore[misc]
                20.0,
                f"the tree is whole after the end of {name}",
            )
        for name in light_names(node.nodes()):
            lives = node.lives(whole)
            assert lives is not None
            node.json("actor", "kill", name)
            back = partial(is_back, node, whole, name, lives[name])
            eventually(back, 5.0, f"{name} is back")
            assert load.poll() is None, (node.folder / "load.err").read_text()
    finally:
        load.send_signal(signal.SIGINT)
        load.wait(60)
    summary = node.load_summary()
    assert summary["answered"] == summary["sent"] > 1000
    assert summary["unanswered"] == summary["invalid"] == 0
    assert summary["event_errors"] == {}
    assert reported_deaths(node) >= {"node", "ledger", "inference@cpu", "bidder-2", "edge"}
    report = node.json("ledger", "verify")
    assert report["ok"], report
    settled = node.json("ledger", "show")
    assert settled["settlements"] == summary["wins"], (settled["statuses"], summary)
    assert settled["settled_micros"] == summary["spend_micros"], (settled, summary)
    assert node.run("down").returncode == 0
    eventually(lambda: node.processes() == [], 5.0, "no process is left")


def test_bids_go_on_with_fallbacks_while_inference_hangs_and_the_hung_process_is_replaced(
    node: Node,
) -> None:
    names = set(node.nodes())
    worker = next(name for name in names if "inference@cpu" in name)
    pid = node.nodes()[worker]["pid"]
    load = node.start_load("--rate", 200, "--duration", 5, "--explain-every", 1)
    eventually(
        lambda: node.nodes()["node/bidders/bidder-1/cell/gateway"]["handled"] > 0, 10.0, "traffic"
    )
    os.kill(pid, signal.SIGSTOP)
    eventually(lambda: node.is_whole(names, frozenset({pid})), 10.0, "it is replaced")
    assert load.wait(60) == 0
    summary = node.load_summary()
    assert summary["unanswered"] == 0
    assert summary["bids"] > 0
    assert summary["fallback_steps"].get("profile", 0) > 0
    assert node.nodes()[worker]["last_error"] == "hung"


def test_a_node_comes_up_again_after_everything_was_killed(node: Node) -> None:
    node.destroy()
    eventually(lambda: node.processes() == [], 5.0, "all are dead")
    assert node.run("status").returncode == 5
    node.up()
    answer = node.json("status")
    assert answer["state"] == "ready"
    assert node.json("ledger", "verify")["ok"]
    assert node.run("down").returncode == 0
    assert node.processes() == []
    assert node.run("down").returncode == 5


def test_a_second_node_on_the_same_folder_is_refused(node: Node) -> None:
    again = node.run("up", "--detach")
    assert again.returncode == 1
    assert "already" in again.stderr


def test_a_node_listens_at_home_only_and_forks_from_processes_of_one_thread(node: Node) -> None:
    processes = node.processes()
    forking = [process for process in processes if process.children()]
    assert {process.num_threads() for process in forking} == {1}
    assert len(forking) >= 5  # watchdog, administrator, node, inference, bidders
    listening = {
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
