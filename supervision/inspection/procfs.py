"""What Linux knows of a process, whether it answers or not: read from ``/proc``, never asked."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "waiting for a disk",
    "T": "stopped",
    "t": "stopped by a debugger",
    "Z": "dead, not yet collected",
    "X": "dead",
    "I": "idle",
}
DEEPEST = 64
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class ProcessFacts(NamedTuple):
    """One look at a process.

    Attributes:
        pid: Its number.
        cpu_s: Processor time it has used, seconds.
        rss_bytes: Memory it holds.
        threads: How many it has.
        fds: Open descriptors; ``None`` if we may not look.
        os_state: What it does, in words.
        parent: The process that it is a child of.
        catches: Bit mask of the signals that it handles.
    """

    pid: int
    cpu_s: float
    rss_bytes: int
    threads: int
    fds: int | None
    os_state: str
    parent: int
    catches: int

    def as_data(self) -> dict[str, int | float | str | None]:
        """Return what operators are shown."""
        return {
            "pid": self.pid,
            "cpu_s": self.cpu_s,
            "rss_bytes": self.rss_bytes,
            "threads": self.threads,
            "fds": self.fds,
            "os_state": self.os_state,
        }

    @property
    def is_stopped(self) -> bool:
        """Whether none of its code runs until somebody lets it go on."""
        return self.os_state in (STATES["T"], STATES["t"])


def look_at(pid: int) -> ProcessFacts | None:
    """Return what is known of ``pid``; ``None`` if there is no such process."""
    folder = Path(f"/proc/{pid}")
    fields = _stat_of(pid)
    try:
        status = (folder / "status").read_text()
    except OSError:
        return None
    if not fields:
        return None
    return ProcessFacts(
        pid=pid,
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        rss_bytes=int(fields[21]) * _PAGE_BYTES,
        threads=int(fields[17]),
        fds=_count(folder / "fd"),
        os_state=STATES.get(fields[0], fields[0]),
        parent=int(fields[1]),
        catches=_caught(status),
    )


def descends(pid: int, ancestor: int) -> bool:
    """Tell whether ``pid`` is a live descendant of ``ancestor``, and no stranger of that number."""
    for _ in range(DEEPEST):
        fields = _stat_of(pid)
        if not fields or pid <= 1:
            return False
        pid = int(fields[1])
        if pid == ancestor:
            return True
    return False


def _stat_of(pid: int) -> list[str]:
    """Return the fields of a process from its state on; none if it is gone."""
    try:
        # The name of the program stands in parentheses and may contain anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _count(folder: Path) -> int | None:
    try:
        return len(os.listdir(folder))  # noqa: PTH208 - ten times quicker than a list of paths
    except OSError:
        return None


def _caught(status: str) -> int:
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return int(line.split()[1], 16)
    return 0
