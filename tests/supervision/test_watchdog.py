"""The watchdog and its trunk without a tree: rebuilding, giving up, and answers to operators."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import ActorAddress, ActorSystemFailure

from supervision import ChildSpec, Start, VirtualClock
from supervision.errors import NodeError, OrderError
from supervision.processes import trunk
from supervision.processes.keeper import ProcessRecord
from supervision.processes.process import (
    Booted,
    BootFailed,
    Born,
    Ended,
    OrderDone,
    Pong,
    ProcessSettings,
)
from supervision.processes.trunk import LISTEN_S, Trunk
from supervision.processes.watchdog import REBUILD_PERIOD_S, REBUILDS, Watchdog
from tests.supervision.worlds import Notebook
from transport.errors import ControlError
from transport.event_file import EventFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from supervision.messages import Report

    KennelOf = Callable[..., "Kennel"]

SETTINGS = ProcessSettings()
ME = os.getpid()  # stands for a topmost process that lives
SPEC = ChildSpec("node", Start(Notebook), type="supervisor", placement="process")
LIGHT = {"kind": "supervisor", "strategy": "one_for_one", "allowance_left": 1, "children": []}


# -- the watchdog ----------------------------------------------------------------------------------


class FakeTrunk:
    """A tree whose fate is written down beforehand: one word for each look at its top."""

    def __init__(self, fates: list[str], clock: VirtualClock, pause_s: float) -> None:
        self.fates = deque(fates)
        self.clock = clock
        self.pause_s = pause_s
        self.last_words: Ended | None = None
        self.done: list[str] = []
        self.orders: list[tuple[tuple[str, ...], str]] = []
        self.record: ProcessRecord | None = None
        self.ends: Callable[[], Any] = lambda: None
        self.pipe = os.pipe()

    def grow(self, gives_up: Callable[[], bool]) -> None:
        self.done.append("grow")
        assert gives_up() in (True, False)
        if self.fates and self.fates[0] == "does not start":
            self.fates.popleft()
            raise NodeError("could not start")
        os.write(self.pipe[1], b"x")  # so that nobody waits for a tick
        self.record = ProcessRecord(
            1, 7, self.pipe[0], None, ActorAddress("x"), None, SPEC, "node", 0.0
        )

    def fell(self) -> None:
        self.done.append("fell")
        if self.record is not None:
            os.read(self.pipe[0], 1)
        self.record = None

    def is_gone(self) -> bool:
        if not self.fates or self.fates[0] != "dies":
            return False
        self.clock.advance(self.pause_s)
        self.fates.popleft()
        return True

    def snapshot(
        self, limit_s: float, gives_up: Callable[[], bool] = bool
    ) -> dict[str, Any] | None:
        assert not gives_up()
        if not self.fates:
            self.ends()
        elif self.fates[0] == "hangs":
            self.fates.popleft()
            return None
        child = {"id": "a", "name": "node/a", "placement": "light", "pid": ME, "children": []}
        return {**LIGHT, "children": [child]}

    def order(
        self, path: tuple[str, ...], operation: str, args: dict[str, Any], limit_s: float
    ) -> dict[str, Any]:
        self.orders.append((path, operation))
        if operation == "resume":
            raise OrderError("nothing lives at a")
        return {}

    def kill_top(self) -> None:
        self.done.append("kill_top")

    def stop(self, limit_s: float, gives_up: Callable[[], bool]) -> None:
        self.done.append("stop")

    def reap(self) -> None:
        self.clock.advance(1.0)


class Kennel:
    """A watchdog over a fake trunk."""

    def __init__(self, folder: Path, fates: list[str], pause_s: float = 0.0) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.reports: list[Report] = []
        self.trunk = FakeTrunk(fates, self.clock, pause_s)
        self.watchdog = Watchdog(
            SPEC,
            control_socket=folder / "c.sock",
            log_dir=folder,
            settings=SETTINGS,
            clock=self.clock,
            facts={"node": "n"},
            trunk=self.trunk,  # type: ignore[arg-type]
        )
        self.told: list[Report] = []
        self.watchdog._report = self.hear
        self.trunk.ends = partial(self.ask, "down")

    def hear(self, report: Report) -> None:
        (self.reports if report.level == "error" else self.told).append(report)

    def ask(self, operation: str, **args: Any) -> Any:
        return self.watchdog._operators.handle(operation, args)

    def close(self) -> None:
        self.watchdog._control.close()
        for end in self.trunk.pipe:
            os.close(end)


@pytest.fixture
def kennel_of(tmp_path: Path) -> Iterator[KennelOf]:
    kennels: list[Kennel] = []

    def make(fates: list[str], pause_s: float = 0.0) -> Kennel:
        folder = tmp_path / str(len(kennels))
        folder.mkdir()
        kennels.append(Kennel(folder, fates, pause_s))
        return kennels[-1]

    yield make
    for kennel in kennels:
        kennel.close()


def test_a_tree_that_falls_is_felled_reported_and_grown_again(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["dies", "hangs"])
    kennel.watchdog.keep()
    assert kennel.trunk.done == ["grow", "fell", "grow", "fell", "grow", "stop"]
    assert [(report.supervisor, report.context) for report in kennel.reports] == [
        ("watchdog", "child_terminated")
    ] * 2
    assert "died" in kennel.reports[0].reason
    assert "heartbeat" in kennel.reports[1].reason
    assert kennel.reports[0].offender == {"id": "node", "pid": 7}
    assert kennel.ask("status")["rebuilds"] == 2


def test_a_tree_that_falls_too_often_is_given_up_with_the_reason(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["dies"] * 99)
    kennel.trunk.last_words = Ended(1, "reached_max")
    with pytest.raises(NodeError, match=f"{REBUILDS + 1} times within 60 s.*reached_max"):
        kennel.watchdog.keep()
    assert kennel.trunk.done.count("grow") == REBUILDS + 1
    assert kennel.trunk.done[-1] == "fell"


def test_a_tree_that_falls_now_and_then_is_kept_for_ever(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["dies"] * 20, pause_s=REBUILD_PERIOD_S / 4)
    kennel.watchdog.keep()
    assert kennel.ask("status")["rebuilds"] == 20


def test_a_tree_that_does_not_start_again_is_tried_again_and_one_that_never_did_is_not(
    kennel_of: KennelOf,
) -> None:
    kennel = kennel_of(["dies", "does not start", "does not start"])
    kennel.watchdog.keep()
    assert kennel.trunk.done.count("grow") == 4
    assert kennel.reports[-1].reason == "could not start"
    with pytest.raises(NodeError, match="could not start"):
        kennel_of(["does not start"]).watchdog.keep()


def test_a_stop_asked_for_while_the_tree_is_grown_again_is_kept(
    kennel_of: KennelOf,
) -> None:
    kennel = kennel_of(["dies", *["does not start"] * 3])
    grow = kennel.trunk.grow

    def told_to_stop(gives_up: Callable[[], bool]) -> None:
        if kennel.reports:
            kennel.watchdog._terminated(15, None)
        grow(gives_up)

    kennel.trunk.grow = told_to_stop  # type: ignore[method-assign]
    kennel.watchdog.keep()
    assert kennel.trunk.done == ["grow", "fell", "grow", "stop"]
    assert kennel.ask("status")["state"] == "stopping"


def test_operators_get_their_answers(kennel_of: KennelOf) -> None:
    kennel = kennel_of([])
    with pytest.raises(ControlError, match="starting"):
        kennel.ask("tree")
    kennel.watchdog._grow()
    kennel.trunk.ends = bool
    tree = kennel.ask("tree")
    assert (tree["name"], tree["restarts"], tree["last_error"]) == ("node", 0, None)
    assert kennel.ask("suspend", name="a") == {"name": "node/a", "operation": "suspend"}
    assert kennel.trunk.orders == [(("a",), "suspend")]
    with pytest.raises(ControlError, match="node/a: nothing lives at a"):
        kennel.ask("resume", name="a")
    with pytest.raises(ControlError, match="node supervises others"):
        kennel.ask("suspend", name="node")
    assert kennel.ask("kill", name="node")["name"] == "node"
    assert kennel.trunk.done == ["grow", "kill_top"]
    for args in ({}, {"name": "b"}, {"name": 7}):
        with pytest.raises(ControlError, match="no actor is called"):
            kennel.ask("kill", **args)
    contexts = [(report.context, report.about) for report in kennel.told]
    assert contexts == [("suspended", "node/a"), ("killed", "node")]
    assert kennel.told[0].reason == "by an operator"


def test_without_heartbeats_in_defence_a_silent_top_is_left_alone(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["hangs"])
    kennel.watchdog._settings = replace(SETTINGS, kills_hung=False)
    kennel.watchdog.keep()
    assert kennel.trunk.done == ["grow", "stop"]


def test_a_tree_whose_top_is_silent_is_shown_as_it_last_was(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["hangs"])
    kennel.watchdog._grow()
    kennel.trunk.ends = bool
    with pytest.raises(ControlError, match="did not answer"):
        kennel.ask("tree")
    fresh = kennel.ask("tree")
    assert "stale_s" not in fresh
    kennel.clock.advance(1.5)
    kennel.trunk.fates.append("hangs")
    stale = kennel.ask("tree")
    assert stale["stale_s"] == 1.5
    assert stale["children"] == fresh["children"]
    assert stale["children"][0]["address"] == "n:node/a"


def test_the_life_of_a_node_is_told_from_its_start_to_its_stop(kennel_of: KennelOf) -> None:
    kennel = kennel_of(["dies"])
    kennel.watchdog.keep()
    kinds = [(report.kind, report.path) for report in kennel.told]
    assert kinds == [("started", "node"), ("rebuilt", "node"), ("stopped", "node")]
    assert "died" in kennel.told[1].reason
    assert kennel.told[2].reason == "by an operator"


def test_a_node_that_was_killed_is_told_of_by_the_next_one(kennel_of: KennelOf) -> None:
    for last, is_told in (
        ("started", True),
        ("rebuilt", True),
        ("crashed", True),
        ("stopped", False),
        ("gave_up", False),
        ("start_failed", False),
    ):
        kennel = kennel_of([])
        file = EventFile(kennel.folder / "events.jsonl")
        for kind in ("started", last, "killed"):
            file.append({"address": "n:node", "kind": kind})
        kennel.watchdog.keep()
        told = [str(report.reason) for report in kennel.reports]
        assert told == (["the node ended without a word"] if is_told else [])


def test_a_node_that_gives_up_or_cannot_start_says_so_last(kennel_of: KennelOf) -> None:
    for fates, kind in ((["dies"] * 99, "gave_up"), (["does not start"], "start_failed")):
        kennel = kennel_of(fates)
        with pytest.raises(NodeError):
            kennel.watchdog.keep()
        assert (kennel.reports[-1].kind, kennel.reports[-1].path) == (kind, "node")


# -- the trunk -------------------------------------------------------------------------------------


class FakeSystem:
    """Thespian's outside: hands out what was put in; ``None`` when a turn of listening is over."""

    def __init__(self, incoming: list[Any]) -> None:
        self.incoming = deque(incoming)
        self.asked: list[Any] = []
        self.turns = 0

    def createActor(self, _class: type) -> ActorAddress:
        return ActorAddress("top")

    def ask(self, _address: ActorAddress, message: Any, turn: Any) -> Any:
        self.asked.append(message)
        return self.listen(turn)

    def listen(self, turn: Any) -> Any:
        assert turn.total_seconds() == LISTEN_S
        self.turns += 1
        message = self.incoming.popleft() if self.incoming else None
        if isinstance(message, Exception):
            raise message
        return message


