"""The watchdog: the plain process outside the tree that starts it and answers for it.

It builds the tree anew if its top dies. It owns the Thespian system (a private administrator port
for each run), boots the topmost host, and serves operators on a control socket. The tree's
processes form one process group: when the top, the administrator or the watchdog itself is gone,
the group is killed as a whole, so nothing is ever left over. The watchdog never opens nng and never
runs a model; it only imports what its descendants will need, so that their restarts cost no
imports.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import psutil
from thespian.actors import ActorSystem

from supervision.errors import NodeError
from supervision.host import Host
from supervision.inspect import names_like, process_node
from supervision.loopback import free_port, pin_to_loopback
from supervision.process import (
    Boot,
    Booted,
    BootFailed,
    Ended,
    Halt,
    Order,
    OrderDone,
    Ping,
    Pong,
    ProcessRecord,
    ProcessSettings,
    become_subreaper,
)
from transport.control import ControlServer
from transport.errors import ControlError

if TYPE_CHECKING:
    from pathlib import Path

    from supervision.clock import Clock
    from supervision.specs import ChildSpec

TICK_S = 0.25
LISTEN_S = 0.05
BOOT_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0
ORDER_LIMIT_S = 2.0
DEATH_LIMIT_S = 5.0
DEATH_POLL_S = 0.002
REBUILDS = 5
REBUILD_PERIOD_S = 60.0
OPERATIONS = ("kill", "suspend", "resume")


class Watchdog:
    """Runs one node until it is told to stop.

    Args:
        spec: The topmost process.
        control_socket: Where operators ask.
        log_dir: Where Thespian's own log goes.
        settings: Patience with processes.
        reporter: Picklable factory of the reporter that supervisors write to.
        clock: Monotonic seconds.
        facts: Shown by ``status``: ports, paths and the like.
    """

    def __init__(  # noqa: PLR0913 - a node's surroundings
        self,
        spec: ChildSpec,
        *,
        control_socket: Path,
        log_dir: Path,
        settings: ProcessSettings,
        clock: Clock,
        reporter: Any = None,
        admin_port: int = 0,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self._spec = spec
        self._log_dir = log_dir
        self._settings = settings
        self._clock = clock
        self._reporter = reporter
        self._admin_port = admin_port
        self._facts = facts or {}
        self._control = ControlServer(control_socket)
        self._system: ActorSystem | None = None
        self._root: ProcessRecord | None = None
        self._groups: set[int] = set()
        self._numbers = count(2)
        self._state = "starting"
        self._started_s = clock()
        self._rebuilds: list[float] = []

    def run(self) -> int:
        """Start the tree and serve until it is told to stop; return the exit code.

        Raises:
            NodeError: The tree could not be started, or fell over too often.
        """
        pin_to_loopback()
        become_subreaper()
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, self._terminated)
        os.environ["THESPLOG_FILE"] = str(self._log_dir / "thespian.log")
        try:
            self._build()
            while self._state != "stopping":
                self._serve()
            self._stop_tree()
        finally:
            self._kill_groups()
            self._control.close()
        return 0

    def _terminated(self, _number: int, _frame: object) -> None:
        self._state = "stopping"

    # -- building the tree

    def _build(self) -> None:
        self._state = "starting"
        capabilities = {
            "Admin Port": self._admin_port or free_port(),
            "Process Startup Method": "fork",
        }
        self._system = ActorSystem(
            "multiprocTCPBase", capabilities, logDefs=self._log_definitions(), transientUnique=True
        )
        self._note_groups()
        address = self._system.createActor(Host)
        boot = Boot(
            self._spec, self._spec.id, 1, self._settings, self._reporter, watchdog_pid=os.getpid()
        )
        self._system.tell(address, boot)
        booted = self._await(Booted | BootFailed | Ended, BOOT_LIMIT_S)
        if not isinstance(booted, Booted):
            reason = (
                "it did not answer in time"
                if booted is None
                else f"{booted.reason}\n{booted.detail}"
            )
            raise NodeError(f"the node's supervision tree could not start: {reason}".strip())
        self._root = ProcessRecord(
            number=1,
            pid=booted.pid,
            pidfd=os.pidfd_open(booted.pid),
            process=None,
            address=address,
            supervisor=None,
            spec=self._spec,
            path=self._spec.id,
            heard_s=self._clock(),
            booted=True,
        )
        if self._state == "starting":
            self._state = "ready"

    def _note_groups(self) -> None:
        """Remember the process groups of our descendants, which are to die with the tree."""
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(ProcessLookupError):
                self._groups.add(os.getpgid(process.pid))
        self._groups.discard(os.getpgrp())

    def _log_definitions(self) -> dict[str, Any]:
        """Thespian's log: warnings only, into a file of its own."""
        handler = {
            "class": "logging.FileHandler",
            "filename": str(self._log_dir / "actors.log"),
            "level": "WARNING",
            "formatter": "plain",
        }
        return {
            "version": 1,
            "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(message)s"}},
            "handlers": {"file": handler},
            "root": {"handlers": ["file"], "level": "WARNING"},
            "disable_existing_loggers": False,
        }

    def _rebuild(self, why: str) -> None:
        """The top of the tree is gone: kill what is left of it and start anew, but not for ever."""
        now_s = self._clock()
        self._rebuilds = [moment for moment in self._rebuilds if moment > now_s - REBUILD_PERIOD_S]
        self._rebuilds.append(now_s)
        self._kill_groups()
        if len(self._rebuilds) > REBUILDS:
            raise NodeError(
                f"the tree fell over {len(self._rebuilds)} times within a minute, last: {why}"
            )
        self._build()

    def _kill_groups(self) -> None:
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        self._groups.clear()
        if self._root is not None:
            os.close(self._root.pidfd)
            self._root = None
        self._reap(DEATH_LIMIT_S)

    def _reap(self, limit_s: float = 0.0) -> None:
        """Collect dead descendants; with a limit, wait that long for the last of them."""
        deadline_s = self._clock() + limit_s
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] or self._clock() < deadline_s:
                select.select([], [], [], DEATH_POLL_S if limit_s else 0.0)

    # -- serving

    def _serve(self) -> None:
        """Answer operators, and see every tick that the top is alive and answers."""
        assert self._root is not None
        readable, _, _ = select.select([self._control.fileno(), self._root.pidfd], [], [], TICK_S)
        if self._root.pidfd in readable:
            self._rebuild("the topmost process died")
        elif readable:
            self._control.poll(self._handle)
        elif self._snapshot(self._settings.hang_s) is None and self._state == "ready":
            self._rebuild("the topmost process did not answer its heartbeat")
        self._reap()

    def _handle(self, operation: str, args: dict[str, Any]) -> Any:
        """Serve one request of an operator.

        Raises:
            ControlError: What is asked cannot be done; the message says why.
        """
        if operation == "tree":
            return self._tree()
        if operation == "status":
            return self._status()
        if operation == "down":
            self._state = "stopping"
            return {"state": "stopping"}
        if operation in OPERATIONS:
            return self._order(operation, str(args.get("name", "")))
        raise ControlError("unknown_operation", f"a node knows no operation {operation!r}")

    def _status(self) -> dict[str, Any]:
        return {
            "state": self._state,
            "pid": os.getpid(),
            "uptime_s": round(self._clock() - self._started_s, 3),
            "rebuilds": len(self._rebuilds),
            **self._facts,
        }

    def _tree(self) -> dict[str, Any]:
        snapshot = self._snapshot(ORDER_LIMIT_S)
        if snapshot is None or self._root is None:
            raise ControlError(
                "busy", "the topmost supervisor did not answer; try again in a moment"
            )
        self._root.snapshot = snapshot
        uptime_s = self._clock() - self._root.heard_s
        return process_node(
            self._root,
            state="running",
            restarts=len(self._rebuilds),
            uptime_s=uptime_s,
            last_error=None,
        )

    def _order(self, operation: str, wanted: str) -> dict[str, Any]:
        tree = self._tree()
        found = names_like(tree, wanted)
        if not found:
            raise ControlError("not_found", f"no actor is called {wanted!r}; see `bidwright tree`")
        if len(found) > 1:
            raise ControlError(
                "ambiguous", f"{wanted!r} may mean {', '.join(found)}; say more of the path"
            )
        path = tuple(found[0].split("/")[1:])
        assert self._root is not None
        if not path and operation == "kill":
            signal.pidfd_send_signal(self._root.pidfd, signal.SIGKILL)
            return {"name": found[0], "operation": operation}
        number = next(self._numbers)
        assert self._system is not None
        self._system.tell(self._root.address, Order(number, path, operation))
        done = self._await(OrderDone, ORDER_LIMIT_S, number)
        if done is None or done.error:
            raise ControlError(
                "failed", done.error if done else f"{found[0]} did not answer in time"
            )
        return {"name": found[0], "operation": operation}

    # -- talking to the tree

    def _snapshot(self, limit_s: float) -> dict[str, Any] | None:
        if self._root is None or self._system is None:
            return None
        number = next(self._numbers)
        self._system.tell(self._root.address, Ping(number))
        pong = self._await(Pong, limit_s, number)
        return pong.snapshot if pong is not None else None

    def _await(self, wanted: Any, limit_s: float, number: int | None = None) -> Any:
        """Return the next message of the wanted type and number; drop late answers to others."""
        assert self._system is not None
        deadline_s = self._clock() + limit_s
        while (left_s := deadline_s - self._clock()) > 0:
            message = self._system.listen(timedelta(seconds=min(left_s, LISTEN_S)))
            if isinstance(message, wanted) and (number is None or message.number == number):
                return message
            if message is None and (self._state == "stopping" or self._top_is_gone()):
                return None
        return None

    def _top_is_gone(self) -> bool:
        """Tell whether the topmost process has died (while the tree is built there is none yet)."""
        if self._root is None:
            return False
        return bool(select.select([self._root.pidfd], [], [], 0)[0])

    def _stop_tree(self) -> None:
        """Stop the tree in order; what has not stopped in time is killed with its group."""
        if self._root is None or self._system is None:
            return
        self._system.tell(self._root.address, Halt(1, "shutdown"))
        select.select([self._root.pidfd], [], [], STOP_LIMIT_S)
