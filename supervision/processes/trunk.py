"""The trunk: one incarnation of the tree, held from outside, by its topmost process.

It owns the Thespian system of that incarnation, on an administrator port of its own. All that
belongs to it descends from this process, which is a subreaper; so to fell it is to kill all
descendants.
"""

from __future__ import annotations

import os
import select
import socket
from datetime import timedelta
from itertools import count
from math import ceil
from typing import TYPE_CHECKING, Any

from thespian.actors import ActorAddress, ActorSystem, ActorSystemException

from supervision.errors import NodeError, OrderError
from supervision.messages import plain
from supervision.processes.host import Host
from supervision.processes.keeper import ProcessRecord
from supervision.processes.loopback import LOOPBACK, quiet_port
from supervision.processes.process import (
    Boot,
    Booted,
    BootFailed,
    Born,
    Ended,
    Halt,
    Order,
    OrderDone,
    Ping,
    Pong,
    ProcessSettings,
    kill_by,
    kill_descendants,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supervision.clock import Clock
    from supervision.specs import ChildSpec

LISTEN_S = 0.05
BIRTH_LIMIT_S = 10.0
BOOT_LIMIT_S = 60.0
DEATH_LIMIT_S = 5.0
DEATH_POLL_S = 0.002
NUMBER = 1
"""The topmost process's incarnation: each trunk has one only."""


class Trunk:
    """Grows one tree and speaks with its top.

    Args:
        spec: The topmost process.
        settings: Patience with processes.
        log_dir: Where Thespian's own log goes.
        clock: Monotonic seconds.
        reporter: Picklable factory of the reporter that supervisors write to.
        admin_port: Of Thespian's administrator; 0 picks a free one.

    Attributes:
        record: The topmost process; ``None`` before it is born and after the tree was felled.
        last_words: What the topmost process said of its own end.
    """

    def __init__(
        self,
        spec: ChildSpec,
        settings: ProcessSettings,
        *,
        log_dir: Path,
        clock: Clock,
        reporter: Any = None,
        admin_port: int = 0,
    ) -> None:
        self._spec = spec
        self._settings = settings
        self._log_dir = log_dir
        self._clock = clock
        self._reporter = reporter
        self._admin_port = admin_port
        self._system: ActorSystem | None = None
        self._numbers = count(NUMBER + 1)
        self.record: ProcessRecord | None = None
        self.last_words: Ended | BootFailed | None = None

    # -- growing and felling

    def grow(self, gives_up: Callable[[], bool]) -> None:
        """Start the tree; returns when all of it is ready.

        Args:
            gives_up: Asked every now and then; once it is true this returns, with a part of a tree.

        Raises:
            NodeError: It could not be started; the message says why.
        """
        self.last_words = None
        address = self._plant()
        boot = Boot(
            self._spec,
            self._spec.id,
            NUMBER,
            self._settings,
            self._reporter,
            watchdog_pid=os.getpid(),
        )
        born = self._await(Born, BIRTH_LIMIT_S, say=(address, boot), gives_up=gives_up)
        if born is not None:
            self.record = self._hold(born, address)
            booted = self._await(Booted, BOOT_LIMIT_S, gives_up=gives_up)
            if booted is not None:
                self.record.booted = True
                self.record.heard_s = self._clock()
                return
        if not gives_up():
            raise NodeError(f"the node's supervision tree could not start: {self._why_not()}")

    def _plant(self) -> ActorAddress:
        """Start Thespian and the topmost host."""
        port = self._admin_port or quiet_port()
        _refuse_taken(port)
        capabilities = {"Admin Port": port, "Process Startup Method": "fork"}
        try:
            self._system = ActorSystem(
                "multiprocTCPBase", capabilities, logDefs=self._logs(), transientUnique=True
            )
            return self._system.createActor(Host)
        except ActorSystemException as error:
            raise NodeError(
                f"Thespian could not start on port {port} ({error}); see {self._log_dir}"
            ) from error

    def _hold(self, born: Born, address: ActorAddress) -> ProcessRecord:
        try:
            pidfd = os.pidfd_open(born.pid)
        except ProcessLookupError as error:
            raise NodeError("the topmost process died as soon as it was born") from error
        return ProcessRecord(
            number=NUMBER,
            pid=born.pid,
            pidfd=pidfd,
            process=None,
            address=address,
            supervisor=None,
            spec=self._spec,
            path=self._spec.id,
            heard_s=self._clock(),
        )

    def _why_not(self) -> str:
        if self.last_words is not None:
            return f"{plain(self.last_words.reason)}\n{self.last_words.detail}".strip()
        return "its topmost process died" if self.is_gone() else "it did not answer in time"

    def fell(self) -> None:
        """Kill all that is left of the tree, and wait until nothing is."""
        deadline_s = self._clock() + DEATH_LIMIT_S
        while kill_descendants() and self._clock() < deadline_s:
            select.select([], [], [], DEATH_POLL_S)
        if self.record is not None:
            os.close(self.record.pidfd)
            self.record = None
        self._system = None

    def kill_top(self) -> None:
        """SIGKILL the topmost process; all others die with it."""
        if self.record is not None:
            kill_by(self.record.pidfd)

    def is_gone(self) -> bool:
        """Tell whether the topmost process, once born, has died."""
        if self.record is None:
            return False
        return bool(select.select([self.record.pidfd], [], [], 0)[0])

    def reap(self) -> None:
        """Collect dead descendants that have come to this process."""
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return

    # -- talking to the top

    def snapshot(
        self, limit_s: float, gives_up: Callable[[], bool] = bool
    ) -> dict[str, Any] | None:
        """Ask the top what it looks like inside; ``None`` if it does not answer in time.

        Args:
            limit_s: How long to wait.
            gives_up: Asked every now and then; once it is true the answer is not waited for.
        """
        if self.record is None:
            return None
        number = next(self._numbers)
        question = (self.record.address, Ping(number))
        pong = self._await(Pong, limit_s, number, say=question, gives_up=gives_up)
        return pong.snapshot if pong is not None else None

    def order(
        self, path: tuple[str, ...], operation: str, args: dict[str, Any], limit_s: float
    ) -> dict[str, Any]:
        """Have ``operation`` done to the actor at ``path``; return what it has to say.

        Raises:
            OrderError: It was not done, or nobody answered in time.
        """
        if self.record is None:
            raise OrderError("there is no tree at the moment")
        number = next(self._numbers)
        order = Order(number, path, operation, args, expires_s=self._clock() + limit_s)
        done = self._await(OrderDone, limit_s, number, say=(self.record.address, order))
        if done is None:
            raise OrderError(f"it did not answer within {limit_s} s")
        if done.error:
            raise OrderError(done.error)
        result: dict[str, Any] = done.result
        return result

    def stop(self, limit_s: float, gives_up: Callable[[], bool] = bool) -> None:
        """Ask the tree to end in order; returns when it has, after the limit, or on giving up.

        A tree that is not complete yet would not heed it before it is: there is nothing to wait
        for.
        """
        if self.record is None or not self.record.booted:
            return
        # The top's last words must be heard, or it waits for that before it goes.
        halt = Halt(NUMBER, "shutdown")
        self._await(Ended, limit_s, say=(self.record.address, halt), gives_up=gives_up)
        select.select([self.record.pidfd], [], [], LISTEN_S)

    def _await(
        self,
        wanted: Any,
        limit_s: float,
        number: int | None = None,
        *,
        say: tuple[ActorAddress, Any] | tuple[()] = (),
        gives_up: Callable[[], bool] = bool,
    ) -> Any:
        """Say something, return the next message of the wanted type and number, drop all others.

        The limit is counted in turns of listening: while this process was kept from running, it
        has not listened, and must not conclude that nobody spoke.
        """
        message = self._exchange(*say)
        for _ in range(max(1, ceil(limit_s / LISTEN_S))):
            if isinstance(message, Ended | BootFailed):
                self.last_words = message
            if isinstance(message, wanted) and (number is None or message.number == number):
                return message
            if self.last_words is not None or self.is_gone() or gives_up():
                return None
            message = self._exchange()
        return None

    def _exchange(self, address: ActorAddress | None = None, words: Any = None) -> Any:
        """Listen for a turn, after having said ``words``; ``None`` if nothing came.

        Thespian's ``tell`` would not do: it blocks for a minute while its target hangs, and raises
        when that is dead.
        """
        assert self._system is not None
        turn = timedelta(seconds=LISTEN_S)
        try:
            if address is None:
                return self._system.listen(turn)
            return self._system.ask(address, words, turn)
        except ActorSystemException:
            return None

    def _logs(self) -> dict[str, Any]:
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


def _refuse_taken(port: int) -> None:
    """Refuse a port on which somebody listens: Thespian would join a stranger's system there.

    Raises:
        NodeError: The port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise NodeError(
                f"port {port}, of Thespian's administrator, cannot be used ({error}); "
                "set node.admin_port to another one, or to 0"
            ) from error
