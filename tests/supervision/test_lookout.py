"""Looking in from the watchdog: what answers though others have hung; stacks, traces, restarts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from supervision import (
    Call,
    Cell,
    ChildSpec,
    LightActor,
    Ref,
    Start,
    Supervisor,
    SupervisorFlags,
    monotonic_clock,
)
from supervision.errors import OrderError
from supervision.inspection.desk import serve
from supervision.inspection.lookout import Lookout, obstacle_on
from supervision.inspection.operators import Operators
from supervision.inspection.procfs import descends, look_at
from supervision.inspection.spies import spies_on
from supervision.inspection.stacks import stack_of
from tests.integration.waiting import eventually
from tests.supervision.worlds import Notebook, notebook
from transport.errors import ControlError
from transport.event_file import EventFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervision.messages import Report

ROOT = Path(__file__).resolve().parents[2]


# -- processes -------------------------------------------------------------------------------------


@pytest.fixture
def looping() -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers nobody: it is in an endless loop."""
    program = (
        "from supervision.inspection.stacks import offer_stack\n"
        "offer_stack(); offer_stack()\n"
        "def busy():\n    print(flush=True)\n    while True: pass\n"
        "busy()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_the_stack_of_a_process_in_an_endless_loop_is_seen_as_often_as_one_likes(
    looping: subprocess.Popen[bytes],
) -> None:
    for _ in range(3):
        found = stack_of(looping.pid, monotonic_clock(), limit_s=10.0)
        assert found.error is None
        assert found.text is not None
        assert "in busy" in found.text
        assert found.text.count("in busy") == 1


@pytest.mark.slow
def test_of_a_stopped_process_it_is_said_that_it_is_stopped(
    looping: subprocess.Popen[bytes],
) -> None:
    looping.send_signal(signal.SIGSTOP)
    eventually(lambda: look(looping.pid) == "stopped", 5.0, "it is stopped")
    assert stack_of(looping.pid, monotonic_clock()).text is None
    assert "stopped: none of its code runs" in str(stack_of(looping.pid, monotonic_clock()).error)
    looping.send_signal(signal.SIGCONT)
    eventually(lambda: look(looping.pid) == "running", 5.0, "it goes on")
    assert stack_of(looping.pid, monotonic_clock(), limit_s=10.0).text is not None


def look(pid: int) -> str:
    facts = look_at(pid)
    assert facts is not None
    return facts.os_state


def test_a_process_that_does_not_offer_its_stack_is_not_signalled() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        found = stack_of(process.pid, monotonic_clock())
        assert "does not show its stack" in str(found.error)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert "there is no process" in str(stack_of(process.pid, monotonic_clock()).error)


def test_proc_tells_what_a_process_uses_and_whose_it_is() -> None:
    facts = look_at(os.getpid())
    assert facts is not None
    shown = facts.as_data()
    assert set(shown) == {"pid", "cpu_s", "rss_bytes", "threads", "fds", "os_state"}
    assert facts.rss_bytes > 1_000_000
    assert facts.threads >= 1
    assert facts.fds is not None
    assert facts.fds >= 3
    assert facts.os_state == "running"
    assert descends(os.getpid(), os.getppid())
    assert not descends(os.getppid(), os.getpid())
    process = subprocess.Popen(["true"])
    process.wait()
    assert look_at(process.pid) is None
    assert not descends(process.pid, os.getpid())


# -- the lookout -----------------------------------------------------------------------------------


class FakeTrunk:
    """Passes orders on to a cell in this process, or to nobody."""

    def __init__(self) -> None:
        self.orders: list[tuple[tuple[str, ...], str, dict[str, Any], float]] = []
        self.answer: dict[str, Any] | None = {"details": {"n": 1}}

    def order(
        self, path: tuple[str, ...], operation: str, args: dict[str, Any], limit_s: float
    ) -> dict[str, Any]:
        self.orders.append((path, operation, args, limit_s))
        if self.answer is None:
            raise OrderError(f"it did not answer within {limit_s} s")
        return self.answer


