"""Processes under supervision: what is killed, hung or faulty comes back, nothing is left over."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from supervision.inspect import walk
from tests.integration.family import SETTINGS
from tests.integration.waiting import eventually
from transport.control import ControlClient
from transport.errors import ControlError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[2]
SIBLINGS = 3


class Family:
    """The tree under test, seen from outside."""

    def __init__(self, folder: Path, siblings: int = SIBLINGS) -> None:
        self.folder = folder
        self.token = uuid.uuid4().hex
        with (folder / "out").open("wb") as out:
            self.program = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.family", str(folder), str(siblings)],
                cwd=ROOT,
                env={**os.environ, "FAMILY_TOKEN": self.token},
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.client = ControlClient(folder / "control.sock")

    def ask(self, operation: str, **args: Any) -> Any:
        return self.client.call(operation, timeout_s=5.0, **args)

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["id"]: node for node in walk(self.ask("tree"))}

    def pid(self, name: str) -> int:
        return int(self.nodes()[name]["pid"])

    def is_whole(self, without: frozenset[int] = frozenset()) -> bool:
        """Whether every node runs and none of the pids in ``without`` is shown any more."""
        try:
            nodes = self.nodes()
        except (ControlError, NotRunningError):
            return False  # it is being rebuilt
        whole = all(node["state"] == "running" for node in nodes.values())
        return (
            whole
            and len(nodes) == 8 + SIBLINGS
            and not without & {node["pid"] for node in nodes.values()}
        )

    def wait_whole(self, without: set[int]) -> dict[str, dict[str, Any]]:
        eventually(lambda: self.is_whole(frozenset(without)), 8.0, "the tree is whole")
        return self.nodes()

    def order(self, name: str, what: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(what.encode(), str(self.folder / f"{name}.sock"))

    def life(self) -> list[list[str]]:
        return [line.split() for line in (self.folder / "life.log").read_text().splitlines()]

    def processes(self) -> list[int]:
        """All live processes that carry this family's token, wherever they are now."""
        found = []
        for process in psutil.process_iter(["pid"]):
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if alive and process.environ().get("FAMILY_TOKEN") == self.token:
                    found.append(process.pid)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@pytest.fixture
def family() -> Iterator[Family]:
    # Not pytest's folder: a socket's path may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="family-") as folder:
        family = Family(Path(folder))
        try:
            eventually(family.is_whole, 20.0, "the tree has started")
            yield family
        finally:
            for pid in family.processes():
                os.kill(pid, signal.SIGKILL)
            family.program.wait(10)


def test_every_process_comes_back_after_a_kill_and_the_others_stay(family: Family) -> None:
    for name in ("first", "w1", "host", "last"):
        before = family.nodes()
        os.kill(before[name]["pid"], signal.SIGKILL)
        after = family.wait_whole(without={before[name]["pid"]})
        assert after[name]["restarts"] == 1
        assert after[name]["last_error"] == "killed"
        others = {n for n in before if n not in (name, "cell", "light-1", "light-2")}
        assert all(after[n]["pid"] == before[n]["pid"] for n in others)


def test_descendants_die_with_a_killed_supervisor_and_are_rebuilt(family: Family) -> None:
    before = family.nodes()
    old = {before[f"w{i}"]["pid"] for i in range(SIBLINGS)}
    os.kill(before["group"]["pid"], signal.SIGKILL)
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in old), 2.0, "no descendant lives")
    family.wait_whole(without=old | {before["group"]["pid"]})


def test_siblings_killed_at_one_instant_are_all_noticed(family: Family) -> None:
    for _ in range(5):
        nodes = family.nodes()
        victims = {nodes[f"w{i}"]["pid"] for i in range(SIBLINGS)}
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        family.wait_whole(without=victims)


def test_a_stopped_process_is_killed_and_replaced(family: Family) -> None:
    pid = family.pid("last")
    os.kill(pid, signal.SIGSTOP)
    assert family.wait_whole(without={pid})["last"]["last_error"] == "hung"


