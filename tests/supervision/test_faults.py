"""Faults inside a process, in virtual time: they strike as told, survive restarts, and end."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from config import fault_points
from supervision import (
    Cell,
    ChildSpec,
    Down,
    LightActor,
    Ref,
    Start,
    Supervisor,
    SupervisorFlags,
)
from supervision.errors import FaultRefusedError, OrderError
from supervision.faults import taps as faults_taps
from supervision.faults.catalog import KINDS, read_request
from supervision.inspection import desk
from tests.supervision.worlds import Notebook, make_cell, notebook
from transport.memory import MemoryHub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from supervision.messages import Report
    from transport.faults import Link
    from transport.frames import ServerLink


class World:
    """A cell with one supervised notebook at ``top/a`` and somebody who writes to it."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.faults: list[Report] = []
        self.cell = make_cell(reports=self.reports, progress=self.faults)
        self.books: list[Notebook] = []
        self.numbers = 0
        spec = ChildSpec("a", Start(self._build), role="a")
        flags = SupervisorFlags("one_for_one", 3, 10)
        self.top = self.cell.spawn(lambda: Supervisor(flags, (spec,)), name="top")
        self.writer, self.letters = notebook(self.cell)
        self.cell.run(0.0)

    def _build(self) -> Any:
        self.books.append(Notebook())
        return self.books[-1]

    @property
    def a(self) -> Ref:
        route = self.cell.registry.route("a")
        assert route.ref is not None
        return route.ref

    def write(self, *messages: Any) -> None:
        for message in messages:
            self.writer.post(self.a, message)

    def fault(self, kind: str, ttl_s: float = 10.0, seed: int = 1, **args: Any) -> str:
        self.numbers += 1
        asked = {"kind": kind, "args": args, "ttl_s": ttl_s, "seed": seed}
        request = read_request(f"f{self.numbers}", asked, 0)
        fields = {name: getattr(request, name) for name in ("id", "kind", "args", "ttl_s", "seed")}
        desk.serve(self.cell, self.a, "fault", fields)
        return request.id

    def heal(self, identity: str) -> int:
        answer = desk.serve(self.cell, self.a, "heal", {"id": identity})
        return int(answer["healed"])

    @property
    def is_untouched(self) -> bool:
        """Whether nothing is left of any fault."""
        receive = self.a.receive
        own = self.a.actor.receiveMessage
        return receive == own and "spawn" not in vars(self.cell) and not self.a.taps

    def told(self) -> list[str]:
        return [report.context for report in self.faults if report.context.startswith("fault")]


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.cell.shutdown()
    for point in fault_points.POINTS:
        fault_points.disarm(point)


# -- actors ----------------------------------------------------------------------------------------


def test_an_actor_crashes_as_often_as_told_over_its_restarts_and_is_well_then(world: World) -> None:
    world.fault("crash", count=2)
    for message in "xyz":
        world.write(message)
        world.cell.run(0.1)
    assert [book.got for book in world.books] == [[], [], ["z"]]
    assert world.is_untouched
    crashes = [report for report in world.reports if report.context == "child_terminated"]
    assert [report.reason for report in crashes] == 2 * [
        "PlannedFaultError: crash, on purpose (f1)"
    ]
    assert world.told() == ["fault_on", "fault_off"]


def test_a_child_that_fails_to_start_makes_its_supervisor_give_up(world: World) -> None:
    world.fault("crash_on_start")
    world.cell.run(0.1)
    assert world.top.actor is None
    assert world.top.exit_reason == "shutdown"
    assert len(world.books) == 1 + 3  # the one that was killed, and each restart that is allowed


def test_a_failing_start_without_now_waits_for_the_next_start_and_ends_in_time(
    world: World,
) -> None:
    world.fault("crash_on_start", ttl_s=1.0, now=False)
    world.write("a")
    world.cell.run(2.0)
    assert world.books[0].got == ["a"]
    assert world.is_untouched
    world.cell.kill(world.a, "died")
    world.cell.run(0.1)
    assert world.top.actor is not None


