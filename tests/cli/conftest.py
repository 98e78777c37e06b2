"""A node that isn't one: it answers on a real control socket, from a thread."""

from __future__ import annotations

import os
import select
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from config.paths import NodePaths
from transport.control import ControlServer
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

TREE: dict[str, Any] = {
    "id": "node",
    "kind": "supervisor",
    "placement": "process",
    "pid": os.getpid(),
    "state": "running",
    "strategy": "one_for_one",
    "restarts": 0,
    "uptime_s": 12.5,
    "mailbox": 0,
    "handled": 4,
    "last_error": None,
    "children": [
        {
            "id": "bidders",
            "kind": "supervisor",
            "placement": "process",
            "pid": os.getpid(),
            "state": "running",
            "strategy": "one_for_one",
            "restarts": 2,
            "uptime_s": 300.0,
            "mailbox": 0,
            "handled": 1234,
            "last_error": "ValueError: " + "x" * 100,
            "children": [],
        },
        {"id": "ledger", "kind": "worker", "state": "suspended", "children": []},
    ],
}


class FakeNode:
    """Answers control requests as told; ``asked`` keeps what came."""

    def __init__(self, paths: NodePaths) -> None:
        self.paths = paths
        self.status: dict[str, Any] = {"state": "ready", "name": "node-1", "pid": os.getpid()}
        self.tree: dict[str, Any] = TREE
        self.asked: list[tuple[str, dict[str, object]]] = []
        self.answers: dict[str, Any] = {}
        self.missing: set[str] = set()
        self.on_down: Callable[[], None] = lambda: None
        self._over = os.eventfd(0)
        self._server = ControlServer(paths.control_socket)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.eventfd_write(self._over, 1)
        self._thread.join(timeout=5)
        self._server.close()
        os.close(self._over)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._server.fileno(), self._over], (), ())
            if self._over in ready:
                return
            self._server.poll(self._answer)

    def _answer(self, op: str, args: dict[str, object]) -> object:
        self.asked.append((op, args))
        if args.get("name") == "nobody":
            raise ControlError("unknown_actor", "there is no actor called nobody")
        if op in self.missing:
            raise ControlError("unknown_operation", f"a node knows no operation {op!r}")
        if op == "down":
            self.on_down()
        known = {"status": self.status, "tree": self.tree} | self.answers
        answer = known.get(op, {"done": op})
        return answer(args) if callable(answer) else answer


@pytest.fixture
def data_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not tmp_path: that is too deep for sockets.
    with tempfile.TemporaryDirectory(prefix="bw") as root:
        # What the developer's own shell says about a node is not what is tested here.
        for name in [name for name in os.environ if name.startswith("BIDWRIGHT_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("XDG_RUNTIME_DIR", root)
        monkeypatch.setenv("BIDWRIGHT_NODE__DATA_DIR", f"{root}/data")
        yield Path(root) / "data"


@pytest.fixture
def node(data_dir: Path) -> Iterator[FakeNode]:
    fake = FakeNode(NodePaths(data_dir).make())
    yield fake
    fake.close()


@pytest.fixture
def run(data_dir: Path) -> Callable[..., Result]:
    """Run ``bidwright`` with these arguments, in this process."""
    del data_dir

    def run_command(*arguments: str, text: str | bytes | None = None) -> Result:
        return CliRunner().invoke(cli, arguments, input=text, prog_name="bidwright")

    return run_command
