"""Reports as OTP writes them: which there are, what stands in them, and how they look as text."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervision import (
    STOPPING,
    Call,
    CallResult,
    ChildSpec,
    LightActor,
    Ref,
    Report,
    Start,
    Supervisor,
    SupervisorFlags,
)
from supervision.inspection.reports import render
from tests.supervision.worlds import Notebook, make_cell, notebook

ERRORS = ("start_error", "child_terminated", "shutdown_error", "shutdown")


class Tree:
    """A supervisor, its reports, and somebody who asks it."""

    def __init__(self, flags: SupervisorFlags, *specs: ChildSpec) -> None:
        self.reports: list[Report] = []
        self.cell = make_cell()
        self.cell.reporter = self.reports.append
        self.asker, self.book = notebook(self.cell, name="asker")
        self.supervisor = Supervisor(flags, specs)
        self.ref = self.cell.spawn(lambda: self.supervisor, parent=self.asker, name="sup")
        self.cell.run(0.0)

    def ask(self, operation: str, *args: Any) -> Any:
        self.asker.post(self.ref, Call(operation, args, 1))
        self.cell.run(10.0)
        return next(got for got in self.book.got if isinstance(got, CallResult)).value

    def child(self, key: str) -> Ref:
        handle = self.supervisor.bodies[key].handle
        assert isinstance(handle, Ref)
        return handle

    def end(self, key: str, reason: Any) -> None:
        self.cell.end(self.child(key), reason)
        self.cell.run(0.0)

    def errors(self) -> list[tuple[str, Any, str]]:
        return [
            (report.context, report.reason, report.offender["id"])
            for report in self.reports
            if report.context in ERRORS
        ]

    def progress(self) -> list[tuple[str, str, str]]:
        return [
            (report.context, report.level, report.offender["id"])
            for report in self.reports
            if report.context in ("started", "restarted")
        ]


class Odd(LightActor):
    """Ends, when asked to, for a reason of its own."""

    def __init__(self, reason: Any = "odd") -> None:
        super().__init__()
        self.reason = reason

    def on_stop(self, reason: Any) -> Any:
        self.stop(self.reason)
        return STOPPING

    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass


def worker(name: str, restart: Any = "permanent", **more: Any) -> ChildSpec:
    return ChildSpec(name, Start(Notebook), restart=restart, **more)


# -- LOG-01 ----------------------------------------------------------------------------------------


def test_log_01_each_abnormal_end_yields_one_report_of_four_fields_in_each_context() -> None:
    starts = [True]

    def build() -> Notebook:
        if not starts.pop(0):
            raise OSError("no port")
        return Notebook()

    fragile = ChildSpec("fragile", Start(build), shutdown=100)
    tree = Tree(SupervisorFlags(intensity=1), ChildSpec("odd", Start(Odd)), fragile)
    starts[:] = [False, False]
    tree.end("fragile", "crash")
    tree.cell.run(1.0)
    assert tree.errors() == [
        ("child_terminated", "crash", "fragile"),
        ("start_error", "OSError: no port", "fragile"),
        ("shutdown", "reached_max_restart_intensity", "fragile"),
        ("shutdown_error", "odd", "odd"),
    ]
    report = next(report for report in tree.reports if report.context == "child_terminated")
    assert report.supervisor == "asker/sup"
    wanted = {
        "id": "fragile",
        "pid": os.getpid(),
        "start": build.__qualname__,
        "restart": "permanent",
        "significant": False,
        "shutdown": 100,
        "type": "worker",
    }
    assert wanted.items() <= report.offender.items()


# -- LOG-02 ----------------------------------------------------------------------------------------

DEEP = ("shutdown", {"failed": [("a", ("b", ["c", {"d": 1}])), 2, 3, 4, 5]})
OFFENDER = {"id": "a", "pid": 4711, "start": "Notebook", "restart": "permanent", "count": 1}
REPORT = Report("node/cell", "child_terminated", DEEP, OFFENDER, "Traceback ...\n  line 1")


def test_log_02_a_report_renders_over_several_lines_with_all_there_is() -> None:
    lines = render(REPORT).splitlines()
    assert lines[:4] == [
        "supervisor: node/cell",
        "errorContext: child_terminated",
        f"reason: {DEEP!r}",
        "offender:",
    ]
    assert "  pid: 4711" in lines
    assert lines[-2:] == ["Traceback ...", "  line 1"]


def test_log_02_a_single_line_carries_id_and_pid_whatever_the_reason_looks_like() -> None:
    report = Report("node/cell", "child_terminated", "two\nlines\tand a tab", OFFENDER)
    assert render(report, single_line=True) == (
        "Supervisor: node/cell. Context: child_terminated. "
        "Reason: two lines and a tab. Offender: id=a,pid=4711."
    )


@pytest.mark.parametrize(
    ("depth", "reason"),
    [
        (1, "('shutdown', ...)"),
        (2, "('shutdown', {'failed': ...})"),
        (3, "('shutdown', {'failed': [..., ...]})"),
        (4, "('shutdown', {'failed': [('a', ...), 2, ...]})"),
        (9, repr(DEEP)),
    ],
)
def test_log_02_depth_limits_levels_and_elements(depth: int, reason: str) -> None:
    assert f"reason: {reason}" in render(REPORT, depth=depth).splitlines()
    assert f"Reason: {reason}." in render(REPORT, depth=depth, single_line=True)


@given(
    length=st.integers(1, 500),
    depth=st.none() | st.integers(1, 5),
    single_line=st.booleans(),
    reason=st.recursive(
        st.text(max_size=20) | st.integers(), lambda some: st.lists(some, max_size=3), max_leaves=8
    ),
)
def test_log_02_the_length_limit_always_holds_and_a_single_line_is_one(
    length: int, depth: int | None, single_line: bool, reason: Any
) -> None:
    report = Report("node/cell", "child_terminated", reason, OFFENDER, "Traceback")
    whole = render(report, single_line=single_line, depth=depth)
    text = render(report, single_line=single_line, depth=depth, length=length)
    assert len(text) == min(length, len(whole))
    assert text == whole or text.endswith("..."[:length])
    assert not single_line or len(whole.splitlines()) == 1


def test_log_02_limits_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="depth is 0"):
        render(REPORT, depth=0)
    with pytest.raises(ValueError, match="length is -1"):
        render(REPORT, length=-1)


# -- LOG-03 ----------------------------------------------------------------------------------------


def test_log_03_starts_of_the_first_list_and_restarts_are_info_those_by_a_call_are_debug() -> None:
    tree = Tree(SupervisorFlags(intensity=5), worker("a"), worker("b"))
    tree.end("a", "crash")
    tree.ask("start_child", worker("c"))
    tree.ask("terminate_child", "c")
    tree.ask("restart_child", "c")
    assert tree.progress() == [
        ("started", "info", "a"),
        ("started", "info", "b"),
        ("restarted", "info", "a"),
        ("started", "debug", "c"),
        ("started", "debug", "c"),
    ]


# -- LOG-04 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "moved")])
@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_log_04_a_clean_end_is_an_error_of_a_permanent_child_only(
    restart: Any, reason: Any
) -> None:
    tree = Tree(SupervisorFlags(), worker("a", restart))
    tree.end("a", reason)
    told = [("child_terminated", reason, "a")] if restart == "permanent" else []
    assert tree.errors() == told


@pytest.mark.parametrize("restart", ["permanent", "transient", "temporary"])
def test_log_04_an_abnormal_end_is_an_error_of_any_child(restart: Any) -> None:
    tree = Tree(SupervisorFlags(), worker("a", restart))
    tree.end("a", "crash")
    assert tree.errors() == [("child_terminated", "crash", "a")]


# -- LOG-05 ----------------------------------------------------------------------------------------


def test_log_05_who_ends_otherwise_during_a_stop_is_reported_and_the_stop_goes_on() -> None:
    odd = ChildSpec("odd", Start(Odd))
    tidy = ChildSpec("tidy", Start(Odd, ("normal",)), restart="transient")
    tree = Tree(SupervisorFlags(), worker("a"), odd, tidy, worker("b"))
    tree.cell.stop(tree.ref)
    tree.cell.run(1.0)
    assert tree.errors() == [("shutdown_error", "odd", "odd")]
    assert tree.ref.exit_reason == "shutdown"


def test_log_05_dynamic_children_with_equal_reasons_share_a_report_with_their_number() -> None:
    template = ChildSpec("w", Start(Odd), restart="transient")
    tree = Tree(SupervisorFlags("simple_one_for_one"), template)
    for reason in ("odd", "odd", "odd", "strange", "normal"):
        tree.asker.post(tree.ref, Call("start_child", (reason,), 1))
    tree.cell.run(0.0)
    tree.cell.stop(tree.ref)
    tree.cell.run(1.0)
    counts = [report.offender["count"] for report in tree.reports if report.context in ERRORS]
    assert tree.errors() == [("shutdown_error", "odd", "w"), ("shutdown_error", "strange", "w")]
    assert counts == [3, 1]
    assert tree.ref.exit_reason == "shutdown"


# -- LOG-06 ----------------------------------------------------------------------------------------


def test_log_06_giving_up_is_one_report_that_names_the_offender() -> None:
    tree = Tree(SupervisorFlags("one_for_all", intensity=1), worker("a"), worker("b"))
    tree.end("b", "crash")
    tree.end("b", "crash")
    told = [each for each in tree.errors() if each[0] == "shutdown"]
    assert told == [("shutdown", "reached_max_restart_intensity", "b")]
    assert tree.ref.exit_reason == "shutdown"
