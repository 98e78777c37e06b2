"""Faults of a node as its watchdog keeps them: whom they fit, when they end, who gets signals."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from supervision import VirtualClock
from supervision.faults.node import NodeFaults
from supervision.inspection.procfs import descends
from tests.integration.waiting import eventually
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervision.messages import Report


class FakeTree:
    """A bidder with an agent, a ledger, and a supervisor, all of them in processes of ours."""

    def __init__(self, pid: int) -> None:
        self.nodes = {
            "node": self.node("node", "supervisor", "process", pid, [{}]),
            "ledger": self.node("node/ledger", "worker", "process", pid),
            "bidder": self.node("node/bidder", "worker", "process", pid, [{}]),
            "cell": self.node("node/bidder/cell", "supervisor", "light", pid, [{}]),
            "agent": self.node("node/bidder/cell/agent", "worker", "light", pid),
            "crowd": self.node("node/bidder/cell/crowd", "supervisor", "light", pid),
            "absent": self.node("node/absent", "worker", "process", None),
            "gone": self.node("node/gone", "worker", "process", 2**22 - 1),
            "foreign": self.node("node/foreign", "worker", "process", os.getppid()),
        }
        self.passed: list[tuple[str, str, dict[str, Any]]] = []
        self.refuses = False

    @staticmethod
    def node(
        name: str, kind: str, placement: str, pid: int | None, children: Any = ()
    ) -> dict[str, Any]:
        return {
            "name": name,
            "kind": kind,
            "placement": placement,
            "pid": pid,
            "children": list(children),
        }

    def find(self, args: dict[str, Any]) -> dict[str, Any]:
        return self.nodes[args["name"]]

    def home_of(self, name: str) -> str:
        return "node/bidder" if name.startswith("node/bidder/") else name

    def pass_on(self, name: str, operation: str, args: dict[str, Any]) -> dict[str, Any]:
        if self.refuses:
            raise ControlError("failed", "nothing lives there")
        self.passed.append((name, operation, args))
        return {}


class World:
    def __init__(self, pid: int) -> None:
        self.clock = VirtualClock()
        self.tree = FakeTree(pid)
        self.reports: list[Report] = []
        self.faults = NodeFaults("node-1", self.tree, self.clock, self.reports.append)

    def fault(self, name: str, kind: str, ttl_s: float = 10.0, **args: Any) -> dict[str, Any]:
        return self.faults.begin({"name": name, "kind": kind, "args": args, "ttl_s": ttl_s})

    def on(self) -> list[str]:
        return [fault["id"] for fault in self.faults.listing({})["faults"]]

    def told(self) -> list[tuple[str, str]]:
        return [(report.context, report.reason) for report in self.reports]


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def world(victim: subprocess.Popen[bytes]) -> World:
    return World(victim.pid)


def gets_into(pid: int, state: str) -> bool:
    """Wait until the process is in a state, in the system's word for it."""
    stat = Path(f"/proc/{pid}/stat")
    eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == state, 2.0, state)
    return True


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_fault_is_passed_on_complete_and_listed_until_its_time_is_over(
    world: World, victim: subprocess.Popen[bytes]
) -> None:
    made = world.fault("agent", "slow", ttl_s=3.0, delay_ms=20)
    assert made == {
        "id": "f1",
        "address": "node-1:node/bidder/cell/agent",
        "kind": "slow",
        "args": {"delay_ms": 20.0, "jitter_ms": 0.0},
        "seed": 1,
        "pid": victim.pid,
        "ends_in_s": 3.0,
    }
    name, operation, args = world.tree.passed[0]
    assert (name, operation) == ("node/bidder/cell/agent", "fault")
    assert (args["id"], args["ttl_s"], args["kind"]) == ("f1", 3.0, "slow")
    world.clock.advance(1.0)
    assert world.faults.listing({})["faults"][0]["ends_in_s"] == 2.0
    world.clock.advance(2.0)
    assert world.on() == []
    assert len(world.tree.passed) == 1  # it has ended by itself, where it was
    assert not world.reports  # and has told so there


def test_healing_is_by_id_by_name_or_of_all_and_goes_to_the_process(world: World) -> None:
    for name in ("agent", "agent", "ledger", "bidder"):
        world.fault(name, "clock" if name == "bidder" else "drop", **_args(name))
    assert world.faults.heal({"id": "f1"}) == {"healed": 1}
    assert world.faults.heal({"name": "agent"}) == {"healed": 1}
    assert world.on() == ["f3", "f4"]
    assert world.faults.heal({}) == {"healed": 2}
    assert world.faults.heal({}) == {"healed": 0}
    healed = [(name, args["id"]) for name, op, args in world.tree.passed if op == "heal"]
    assert healed == [
        ("node/bidder", "f1"),
        ("node/bidder", "f2"),
        ("node/ledger", "f3"),
        ("node/bidder", "f4"),
    ]
    with pytest.raises(ControlError, match="no fault 'f1' in force"):
        world.faults.heal({"id": "f1"})


