"""The shell around the decision: reports, the fast lane, and what a case table cannot say."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from supervision import (
    STOPPING,
    Call,
    CallResult,
    ChildSpec,
    Down,
    IgnoreStart,
    LightActor,
    Ref,
    Report,
    Start,
    StartChild,
    Supervisor,
    SupervisorFlags,
)
from supervision.messages import ChildExited, ChildFailed, ChildStarted
from tests.supervision.worlds import Notebook, make_cell, notebook

if TYPE_CHECKING:
    from supervision import Cell


class Tree:
    """One supervisor in a cell, and somebody who asks it."""

    def __init__(self, flags: SupervisorFlags, *specs: ChildSpec) -> None:
        self.reports: list[Report] = []
        self.cell: Cell = make_cell(reports=self.reports)
        self.asker, self.book = notebook(self.cell, name="asker")
        self.supervisor = Supervisor(flags, specs)
        self.ref = self.cell.spawn(lambda: self.supervisor, parent=self.asker, name="sup")
        self.cell.run(0.0)

    def call(self, operation: str, *args: Any) -> Any:
        self.book.got.clear()
        self.asker.post(self.ref, Call(operation, args, 1))
        self.cell.run(10.0)
        results = [got for got in self.book.got if isinstance(got, CallResult)]
        return results[0].value

    def child(self, key: str) -> Ref:
        handle = self.supervisor.bodies[key].handle
        assert isinstance(handle, Ref)
        return handle

    def contexts(self) -> list[tuple[str, Any]]:
        return [(report.context, report.reason) for report in self.reports]


def worker(name: str = "a", **fields: Any) -> ChildSpec:
    return ChildSpec(name, Start(Notebook), **fields)


class Late(LightActor):
    """Does not end when asked."""

    def on_stop(self, reason: Any) -> Any:
        return STOPPING

    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass


def decline() -> Any:
    raise IgnoreStart


def crash(_actor: Any) -> None:
    raise ValueError("broken")


# -- reports ---------------------------------------------------------------------------------------


def test_an_abnormal_end_is_reported_with_its_traceback_and_about_whom() -> None:
    tree = Tree(SupervisorFlags(), worker("a", restart="transient", shutdown=100))
    tree.asker.post(tree.child("a"), crash)
    tree.cell.run(0.0)
    (report,) = tree.reports
    assert (report.supervisor, report.context) == ("asker/sup", "child_terminated")
    assert report.reason == "ValueError: broken"
    assert report.offender == {
        "id": "a",
        "pid": os.getpid(),
        "start": "Notebook",
        "incarnation": 2,
        "restart": "transient",
        "significant": False,
        "shutdown": 100,
        "type": "worker",
        "placement": "light",
        "count": 1,
    }
    assert "Traceback" in report.detail


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "moved")])
def test_a_clean_end_is_reported_of_a_permanent_child_only(reason: Any) -> None:
    kinds = ("transient", "temporary", "permanent")
    tree = Tree(SupervisorFlags(), *(worker(kind, restart=kind) for kind in kinds))
    for kind in kinds:
        tree.asker.post(tree.child(kind), lambda actor: actor.stop(reason))
    tree.cell.run(0.0)
    assert tree.contexts() == [("child_terminated", reason)]
    assert tree.reports[0].offender["id"] == "permanent"


def test_giving_up_is_reported_once_with_the_offender() -> None:
    tree = Tree(SupervisorFlags(intensity=0), worker("a"), worker("b"))
    tree.cell.kill(tree.child("a"))
    tree.cell.run(0.0)
    assert tree.contexts() == [
        ("child_terminated", "killed"),
        ("shutdown", "reached_max_restart_intensity"),
    ]
    assert [report.offender["id"] for report in tree.reports] == ["a", "a"]
    assert tree.ref.exit_reason == "shutdown"


def test_a_child_that_had_to_be_killed_is_reported_as_a_shutdown_error() -> None:
    tree = Tree(SupervisorFlags(), ChildSpec("a", Start(Late), shutdown=100))
    assert tree.call("terminate_child", "a") == "ok"
    assert tree.contexts() == [("shutdown_error", "killed")]


def test_a_start_that_fails_is_reported_with_its_reason_and_where_it_happened() -> None:
    tree = Tree(SupervisorFlags(), worker("a"), ChildSpec("b", Start(int, ("no number",))))
    (report,) = tree.reports
    assert (report.context, report.offender["id"]) == ("start_error", "b")
    assert (report.offender["start"], report.offender["pid"]) == ("int", os.getpid())
    assert "ValueError" in report.reason


def test_a_child_that_ends_otherwise_during_a_stop_is_reported_and_does_not_change_it() -> None:
    late = ChildSpec("late", Start(Late), shutdown=100)
    tree = Tree(SupervisorFlags(), worker("a"), late, worker("b"))
    tree.cell.stop(tree.ref)
    tree.cell.run(1.0)
    assert tree.contexts() == [("shutdown_error", "killed")]
    assert tree.reports[0].offender["id"] == "late"
    assert tree.ref.exit_reason == "shutdown"


def test_dynamic_children_that_end_for_equal_reasons_during_a_stop_share_a_report() -> None:
    template = ChildSpec("late", Start(Late), shutdown=100, restart="transient")
    tree = Tree(SupervisorFlags("simple_one_for_one"), template)
    children = [tree.call("start_child")[1] for _ in range(5)]
    tree.cell.stop(tree.ref)
    tree.cell.run(0.0)
    for number, child in enumerate(children[:3]):
        tree.cell.end(child, "lost" if number else ("lost", number))
    tree.cell.run(1.0)
    found = sorted((str(report.reason), report.offender["count"]) for report in tree.reports)
    assert found == [("('lost', 0)", 1), ("killed", 2), ("lost", 2)]
    assert {report.context for report in tree.reports} == {"shutdown_error"}
    assert tree.ref.exit_reason == "shutdown"


# -- starting --------------------------------------------------------------------------------------


def test_the_parent_hears_that_a_supervisor_is_ready_after_its_children_are() -> None:
    tree = Tree(SupervisorFlags(), worker("a"), worker("b"))
    assert tree.book.got == [ChildStarted(tree.ref)]
    assert tree.call("count_children") == {
        "specs": 2,
        "active": 2,
        "supervisors": 0,
        "workers": 2,
    }


def test_a_process_child_where_there_can_be_none_is_a_failed_start_that_says_so() -> None:
    tree = Tree(SupervisorFlags(), worker("a", placement="process"))
    (news,) = tree.book.got
    assert isinstance(news, ChildFailed)
    assert news.reason == ("shutdown", ("failed_to_start_child", "a", "no_processes_here"))
    assert "asker/sup/a wants its own process" in tree.reports[0].detail


def test_a_child_that_declined_has_no_body() -> None:
    tree = Tree(SupervisorFlags(), ChildSpec("a", Start(decline)))
    assert tree.call("which_children") == [("a", None, "worker", "stopped")]
    assert tree.supervisor.bodies == {}


def test_a_child_that_stops_in_time_leaves_no_deadline_behind() -> None:
    tree = Tree(SupervisorFlags(), worker("a", shutdown=5000))
    tree.asker.post(tree.ref, Call("terminate_child", ("a",), 1))
    tree.cell.run(0.0)
    assert tree.cell.next_due_s() is None


def test_a_restart_loop_that_keeps_failing_can_still_be_stopped() -> None:
    alive = [True]

    def build() -> Notebook:
        if not alive[0]:
            raise OSError("no port")
        return Notebook()

    tree = Tree(SupervisorFlags(intensity=1_000_000, period_s=3600), ChildSpec("a", Start(build)))
    alive[0] = False
    tree.cell.kill(tree.child("a"))
    tree.cell.run(until=lambda: len(tree.reports) > 10)
    tree.cell.stop(tree.ref, "shutdown")
    tree.cell.run(until=lambda: tree.ref.actor is None)
    assert tree.ref.exit_reason == "shutdown"


def test_what_a_child_last_died_of_is_kept_until_it_is_forgotten() -> None:
    tree = Tree(SupervisorFlags(), worker("a"))
    tree.asker.post(tree.child("a"), crash)
    tree.cell.run(0.0)
    assert "ValueError: broken" in tree.supervisor.past.last_errors["a"]
    assert tree.supervisor.past.starts == {"a": 2}


def test_no_trace_is_left_of_dynamic_children_that_are_gone() -> None:
    template = ChildSpec("w", Start(Notebook), restart="transient")
    tree = Tree(SupervisorFlags("simple_one_for_one"), template)
    for _ in range(100):
        kind, handle, _ = tree.call("start_child")
        assert kind == "started"
        tree.asker.post(handle, lambda actor: actor.stop("normal"))
        tree.cell.run(0.0)
    supervisor = tree.supervisor
    past = supervisor.past
    assert (past.starts, past.last_errors, past.pids, supervisor.bodies) == ({}, {}, {}, {})
    assert len(supervisor.state.children) == 0


def test_the_allowance_left_tells_how_near_a_supervisor_is_to_giving_up() -> None:
    tree = Tree(SupervisorFlags(intensity=3, period_s=5), worker("a"))
    assert tree.supervisor.allowance_left() == 3
    tree.cell.kill(tree.child("a"))
    tree.cell.run(0.0)
    assert tree.supervisor.allowance_left() == 2
    tree.cell.run(7.0)
    assert tree.supervisor.allowance_left() == 3


# -- the fast lane ---------------------------------------------------------------------------------


class Worker(LightActor):
    """A short-lived child: it answers its maker and ends, or does what else it was made for."""

    def __init__(self, wish: str, maker: Ref) -> None:
        super().__init__()
        self.wish = wish
        self.maker = maker

    def on_start(self) -> None:
        if self.wish == "answer":
            self.send(self.maker, "answer")
            self.stop()
        elif self.wish == "crash":
            raise ValueError("broken")

    def on_stop(self, reason: Any) -> Any:
        return STOPPING if self.wish == "linger" else None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.stop(message)


@pytest.fixture
def lane() -> Tree:
    template = ChildSpec("w", Start(Worker), restart="temporary", shutdown=500)
    tree = Tree(SupervisorFlags("simple_one_for_one", intensity=0), template)
    tree.book.got.clear()
    return tree


def make(lane: Tree, wish: str) -> None:
    lane.asker.post(lane.ref, StartChild((wish, lane.asker)))
    lane.cell.run(0.0)


def only_child(lane: Tree) -> Ref:
    children = lane.ref.children
    assert children is not None
    (child,) = children
    return child


def test_a_fast_child_that_answers_and_ends_leaves_nothing_behind(lane: Tree) -> None:
    make(lane, "answer")
    assert lane.book.got == ["answer"]
    assert not lane.ref.children
    assert lane.reports == []


def test_whoever_wanted_a_fast_child_hears_at_once_that_it_crashed(lane: Tree) -> None:
    make(lane, "crash")
    (down,) = lane.book.got
    assert isinstance(down, Down)
    assert down.reason == "ValueError: broken"
    assert lane.supervisor.crashes == 1
    assert lane.contexts() == [("child_terminated", "ValueError: broken")]


def test_whoever_wanted_a_fast_child_hears_at_once_that_it_could_not_be_made(lane: Tree) -> None:
    lane.asker.post(lane.ref, StartChild(("too", "many", "arguments")))
    lane.cell.run(0.0)
    (down,) = lane.book.got
    assert "TypeError" in down.reason
    assert lane.contexts()[0][0] == "start_error"


def test_crashes_of_fast_children_never_use_up_the_allowance(lane: Tree) -> None:
    for _ in range(50):
        make(lane, "crash")
    assert lane.ref.actor is lane.supervisor


def test_fast_children_are_counted_and_listed_with_the_others(lane: Tree) -> None:
    make(lane, "wait")
    lane.call("start_child", "wait", lane.asker)
    assert lane.call("count_children") == {
        "specs": 1,
        "active": 2,
        "supervisors": 0,
        "workers": 2,
    }
    rows = lane.call("which_children")
    assert [(kind, state) for _, _, kind, state in rows] == [("worker", "running")] * 2


def test_a_fast_child_is_addressed_by_its_handle(lane: Tree) -> None:
    make(lane, "wait")
    child = only_child(lane)
    assert lane.call("get_childspec", child).id == "w"
    assert lane.call("terminate_child", child) == "ok"
    assert child.exit_reason == "shutdown"
    assert lane.call("terminate_child", child) == "ok"


def test_a_fast_child_that_does_not_end_in_time_is_killed(lane: Tree) -> None:
    make(lane, "linger")
    child = only_child(lane)
    began_s = lane.cell.clock()
    lane.asker.post(lane.ref, Call("terminate_child", (child,), 1))
    lane.asker.post(lane.ref, Call("terminate_child", (child,), 2))
    lane.cell.run(until=lambda: child.actor is None)
    assert lane.cell.clock() - began_s == pytest.approx(0.5)
    lane.cell.run(0.0)
    assert lane.book.got == [Down(child, "killed"), CallResult(1, "ok"), CallResult(2, "ok")]
    assert child.exit_reason == "killed"
    assert lane.supervisor.crashes == 0


def test_a_stop_gives_all_fast_children_their_time_at_once(lane: Tree) -> None:
    for wish in ("wait", "linger", "linger"):
        make(lane, wish)
    children = tuple(lane.ref.children or ())
    lane.cell.stop(lane.ref, "shutdown")
    lane.cell.run(until=lambda: lane.ref.actor is None)
    assert [child.exit_reason for child in children] == ["shutdown", "killed", "killed"]
    assert lane.cell.clock() == pytest.approx(0.5)
    assert lane.ref.exit_reason == "shutdown"


def test_a_supervisor_that_is_about_to_end_makes_no_more_fast_children(lane: Tree) -> None:
    make(lane, "linger")
    lane.cell.stop(lane.ref, "shutdown")
    lane.cell.run(0.0)
    lane.book.got.clear()
    make(lane, "answer")
    assert lane.book.got == [Down(lane.ref, "shutdown")]


def test_a_killed_supervisor_takes_its_fast_children_along(lane: Tree) -> None:
    make(lane, "wait")
    child = only_child(lane)
    lane.cell.kill(lane.ref)
    lane.cell.run(0.0)
    assert child.exit_reason == "killed"
    assert [type(news) for news in lane.book.got] == [Down, ChildExited]


def test_a_template_that_changes_its_restart_type_leaves_and_enters_the_fast_lane(
    lane: Tree,
) -> None:
    flags = SupervisorFlags("simple_one_for_one", intensity=5)
    slow = ChildSpec("w", Start(Worker), restart="permanent")
    assert lane.call("change_specs", flags, [slow]) == "ok"
    lane.book.got.clear()
    make(lane, "wait")
    (result,) = lane.book.got
    assert isinstance(result, CallResult)
    handle = result.value[1]
    lane.asker.post(handle, "gone")
    lane.cell.run(0.0)
    assert only_child(lane) is not handle
