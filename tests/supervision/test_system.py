"""What may be done to any actor from outside of its code: SYS-01 to SYS-13 of the extra table."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import Actor, WakeupMessage

from cli.node import CONTROL_TIMEOUT_S
from supervision import Cell, ChildSpec, LightActor, Ref, Start, Supervisor, SupervisorFlags
from supervision.errors import StateRefusedError
from supervision.inspection import system as sys
from supervision.inspection.spies import DONE, SystemEvent, install, remove, spies_on, state_of_spy
from tests.supervision.worlds import notebook

if TYPE_CHECKING:
    from collections.abc import Callable


class Server(LightActor):
    """Answers each request with the next number."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.seen: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.count += 1
        self.seen.append(message)
        self.send(sender, ("answer", self.count))


class PlainServer(Actor):
    """The same as a plain Thespian actor, which knows nothing of cells."""

    count = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.count += 1
        self.seen = [*getattr(self, "seen", []), message]
        self.send(sender, ("answer", self.count))


class HandWritten(Actor):
    """No standard behaviour: it says itself what its state is and how it is replaced."""

    __slots__ = ("_fields",)

    def __init__(self) -> None:
        super().__init__()
        self._fields = {"count": 0, "secret": "s3cret", "seen": []}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        self._fields["count"] += 1  # type: ignore[operator]
        self.send(sender, ("answer", self._fields["count"]))

    def system_get_state(self) -> Any:
        return self._fields

    def system_replace_state(self, function: Callable[[Any], Any]) -> Any:
        self._fields = function(dict(self._fields))
        return self._fields


class Patient(LightActor):
    """Asks with a time limit, as a caller does."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if callable(message):
            message(self)
        else:
            self.heard.append("timeout" if isinstance(message, WakeupMessage) else message)


def serve(cell: Cell, kind: type = Server) -> tuple[Ref, Any, Ref]:
    """A server, its caller's notebook, and the caller."""
    caller, book = notebook(cell)
    server = cell.spawn(kind, name="server", parent=caller)
    cell.run(0.0)
    book.got.clear()
    return server, book, caller


def request(cell: Cell, caller: Ref, server: Ref, message: Any = "q") -> None:
    caller.post(server, message)
    cell.run(0.0)


# -- SYS-01..03 ------------------------------------------------------------------------------------


def test_sys_01_a_suspended_server_does_not_answer_but_system_operations_do(cell: Cell) -> None:
    server = cell.spawn(Server, name="server")
    patient = Patient()
    caller = cell.spawn(lambda: patient, name="caller")
    cell.run(0.0)
    sys.suspend(server)

    def ask(actor: Patient) -> None:
        actor.ask(server, "q")
        actor.wake_after(5.0)

    cell.tell(caller, ask)
    cell.run(6.0)
    assert patient.heard == ["timeout"]
    assert sys.get_status(server)["run_state"] == "suspended"
    assert sys.get_state(server)["count"] == 0
    assert sys.replace_state(server, lambda state: {**state, "count": 7})["count"] == 7


def test_sys_02_to_suspend_or_resume_twice_is_to_do_it_once(cell: Cell) -> None:
    server, book, caller = serve(cell)
    for _ in range(2):
        sys.suspend(server)
    assert sys.run_state(server) == "suspended"
    sys.resume(server)
    sys.resume(server)
    request(cell, caller, server)
    assert book.got == [("answer", 1)]


def test_sys_03_what_came_while_it_was_suspended_is_served_in_order_on_resume(cell: Cell) -> None:
    server, book, caller = serve(cell)
    sys.suspend(server)
    for message in ("a", "b"):
        request(cell, caller, server, message)
    assert book.got == []
    sys.resume(server)
    request(cell, caller, server, "c")
    assert book.got == [("answer", number) for number in (1, 2, 3)]
    assert sys.get_state(server)["seen"] == ["a", "b", "c"]


# -- SYS-04..07 ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Server, PlainServer, HandWritten])
def test_sys_04_a_trace_has_a_line_for_the_request_and_one_for_the_reply(
    cell: Cell, kind: type
) -> None:
    server, _, caller = serve(cell, kind)
    lines: list[str] = []
    assert sys.trace(server, lines.append)
    request(cell, caller, server)
    sys.trace_off(server)
    request(cell, caller, server)
    came, left = lines
    assert " in  str from " in came
    assert f"from {caller.path}: q" in came
    assert f" out tuple to {caller.path}: ['answer', 1]" in left


def test_sys_05_the_last_events_in_and_out_are_kept_in_a_bounded_ring(cell: Cell) -> None:
    server, _, caller = serve(cell)
    sys.log(server, 5)
    for number in range(10):
        request(cell, caller, server, number)
    kept = sys.get_log(server)
    assert [(event.direction, event.message) for event in kept] == [
        ("out", ("answer", 8)),
        ("in", 8),
        ("out", ("answer", 9)),
        ("in", 9),
        ("out", ("answer", 10)),
    ]
    assert len(sys.print_log(server)) == 5
    sys.log_off(server)
    assert sys.print_log(server) == []


