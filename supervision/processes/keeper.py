"""The keeper: watches over the process children of all supervisors of one cell.

Thespian starts the processes and carries the messages; what it does not do is done here. The end
of a process is seen through a pidfd, never through an exit notice. It has to answer a heartbeat,
and is killed when it does not. Orphans that a dead child left behind are killed, too.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from thespian.actors import ActorAddress, ThespianWatch, WakeupMessage, WatchMessage

from supervision.actor import LightActor
from supervision.errors import StartError
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted, Reason
from supervision.processes.process import (
    Boot,
    Booted,
    BootFailed,
    Ended,
    Halt,
    Ping,
    Pong,
    ProcessSettings,
    exit_reason,
    kill_by,
    kill_descendants,
)

if TYPE_CHECKING:
    from supervision.ref import Ref, Timer
    from supervision.specs import ChildSpec

LAST_WORDS_S = 0.2
"""How long an exit in good order may precede the message that explains it."""
GONE = "gone"


class ProcessHandle(Protocol):
    """What is needed of a ``multiprocessing`` process."""

    @property
    def pid(self) -> int | None:
        """Its number."""

    @property
    def exitcode(self) -> int | None:
        """How it ended, negative for a signal; collects the zombie."""


class Forker(Protocol):
    """The Thespian side of a host, as its keeper needs it."""

    def fork(self) -> tuple[ActorAddress, ProcessHandle]:
        """Make a process; return its address and its handle.

        Raises:
            OSError: The system gives no process.
        """

    def tell(self, address: ActorAddress, message: Any) -> None:
        """Send by Thespian's transport."""


@dataclass(eq=False, slots=True)
class ProcessRecord:
    """One incarnation of a process child, as its keeper knows it.

    Attributes:
        supervisor: Who hears of it; ``None`` for the topmost process, which the watchdog keeps.
        heard_s: When it last said anything.
        asked_s: When it was last asked whether it lives, if it has not answered since.
        snapshot: What it last said it looks like inside.
        last_words: Its own account of its end, once it has given one.
        verdict: Why its keeper killed it, if it did.
        ended: Its end has been told.
        process: Collects the zombie; ``None`` after its end, and for the topmost process.
    """

    number: int
    pid: int
    pidfd: int
    process: ProcessHandle | None
    address: ActorAddress
    supervisor: Ref | None
    spec: ChildSpec
    path: str
    heard_s: float
    asked_s: float | None = None
    booted: bool = False
    snapshot: dict[str, Any] = field(default_factory=dict)
    last_words: Ended | BootFailed | None = None
    verdict: Reason | None = None
    ready_timer: Timer | None = None
    ended: bool = False