def test_a_slow_actor_gets_messages_late_and_in_order_while_its_cell_goes_on(world: World) -> None:
    world.fault("slow", delay_ms=50, jitter_ms=40)
    world.write(*range(20))
    world.cell.run(0.049)
    assert world.books[0].got == []
    other, book = notebook(world.cell)
    world.writer.post(other, "x")
    world.cell.run(0.0)
    assert book.got == ["x"]
    world.cell.run(0.05)
    assert world.books[0].got == list(range(20))
    assert set(world.books[0].senders) == {world.writer}


def test_a_slow_actor_is_slow_again_after_its_restart(world: World) -> None:
    world.fault("slow", delay_ms=50)
    world.write("lost")
    world.cell.run(0.01)
    world.cell.kill(world.a, "died")
    world.cell.run(0.01)
    world.write("late")
    world.cell.run(0.04)
    assert world.books[1].got == []
    world.cell.run(0.02)
    assert [book.got for book in world.books] == [[], ["late"]]


def test_what_is_held_back_when_slowness_ends_comes_at_once_and_first(world: World) -> None:
    fault = world.fault("slow", delay_ms=5_000)
    world.write("a", "b")
    world.cell.run(0.1)
    world.write("c")
    assert world.heal(fault) == 1
    world.cell.run(0.0)
    assert world.books[0].got == ["a", "b", "c"]
    assert world.is_untouched


def test_a_slow_actor_that_is_suspended_gets_nothing_until_it_is_resumed(world: World) -> None:
    world.fault("slow", delay_ms=50)
    world.write("a")
    world.cell.run(0.01)
    world.cell.suspend(world.a)
    world.cell.run(1.0)
    assert world.books[0].got == []
    world.cell.resume(world.a)
    world.cell.run(0.1)
    assert world.books[0].got == ["a"]


def test_a_slow_actor_refuses_what_its_mailbox_would_not_hold(world: World) -> None:
    world.fault("slow", delay_ms=50)
    world.a.limit = 3
    for message in range(5):
        world.write(message)
        world.cell.run(0.0)
    world.cell.run(0.1)
    assert world.books[0].got == [0, 1, 2]
    assert world.a.dropped == 2


def test_messages_that_wait_for_a_slow_actor_are_dead_letters_when_it_dies(world: World) -> None:
    world.fault("slow", delay_ms=50)
    world.write("a", "b")
    world.cell.run(0.01)
    before = world.cell.dead_letters
    world.cell.kill(world.a, "died")
    world.cell.run(0.1)
    assert world.cell.dead_letters == before + 2


def test_whoever_waits_for_a_slow_actor_hears_of_its_death(world: World) -> None:
    world.fault("slow", delay_ms=50)
    asked = world.a
    world.writer.ask(asked, "question")
    world.cell.run(0.01)
    world.cell.kill(asked, "died")
    world.cell.run(0.0)
    assert world.letters.got == [Down(asked, "died")]


def test_a_slow_reader_of_a_descriptor_keeps_nobody_awake_and_reads_later(
    cell: Cell, pipe: tuple[int, int]
) -> None:
    class Reader(LightActor):
        def __init__(self) -> None:
            self.read: list[tuple[float, bytes]] = []

        def on_start(self) -> ThespianWatch:
            return ThespianWatch([pipe[0]])

        def receiveMessage(self, message: Any, sender: Any) -> None:
            if isinstance(message, WatchMessage):
                self.read.append((self.cell.clock(), os.read(pipe[0], 10)))

    reader = Reader()
    ref = cell.spawn(lambda: reader)
    cell.run(0.0)
    args = {"delay_ms": 50.0, "jitter_ms": 0.0}
    fault = {"id": "f1", "kind": "slow", "args": args, "ttl_s": 0.3, "seed": 1}
    desk.serve(cell, ref, "fault", fault)
    os.write(pipe[1], b"a")
    cell.run(0.2)
    os.write(pipe[1], b"b")
    cell.run(0.2)
    os.write(pipe[1], b"c")
    cell.run(0.2)
    assert reader.read == [(0.05, b"a"), (0.25, b"b"), (0.4, b"c")]
    assert ref.handled <= 4  # a readable descriptor that nobody reads does not spin