def test_sys_06_a_log_to_a_file_holds_request_and_reply_and_ends_with_its_switch(
    cell: Cell, tmp_path: Path
) -> None:
    server, _, caller = serve(cell)
    path = tmp_path / "server.log"
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    sys.log_to_file(server, path)
    request(cell, caller, server)
    sys.log_to_file_off(server)
    request(cell, caller, server)
    came, left = path.read_text().splitlines()
    assert " in  str " in came
    assert " out tuple " in left
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_a_log_to_a_file_is_bounded_and_a_full_disk_ends_only_the_log(
    cell: Cell, tmp_path: Path
) -> None:
    server, book, caller = serve(cell)
    sys.log_to_file(server, tmp_path / "short.log", lines=3)
    for _ in range(3):
        request(cell, caller, server)
    assert len((tmp_path / "short.log").read_text().splitlines()) == 3
    assert spies_on(server) == ()
    sys.log_to_file(server, tmp_path)  # a folder: it cannot be written
    request(cell, caller, server)
    assert spies_on(server) == ()
    assert len(book.got) == 4


def test_sys_07_statistics_count_from_their_switch_on_and_are_none_when_off(cell: Cell) -> None:
    server, _, caller = serve(cell)
    request(cell, caller, server)
    assert sys.get_statistics(server) is None
    began_s = cell.clock()
    sys.statistics(server)
    request(cell, caller, server)
    cell.run(2.0)
    assert sys.get_statistics(server) == sys.Statistics(
        start_s=began_s, now_s=began_s + 2.0, messages_in=1, messages_out=1, handled=2
    )
    sys.statistics_off(server)
    assert sys.get_statistics(server) is None


# -- SYS-08, SYS-09 --------------------------------------------------------------------------------


def collect(state: tuple[Any, ...], event: SystemEvent) -> tuple[Any, ...]:
    return (*state, (event.direction, event.message))


def test_sys_08_a_spy_sees_all_with_a_state_of_its_own_until_it_is_removed(cell: Cell) -> None:
    server, _, caller = serve(cell)
    assert install(server, "spy", collect, ())
    request(cell, caller, server)
    assert state_of_spy(server, "spy") == (("in", "q"), ("out", ("answer", 1)))
    assert len(remove(server, "spy")) == 2
    request(cell, caller, server)
    assert state_of_spy(server, "spy") is None
    assert remove(server, "spy") is None


@pytest.mark.parametrize("how", ["returns done", "raises"])
def test_sys_08_a_spy_ends_itself_and_the_server_is_unharmed(cell: Cell, how: str) -> None:
    server, book, caller = serve(cell)
    calls: list[Any] = []

    def spy(_state: Any, event: SystemEvent) -> Any:
        calls.append(event.message)
        if how == "raises":
            raise ValueError("a bug of the spy")
        return DONE

    install(server, "spy", spy)
    for _ in range(2):
        request(cell, caller, server)
    assert calls == ["q"]
    assert spies_on(server) == ()
    assert book.got == [("answer", 1), ("answer", 2)]


def test_sys_09_spies_are_told_apart_by_name_and_one_switch_removes_all(cell: Cell) -> None:
    server, _, caller = serve(cell)
    assert install(server, "one", collect, ())
    assert install(server, "two", collect, ())
    assert not install(server, "one", collect, ("another",))
    request(cell, caller, server)
    assert len(state_of_spy(server, "one")) == len(state_of_spy(server, "two")) == 2
    remove(server, "one")
    request(cell, caller, server)
    assert spies_on(server) == ("two",)
    assert len(state_of_spy(server, "two")) == 4
    install(server, "one", collect, ())
    sys.statistics(server)
    sys.no_debug(server)
    assert spies_on(server) == ()
    assert server.taps == ()


def test_nothing_is_left_before_an_actor_that_nobody_watches_any_more(cell: Cell) -> None:
    server, _, _ = serve(cell)
    receive, fields = server.receive, set(vars(server))
    sys.log(server)
    assert server.receive != receive
    assert vars(server)["post"] == server.actor.send
    sys.no_debug(server)
    assert server.receive == receive
    assert server.actor.send == server.post == Ref.post.__get__(server)
    assert set(vars(server)) - fields == {"taps"}


def test_spies_are_lost_with_the_incarnation_and_none_is_put_on_the_dead(cell: Cell) -> None:
    server, _, _ = serve(cell)
    install(server, "spy", collect, ())
    cell.kill(server)
    assert not install(server, "other", collect, ())
    sys.no_debug(server)
    assert spies_on(server) == ()