def sapling(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, incoming: list[Any]
) -> tuple[Trunk, FakeSystem]:
    system = FakeSystem(incoming)
    monkeypatch.setattr(trunk, "ActorSystem", lambda *_args, **_kwargs: system)
    return Trunk(SPEC, SETTINGS, log_dir=tmp_path, clock=VirtualClock()), system


def grown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, incoming: list[Any]
) -> tuple[Trunk, FakeSystem]:
    made, system = sapling(monkeypatch, tmp_path, [Born(1, ME), None, Booted(1, ME, {}), *incoming])
    made.grow(bool)
    return made, system


def test_a_late_answer_is_dropped_and_not_taken_for_the_next_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, _ = grown(monkeypatch, tmp_path, [])
    assert made.snapshot(2 * LISTEN_S) is None
    system = made._system
    assert isinstance(system, FakeSystem)
    late = Pong(2, {"late": True})
    system.incoming.extend([late, OrderDone(2), "noise", Pong(3, {"late": False})])
    assert made.snapshot(1.0) == {"late": False}
    system.incoming.extend([Pong(3, {}), OrderDone(3, "old"), OrderDone(4, result={"as": "asked"})])
    assert made.order(("a",), "kill", {}, 1.0) == {"as": "asked"}
    with pytest.raises(OrderError, match="did not answer"):
        made.order(("a",), "kill", {}, LISTEN_S)


def test_patience_is_counted_in_turns_of_listening_and_errors_of_the_transport_are_silence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, system = grown(monkeypatch, tmp_path, [ActorSystemFailure("dead"), None])
    system.turns = 0
    assert made.snapshot(10 * LISTEN_S) is None
    assert 10 <= system.turns <= 11


def test_a_tree_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for last, why in (
        (BootFailed(1, "no_ledger", "Traceback"), "no_ledger\nTraceback"),
        (Ended(1, "broken"), "broken"),
    ):
        made, _ = sapling(monkeypatch, tmp_path, [Born(1, ME), last])
        with pytest.raises(NodeError, match=why):
            made.grow(bool)
    made, _ = sapling(monkeypatch, tmp_path, [])
    with pytest.raises(NodeError, match="did not answer in time"):
        made.grow(bool)


def test_a_tree_that_is_not_complete_is_not_asked_to_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made, system = sapling(monkeypatch, tmp_path, [Born(1, ME)])
    made.grow(lambda: True)
    asked = len(system.asked)
    made.stop(60.0)
    assert len(system.asked) == asked
    assert not made.is_gone()
