"""Processes under supervision: what is killed, hung or faulty comes back, nothing is left over."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from supervision.inspection.tree import walk
from supervision.processes.host import DRAIN_LIMIT_S
from tests.conformance.burst import Burst
from tests.conformance.processes import ProcessWorld
from tests.conformance.theatre import Theatre
from tests.integration.family import SETTINGS
from tests.integration.waiting import eventually
from transport.control import ControlClient
from transport.errors import ControlError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[2]
SIBLINGS = 3
SIZE = 8
ROUNDS = 100
SLACK_S = 1.0
"""What a busy machine may add to a deadline."""


class Family:
    """The tree under test, seen from outside."""

    def __init__(self, folder: Path, siblings: int = SIBLINGS, admin_port: int = 0) -> None:
        self.folder = folder
        self.siblings = siblings
        self.token = uuid.uuid4().hex
        with (folder / "out").open("wb") as out:
            self.program = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tests.integration.family"),
                    *(str(folder), str(siblings), str(admin_port)),
                ],
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
            and len(nodes) == 8 + self.siblings
            and not without & {node["pid"] for node in nodes.values()}
        )

    def wait_whole(self, without: set[int]) -> dict[str, dict[str, Any]]:
        eventually(lambda: self.is_whole(frozenset(without)), 8.0, "the tree is whole")
        return self.nodes()

    def order(self, name: str, what: str) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(what.encode(), str(self.folder / f"{name}.sock"))

    def life(self) -> list[list[str]]:
        log = self.folder / "life.log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def lived(self, what: str, name: str) -> list[int]:
        """The pids in which ``what`` happened to the worker ``name``."""
        return [int(pid) for did, who, pid in self.life() if (did, who) == (what, name)]

    def reports(self) -> list[list[Any]]:
        """What supervisors reported: context, reason, id and pid of the offender."""
        file = self.folder / "reports.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]

    def processes(self) -> list[int]:
        """All live processes that carry this family's token, wherever they are now."""
        return [process.pid for process in self._living()]

    def _living(self, name: str = "") -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["pid"]):
            try:
                alive = process.status() != psutil.STATUS_ZOMBIE
                if not alive or process.environ().get("FAMILY_TOKEN") != self.token:
                    continue
                if name in ("", process.name()):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def subprocesses(self) -> list[int]:
        """The pids of what workers have started by themselves."""
        return [process.pid for process in self._living("sleep")]

    def destroy(self) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):  # they die with each other
                os.kill(pid, signal.SIGKILL)
        self.program.wait(10)


def listening_ports(pid: int) -> set[int]:
    connections = psutil.Process(pid).net_connections("tcp")
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


@contextmanager
def begun_family(*files: str, **how: int) -> Iterator[Family]:
    """A family that has been started in a folder with these ``files``; destroyed at the end."""
    # Not pytest's folder: a socket's path may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="family-") as folder:
        for file in files:
            Path(folder, file).touch()
        family = Family(Path(folder), **how)
        try:
            yield family
        finally:
            family.destroy()


@pytest.fixture
def family() -> Iterator[Family]:
    with begun_family() as family:
        eventually(family.is_whole, 20.0, "the tree has started")
        yield family


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
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in old), 1.0, "no descendant lives")
    family.wait_whole(without=old | {before["group"]["pid"]})


@pytest.fixture(scope="module")
def theatre() -> Iterator[Theatre]:
    with closing(Theatre()) as theatre:
        yield theatre


@pytest.mark.parametrize("reason", ["shutdown", {"shutdown": "done"}])
def test_a_supervisor_that_was_held_up_hears_of_a_clean_end_what_it_was(
    theatre: Theatre, reason: Any
) -> None:
    setup = {"sup": {}, "children": [{"id": "a", "restart": "transient"}]}
    with closing(ProcessWorld(theatre)) as world:
        world.start(setup)
        world.exit_while_held_up("a", reason, 1.5 * DRAIN_LIMIT_S)
        assert world.tree() == [["a", "stopped"]], world.events()


