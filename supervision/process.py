"""Processes under a supervisor: what parent and child say, and the keeper that watches over them.

Thespian starts the processes and carries the messages; what it does not do (notes in
docs/SEMANTICS.md, "Processes") is done here. A process dies with its parent. Its end is seen
through a pidfd, never through an exit notice alone. It answers a heartbeat from its own loop, and
is killed when it does not. News carry the incarnation's number, so that late or double ones do no
harm.
"""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any, Protocol

from thespian.actors import ActorAddress, ThespianWatch, WakeupMessage, WatchMessage

from supervision.actor import LightActor
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted, Reason

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from supervision.ref import Ref, Timer
    from supervision.specs import ChildSpec

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LAST_WORDS_S = 0.05
"""How long a clean exit may precede the message that explains it."""
GONE = "gone"
FATAL_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """The patience of a keeper, in seconds."""

    heartbeat_s: float = 0.2
    hang_s: float = 2.0
    ready_timeout_s: float = 15.0


# -- what parent and child say


@dataclass(frozen=True, slots=True)
class Boot:
    """Parent to child: be this."""

    spec: ChildSpec
    path: str
    number: int
    settings: ProcessSettings
    reporter: Any = None
    watchdog_pid: int | None = None
    """Set for the topmost process only: whose death ends the whole process group."""


@dataclass(frozen=True, slots=True)
class Booted:
    """Child to parent: I am ready, and this is what I look like inside."""

    number: int
    pid: int
    snapshot: dict[str, Any]
    info: Any = None


@dataclass(frozen=True, slots=True)
class BootFailed:
    """Child to parent: I could not start (or, with ``declined``, did not want to)."""

    number: int
    reason: Reason
    detail: str = ""
    declined: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """Parent to child: end politely."""

    number: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Ended:
    """Child to parent: my last words."""

    number: int
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """Parent to child: are you there?"""

    number: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Child to parent: yes, and this is what I look like inside."""

    number: int
    snapshot: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's wish for the actor at ``path`` below the receiver.

    The operation is ``kill``, ``suspend`` or ``resume``. The first receiver notes in ``reply_to``
    whom it came from.
    """

    number: int
    path: tuple[str, ...]
    operation: str
    reply_to: ActorAddress | None = None


@dataclass(frozen=True, slots=True)
class OrderDone:
    """What became of an :class:`Order`; ``error`` is empty if it was done."""

    number: int
    error: str = ""


# -- hardening


def guard_process() -> None:
    """Make this process die with its parent, and of its own memory faults, as a process should.

    Thespian installs a Python handler for every signal; a fault would then repeat for ever instead
    of killing.
    """
    for number in FATAL_SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    parent = parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)  # the parent died between the fork and the line above


def become_subreaper() -> None:
    """Inherit the orphans among one's descendants, so that none escapes."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, int(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed; this needs Linux")


def exit_reason(code: int | None) -> Reason:
    """Return the reason that stands for a process's exit code (negative: the signal's number)."""
    if code is None or code == -signal.SIGKILL:
        return "killed"
    return f"exit:{code}" if code >= 0 else f"signal:{signal.Signals(-code).name}"


# -- the keeper


class Forker(Protocol):
    """The Thespian side of a host, as its keeper needs it."""

    def fork(self) -> tuple[ActorAddress, BaseProcess]:
        """Make a process; return its address and its handle."""

    def tell(self, address: ActorAddress, message: Any) -> None:
        """Send by Thespian's transport."""


@dataclass(eq=False, slots=True)
class ProcessRecord:
    """One incarnation of a process child, as its keeper knows it.

    Attributes:
        supervisor: Who hears of it; ``None`` for the topmost process, which the watchdog keeps.
        snapshot: What it last said it looks like inside.
        last_words: Its own account of its end, once it has given one.
        verdict: Why its keeper killed it, if it did.
    """

    number: int
    pid: int
    pidfd: int
    process: BaseProcess | None
    address: ActorAddress
    supervisor: Ref | None
    spec: ChildSpec
    path: str
    heard_s: float
    booted: bool = False
    snapshot: dict[str, Any] = field(default_factory=dict)
    last_words: Ended | BootFailed | None = None
    verdict: Reason | None = None
    ready_timer: Timer | None = None


class Keeper(LightActor):
    """Starts, watches, and ends the process children of all supervisors in this cell.

    Args:
        forker: The way to Thespian.
        settings: Heartbeat interval and patience.
        reporter: Makes a reporter; handed to the children for their own reports.
        watchdog_pid: The process outside the tree that rebuilds it, watched by the topmost process.
    """

    def __init__(
        self,
        forker: Forker,
        settings: ProcessSettings,
        reporter: Any = None,
        watchdog_pid: int | None = None,
    ) -> None:
        super().__init__()
        self._forker = forker
        self._settings = settings
        self._reporter = reporter
        self._watchdog = os.pidfd_open(watchdog_pid) if watchdog_pid is not None else None
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

    def start_process(self, supervisor: Ref, spec: ChildSpec, path: str) -> ProcessRecord:
        """Fork a process and tell it what to be; news of it go to ``supervisor``."""
        address, process = self._forker.fork()
        assert process.pid is not None
        number = next(self._numbers)
        record = ProcessRecord(
            number=number,
            pid=process.pid,
            pidfd=os.pidfd_open(process.pid),
            process=process,
            address=address,
            supervisor=supervisor,
            spec=spec,
            path=path,
            heard_s=self.cell.clock(),
        )
        self.records[number] = record
        record.ready_timer = self.wake_after(self._settings.ready_timeout_s, record)
        self._forker.tell(address, Boot(spec, path, number, self._settings, self._reporter))
        self.send(self._myRef, "watch")
        return record

    def stop_process(self, child: ProcessRecord, reason: Reason) -> None:
        """Ask the process to end; its supervisor sets the limit."""
        self._forker.tell(child.address, Halt(child.number, reason))

    def kill_process(self, child: ProcessRecord, reason: Reason = "killed") -> None:
        """End the process at once; ``reason`` is what its exit will be reported with."""
        if child.verdict is None:
            child.verdict = reason
        signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)

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
        # Who was kept from running cannot tell whether the others were silent.
        was_awake = now_s - self._beat_s < 3 * self._settings.heartbeat_s
        self._beat_s = now_s
        for record in self.records.values():
            if not record.booted or record.verdict is not None:
                continue
            if was_awake and now_s - record.heard_s > self._settings.hang_s:
                self.kill_process(record, "hung")
            else:
                self._forker.tell(record.address, Ping(record.number))

    def _gone(self, pidfd: int) -> None:
        """The process is dead; wait a moment for its last words if it left in good order."""
        if pidfd == self._watchdog:
            os.killpg(
                0, signal.SIGKILL
            )  # nobody is left to rebuild this node: take all of it along
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
        # Closed in a later turn: a number that is free while it is still watched would confuse old
        # and new.
        self.send(self._myRef, record)
        self._cancel_ready_timer(record)
        words = record.last_words
        detail = words.detail if words is not None else ""
        final = words.reason if words is not None else reason
        self._tell(record, self._news(record, final, detail))

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
