"""Stop processes for good, and know it: politely, then by force, then look again."""

from __future__ import annotations

import fcntl
import signal
from typing import TYPE_CHECKING

from cli import processes
from cli.patience import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cli.processes import Process

_KILL_TIMEOUT_S = 5.0


def is_locked(lock_file: Path) -> bool:
    """Return whether a live process holds the node's lock; a killed node holds none."""
    try:
        with lock_file.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def stop(family: Iterable[Process], timeout_s: float) -> list[Process]:
    """End a family of processes: SIGTERM for the eldest, SIGKILL for what is left.

    Args:
        family: The processes, the eldest first; it is expected to end the others itself.
        timeout_s: How long it may take for that.

    Returns:
        Those that still live, which no signal can end.
    """
    whole = list(family)
    processes.signal_all(whole[:1], signal.SIGTERM)
    if wait_until(lambda: not processes.alive(whole), timeout_s):
        return []
    return kill(whole)


def kill(family: Iterable[Process]) -> list[Process]:
    """Send SIGKILL to processes and return those that still live some seconds later."""
    whole = list(family)
    processes.signal_all(whole, signal.SIGKILL)
    wait_until(lambda: not processes.alive(whole), _KILL_TIMEOUT_S)
    return processes.alive(whole)
