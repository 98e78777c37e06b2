"""``bidwright top``: opens the screen."""

from __future__ import annotations

import sys

import click

from cli.errors import CommandError
from cli.node import Node, node_options
from cli.numbers import FiniteRange
from cli.tree import LEAST_INTERVAL_S


@click.command()
@click.option(
    "--interval",
    type=FiniteRange(min=LEAST_INTERVAL_S, max=3600.0),
    default=LEAST_INTERVAL_S,
    show_default=True,
    help="Seconds between two looks.",
)
@node_options
def top(node: Node, interval: float) -> None:
    """Watch the node on a full screen, and steer it: tree, busiest, latencies, processes, dead.

    It goes on while the node restarts. Keys: ? shows all of them, q ends it.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandError("top needs a terminal; `bidwright tree --watch` writes into a pipe")
    import time

    from cli.top.app import Top
    from cli.top.poll import Line

    Top(Line(node.paths().data_dir).ask, time.monotonic, interval).run()