# -- SYS-10 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PlainServer, HandWritten])
def test_sys_10_all_operations_work_on_actors_that_are_no_light_ones(
    cell: Cell, kind: type, tmp_path: Path
) -> None:
    server, book, caller = serve(cell, kind)
    sys.suspend(server)
    request(cell, caller, server)
    assert book.got == []
    sys.resume(server)
    cell.run(0.0)
    sys.log(server)
    sys.statistics(server)
    sys.log_to_file(server, tmp_path / "log")
    sys.replace_state(server, lambda state: {**state, "count": 40})
    request(cell, caller, server)
    assert book.got == [("answer", 1), ("answer", 41)]
    assert sys.get_state(server)["count"] == 41
    assert len(sys.get_log(server)) == 2
    counts = sys.get_statistics(server)
    assert counts is not None
    assert (counts.messages_in, counts.messages_out) == (1, 1)
    status = sys.get_status(server)
    assert (status["runtime"], status["debug"]) == (
        "thespian",
        ["log", "statistics", "log_to_file"],
    )
    sys.no_debug(server)
    request(cell, caller, server)
    assert book.got[-1] == ("answer", 42)


# -- SYS-11, SYS-12 --------------------------------------------------------------------------------


def test_sys_11_a_status_is_one_structured_record_of_any_actor(cell: Cell) -> None:
    server, _, caller = serve(cell)
    sys.log(server)
    request(cell, caller, server)
    assert sys.get_status(server) == {
        "pid": os.getpid(),
        "path": f"{caller.path}/server",
        "behaviour": f"{__name__}:Server",
        "runtime": "light",
        "run_state": "running",
        "parent": caller.path,
        "debug": ["log"],
        "mailbox": 0,
        "handled": 1,
        "state": {"count": 1, "seen": ["q"]},
    }
    cell.kill(server)
    ended = sys.get_status(server)
    assert (ended["run_state"], ended["behaviour"], ended["state"]) == ("ended", None, None)


def test_sys_11_a_supervisors_status_shows_its_table(cell: Cell) -> None:
    flags = SupervisorFlags("rest_for_one", 3, 5)
    children = (ChildSpec("a", Start(Server)), ChildSpec("b", Start(Server)))
    root = cell.spawn(lambda: Supervisor(flags, children), name="top")
    cell.run(0.0)
    status = sys.get_status(root)
    assert status["behaviour"] == "supervision.supervisor:Supervisor"
    assert status["state"] == {
        "restarts": [],
        "waiting": 0,
        "children": [
            {"id": name, "type": "worker", "state": "running", "pid": os.getpid()}
            for name in ("a", "b")
        ],
    }


def test_sys_12_state_is_read_and_replaced_while_the_server_runs(cell: Cell) -> None:
    server, book, caller = serve(cell)
    request(cell, caller, server)
    assert sys.get_state(server) == {"count": 1, "seen": ["q"]}
    after = sys.replace_state(server, lambda state: {"count": state["count"] + 10, "fresh": True})
    assert after == {"count": 11, "fresh": True}
    assert vars(server.actor).keys() >= {"fresh", "count", "_myRef", "cell", "send"}
    assert not hasattr(server.actor, "seen")
    sys.replace_state(server, lambda state: {**state, "seen": []})
    request(cell, caller, server)
    assert book.got[-1] == ("answer", 12)


def test_sys_12_a_replacement_that_raises_leaves_the_state_untouched(cell: Cell) -> None:
    server, _, _ = serve(cell)
    shared = [1]
    server.actor.deep = OrderedDict(a={"b": shared}, c=shared, d={1})

    def fault(state: dict[str, Any]) -> Any:
        state["deep"]["a"]["b"].append(2)
        assert state["deep"]["c"] == [1, 2], "what was shared is shared"
        state["deep"]["d"].add(2)
        state["seen"].append("half")
        del state["count"]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sys.replace_state(server, fault)
    assert sys.get_state(server) == {
        "count": 0,
        "seen": [],
        "deep": OrderedDict(a={"b": [1]}, c=[1], d={1}),
    }
    for nonsense in (lambda _state: None, lambda state: {**state, "cell": None}):
        with pytest.raises(StateRefusedError, match="dictionary of the actor's attributes"):
            sys.replace_state(server, nonsense)
    cell.kill(server)
    with pytest.raises(StateRefusedError, match="has ended"):
        sys.get_state(server)


def test_sys_12_who_asks_from_outside_waits_five_seconds_by_default() -> None:
    assert CONTROL_TIMEOUT_S == 5.0


# -- SYS-13 ----------------------------------------------------------------------------------------


def test_sys_13_an_idle_supervisor_holds_no_stack_no_mailbox_and_no_timer(cell: Cell) -> None:
    children = tuple(ChildSpec(f"c{number}", Start(Server)) for number in range(10))
    root = cell.spawn(lambda: Supervisor(SupervisorFlags(), children), name="top")
    cell.run(0.0)
    assert not root.mailbox
    assert not root.system
    assert not root.scheduled
    assert len(root.actor._backlog) == 0
    assert cell.next_due_s() is None
