"""Stacks of processes that answer nobody: what a process does now, seen from outside.

Each process of the tree keeps a nameless file in memory, into which the interpreter itself writes
the stacks of all threads when a signal arrives, also in the middle of an endless loop. Whoever may
look at the process reads that file through ``/proc``. It is gone with the process, and nothing is
spent on it before somebody asks. A stopped process runs no code, that of a signal included.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import os
import select
import signal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from supervision.inspection.procfs import look_at

if TYPE_CHECKING:
    from supervision.clock import Clock

SIGNAL = signal.SIGUSR2
LIMIT_S = 0.3
POLL_S = 0.005
MOST_BYTES = 64 * 1024
FORK = "/multiprocessing/popen_fork.py"
NO_FRAME = "<no Python frame>"
_NAME = "bidwright-stack-"
_held: list[int] = []  # this process's file; after a fork at first its parent's


class Stack(NamedTuple):
    """What was found.

    Attributes:
        text: The stacks of all threads, the one that runs Python last; ``None`` if there are none.
        error: Why not.
    """

    text: str | None
    error: str | None = None


def offer_stack() -> None:
    """Let this process's stack be seen from now on; after a fork, to be called again."""
    descriptor = os.memfd_create(f"{_NAME}{os.getpid()}")
    # Each dump goes to the end of what whoever asks has left there: nothing.
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
    # What was inherited over a fork counts as registered though Thespian has its own handler now.
    faulthandler.unregister(SIGNAL)
    faulthandler.register(SIGNAL, descriptor, all_threads=True, chain=False)
    while _held:
        with contextlib.suppress(OSError):
            os.close(_held.pop())
    _held.append(descriptor)


def stack_of(pid: int, clock: Clock, limit_s: float = LIMIT_S) -> Stack:
    """Return what the process ``pid`` does now; takes ``limit_s`` at most."""
    facts = look_at(pid)
    if facts is None:
        return Stack(None, f"there is no process {pid}")
    if facts.is_stopped:
        return Stack(None, f"the process is {facts.os_state}: none of its code runs")
    place = _file_of(pid)
    if place is None or not facts.catches & 1 << (SIGNAL - 1):
        return Stack(None, "this process does not show its stack (yet)")
    with contextlib.suppress(OSError), place.open("r+b", buffering=0) as file:
        file.truncate(0)
        os.kill(pid, SIGNAL)
        text = _read_when_whole(file.fileno(), clock, clock() + limit_s)
        if text:
            return Stack(_own_part(text))
    return Stack(None, f"the process ({facts.os_state}) did not react within {limit_s} s")


def _own_part(text: str) -> str:
    """Leave out idle threads, and what lies below the fork: that is what the parents did."""
    kept = []
    for thread in text.strip().split("\n\n"):
        if NO_FRAME not in thread:
            lines = thread.splitlines()
            fork = next((n for n, line in enumerate(lines) if FORK in line), len(lines))
            kept.append("\n".join(lines[:fork]))
    return "\n\n".join(kept) or text


def _file_of(pid: int) -> Path | None:
    with contextlib.suppress(OSError):
        for place in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if f"memfd:{_NAME}{pid} " in f"{place.readlink()} ":
                    return place
    return None


def _read_when_whole(descriptor: int, clock: Clock, deadline_s: float) -> str:
    """Read the dump once it has stopped growing; what there is of it when time is up."""
    size = 0
    while clock() < deadline_s:
        select.select([], [], [], POLL_S)
        now = os.fstat(descriptor).st_size
        if now and now == size:
            break
        size = now
    return os.pread(descriptor, MOST_BYTES, 0).decode(errors="replace")
