"""A node of one's own to hurt: fresh folder, own ports, marked processes, taken down at the end.

The node is started and stopped by ``bidwright up`` and ``down`` in processes of their own, as a
person would: this one has threads, and a process with threads must not become a node. If this
process is killed, a guard takes the node down.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from cli import processes
from cli.chaos.guard import Guard, marked
from cli.chaos.statsd import StatsdSink
from cli.chaos.target import Target
from cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cli.chaos.plan import Plan

MARK = "CHAOS_SANDBOX"
_LOOPBACK = "127.0.0.1"
_PORTS = range(10_000, 20_000)
_UP_LIMIT_S = 120.0
_DOWN_LIMIT_S = 60.0


class Sandbox:
    """One node that exists only to be hurt.

    Args:
        plan: What the experiment needs of it.
        assignments: Settings of the command line; they count more than the plan's.
        config: Settings file, or None.

    Attributes:
        target: The node.
        statsd: Where its metrics go.
        weights: The folder of the copied models, if the plan wants one.
    """

    def __init__(
        self, plan: Plan, assignments: Mapping[str, object], config: Path | None = None
    ) -> None:
        # Not a deep folder: the path of a socket may have 107 bytes only.
        self.folder = Path(tempfile.mkdtemp(prefix="bw-chaos-"))
        self.target = Target(self.folder / "data", own=True)
        self.statsd = StatsdSink()
        self._guard = Guard(self.target, self.folder)
        self.weights = _copied_weights(self.folder) if plan.copied_weights else None
        self._token = uuid.uuid4().hex
        self._config = config
        self._settings = {**self._own_settings(plan), **plan.settings, **assignments}

    @property
    def environment(self) -> dict[str, str]:
        """Of the node's processes; the mark is how they are found wherever they are."""
        return {**os.environ, MARK: self._token, "XDG_RUNTIME_DIR": str(self.folder)}

    def start(self) -> None:
        """Start the node, or start it again on what it left; returns when it is ready.

        Raises:
            CommandError: It did not start.
        """
        words: list[object] = ["up", "--detach"]
        for key, value in self._settings.items():
            words += ["--set", f"{key}={_text(value)}"]
        if self._config is not None:
            words += ["--config", self._config]
        code, said = self._run(words, _UP_LIMIT_S)
        if code:
            raise CommandError(f"the node to experiment on did not start: {said}")

    def strangers(self) -> list[str]:
        """Return what bears the node's mark and does not belong to it, in words."""
        family = {process.pid for process in self.target.family()}
        return [f"process {pid}" for pid in self._marked() if family and pid not in family]

    def stop(self) -> list[str]:
        """Take the node down and remove its folder; return what it left behind, in words."""
        self._run(["down"], _DOWN_LIMIT_S)
        left = self._marked()
        sockets = [path.name for path in self.folder.glob("bidwright-*/*.sock")]
        for pid in left:
            process = processes.find(pid)
            if process is not None:
                processes.signal_all([process], signal.SIGKILL)
        self.statsd.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._guard.release()
        return [*(f"process {pid}" for pid in left), *(f"socket {name}" for name in sockets)]

    def _own_settings(self, plan: Plan) -> dict[str, object]:
        weights = {} if self.weights is None else {"models.weights": self.weights}
        return {
            "node.bidders": plan.bidders,
            "gateway.port": free_ports(plan.bidders),
            "gateway.event_port": free_ports(plan.bidders),
            "edge.port": free_ports(1),
            "metrics.enabled": True,
            "metrics.statsd_host": _LOOPBACK,
            "metrics.statsd_port": self.statsd.port,
            **weights,
        }

    def _run(self, words: list[object], limit_s: float) -> tuple[int, str]:
        """Run a command about the node to its end; return its code and its last words."""
        said = self.folder / "command.txt"
        # To a file: a node that inherits a pipe would keep us waiting.
        with said.open("wb") as out:
            try:
                done = subprocess.run(  # noqa: S603 - our own command
                    self.target.command(*words),
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    timeout=limit_s,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return 1, f"`bidwright {words[0]}` took more than {limit_s:.0f} s"
        lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return done.returncode, " ".join(lines[-3:])

    def _marked(self) -> list[int]:
        """Return the live processes that bear our mark."""
        return marked(MARK, self._token)


def _copied_weights(folder: Path) -> Path:
    from models.registry import weights_folder

    copy = folder / "weights"
    shutil.copytree(weights_folder("profiler").parent, copy)
    return copy


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def free_ports(number: int) -> int:
    """Return the first of ``number`` neighbouring ports that were free a moment ago.

    They are outside the range that the system gives to connections: a client that dials a port of
    that range while nobody listens there may in the end get that very port, and talk to itself.

    Raises:
        CommandError: There are none.
    """
    first = _PORTS.start + secrets.randbelow(len(_PORTS) - number)
    for port in (*range(first, _PORTS.stop - number), *range(_PORTS.start, first)):
        if all(map(_is_free, range(port, port + number))):
            return int(port)
    raise CommandError(f"no {number} neighbouring ports from {_PORTS.start} on are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return False
    return True