class Keeper(LightActor):
    """Starts, watches, and ends the process children of all supervisors in this cell.

    Args:
        forker: The way to Thespian.
        settings: Heartbeat interval and patience.
        reporter: Makes a reporter; handed to the children for their own reports.
        watchdog_pid: The process outside the tree that rebuilds it, watched by the topmost process.
        reaps_orphans: This process has no children of its own but the keeper's, and is a subreaper:
            whatever else turns up among its children was left behind by the dead.

    Raises:
        ProcessLookupError: There is no watchdog any more.
    """

    def __init__(
        self,
        forker: Forker,
        settings: ProcessSettings,
        reporter: Any = None,
        watchdog_pid: int | None = None,
        *,
        reaps_orphans: bool = False,
    ) -> None:
        super().__init__()
        self._forker = forker
        self._settings = settings
        self._reporter = reporter
        self._watchdog = os.pidfd_open(watchdog_pid) if watchdog_pid is not None else None
        self._reaps_orphans = reaps_orphans
        self._numbers = count(1)
        self._beat_s = 0.0
        self.records: dict[int, ProcessRecord] = {}

    def on_start(self) -> ThespianWatch:
        """Begin to send heartbeats."""
        self._beat_s = self.cell.clock()
        self.wake_after(self._settings.heartbeat_s, "beat")
        return self._watch()

    def deliver(self, message: Any) -> None:
        """Take a message that came by Thespian's transport."""
        self._myRef.signal(message)

    # -- the supervisors' port

    def start_process(
        self, supervisor: Ref, spec: ChildSpec, path: str, args: tuple[Any, ...] = ()
    ) -> ProcessRecord:
        """Fork a process and tell it what to be; news of it go to ``supervisor``.

        Args:
            supervisor: Who hears of it.
            spec: What it is to be.
            path: Its name in the tree.
            args: Further arguments of its factory: those of a dynamic child.

        Raises:
            StartError: The system gives no process or no descriptor.
        """
        address, process, pid, pidfd = self._forked(path)
        number = next(self._numbers)
        record = ProcessRecord(
            number=number,
            pid=pid,
            pidfd=pidfd,
            process=process,
            address=address,
            supervisor=supervisor,
            spec=spec.once_started(),
            path=path,
            heard_s=self.cell.clock(),
        )
        self.records[number] = record
        record.ready_timer = self.wake_after(self._settings.ready_timeout_s, record)
        boot = Boot(spec, path, number, self._settings, self._reporter, args=args)
        self._forker.tell(address, boot)
        self.send(self._myRef, "watch")
        return record

    def _forked(self, path: str) -> tuple[ActorAddress, ProcessHandle, int, int]:
        try:
            address, process = self._forker.fork()
        except OSError as error:
            raise StartError("no_process", f"no process for {path}: {error}") from error
        pid = process.pid
        assert pid is not None
        try:
            return address, process, pid, os.pidfd_open(pid)
        except OSError as error:
            os.kill(pid, signal.SIGKILL)  # nobody could watch over it
            raise StartError("no_pidfd", f"cannot watch {path}: {error}") from error

    def stop_process(self, child: ProcessRecord, reason: Reason) -> None:
        """Ask the process to end; its supervisor sets the limit."""
        if child.number in self.records:
            self._forker.tell(child.address, Halt(child.number, reason))

    def kill_process(self, child: ProcessRecord, reason: Reason = "killed") -> None:
        """End the process at once; ``reason`` is what its exit will be reported with.

        One whose end has been told already is left alone: its descriptor may be another's by now.
        """
        if child.number not in self.records:
            return
        if child.verdict is None:
            child.verdict = reason
        kill_by(child.pidfd)

    # -- events

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        """Take news from children, readable pidfds and timers."""
        match message:
            case WatchMessage():
                for fd in message.ready:
                    self._gone(fd)
            case WakeupMessage():
                self._woken(message.payload)
            case ProcessRecord():
                os.close(message.pidfd)
            case Booted() | BootFailed() | Ended() | Pong():
                record = self.records.get(message.number)
                if record is not None:
                    self._heard(record, message)
            case _:
                pass  # Thespian's own notices: the pidfds tell the same, and never lose one
        return self._watch()

    def _watch(self) -> ThespianWatch:
        live = [record.pidfd for record in self.records.values() if record.verdict != GONE]
        return ThespianWatch(live if self._watchdog is None else [*live, self._watchdog])

    def _heard(self, record: ProcessRecord, message: Any) -> None:
        record.heard_s = self.cell.clock()
        record.asked_s = None
        match message:
            case Booted(_, _, snapshot, info):
                record.booted = True
                record.snapshot = snapshot
                self._cancel_ready_timer(record)
                self._tell(record, ChildStarted(record, info))
            case Pong(_, snapshot):
                record.snapshot = snapshot
            case _:
                record.last_words = message
                if record.verdict == GONE:
                    self._bury(record, message.reason)

    def _woken(self, payload: Any) -> None:
        if isinstance(payload, ProcessRecord):
            if payload.number in self.records and not payload.booted:
                self.kill_process(payload, "start_timeout")
        elif isinstance(payload, tuple):
            self._bury(*payload)
        else:
            self._beat()
            self.wake_after(self._settings.heartbeat_s, "beat")

    def _beat(self) -> None:
        """Ask all whether they live, and kill those that have not answered for too long."""
        now_s = self.cell.clock()
        # Who was kept from running cannot tell whether the others were silent: all begin anew.
        was_awake = now_s - self._beat_s < 3 * self._settings.heartbeat_s
        self._beat_s = now_s
        for record in self.records.values():
            if not record.booted or record.verdict is not None:
                continue
            if not was_awake:
                record.heard_s = now_s
            if self._settings.kills_hung and now_s - record.heard_s > self._settings.hang_s:
                self.kill_process(record, "hung")
            elif self._is_worth_asking(record, now_s):
                record.asked_s = now_s
                self._forker.tell(record.address, Ping(record.number))
        self._sweep()

    def _is_worth_asking(self, record: ProcessRecord, now_s: float) -> bool:
        """Not while a question is open: the hung would fill the transport that all share."""
        return record.asked_s is None or now_s - record.asked_s >= self._settings.hang_s / 2

    def _gone(self, pidfd: int) -> None:
        """The process is dead; wait a moment for its last words if it left in good order."""
        if pidfd == self._watchdog:
            end_the_tree()
        record = next((r for r in self.records.values() if r.pidfd == pidfd), None)
        if record is None or record.verdict == GONE:
            return
        code = record.process.exitcode if record.process is not None else None
        reason = record.verdict or exit_reason(code)
        in_good_order = code is not None and code >= 0
        if record.last_words is not None or not in_good_order:
            self._bury(record, reason)
        else:
            record.verdict = GONE
            self.wake_after(LAST_WORDS_S, (record, reason))

    def _bury(self, record: ProcessRecord, reason: Reason) -> None:
        if self.records.pop(record.number, None) is None:
            return
        record.ended = True
        record.process = None  # it has descriptors of its own, and others may keep the record
        # Closed in a later turn: a number that is free while it is still watched would confuse old
        # and new.
        self.send(self._myRef, record)
        self._cancel_ready_timer(record)
        words = record.last_words
        detail = words.detail if words is not None else ""
        final = words.reason if words is not None else reason
        self._sweep()
        self._tell(record, self._news(record, final, detail))

    def _sweep(self) -> None:
        """Kill what the dead have left behind; what is left after that is met at the next beat."""
        if self._reaps_orphans:
            kill_descendants(but=frozenset(record.pid for record in self.records.values()))

    def _tell(self, record: ProcessRecord, news: Any) -> None:
        if record.supervisor is not None:
            record.supervisor.signal(news, self._myRef)

    @staticmethod
    def _news(record: ProcessRecord, reason: Reason, detail: str) -> Any:
        if record.booted:
            return ChildExited(record, reason, detail)
        if isinstance(record.last_words, BootFailed) and record.last_words.declined:
            return ChildDeclined(record)
        return ChildFailed(record, reason, detail)

    @staticmethod
    def _cancel_ready_timer(record: ProcessRecord) -> None:
        if record.ready_timer is not None:
            record.ready_timer.cancel()
            record.ready_timer = None


def end_the_tree() -> None:
    """Nobody is left to rebuild this node: take all of it along, this process included."""
    kill_descendants()
    os.killpg(0, signal.SIGKILL)