@pytest.mark.parametrize(("kind", "least", "most"), [("drop", 30, 70), ("duplicate", 130, 170)])
def test_a_share_of_the_messages_of_others_is_lost_or_doubled(
    world: World, kind: str, least: int, most: int
) -> None:
    world.fault(kind, share=0.5)
    world.write(*range(100))
    world.cell.run(0.1)
    got = world.books[0].got
    assert least < len(got) < most
    assert got == sorted(got)  # in order, a double right behind its original


def test_the_same_seed_spoils_the_same_messages() -> None:
    def lost(seed: int) -> list[int]:
        world = World()
        world.fault("drop", seed=seed, share=0.5)
        world.write(*range(50))
        world.cell.run(0.1)
        world.cell.shutdown()
        return list(world.books[0].got)

    assert lost(7) == lost(7) != lost(8)


def test_an_actors_own_timers_and_news_of_death_are_never_lost(world: World) -> None:
    world.fault("drop", share=1.0)
    world.cell.wake_after(world.a, 0.01, "tick")
    other, _book = notebook(world.cell)
    world.a.ask(other, "question")
    world.cell.kill(other, "died")
    world.cell.run(0.1)
    kinds = [type(message) for message in world.books[0].got]
    assert kinds == [Down, WakeupMessage]


def test_a_message_that_ends_the_actor_is_not_delivered_twice(world: World) -> None:
    world.fault("duplicate", share=1.0)
    ended: list[Any] = []

    def end(actor: Any) -> None:
        ended.append(actor)
        actor.stop("done")

    world.write(end)
    world.cell.run(0.1)
    assert len(ended) == 1


def test_a_flood_fills_the_mailbox_with_copies_up_to_its_bound(world: World) -> None:
    world.a.limit = 100
    world.fault("flood", count=1_000)
    world.write("a")
    world.cell.run(0.1)
    assert world.books[0].got == 101 * ["a"]
    assert world.a.dropped == 900
    assert world.is_untouched


def test_a_hang_blocks_the_process_for_its_time_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked: list[float] = []
    monkeypatch.setattr(faults_taps, "block", blocked.append)
    world.fault("hang", for_s=3)
    world.write("a", "b")
    world.cell.run(0.1)
    assert blocked == [3.0]
    assert world.books[0].got == ["a", "b"]
    assert world.is_untouched


def test_two_faults_on_one_actor_both_strike_and_end_one_by_one(world: World) -> None:
    world.fault("slow", ttl_s=1.0, delay_ms=50)
    second = world.fault("duplicate", ttl_s=2.0, share=1.0)
    world.write("a")
    world.cell.run(0.1)
    assert world.books[0].got == ["a", "a"]
    world.cell.run(1.0)
    world.write("b")
    world.cell.run(0.0)
    assert world.books[0].got == ["a", "a", "b", "b"]
    world.heal(second)
    assert world.is_untouched


def test_a_fault_ends_by_itself_and_tells_how_often_it_struck(world: World) -> None:
    world.fault("drop", ttl_s=1.5, share=1.0)
    world.write("a", "b")
    world.cell.run(1.4)
    world.write("c")
    world.cell.run(0.2)
    assert world.is_untouched
    off = world.faults[-1]
    assert (off.context, off.reason) == ("fault_off", "drop: its time was over")
    assert off.offender["hits"] == 3
    assert world.heal("f1") == 0


def test_a_fault_of_one_id_is_not_made_twice(world: World) -> None:
    world.fault("drop", share=1.0)
    world.numbers -= 1
    with pytest.raises(FaultRefusedError, match="f1 already"):
        world.fault("drop", share=1.0)


# -- links -----------------------------------------------------------------------------------------


