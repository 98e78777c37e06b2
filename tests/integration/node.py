"""A real node under test: started, asked, hurt and stopped as a user would, through the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from cli.chaos.sandbox import free_ports
from supervision.inspection.tree import walk

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


class Node:
    """One node in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path, bidders: int = 1) -> None:
        self.folder = folder
        self.bidders = bidders
        self.port = free_ports(bidders)
        self.event_port = free_ports(bidders)
        self.http_port = free_ports(1)
        self.token = uuid.uuid4().hex
        self.environment = {
            **os.environ,
            "NODE_TOKEN": self.token,
            "XDG_RUNTIME_DIR": str(folder),
            "BIDWRIGHT_METRICS__ENABLED": "false",
        }

    def command(self, *words: object, data: bool = True) -> list[str]:
        """The command line of ``bidwright WORDS --data-dir FOLDER``."""
        where = ["--data-dir", str(self.folder / "data")] if data else []
        return [sys.executable, "-m", "cli.main", *map(str, words), *where]

    def run(self, *words: object, limit_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        # Output goes to files: a descendant that holds a pipe must not keep a test waiting.
        out, err = self.folder / "command.out", self.folder / "command.err"
        with out.open("w") as stdout, err.open("w") as stderr:
            done = subprocess.run(
                self.command(*words),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                timeout=limit_s,
                check=False,
            )
        return subprocess.CompletedProcess(
            done.args, done.returncode, out.read_text(), err.read_text()
        )

    def json(self, *words: object, code: int = 0) -> Any:
        """Run a command with ``-o json`` and return what it prints."""
        done = self.run(*words, "-o", "json")
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout)

    def up(self) -> None:
        done = self.run(
            "up",
            "--detach",
            "--bidders",
            self.bidders,
            "--set",
            f"gateway.port={self.port}",
            "--set",
            f"gateway.event_port={self.event_port}",
            "--set",
            f"edge.port={self.http_port}",
            limit_s=120.0,
        )
        assert done.returncode == 0, done.stderr

    def start_load(self, *options: object) -> subprocess.Popen[bytes]:
        """Play an exchange in the background; its summary goes to a file."""
        out, err = self.folder / "load.json", self.folder / "load.err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            return subprocess.Popen(
                self.command("load", "-o", "json", *options),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )

    def load_summary(self) -> dict[str, Any]:
        text = (self.folder / "load.json").read_text()
        assert text, (self.folder / "load.err").read_text()
        return dict(json.loads(text))

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The tree's nodes by full name."""
        from transport.control import ControlClient

        tree = ControlClient(self.control_socket).call("tree", timeout_s=5.0)
        assert isinstance(tree, dict)
        return {node["name"]: node for node in walk(tree)}

    @property
    def control_socket(self) -> Path:
        from config.paths import NodePaths

        return NodePaths.of_node(self.folder / "data").control_socket

    def is_whole(self, names: set[str], without: frozenset[int] = frozenset()) -> bool:
        """Whether all ``names`` run, and no pid in ``without`` is shown any more."""
        lives = self.lives(names)
        return lives is not None and not without & {pid for pid, _restarts in lives.values()}

    def lives(self, names: set[str]) -> dict[str, tuple[int, int]] | None:
        """Pid and restarts of each of ``names``, all in one look; None unless all of them run."""
        from transport.errors import ControlError, NotRunningError

        try:
            nodes = self.nodes()
        except (ControlError, NotRunningError):
            return None
        if set(nodes) != names or any(node["state"] != "running" for node in nodes.values()):
            return None
        return {name: (node["pid"], node["restarts"]) for name, node in nodes.items()}

    def processes(self) -> list[psutil.Process]:
        """All live processes that descend from this node, wherever they are now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get("NODE_TOKEN") == self.token:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def destroy(self) -> None:
        """``kill -9`` of everything."""
        for process in self.processes():
            process.send_signal(signal.SIGKILL)


@contextmanager
def running_node(bidders: int = 1) -> Iterator[Node]:
    """A node that is up; destroyed at the end, whatever is left of it."""
    # Not pytest's folder: a socket's path may have 107 bytes only.
    with tempfile.TemporaryDirectory(prefix="bw-", ignore_cleanup_errors=True) as folder:
        node = Node(Path(folder), bidders)
        try:
            node.up()
            yield node
        finally:
            node.destroy()
