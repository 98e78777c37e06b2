"""The keeper of processes: cheap real children, virtual time, Thespian played by hand."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import ActorAddress

from supervision import ChildSpec, Start
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted
from supervision.processes.keeper import LAST_WORDS_S, Keeper, ProcessRecord
from supervision.processes.process import (
    Boot,
    Booted,
    BootFailed,
    Ended,
    Halt,
    Ping,
    Pong,
    ProcessSettings,
    children_of,
    exit_reason,
    kill_by,
    kill_descendants,
)
from tests.supervision.worlds import Notebook, make_cell, notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = ProcessSettings(heartbeat_s=0.2, hang_s=2.0, ready_timeout_s=15.0)
SPEC = ChildSpec("w", Start(Notebook), placement="process")


class Sleeper:
    """A process that waits for the end of its input, with the handle multiprocessing would give."""

    def __init__(self, *command: str) -> None:
        self.program = subprocess.Popen(command or ("cat",), stdin=subprocess.PIPE)
        self.pid = self.program.pid

    def leave(self) -> None:
        """Let it end in good order."""
        assert self.program.stdin is not None
        self.program.stdin.close()

    @property
    def exitcode(self) -> int | None:
        return self.program.poll()

    def wait_dead(self) -> None:
        """Return when it has died, and leave the zombie to the keeper."""
        with contextlib.suppress(ChildProcessError):  # collected already
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)


class FakeForker:
    """Makes sleepers and writes down what is told."""

    def __init__(self) -> None:
        self.command: tuple[str, ...] = ()
        self.sleepers: list[Sleeper] = []
        self.told: list[tuple[Any, Any]] = []
        self.refuses = False

    def fork(self) -> tuple[ActorAddress, Sleeper]:
        if self.refuses:
            raise OSError("no memory")
        self.sleepers.append(Sleeper(*self.command))
        return ActorAddress(f"port-{len(self.sleepers)}"), self.sleepers[-1]

    def tell(self, address: ActorAddress, message: Any) -> None:
        self.told.append((address, message))

    def said(self, kind: type) -> list[Any]:
        return [message for _, message in self.told if isinstance(message, kind)]


class World:
    """A cell with a keeper and a supervisor that takes down its news."""

    def __init__(self, *, reaps_orphans: bool = False) -> None:
        self.cell = make_cell()
        self.forker = FakeForker()
        self.keeper = Keeper(self.forker, SETTINGS, reaps_orphans=reaps_orphans)
        self.cell.spawn(lambda: self.keeper, parent=self.cell.outside, name="keeper")
        self.supervisor, self.book = notebook(self.cell)

    def start(self, *command: str) -> tuple[ProcessRecord, Sleeper]:
        self.forker.command = command
        record = self.keeper.start_process(self.supervisor, SPEC, "top/w")
        self.cell.run(0.0)
        return record, self.forker.sleepers[-1]

    def started(self, *command: str) -> tuple[ProcessRecord, Sleeper]:
        record, sleeper = self.start(*command)
        self.hear(Booted(record.number, record.pid, {"mailbox": 0}))
        self.book.got.clear()
        return record, sleeper

    def hear(self, message: Any) -> None:
        self.keeper.deliver(message)
        self.cell.run(0.0)

    def die(self, sleeper: Sleeper) -> None:
        sleeper.wait_dead()
        self.cell.run(0.0)

    def pass_time(self, seconds: float, answering: ProcessRecord | None = None) -> None:
        """Let heartbeats go by; ``answering`` gives a sign of life after each of them."""
        end_s = self.cell.clock() + seconds
        while self.cell.clock() < end_s:
            self.cell.run(min(SETTINGS.heartbeat_s, end_s - self.cell.clock()))
            if answering is not None:
                self.keeper.deliver(Pong(answering.number, {}))
        self.cell.run(0.0)

    def close(self) -> None:
        for record in self.keeper.records.values():
            os.close(record.pidfd)
        for sleeper in self.forker.sleepers:
            sleeper.leave()
            sleeper.program.kill()
            sleeper.program.wait()
        self.cell.poller.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


# -- starting ------------------------------------------------------------------------------------


def test_a_child_is_told_what_to_be_and_its_supervisor_hears_when_it_is(world: World) -> None:
    record, _ = world.start()
    (boot,) = world.forker.said(Boot)
    assert (boot.spec, boot.path, boot.number) == (SPEC, "top/w", record.number)
    assert world.book.got == []
    world.hear(Booted(record.number, record.pid, {"mailbox": 3}, info="there"))
    assert world.book.got == [ChildStarted(record, "there")]
    assert record.snapshot == {"mailbox": 3}


def test_a_dynamic_child_is_told_its_own_arguments(world: World) -> None:
    world.keeper.start_process(world.supervisor, SPEC, "top/w:1", ("h1", 2))
    (boot,) = world.forker.said(Boot)
    assert boot.args == ("h1", 2)


def test_a_handle_knows_when_the_end_has_been_told_and_holds_nothing_then(world: World) -> None:
    record, sleeper = world.started()
    had_ended = record.ended
    sleeper.program.kill()
    world.die(sleeper)
    assert (had_ended, record.ended) == (False, True)
    assert record.process is None


def test_a_child_that_is_killed_before_it_is_ready_has_failed_to_start(world: World) -> None:
    record, sleeper = world.start()
    sleeper.program.kill()
    world.die(sleeper)
    (news,) = world.book.got
    assert isinstance(news, ChildFailed)
    assert (news.address, news.reason) == (record, "killed")


def test_a_child_that_never_gets_ready_is_killed_when_its_time_is_over(world: World) -> None:
    _, sleeper = world.start()
    world.pass_time(SETTINGS.ready_timeout_s - 0.1)
    assert sleeper.exitcode is None
    world.pass_time(0.2)
    world.die(sleeper)
    (news,) = world.book.got
    assert (type(news), news.reason) == (ChildFailed, "start_timeout")


def test_a_child_that_says_why_it_cannot_start_has_failed_for_that_reason(world: World) -> None:
    record, sleeper = world.start()
    world.hear(BootFailed(record.number, "no_table", "Traceback ..."))
    sleeper.leave()
    world.die(sleeper)
    assert world.book.got == [ChildFailed(record, "no_table", "Traceback ...")]


def test_a_child_that_declines_is_no_failure(world: World) -> None:
    record, sleeper = world.start()
    world.hear(BootFailed(record.number, "ignore", declined=True))
    sleeper.leave()
    world.die(sleeper)
    assert world.book.got == [ChildDeclined(record)]


def test_a_system_without_processes_is_a_failed_start_that_names_the_child(world: World) -> None:
    world.forker.refuses = True
    with pytest.raises(Exception, match="no process for top/w: no memory") as caught:
        world.start()
    assert getattr(caught.value, "reason", None) == "no_process"
    assert world.keeper.records == {}


# -- ending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (signal.SIGKILL, "killed"),
        (signal.SIGSEGV, "signal:SIGSEGV"),
        (signal.SIGRTMIN + 3, f"signal:{signal.SIGRTMIN + 3}"),
    ],
)
def test_the_end_of_a_child_is_told_once_with_the_signal(
    world: World, number: int, reason: str
) -> None:
    record, sleeper = world.started()
    sleeper.program.send_signal(number)
    world.die(sleeper)
    world.hear(Ended(record.number, "late words"))
    world.pass_time(1.0)
    (news,) = world.book.got
    assert isinstance(news, ChildExited)
    assert (news.address, news.reason) == (record, reason)


def test_the_last_words_explain_an_end_whichever_comes_first(world: World) -> None:
    before, sleeper = world.started()
    world.hear(Ended(before.number, "ValueError: broken", "Traceback ..."))
    assert world.book.got == []  # not before it has ended
    sleeper.leave()
    world.die(sleeper)
    (news,) = world.book.got
    assert (news.reason, news.detail) == ("ValueError: broken", "Traceback ...")
    after, sleeper = world.started()
    sleeper.leave()
    world.die(sleeper)
    assert world.book.got == []  # it left in good order, so there should be words
    world.hear(Ended(after.number, "shutdown"))
    assert [news.reason for news in world.book.got] == ["shutdown"]
    assert world.keeper.records == {}


def test_an_end_that_late_words_explain_is_told_once(world: World) -> None:
    record, sleeper = world.started()
    sleeper.leave()
    world.die(sleeper)
    world.hear(Ended(record.number, "shutdown"))
    world.pass_time(2 * LAST_WORDS_S)  # the moment that was waited for words is over, too
    assert [news.reason for news in world.book.got] == ["shutdown"]


def test_a_clean_exit_without_a_word_is_told_after_a_moment(world: World) -> None:
    _, sleeper = world.started("sh", "-c", "read line; exit 3")
    sleeper.leave()
    world.die(sleeper)
    assert world.book.got == []
    world.pass_time(LAST_WORDS_S)
    (news,) = world.book.got
    assert news.reason == "exit:3"


def test_siblings_that_die_at_one_instant_are_all_told(world: World) -> None:
    family = [world.started() for _ in range(8)]
    for _, sleeper in family:
        sleeper.program.kill()
    for _, sleeper in family:
        sleeper.wait_dead()
    world.cell.run(0.0)
    assert {news.address for news in world.book.got} == {record for record, _ in family}
    assert len(world.book.got) == 8


def test_stop_asks_politely_and_kill_does_not(world: World) -> None:
    record, sleeper = world.started()
    world.keeper.stop_process(record, "shutdown")
    assert world.forker.said(Halt) == [Halt(record.number, "shutdown")]
    world.keeper.kill_process(record)
    world.die(sleeper)
    assert [news.reason for news in world.book.got] == ["killed"]


def test_what_is_dead_can_be_killed_and_stopped_again_without_harm(world: World) -> None:
    record, sleeper = world.started()
    sleeper.program.kill()
    sleeper.program.wait()  # collected before the keeper knows
    world.keeper.kill_process(record, "hung")
    world.cell.run(0.0)
    assert len(world.book.got) == 1
    reused = os.dup(0)  # may well get the number of the closed pidfd
    world.keeper.kill_process(record)
    world.keeper.stop_process(record, "shutdown")
    assert world.forker.said(Halt) == []
    os.close(reused)


def test_a_descriptor_is_kept_for_each_child_that_lives_and_none_for_the_dead(
    world: World,
) -> None:
    def descriptors() -> int:
        # The one that lists them is gone by the time it is looked at.
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return sum("pidfd" in str(link.readlink()) for link in links)

    before = descriptors()
    for _ in range(20):
        _, sleeper = world.started()
        sleeper.program.kill()
        world.die(sleeper)
    assert descriptors() == before
    assert len(world.book.got) == 1  # cleared at each start


# -- heartbeat -----------------------------------------------------------------------------------


def test_a_child_that_answers_lives_and_one_that_does_not_is_killed_as_hung(world: World) -> None:
    alive, _ = world.started()
    hung, sleeper = world.started()
    world.pass_time(SETTINGS.hang_s + 0.5, answering=alive)
    world.die(sleeper)
    (news,) = world.book.got
    assert (news.address, news.reason) == (hung, "hung")
    assert list(world.keeper.records.values()) == [alive]


def test_without_heartbeats_in_defence_the_hung_live_on_and_may_come_back(world: World) -> None:
    world.keeper._settings = replace(SETTINGS, kills_hung=False)
    record, sleeper = world.started()
    world.pass_time(5 * SETTINGS.hang_s)
    assert sleeper.exitcode is None
    assert list(world.keeper.records.values()) == [record]
    assert len(world.forker.said(Ping)) >= 5  # it is still asked, and so can answer again


def test_a_child_is_asked_again_when_it_has_answered_and_seldom_before(world: World) -> None:
    record, _ = world.started()
    world.pass_time(SETTINGS.hang_s - 0.3)
    silent = len(world.forker.said(Ping))
    assert 1 <= silent <= 3, "questions to the hung must not fill the transport"
    world.pass_time(2.0, answering=record)
    assert len(world.forker.said(Ping)) >= silent + 8


def test_a_keeper_that_was_kept_from_running_does_not_judge_by_that_time(world: World) -> None:
    record, sleeper = world.started()
    world.pass_time(1.0, answering=record)
    world.cell.clock.advance(60.0)  # type: ignore[attr-defined]
    world.pass_time(SETTINGS.hang_s - 0.5)  # the child, too, has its time to come round
    assert record.verdict is None  # a signal takes its time: that it still lives would say nothing
    assert world.keeper.records
    world.pass_time(1.0)
    world.die(sleeper)
    assert [news.reason for news in world.book.got] == ["hung"]


def test_news_of_numbers_that_nobody_has_are_ignored(world: World) -> None:
    record, _ = world.started()
    for message in (Booted(99, 1, {}), Pong(99, {}), Ended(99, "x"), "noise"):
        world.hear(message)
    assert world.book.got == []
    assert list(world.keeper.records.values()) == [record]


# -- orphans and helpers ---------------------------------------------------------------------------


def test_an_unknown_signal_has_a_reason_too() -> None:
    assert exit_reason(None) == exit_reason(-9) == "killed"
    assert exit_reason(0) == "exit:0"
    assert exit_reason(-40) == "signal:40"


def test_killing_by_the_descriptor_of_the_dead_is_harmless() -> None:
    sleeper = Sleeper()
    pidfd = os.pidfd_open(sleeper.pid)
    kill_by(pidfd)
    assert sleeper.program.wait() == -signal.SIGKILL
    kill_by(pidfd)
    os.close(pidfd)
    sleeper.leave()


def test_descendants_are_killed_down_to_the_last_but_for_those_excepted() -> None:
    spared = Sleeper()
    parent = Sleeper("sh", "-c", "sleep 60 & sleep 60 & wait")
    while len(children_of(parent.pid)) < 2:
        os.sched_yield()
    grandchildren = [os.pidfd_open(pid) for pid in children_of(parent.pid)]
    others = frozenset(children_of(os.getpid())) - {parent.pid}
    assert spared.pid in others
    assert kill_descendants(but=others)
    for pidfd in grandchildren:  # readable: it has ended
        assert select.select([pidfd], [], [], 5.0)[0]
        os.close(pidfd)
    parent.program.wait()
    parent.leave()
    assert spared.exitcode is None
    spared.leave()
    spared.program.wait()
    assert children_of(2**22 + 1) == []
