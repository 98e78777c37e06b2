"""A small tree of real processes that a test starts, hurts and looks at.

Every worker listens on ``FOLDER/<name>.sock`` (datagrams) for what it is to suffer. While there is
a file ``<name>.refuses`` it does not start; while there is ``<name>.slow`` it never gets ready.
Supervisors report into ``FOLDER/reports.jsonl``.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thespian.actors import ThespianWatch, WakeupMessage

from supervision import (
    STARTING,
    ChildSpec,
    Exit,
    LightActor,
    Report,
    Start,
    StartError,
    Supervisor,
    SupervisorFlags,
    monotonic_clock,
)
from supervision.errors import NodeError
from supervision.processes.process import ProcessSettings
from supervision.processes.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = ProcessSettings(heartbeat_s=0.1, hang_s=1.0, ready_timeout_s=5.0)


class Sufferer(LightActor):
    """Does what it is told over its socket, and writes its life into ``FOLDER/<name>.log``."""

    def __init__(self, folder: str, name: str) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.name = name
        self.handled = 0

    def on_start(self) -> Any:
        if (self.folder / f"{self.name}.refuses").exists():
            raise StartError("refused")
        if (self.folder / f"{self.name}.slow").exists():
            self.note("slow")
            return STARTING
        path = self.folder / f"{self.name}.sock"
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.note("start")
        return ThespianWatch([self.socket.fileno()])

    def on_stop(self, reason: Any) -> None:
        self.note("stop")

    def note(self, what: str) -> None:
        with (self.folder / "life.log").open("a") as log:
            log.write(f"{what} {self.name} {os.getpid()}\n")

    def describe(self) -> dict[str, Any]:
        return {"handled": self.handled}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            self.wake_after(0.0)
            return
        order = self.socket.recv(64).decode()
        self.handled += 1
        self.note(order)
        if order == "fork":
            for own_session in (False, True):
                subprocess.Popen(["sleep", "600"], start_new_session=own_session)
        else:
            self.suffer(order)

    def suffer(self, order: str) -> None:
        match order:
            case "count":
                pass  # it has been
            case "raise":
                raise ValueError("as told")
            case "fault":
                ctypes.string_at(0)
            case "leave":
                raise Exit("normal")
            case "spin":
                self.wake_after(0.0)
            case "loop":
                while True:
                    pass
            case _:
                raise AssertionError(order)


class Reports:
    """Writes down what supervisors report; one line each, whatever process it comes from."""

    def __init__(self, folder: str) -> None:
        self.path = Path(folder) / "reports.jsonl"

    def __call__(self, _path: str) -> Callable[[Report], None]:
        return self.write

    def write(self, report: Report) -> None:
        offender = report.offender
        words = [report.context, report.reason, offender.get("id"), offender.get("pid")]
        with self.path.open("a") as file:
            file.write(json.dumps(words, default=str) + "\n")


def supervisor(strategy: str, specs: tuple[ChildSpec, ...]) -> Supervisor:
    return Supervisor(SupervisorFlags(strategy, 1000, 10), specs)  # type: ignore[arg-type]


def worker(folder: str, name: str, **fields: Any) -> ChildSpec:
    return ChildSpec(name, Start(Sufferer, (folder, name)), **fields)


def tree(folder: str, siblings: int) -> ChildSpec:
    """node: first, group (a supervisor with workers), host (a cell with two actors), last.

    The last one is transient: what makes it come back was no clean end.
    """
    group = ChildSpec(
        "group",
        Start(
            supervisor,
            (
                "one_for_one",
                tuple(worker(folder, f"w{i}", placement="process") for i in range(siblings)),
            ),
        ),
        type="supervisor",
        placement="process",
    )
    cell = (worker(folder, "light-1"), worker(folder, "light-2"))
    host = ChildSpec("host", Start(supervisor, ("one_for_one", cell)), placement="process")
    children = (
        worker(folder, "first", placement="process"),
        group,
        host,
        worker(folder, "last", placement="process", restart="transient"),
    )
    return ChildSpec(
        "node",
        Start(supervisor, ("one_for_one", children)),
        type="supervisor",
        placement="process",
    )


def main(folder: str, siblings: int, admin_port: int) -> int:
    watchdog = Watchdog(
        tree(folder, siblings),
        control_socket=Path(folder) / "control.sock",
        log_dir=Path(folder),
        settings=SETTINGS,
        clock=monotonic_clock(),
        reporter=Reports(folder),
        admin_port=admin_port,
    )
    try:
        return watchdog.run()
    except NodeError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
