"""The guard of a sandbox: takes its node down when whoever started it is gone.

It is a process of its own, holding one end of a pipe. An end of the pipe without a word means that
the controller was killed; "done" means that it has cleaned up itself.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cli import processes
from cli.stop import kill, stop

if TYPE_CHECKING:
    from cli.chaos.target import Target

DONE = b"done"
EXCHANGE_MARK = "CHAOS_EXCHANGE_OF"
"""In the environment of an exchange: the data folder of the node that it plays against."""
_STOP_LIMIT_S = 10.0


class Guard:
    """Our end of a guard.

    Args:
        target: The node to take down.
        folder: What to remove then.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        command = [sys.executable, "-m", "cli.chaos.guard", str(target.data_dir), str(folder)]
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the guard's process."""
        return self._process.pid

    def release(self) -> None:
        """Tell the guard that there is nothing left to do; returns when it has gone."""
        self._process.communicate(DONE)


def marked(name: str, value: str) -> list[int]:
    """Return the pids of all live processes that have ``name`` = ``value`` in their environment."""
    import psutil

    found = []
    for process in psutil.process_iter():
        try:
            bears = process.environ().get(name) == value
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue
        if bears and processes.find(process.pid) is not None:
            found.append(process.pid)
    return found


def main(data_dir: Path, folder: Path, word: bytes) -> None:
    """Take the node down and remove its folder, unless the last word was "done"."""
    from cli.chaos.target import Target

    if word == DONE:
        return
    target = Target(data_dir, own=True)
    family = target.family()
    stop(family, _STOP_LIMIT_S)
    exchanges = [processes.find(pid) for pid in marked(EXCHANGE_MARK, str(data_dir))]
    kill([process for process in exchanges if process is not None])
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.stdin.buffer.read())
