"""A node of a benchmark's own: its own folder, its own ports, gone at the end."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.chaos.sandbox import free_ports
from config.paths import NodePaths
from transport.control import ControlClient

if TYPE_CHECKING:
    from collections.abc import Iterator

ASK_LIMIT_S = 5.0


@dataclass(frozen=True)
class OwnNode:
    """Where a benchmark's node can be reached.

    Attributes:
        paths: Its files and sockets.
        gateway_urls: Bid requests, one address a bidder.
        event_urls: Wins, losses and clicks, one address a bidder.
        http_port: The edge, if it was asked for.
    """

    paths: NodePaths
    gateway_urls: list[str]
    event_urls: list[str]
    http_port: int

    def ask(self, operation: str, **args: object) -> dict[str, Any]:
        """Ask the node's control socket."""
        answer = ControlClient(self.paths.control_socket).call(operation, ASK_LIMIT_S, **args)
        return dict(answer)


@contextlib.contextmanager
def own_node(
    bidders: int = 1, *, edge: bool = False, settings: tuple[str, ...] = ()
) -> Iterator[OwnNode]:
    """Run a node; ``settings`` are further ``NAME=VALUE`` of ``bidwright up --set``."""
    port, event_port, http_port = free_ports(bidders), free_ports(bidders), free_ports(1)
    command = [str(Path(sys.executable).with_name("bidwright"))]
    if not Path(command[0]).exists():
        command = [sys.executable, "-m", "cli.main"]
    wanted = (
        f"gateway.port={port}",
        f"gateway.event_port={event_port}",
        f"edge.port={http_port}",
        f"edge.enabled={str(edge).lower()}",
        *settings,
    )
    with tempfile.TemporaryDirectory(prefix="bidwright-bench-") as folder:
        here = ["--data-dir", folder]
        up = [*command, "up", "--detach", "--bidders", str(bidders), *here]
        subprocess.run([*up, *(word for each in wanted for word in ("--set", each))], check=True)
        try:
            yield OwnNode(
                NodePaths.of_node(Path(folder)),
                [f"tcp://127.0.0.1:{port + index}" for index in range(bidders)],
                [f"tcp://127.0.0.1:{event_port + index}" for index in range(bidders)],
                http_port,
            )
        finally:
            subprocess.run([*command, "down", "--force", *here], check=False)