@pytest.mark.timeout(240)
def test_siblings_killed_at_one_instant_are_all_noticed_and_none_twice(
    theatre: Theatre, record_property: Callable[[str, object], None]
) -> None:
    with closing(Burst(theatre, SIZE)) as burst:
        begun_s = burst.clock()
        for _ in range(ROUNDS):
            burst.kill_all()
        took_s = burst.clock() - begun_s
        notices = burst.notices()
    kills = ROUNDS * SIZE
    assert len(set(notices)) == kills, "a notice was lost"
    assert len(notices) == kills, "a notice came twice"
    told = f"{ROUNDS} rounds of {SIZE} siblings killed at one instant: {len(notices)} notices"
    record_property("count", f"{told} of {kills}, none twice, in {took_s:.0f} s")


def test_a_stopped_process_is_killed_in_time_and_replaced_as_after_a_crash(family: Family) -> None:
    pid = family.pid("last")  # transient: after a clean end it would stay away
    os.kill(pid, signal.SIGSTOP)
    deadline_s = SETTINGS.hang_s + 2 * SETTINGS.heartbeat_s
    took_s = eventually(lambda: not psutil.pid_exists(pid), deadline_s + SLACK_S, "it is killed")
    assert took_s >= SETTINGS.hang_s - SETTINGS.heartbeat_s
    assert family.wait_whole(without={pid})["last"]["last_error"] == "hung"
    assert ["child_terminated", "hung", "last", pid] in family.reports()


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


def test_an_exception_ends_the_process_once_and_its_state_with_it(family: Family) -> None:
    def handled() -> int:
        return int(family.nodes()["first"]["details"]["handled"])

    pid = family.pid("first")
    for _ in range(2):
        family.order("first", "count")
    eventually(lambda: handled() == 2, 3.0, "it has handled two messages")
    family.order("first", "raise")
    after = family.wait_whole(without={pid})
    assert after["first"]["last_error"] == "ValueError: as told"
    assert after["first"]["details"]["handled"] == 0
    assert [line for line in family.life() if line[0] == "raise"] == [["raise", "first", str(pid)]]
    assert ["child_terminated", "ValueError: as told", "first", pid] in family.reports()


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


def test_nothing_is_left_when_watchdog_and_administrator_are_killed_at_one_instant(
    family: Family,
) -> None:
    administrator = psutil.Process(family.pid("node")).ppid()
    os.kill(administrator, signal.SIGKILL)
    family.program.kill()
    family.program.wait(5)
    eventually(lambda: family.processes() == [], 3.0, "no process is left")


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


def test_a_tree_that_cannot_start_says_why_and_leaves_nothing() -> None:
    with begun_family("w1.refuses") as family:
        assert family.program.wait(20) == 1
        assert "refused" in (family.folder / "out").read_text()
        assert family.processes() == []


def test_a_child_killed_before_it_is_ready_is_started_again_at_once(family: Family) -> None:
    slow = family.folder / "w0.slow"
    slow.touch()
    pid = family.pid("w0")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: family.lived("slow", "w0") != [], 3.0, "it starts slowly")
    slow.unlink()
    (unready,) = family.lived("slow", "w0")
    os.kill(unready, signal.SIGKILL)
    took_s = eventually(lambda: family.is_whole(frozenset({pid, unready})), 4.0, "it is back")
    assert took_s < SETTINGS.ready_timeout_s / 2
    assert family.nodes()["w0"]["restarts"] == 2
    assert ["start_error", "killed", "w0", unready] in family.reports()