class Parrot(LightActor):
    """Repeats what its socket hears."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub
        self._server: ServerLink | None = None

    def on_start(self) -> ThespianWatch:
        self._server = self._hub.server()
        self._server.listen("memory://parrot")
        return ThespianWatch([self._server.fileno()])

    def on_end(self) -> None:
        assert self._server is not None
        self._server.close()

    def links(self) -> Sequence[Link]:
        assert self._server is not None
        return (self._server,)

    def receiveMessage(self, message: Any, sender: Any) -> None:
        assert self._server is not None
        for received in self._server.drain(100):
            self._server.reply(received.header, received.body)


class Cage(World):
    """A world in which ``top/a`` is a parrot."""

    def __init__(self) -> None:
        self.hub = MemoryHub()
        super().__init__()
        self.client = self.hub.client()
        self.client.dial("memory://parrot")
        self.said = 0

    def _build(self) -> Any:
        return Parrot(self.hub)

    def say(self, count: int = 1) -> None:
        for _ in range(count):
            self.said += 1
            self.client.send(self.said, b"%d" % self.said)

    def heard(self, after_s: float) -> list[int]:
        self.cell.run(after_s)
        return [reply.request_id for reply in self.client.drain(1_000)]


@pytest.fixture
def cage() -> Iterator[Cage]:
    cage = Cage()
    yield cage
    cage.cell.shutdown()
    cage.client.close()


def test_frames_of_an_actors_link_are_late_and_wake_it_when_they_are_due(cage: Cage) -> None:
    cage.fault("link", delay_ms=50, direction="in")
    cage.say(3)
    assert cage.heard(0.04) == []
    assert cage.heard(0.02) == [1, 2, 3]
    cage.fault("drop", share=0.0)  # beside it
    cage.say()
    assert cage.heard(0.06) == [4]


def test_late_frames_in_both_directions_take_twice_the_time(cage: Cage) -> None:
    cage.fault("link", delay_ms=50)
    for _ in range(5):
        cage.say()
        cage.cell.run(0.015)
    assert cage.heard(0.02) == []
    assert cage.heard(0.2) == [1, 2, 3, 4, 5]


def test_a_share_of_frames_is_lost_and_then_none(cage: Cage) -> None:
    cage.fault("link", ttl_s=1.0, drop=0.5, direction="out")
    cage.say(100)
    assert 30 < len(cage.heard(0.5)) < 70
    cage.cell.run(1.0)
    cage.say(100)
    assert len(cage.heard(0.5)) == 100
    assert 30 < cage.faults[-1].offender["hits"] < 70


def test_what_a_link_held_back_comes_when_it_is_healed(cage: Cage) -> None:
    fault = cage.fault("link", delay_ms=9_000)
    cage.say(3)
    cage.cell.run(0.1)
    cage.heal(fault)
    assert cage.heard(0.0) == [1, 2, 3]


def test_the_links_of_a_successor_bear_the_fault_too(cage: Cage) -> None:
    cage.fault("link", delay_ms=50, direction="out")
    cage.cell.kill(cage.a, "died")
    cage.cell.run(0.01)
    cage.say()
    assert cage.heard(0.04) == []
    assert cage.heard(0.02) == [1]


def test_links_bear_one_fault_at_a_time_and_need_an_owner(cage: Cage, world: World) -> None:
    fault = cage.fault("link", drop=1.0)
    with pytest.raises(FaultRefusedError, match="bear a fault already"):
        cage.fault("link", delay_ms=1)
    cage.heal(fault)
    cage.fault("link", delay_ms=1)
    with pytest.raises(FaultRefusedError, match="has no links"):
        world.fault("link", drop=1.0)


# -- points ----------------------------------------------------------------------------------------


def test_a_point_fails_as_often_as_told_and_is_passed_then(world: World) -> None:
    world.fault("point", point="log.write", action="enospc", count=2)
    for _ in range(2):
        with pytest.raises(OSError, match="No space left on device"):
            fault_points.reach("log.write")
    fault_points.reach("log.write")
    assert world.told() == ["fault_on", "fault_off"]
    assert world.faults[-1].offender["hits"] == 2


def test_a_point_is_disarmed_when_its_time_is_over(world: World) -> None:
    world.fault("point", ttl_s=1.0, point="ledger.write", action="enospc")
    world.cell.run(1.1)
    fault_points.reach("ledger.write")
    assert not fault_points._armed


def test_only_the_share_that_was_asked_for_fails(world: World) -> None:
    world.fault("point", point="models.load", action="raise", share=0.3)
    failures = 0
    for _ in range(100):
        try:
            fault_points.reach("models.load")
        except fault_points.PlannedFaultError:
            failures += 1
    assert 15 < failures < 45


def test_a_point_is_not_armed_twice(world: World) -> None:
    world.fault("point", point="ledger.write", action="enospc")
    with pytest.raises(OrderError, match=r"ledger\.write is armed already"):
        world.fault("point", point="ledger.write", action="raise")
    assert world.told() == ["fault_on"]


def test_memory_runs_out_in_the_words_of_whoever_runs_there(world: World) -> None:
    world.fault("point", point="inference.batch", action="oom")
    with pytest.raises(MemoryError):
        fault_points.reach("inference.batch")
    with pytest.raises(RuntimeError, match="no room"):
        fault_points.reach("inference.batch", lambda: RuntimeError("no room"))


# -- the clock -------------------------------------------------------------------------------------


def test_the_wall_clock_jumps_and_jumps_back(world: World) -> None:
    from supervision.clock import wall_clock

    before_s = wall_clock()()
    world.fault("clock", ttl_s=1.0, by_s=3600.0)
    assert wall_clock()() - before_s >= 3600.0
    world.cell.run(1.1)
    assert wall_clock().ahead_s == 0.0


# -- what makes no sense ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"kind": "boom"}, "no fault is called 'boom'; there are crash, "),
        ({"kind": ["slow"]}, "no fault is called"),
        ({"kind": "slow"}, "delay_ms must be a number from 0 to 60000; it is missing"),
        ({"kind": "slow", "args": {"delay_ms": "1"}}, "got '1'"),
        ({"kind": "slow", "args": {"delay_ms": float("nan")}}, "must be a number"),
        ({"kind": "slow", "args": {"delay_ms": 1, "ms": 2}}, "slow takes no ms; it takes delay_ms"),
        (
            {"kind": "slow", "args": {"delay_ms": 1}, "ttl_s": 61},
            "ttl_s must be a number from 0.05",
        ),
        ({"kind": "slow", "args": {"delay_ms": 1}, "seed": 1.5}, "seed must be a whole number"),
        ({"kind": "drop", "args": {"share": 1.1}}, "share must be a number from 0 to 1"),
        ({"kind": "crash", "args": {"count": True}}, "count must be a whole number"),
        ({"kind": "crash_on_start", "args": {"now": 1}}, "now must be true or false"),
        ({"kind": "signal", "args": {"signal": "HUP"}}, "signal must be one of STOP, KILL, TERM"),
        ({"kind": "point", "args": {"point": "x", "action": "oom"}}, "point must be one of"),
        (
            {"kind": "point", "args": {"point": "ledger.write", "action": "oom"}},
            "at ledger.write the action must be one of enospc, raise, kill",
        ),
        ({"kind": "drop", "args": [1]}, "args must be a table"),
    ],
)
def test_a_request_without_sense_is_refused_with_what_would_make_some(
    asked: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(FaultRefusedError) as refused:
        read_request("f1", asked, 0)
    assert complaint in str(refused.value)


def test_a_request_is_completed_with_defaults() -> None:
    request = read_request("f1", {"kind": "crash"}, 17)
    assert (request.args, request.ttl_s, request.seed) == ({"count": 1, "share": 1.0}, 10.0, 17)


def test_every_kind_of_fault_can_be_made() -> None:
    from supervision.faults.book import MAKERS

    inside = {name for name, kind in KINDS.items() if kind.scope != "process"}
    assert set(MAKERS) == inside
