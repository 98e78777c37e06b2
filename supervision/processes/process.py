"""Processes under a supervisor: what parent and child say, and what Linux is asked to do for them.

News carry the incarnation's number, so that late or double ones do no harm. A process dies with its
parent; what outlives its parent all the same (a subprocess that a worker started) is inherited by a
subreaper and killed there. See docs/SEMANTICS.md, "Processes".
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from dataclasses import dataclass, field
from math import inf
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thespian.system import multiprocCommon

if TYPE_CHECKING:
    from thespian.actors import ActorAddress

    from supervision.messages import Reason
    from supervision.specs import ChildSpec

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FATAL_SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT)


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """The patience of a keeper, in seconds."""

    heartbeat_s: float = 0.2
    hang_s: float = 2.0
    ready_timeout_s: float = 15.0
    kills_hung: bool = True
    """Whether silence is punished; off only to see what hangs then."""


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
    args: tuple[Any, ...] = ()
    """A dynamic child's own arguments."""


@dataclass(frozen=True, slots=True)
class Born:
    """The topmost process to the watchdog: I exist, and begin to make what I am to be."""

    number: int
    pid: int


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

    The operations stand in ``supervision.inspection.desk``; ``args`` and what comes back are plain
    data. The first receiver notes in ``reply_to`` whom it came from. Who gave it waits until
    ``expires_s`` on the machine's monotonic clock; after that nobody carries it out any more.
    """

    number: int
    path: tuple[str, ...]
    operation: str
    args: dict[str, Any] = field(default_factory=dict)
    reply_to: ActorAddress | None = None
    expires_s: float = inf


@dataclass(frozen=True, slots=True)
class OrderDone:
    """What became of an :class:`Order`; ``error`` is empty if it was done."""

    number: int
    error: str = ""
    result: dict[str, Any] = field(default_factory=dict)


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


def guard_logger() -> None:
    """Make the process that Thespian's administrator starts for its log die with it, too.

    It is no actor, so no host guards it; left over, it would hold our control socket and lock.
    """
    start_logger = multiprocCommon.startupASLogger
    if getattr(start_logger, "is_guarded", False):
        return

    def start_guarded(*args: Any) -> None:
        guard_process()
        start_logger(*args)

    start_guarded.is_guarded = True  # type: ignore[attr-defined]
    multiprocCommon.startupASLogger = start_guarded


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
    if code >= 0:
        return f"exit:{code}"
    named = -code in signal.Signals.__members__.values()
    return f"signal:{signal.Signals(-code).name if named else -code}"


def kill_by(pidfd: int) -> None:
    """SIGKILL the process of ``pidfd``; harmless when it is dead and collected already."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def children_of(pid: int) -> list[int]:
    """Return the pids of the children of ``pid``, zombies included; none if it is gone."""
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_text().split())
    return found


def kill_descendants(*, but: frozenset[int] = frozenset()) -> bool:
    """SIGKILL all descendants of this process and collect those that are its children.

    Args:
        but: Children that are left alone, with all below them.

    Returns:
        Whether there were any: what dies may leave orphans, so ask again.
    """
    doomed = [pid for pid in children_of(os.getpid()) if pid not in but]
    own = tuple(doomed)
    for pid in doomed:  # grows while it is walked: children, grandchildren and so on
        doomed += children_of(pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    for pid in own:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return bool(doomed)