@pytest.mark.parametrize("name", ["first", "group"])
def test_a_process_that_is_told_to_terminate_ends_politely_and_once(
    family: Family, name: str
) -> None:
    before = family.nodes()
    os.kill(before[name]["pid"], signal.SIGTERM)
    family.wait_whole(without={before[name]["pid"]})
    # Whatever else came of that end has been heard before this one's.
    os.kill(before["last"]["pid"], signal.SIGKILL)
    after = family.wait_whole(without={before["last"]["pid"]})
    assert after[name]["restarts"] == 1
    assert after[name]["last_error"] is None
    ends = [words for words in family.reports() if words[0] != "started"]
    notices = [words for words in ends if words[3] == before[name]["pid"]]
    assert notices == [["child_terminated", "shutdown", name, before[name]["pid"]]]
    workers = ["first"] if name == "first" else [f"w{i}" for i in range(SIBLINGS)]
    for worker in workers:
        assert family.lived("stop", worker) == [before[worker]["pid"]]
        assert family.lived("start", worker) == [before[worker]["pid"], after[worker]["pid"]]


def test_what_a_worker_has_forked_dies_with_it_whoever_is_killed(family: Family) -> None:
    for worker, victim in (("w0", "w0"), ("first", "first"), ("w1", "group"), ("last", "node")):
        family.order(worker, "fork")
        eventually(lambda: len(family.subprocesses()) == 2, 3.0, "it has forked")
        pid = family.pid(victim)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: family.subprocesses() == [], 1.5, f"no orphan of {victim} lives")
        family.wait_whole(without={pid})
    family.order("light-1", "fork")
    eventually(lambda: len(family.subprocesses()) == 2, 3.0, "it has forked")
    pid = family.pid("last")
    os.kill(pid, signal.SIGKILL)
    family.wait_whole(without={pid})
    assert len(family.subprocesses()) == 2, "the living keep what they have forked"
    family.program.kill()
    family.program.wait(5)
    eventually(lambda: family.processes() == [], 3.0, "no process is left")


def test_processes_that_fork_have_one_thread_so_no_lock_is_held_over_a_fork(
    family: Family,
) -> None:
    forking = [p for p in map(psutil.Process, family.processes()) if p.children()]
    assert len(forking) >= 4  # watchdog, administrator, node, group
    assert {process.num_threads() for process in forking} == {1}


def test_no_process_of_the_tree_holds_the_port_of_another(family: Family) -> None:
    nodes = family.nodes().values()
    tree = {node["pid"] for node in nodes if node["placement"] == "process"}
    of_watchdog = listening_ports(family.program.pid)
    own = [listening_ports(pid) - of_watchdog for pid in tree]
    assert [len(ports) for ports in own] == [1] * len(tree)
    assert len(set().union(*own)) == len(tree)


def test_no_socket_of_a_tree_listens_beyond_the_loopback_address(family: Family) -> None:
    found = [
        connection.laddr.ip
        for pid in family.processes()
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(found) >= len(family.nodes()) - 3  # each process has one; light actors have none
    assert set(found) == {"127.0.0.1"}


def test_restarts_leak_no_descriptor_and_leave_no_zombie(family: Family) -> None:
    top = psutil.Process(family.pid("node"))

    def kill_first() -> None:
        pid = family.pid("first")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: family.is_whole(frozenset({pid})), 5.0, "it is back")

    kill_first()
    descriptors = top.num_fds()
    for _ in range(30):
        kill_first()
    assert top.num_fds() <= descriptors + 3
    assert all(child.status() != psutil.STATUS_ZOMBIE for child in top.children())


# -- the watchdog ----------------------------------------------------------------------------------


def state_of(family: Family) -> str:
    try:
        return str(family.ask("status")["state"])
    except NotRunningError:
        return "not running"


@pytest.mark.parametrize("way", ["signal", "order"])
def test_a_stop_is_heard_while_the_tree_starts(way: str) -> None:
    with begun_family("w1.slow") as family:
        eventually(lambda: family.lived("slow", "w1") != [], 10.0, "w1 is starting")
        assert state_of(family) == "starting"
        with pytest.raises(ControlError, match="starting"):
            family.ask("tree")
        if way == "signal":
            family.program.terminate()
        else:
            family.ask("down")
        assert family.program.wait(3) == 0
        assert family.processes() == []