def node(name: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": name.rsplit("/", 1)[-1],
        "name": name,
        "address": f"n-1:{name}",
        "kind": "supervisor" if children else "worker",
        "placement": "process",
        "pid": None,
        "state": "running",
        "children": list(children),
        **more,
    }


class Post:
    """A lookout over a tree that is written down."""

    def __init__(self, folder: Path, pid: int) -> None:
        profiler = node("node/bidders/b-1/cell/profiler", placement="light", pid=pid)
        cell = node("node/bidders/b-1/cell", profiler, placement="light", pid=pid)
        bidder = node("node/bidders/b-1", cell, kind="worker", pid=pid)
        bidders = node("node/bidders", bidder, pid=pid)
        self.tree = node("node", node("node/edge", state="restarting"), bidders, pid=pid)
        self.trunk = FakeTrunk()
        self.audit: list[Report] = []
        self.operators = Operators(
            self.trunk,  # type: ignore[arg-type]
            lambda: self.tree,
            "n-1",
            self.audit.append,
            lambda: "ada (uid 7, pid 8)",
        )
        self.events = EventFile(folder / "events")
        lookout = Lookout(self.operators, folder / "events", monotonic_clock())
        self.operators.offer(**lookout.operations())

    def ask(self, operation: str, **args: Any) -> Any:
        return self.operators.handle(operation, args)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def post(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> Post:
    return Post(tmp_path, sleeper.pid)


def test_show_tells_the_table_the_system_the_account_and_the_past(
    post: Post, sleeper: subprocess.Popen[bytes]
) -> None:
    for number in range(30):
        post.events.append({"address": "n-1:node/edge", "n": number})
    post.events.append({"address": "n-1:node/bidders/b-1/cell/profiler", "kind": "crashed"})
    shown = post.ask("show", name="profiler")
    assert shown["node"]["address"] == "n-1:node/bidders/b-1/cell/profiler"
    assert shown["account"] == {"details": {"n": 1}}
    assert shown["account_error"] is None
    assert shown["process"]["pid"] == sleeper.pid
    assert [event["kind"] for event in shown["last_events"]] == ["crashed"]
    assert len(post.ask("show", name="edge")["last_events"]) == 10


def test_no_answer_is_told_as_such_and_the_rest_is_told_all_the_same(post: Post) -> None:
    post.trunk.answer = None
    shown = post.ask("show", name="profiler")
    assert shown["account"] is None
    assert "did not answer within 0.5 s" in shown["account_error"]
    assert shown["process"]["os_state"] in ("sleeping", "running")
    assert post.trunk.orders[-1][3] == 0.5


def test_who_cannot_answer_is_not_even_asked(post: Post, sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    eventually(lambda: look(sleeper.pid) == "stopped", 5.0, "it is stopped")
    shown = post.ask("show", name="profiler")
    assert f"({sleeper.pid}) is stopped" in shown["account_error"]
    assert shown["process"]["os_state"] == "stopped"
    with pytest.raises(ControlError, match=r"profiler cannot answer: .* is stopped"):
        post.ask("state", name="profiler")
    assert post.trunk.orders == []
    told = post.ask("stack", name="profiler")
    assert (told["stack"], told["os_state"]) == (None, "stopped")
    assert told["process"] == "node/bidders/b-1"


def test_who_has_no_process_or_a_strangers_is_said_to_be_gone(post: Post) -> None:
    shown = post.ask("show", name="edge")
    assert shown["process"] is None
    assert "node/edge has no process at the moment; it is restarting" in str(
        obstacle_on([post.tree["children"][0]])
    )
    stranger = node("node", pid=os.getppid())
    assert "is gone" in str(obstacle_on([stranger]))
    assert "has no process" in post.ask("stack", name="edge")["error"]


def test_events_are_told_from_a_cursor_or_the_last_and_by_kind(post: Post) -> None:
    for number in range(200):
        post.events.append({"n": number, "kind": "crashed" if number % 10 else "started"})
    assert len(post.ask("events")["events"]) == 100
    last = post.ask("events", limit=2, kinds=["started"])
    assert [event["n"] for event in last["events"]] == [180, 190]
    post.events.append({"n": 200, "kind": "started"})
    assert [e["n"] for e in post.ask("events", cursor=last["cursor"])["events"]] == [200]
    assert post.ask("events", limit=0)["events"] == []
    for nonsense in (-1, "x", True, None):
        assert len(post.ask("events", limit=nonsense)["events"]) == 100
    assert post.ask("dead") == {"dead": []} or len(post.ask("dead")["dead"]) == 180


def test_processes_are_told_by_path(post: Post, sleeper: subprocess.Popen[bytes]) -> None:
    found = post.ask("processes")["processes"]
    assert set(found) == {"node", "node/bidders", "node/bidders/b-1"}
    assert found["node"]["pid"] == sleeper.pid


# -- names, orders ---------------------------------------------------------------------------------


def test_a_name_may_begin_with_the_nodes_and_another_nodes_is_refused(post: Post) -> None:
    assert post.operators.find({"name": "n-1:edge"})["id"] == "edge"
    assert post.operators.find({"name": "n-1:node/edge"})["id"] == "edge"
    with pytest.raises(ControlError, match="this is the node 'n-1', not 'n-2'"):
        post.operators.find({"name": "n-2:edge"})


def test_a_name_that_is_nearly_right_is_suggested(post: Post) -> None:
    with pytest.raises(ControlError, match="did you mean profiler"):
        post.operators.find({"name": "b-1/proffiler"})
    with pytest.raises(ControlError, match="no actor is called 'zzz' "):
        post.operators.find({"name": "zzz"})


def test_orders_leave_a_record_of_who_gave_them(post: Post) -> None:
    for operation, context in (("suspend", "suspended"), ("resume", "resumed"), ("kill", "killed")):
        post.ask(operation, name="profiler")
        report = post.audit[-1]
        assert (report.context, report.kind, report.level) == (context, context, "info")
        assert (report.about, report.reason) == (
            "node/bidders/b-1/cell/profiler",
            "by ada (uid 7, pid 8)",
        )
    post.trunk.answer = None
    with pytest.raises(ControlError):
        post.ask("kill", name="profiler")
    assert len(post.audit) == 3


def test_a_restart_is_an_order_to_the_supervisor_of_whom_it_is_about(post: Post) -> None:
    reason = "restarted by ada (uid 7, pid 8)"
    assert post.ask("restart", name="profiler")["name"] == "node/bidders/b-1/cell/profiler"
    assert post.trunk.orders[-1][:3] == (
        ("bidders", "b-1", "cell"),
        "restart_child",
        {"child": "profiler", "reason": reason},
    )
    for name in ("b-1", "b-1/cell"):  # a cell is its process
        assert post.ask("restart", name=name)["name"] == "node/bidders/b-1"
        assert post.trunk.orders[-1][0] == ("bidders",)
    with pytest.raises(ControlError, match="is the whole node"):
        post.ask("restart", name="node")


# -- at the desk -----------------------------------------------------------------------------------


class Talker(LightActor):
    def describe(self) -> dict[str, Any]:
        return {"words": 3}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.send(sender, {"user": "ada", "answer": message})


def family(cell: Cell, *specs: ChildSpec) -> Ref:
    root = cell.spawn(lambda: Supervisor(SupervisorFlags(intensity=3), specs), name="top")
    cell.run(0.0)
    return root


def test_an_account_is_a_status_and_what_the_actor_says_of_itself(cell: Cell) -> None:
    ref = cell.spawn(Talker, name="talker")
    cell.run(0.0)
    account = serve(cell, ref, "account", {})
    assert (account["details"], account["run_state"]) == ({"words": 3}, "running")
    assert serve(cell, ref, "state", {}) == {"run_state": "running", "state": {}}


def test_a_trace_shows_what_passes_redacted_and_ends_by_itself(cell: Cell) -> None:
    caller, _ = notebook(cell)
    ref = cell.spawn(Talker, name="talker")
    cell.run(0.0)
    page = serve(cell, ref, "trace", {"limit": 3, "for_s": 5.0})
    assert page == {"messages": [], "next": 0, "active": True, "ends_in_s": 5.0}
    cell.run(1.0)
    for _ in range(2):
        caller.post(ref, "q")
    cell.run(0.0)
    page = serve(cell, ref, "trace", {"since": 1})
    assert page["messages"] == [
        {
            "at_s": 1.0,
            "direction": "out",
            "type": "dict",
            "peer": caller.path,
            "message": {"user": "<redacted>", "answer": "q"},
        },
        {"at_s": 1.0, "direction": "in", "type": "str", "peer": caller.path, "message": "q"},
    ]
    assert (page["next"], page["active"]) == (3, False)
    assert spies_on(ref) == ()


def test_a_trace_ends_with_its_time_or_by_order_and_nobody_is_left_watching(cell: Cell) -> None:
    caller, _ = notebook(cell)
    ref = cell.spawn(Talker, name="talker")
    cell.run(0.0)
    assert serve(cell, ref, "trace", {"since": 0})["active"] is False
    serve(cell, ref, "trace", {"for_s": 2.0})
    cell.run(3.0)
    caller.post(ref, "too late")
    cell.run(0.0)
    assert spies_on(ref) == ()
    assert serve(cell, ref, "trace", {"since": 0})["messages"] == []
    for nonsense in ({"limit": -1, "for_s": "x"}, {"limit": True, "for_s": 1e9}):
        assert 0 < serve(cell, ref, "trace", nonsense)["ends_in_s"] <= 60.0
    caller.post(ref, "seen")
    cell.run(0.0)
    assert len(serve(cell, ref, "trace", {"since": 0, "stop": True})["messages"]) == 2
    assert spies_on(ref) == ()
    assert len(serve(cell, ref, "trace", {"since": 0})["messages"]) == 2


@pytest.mark.parametrize("shutdown", [100, "brutal_kill", "infinity"])
def test_a_restart_ends_a_child_politely_and_its_supervisor_starts_it_anew(
    cell: Cell, shutdown: Any
) -> None:
    root = family(cell, ChildSpec("a", Start(Notebook), shutdown=shutdown))
    before = root.actor.bodies["a"].handle
    serve(cell, root, "restart_child", {"child": "a", "reason": "restarted by ada"})
    cell.run(0.0)
    after = root.actor.bodies["a"].handle
    assert after is not before
    expected = "killed" if shutdown == "brutal_kill" else ("shutdown", "restarted by ada")
    assert before.exit_reason == expected
    assert root.actor.allowance_left() == 2


class Stubborn(Notebook):
    def on_stop(self, reason: Any) -> Any:
        from supervision import STOPPING

        return STOPPING


def test_a_child_that_does_not_end_in_time_is_killed_for_its_restart(cell: Cell) -> None:
    root = family(cell, ChildSpec("a", Start(Stubborn), shutdown=100))
    before = root.actor.bodies["a"].handle
    serve(cell, root, "restart_child", {"child": "a"})
    cell.run(0.05)
    assert root.actor.bodies["a"].handle is before
    cell.run(0.1)
    assert before.exit_reason == "killed"
    assert root.actor.bodies["a"].handle.actor is not None


def test_a_restart_also_starts_who_has_stopped_and_costs_no_allowance_then(cell: Cell) -> None:
    root = family(cell, ChildSpec("a", Start(Notebook), restart="transient"))
    for _ in range(2):  # first of one that runs, then of one that was terminated
        before = root.actor.bodies.get("a")
        serve(cell, root, "restart_child", {"child": "a"})
        cell.run(0.0)
        assert root.actor.bodies["a"] is not before
        cell.outside.post(root, Call("terminate_child", ("a",)))
        cell.run(0.0)
        assert "a" not in root.actor.bodies
    assert root.actor.allowance_left() == 3


def test_who_would_not_be_started_again_is_not_ended_for_a_restart(cell: Cell) -> None:
    root = family(cell, ChildSpec("a", Start(Notebook), restart="temporary"))
    worker = root.actor.bodies["a"].handle
    for ref, args in ((root, {"child": "a"}), (root, {"child": "b"}), (worker, {"child": "a"})):
        with pytest.raises(OrderError, match="no child that would be started again"):
            serve(cell, ref, "restart_child", args)
    assert worker.actor is not None
    with pytest.raises(OrderError, match="knows the operation"):
        serve(cell, root, "dance", {})
