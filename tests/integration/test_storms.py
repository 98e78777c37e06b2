"""Storms: everything is hurt at random while an exchange plays; nothing that counts is lost.

Each storm has a seed, which says what is hurt, how and when; how the processes take it is theirs.
The seed is in the test's name, so that a failed storm can be raised again.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from cli.chaos.hostile import Address, insult, sockets_of
from cli.chaos.target import Target
from tests.integration.node import Node, running_node
from tests.integration.waiting import eventually
from transport.control import ControlClient
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

STORM_S = 7.0
CALM_S = 30.0
RATE = 150


def pause(seconds: float) -> None:
    """Let the hurt last; nothing is waited for by luck."""
    select.select([], [], [], seconds)


class Storm:
    """Hurts a node at random."""

    def __init__(self, node: Node, seed: int) -> None:
        self.node = node
        self.done: dict[str, int] = {}
        self._chance = random.Random(seed)
        self._whole = set(node.nodes())

    def rage(self, seconds: float, ways: tuple[Callable[[Storm], None], ...]) -> None:
        """Hurt the node in these ways for some time."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            way = self._chance.choice(ways)
            with contextlib.suppress(ControlError, ProcessLookupError):  # too late: it is gone
                way(self)
                self.done[way.__name__] = self.done.get(way.__name__, 0) + 1
            pause(self._chance.uniform(0.1, 0.9))

    def calm(self) -> None:
        """Wait until the tree is whole again."""
        eventually(lambda: self.node.is_whole(self._whole), CALM_S, "the tree is whole")

    def _names(self, placement: str) -> list[str]:
        nodes = self.node.nodes()
        return sorted(name for name, node in nodes.items() if node["placement"] == placement)

    def _pids(self, number: int) -> list[int]:
        names = self._chance.sample(self._names("process"), number)
        nodes = self.node.nodes()
        return [nodes[name]["pid"] for name in names if nodes[name]["pid"]]

    def _order(self, operation: str, name: str) -> None:
        ControlClient(self.node.control_socket).call(operation, timeout_s=5.0, name=name)

    # --- ways to hurt --------------------------------------------------------------------------

    def kill_a_process(self) -> None:
        for pid in self._pids(1):
            os.kill(pid, signal.SIGKILL)

    def kill_several_at_once(self) -> None:
        for pid in self._pids(3):
            os.kill(pid, signal.SIGKILL)

    def stop_a_process_for_a_moment(self) -> None:
        self._stop(self._chance.uniform(0.1, 0.8))

    def stop_a_process_for_too_long(self) -> None:
        self._stop(2.5)

    def _stop(self, seconds: float) -> None:
        for pid in self._pids(1):
            os.kill(pid, signal.SIGSTOP)
            pause(seconds)
            os.kill(pid, signal.SIGCONT)

    def kill_light_actors(self) -> None:
        for name in self._chance.sample(self._names("light"), 3):
            self._order("kill", name)

    def suspend_a_light_actor(self) -> None:
        name = self._chance.choice(self._names("light"))
        self._order("suspend", name)
        pause(self._chance.uniform(0.1, 0.5))
        self._order("resume", name)


HURTS = (
    Storm.kill_a_process,
    Storm.kill_several_at_once,
    Storm.stop_a_process_for_a_moment,
    Storm.stop_a_process_for_too_long,
    Storm.kill_light_actors,
    Storm.suspend_a_light_actor,
)


@pytest.mark.parametrize(("seed", "bidders"), [(1, 1), (2, 2)])
def test_a_storm_costs_no_answer_and_no_micro(seed: int, bidders: int) -> None:
    with running_node(bidders) as node:
        storm = Storm(node, seed)
        load = node.start_load("--rate", RATE, "--duration", 600, "--patience", 25, "--seed", seed)
        try:
            storm.rage(STORM_S, HURTS)
            storm.calm()
        finally:
            load.send_signal(signal.SIGINT)
            load.wait(60)
        check_answers_and_money(node)
        assert node.run("down").returncode == 0
        eventually(lambda: node.processes() == [], 5.0, "no process is left")
        assert storm.done


def check_answers_and_money(node: Node) -> None:
    """Every request answered by the rules, every win booked once at its price."""
    summary = node.load_summary()
    assert summary["answered"] == summary["sent"] > RATE
    assert summary["unanswered"] == summary["invalid"] == 0
    assert summary["event_errors"] == {}
    report = node.json("ledger", "verify")
    assert report["ok"], report
    booked = report["summary"]
    assert booked["settlements"] == summary["wins"], booked["statuses"]
    assert booked["settled_micros"] + booked["unfunded_micros"] == summary["spend_micros"]


# --- hostile bytes -------------------------------------------------------------------------------


def sizes(node: Node) -> dict[str, tuple[int, int]]:
    """Descriptors and resident MiB by process."""
    found = {}
    for name, facts in node.nodes().items():
        if facts["placement"] == "process":
            process = psutil.Process(facts["pid"])
            found[name] = (process.num_fds(), process.memory_info().rss >> 20)
    return found


def test_hostile_bytes_on_every_socket_end_nobody_and_leave_nothing_behind() -> None:
    with running_node(1) as node:
        addresses = sockets_of(Target(node.folder / "data", own=True))
        assert len(addresses) > 6
        insult_all(addresses, rounds=1)  # whatever is loaded when it is first needed
        lives = {name: (facts["pid"], facts["restarts"]) for name, facts in node.nodes().items()}
        before = sizes(node)
        load = node.start_load("--rate", 50, "--duration", 600, "--patience", 25)
        insult_all(addresses, rounds=3)
        load.send_signal(signal.SIGINT)
        load.wait(60)
        after = {name: (node["pid"], node["restarts"]) for name, node in node.nodes().items()}
        assert after == lives
        check_answers_and_money(node)
        eventually(
            lambda: all(
                fds <= before[name][0] + 8 and mib <= before[name][1] + 100
                for name, (fds, mib) in sizes(node).items()
            ),
            15.0,
            f"nothing is left behind: {before} -> {sizes(node)}",
        )
        assert crashes(node.folder / "data") == []


def insult_all(addresses: list[Address], rounds: int) -> None:
    """Say everything hostile to everyone, and hang up at every stage of saying hello."""
    for _ in range(rounds):
        for address in addresses:
            insult(address, hang_ups=50)


def crashes(data: Path) -> list[str]:
    """What the node's log says of actors that ended by a fault of their own."""
    lines = (data / "logs" / "node.log.jsonl").read_text().splitlines()
    return [line for line in lines if "child_terminated" in line]
