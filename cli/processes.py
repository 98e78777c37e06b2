"""Which processes live: named by pid and start time, because pids are used again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATE_FIELD = 0
_START_FIELD = 19
_DEAD_STATES = frozenset("ZXx")


class Process(NamedTuple):
    """One process: its pid, and when it started in ticks since boot."""

    pid: int
    started_ticks: int


def find(pid: int) -> Process | None:
    """Return the live process with this pid; None when there is none, or only its zombie."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    # The name stands in parentheses and may itself hold some; the fields start after the last.
    fields = line.rpartition(")")[2].split()
    if fields[_STATE_FIELD] in _DEAD_STATES:
        return None
    return Process(pid, int(fields[_START_FIELD]))


def alive(processes: Iterable[Process]) -> list[Process]:
    """Return those that still live."""
    return [process for process in processes if find(process.pid) == process]


def signal_all(processes: Iterable[Process], number: int) -> None:
    """Send a signal to those that still live."""
    for process in alive(processes):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def descendants(pid: int) -> list[Process]:
    """Return the live process with this pid and all that descend from it, the eldest first."""
    import psutil

    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [found for each in family if (found := find(each.pid)) is not None]