def test_an_endless_loop_in_a_handler_is_killed_and_replaced(family: Family) -> None:
    pid = family.pid("w0")
    family.order("w0", "loop")
    assert family.wait_whole(without={pid})["w0"]["last_error"] == "hung"


def test_a_cell_that_always_has_a_timer_due_still_answers_its_heartbeat(family: Family) -> None:
    pid = family.pid("first")
    family.order("first", "spin")
    long_enough_s = family.nodes()["first"]["uptime_s"] + 2 * SETTINGS.hang_s
    eventually(lambda: family.nodes()["first"]["uptime_s"] > long_enough_s, 10.0, "time has passed")
    assert family.pid("first") == pid
    family.order("first", "leave")  # its descriptors are heard, too
    assert family.wait_whole(without={pid})["first"]["last_error"] == "normal"


def test_a_memory_fault_ends_the_process_and_it_comes_back(family: Family) -> None:
    pid = family.pid("first")
    family.order("first", "fault")
    assert family.wait_whole(without={pid})["first"]["last_error"] == "signal:SIGSEGV"


def test_an_exception_ends_the_process_once_and_its_reason_is_shown(family: Family) -> None:
    pid = family.pid("first")
    family.order("first", "raise")
    after = family.wait_whole(without={pid})
    assert after["first"]["last_error"] == "ValueError: as told"
    assert [line for line in family.life() if line[0] == "raise"] == [["raise", "first", str(pid)]]


def test_a_crash_of_a_light_actor_leaves_its_process_alone(family: Family) -> None:
    before = family.nodes()
    family.order("light-1", "raise")
    eventually(lambda: family.nodes()["light-1"]["restarts"] == 1, 5.0, "light-1 was restarted")
    after = family.nodes()
    assert after["host"]["pid"] == before["host"]["pid"]
    assert after["light-2"]["restarts"] == 0


def test_actors_of_both_placements_are_killed_suspended_and_resumed_by_name(family: Family) -> None:
    family.ask("suspend", name="light-2")
    eventually(lambda: family.nodes()["light-2"]["state"] == "suspended", 3.0, "it is suspended")
    family.ask("resume", name="host/light-2")
    eventually(lambda: family.nodes()["light-2"]["state"] == "running", 3.0, "it runs again")
    family.ask("kill", name="light-2")
    eventually(lambda: family.nodes()["light-2"]["restarts"] == 1, 3.0, "it was restarted")
    pid = family.pid("w2")
    family.ask("kill", name="group/w2")
    family.wait_whole(without={pid})


def test_the_top_and_the_administrator_are_rebuilt_when_killed(family: Family) -> None:
    nodes = family.nodes()
    top = psutil.Process(nodes["node"]["pid"])
    for victim in (top.pid, None):
        old = {node["pid"] for node in family.nodes().values()}
        administrator = psutil.Process(family.pid("node")).ppid()
        os.kill(victim or administrator, signal.SIGKILL)
        family.wait_whole(without=old)
        alive = {pid for pid in old if psutil.pid_exists(pid)}
        assert alive == set()


def test_nothing_is_left_when_the_watchdog_is_killed(family: Family) -> None:
    assert len(family.processes()) > SIBLINGS + 4
    family.program.kill()
    family.program.wait(5)
    eventually(lambda: family.processes() == [], 3.0, "no process is left")


def test_down_stops_in_reverse_order_and_leaves_nothing(family: Family) -> None:
    family.ask("down")
    assert family.program.wait(10) == 0
    assert family.processes() == []
    stops = [name for what, name, _ in family.life() if what == "stop"]
    assert stops == ["last", "light-2", "light-1", "w2", "w1", "w0", "first"]


def test_a_tree_that_cannot_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="family-") as folder:
        Path(folder, "w1.refuses").touch()
        family = Family(Path(folder))
        assert family.program.wait(20) == 1
        assert "refused" in Path(folder, "out").read_text()
        assert family.processes() == []