def test_a_top_that_dies_while_it_starts_is_noticed_at_once() -> None:
    with begun_family("w1.slow") as family:
        eventually(lambda: family.lived("slow", "w1") != [], 10.0, "w1 is starting")
        group = psutil.Process(family.lived("slow", "w1")[0]).parent()
        assert group is not None
        top = group.parent()
        assert top is not None
        top.kill()
        assert family.program.wait(3) == 1
        assert "topmost process died" in (family.folder / "out").read_text()
        assert family.processes() == []


def test_a_top_that_dies_again_while_it_is_rebuilt_is_rebuilt_again(family: Family) -> None:
    slow = family.folder / "first.slow"
    slow.touch()
    os.kill(family.pid("node"), signal.SIGKILL)
    eventually(lambda: family.lived("slow", "first") != [], 5.0, "first is starting")
    slow.unlink()
    top = psutil.Process(family.lived("slow", "first")[0]).parent()
    assert top is not None
    top.kill()
    after = family.wait_whole(without={top.pid})
    assert after["node"]["restarts"] == 2
    assert "topmost process died" in after["node"]["last_error"]
    assert family.ask("status")["rebuilds"] == 2


def test_a_top_that_hangs_is_replaced_however_often_operators_ask(family: Family) -> None:
    pid = family.pid("node")
    os.kill(pid, signal.SIGSTOP)
    limit_s = 2 * SETTINGS.hang_s + 4.0
    eventually(lambda: state_of(family) == "ready" and family.is_whole(frozenset({pid})),
               limit_s, "it is replaced")  # fmt: skip
    assert "heartbeat" in family.nodes()["node"]["last_error"]


def test_a_watchdog_that_was_stopped_for_long_does_not_fell_the_tree(family: Family) -> None:
    pid = family.pid("node")
    for _ in range(3):
        family.program.send_signal(signal.SIGSTOP)
        select.select([], [], [], SETTINGS.hang_s * 1.2)
        family.program.send_signal(signal.SIGCONT)
        eventually(family.is_whole, 3.0, "it answers again")
    assert family.pid("node") == pid
    assert family.ask("status")["rebuilds"] == 0


def test_an_operator_who_hangs_up_disturbs_nobody(family: Family) -> None:
    pid = family.pid("node")
    for request in (b'{"op": "tree"}\n', b'{"op": "kill", "args": {"name": "w0"}}\n', b"{half"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.connect(str(family.folder / "control.sock"))
            caller.sendall(request)
    eventually(lambda: family.nodes()["w0"]["restarts"] == 1, 3.0, "the order was carried out")
    assert family.pid("node") == pid


def test_orders_to_the_dead_and_unknown_are_refused_with_a_reason(family: Family) -> None:
    for name, why in (("nobody", "no actor is called"), ("", "no actor"), ("w0/node", "no actor")):
        with pytest.raises(ControlError, match=why):
            family.ask("kill", name=name)
    with pytest.raises(ControlError, match="knows no operation"):
        family.ask("explode")
    (family.folder / "w0.slow").touch()
    family.ask("kill", name="w0")
    eventually(lambda: family.lived("slow", "w0") != [], 3.0, "w0 is being restarted")
    family.ask("suspend", name="w0")  # of one that is not ready yet
    (family.folder / "w0.slow").unlink()
    family.ask("kill", name="w0")
    family.wait_whole(without=set(family.lived("slow", "w0")))


def test_a_strangers_administrator_is_not_joined(family: Family) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        with begun_family(admin_port=port) as second:
            assert second.program.wait(10) == 1
            assert f"port {port}" in (second.folder / "out").read_text()
            assert second.processes() == []
    assert family.is_whole()