def _args(name: str) -> dict[str, float]:
    return {"by_s": 60.0} if name == "bidder" else {"share": 0.5}


def test_a_fault_that_cannot_be_healed_is_told_and_forgotten(world: World) -> None:
    world.fault("agent", "drop", share=1)
    world.tree.refuses = True
    assert world.faults.heal({}) == {"healed": 1}
    assert world.told() == [("fault_off", "drop: healed, but not reached: nothing lives there")]


def test_a_fault_that_its_target_refuses_is_not_in_force(world: World) -> None:
    world.tree.refuses = True
    with pytest.raises(ControlError, match="nothing lives there"):
        world.fault("agent", "drop", share=1)
    assert world.on() == []


def test_a_fault_ends_with_its_process(world: World, victim: subprocess.Popen[bytes]) -> None:
    world.fault("agent", "drop", ttl_s=60, share=1)
    victim.kill()
    victim.wait()
    world.faults.tick()
    assert world.on() == []
    assert world.told() == [("fault_off", "drop: its process ended")]


def test_a_stopped_process_goes_on_when_time_is_over(
    world: World, victim: subprocess.Popen[bytes]
) -> None:
    world.fault("ledger", "signal", ttl_s=2.0, signal="STOP")
    assert gets_into(victim.pid, "T")
    world.clock.advance(1.9)
    world.faults.tick()
    assert gets_into(victim.pid, "T")
    world.clock.advance(0.1)
    world.faults.tick()
    assert gets_into(victim.pid, "S")
    assert world.told() == [
        ("fault_on", "signal: asked for"),
        ("fault_off", "signal: its time was over"),
    ]


def test_a_stopped_process_goes_on_when_it_is_healed(
    world: World, victim: subprocess.Popen[bytes]
) -> None:
    fault = world.fault("ledger", "signal", signal="STOP")
    assert gets_into(victim.pid, "T")
    world.faults.heal({"id": fault["id"]})
    assert gets_into(victim.pid, "S")


@pytest.mark.parametrize(("word", "number"), [("KILL", signal.SIGKILL), ("TERM", signal.SIGTERM)])
def test_a_signal_reaches_the_process(
    world: World, victim: subprocess.Popen[bytes], word: str, number: int
) -> None:
    world.fault("ledger", "signal", signal=word)
    assert victim.wait(5.0) == -number
    world.faults.tick()
    assert world.on() == []


def test_only_descendants_get_signals() -> None:
    world = World(os.getpid())
    with pytest.raises(ControlError, match="none of this node's"):
        world.fault("foreign", "signal", signal="KILL")
    assert descends(os.getpid(), os.getppid())
    assert not descends(os.getppid(), os.getpid())
    assert not descends(2**22 - 1, os.getpid())


@pytest.mark.parametrize(
    ("name", "kind", "args", "complaint"),
    [
        ("agent", "signal", {"signal": "KILL"}, "is for processes, and node/bidder/cell/agent"),
        ("agent", "clock", {"by_s": 1}, "is for processes that work"),
        ("node", "clock", {"by_s": 1}, "is for processes that work"),
        ("cell", "drop", {"share": 1}, "has others below it"),
        ("bidder", "link", {"drop": 1}, "has others below it"),
        ("crowd", "crash", {}, "supervises"),
        ("ledger", "crash_on_start", {}, "starts in a fresh one"),
        ("absent", "clock", {"by_s": 1}, "does not run at the moment"),
        ("gone", "clock", {"by_s": 1}, "has just ended"),
        ("agent", "slow", {}, "delay_ms must be a number"),
    ],
)
def test_a_fault_that_does_not_fit_its_target_is_refused_in_words(
    world: World, name: str, kind: str, args: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ControlError, match=complaint):
        world.fault(name, kind, **args)
    assert world.on() == []


def test_no_descriptor_is_left_behind(world: World) -> None:
    gc.collect()  # what others left behind is closed now, and not in between
    before = open_descriptors()
    for _ in range(20):
        world.fault("agent", "drop", share=1)
    world.faults.heal({})
    with pytest.raises(ControlError):
        world.fault("foreign", "signal", signal="KILL")
    assert open_descriptors() == before
