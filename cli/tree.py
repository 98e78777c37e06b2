"""``bidwright tree``: the supervision tree of the running node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cli.node import Node, node_options
from cli.output import emit, output_option, print_table

TreeNode = Mapping[str, Any]

_HEADINGS = ("actor", "placement", "pid", "state", "restarts", "up", "mailbox", "handled", "")
_SPARE = ("placement", "handled", "mailbox", "pid", "up")
_MINUTE_S = 60
_HOUR_S = 3600
_LONGEST_ERROR = 60


@click.command()
@output_option
@node_options
def tree(node: Node, output: str) -> None:
    """Show the supervision tree: who lives where, how often it was restarted, what waits for it."""
    emit(node.ask("tree"), output, print_tree)


def print_tree(root: TreeNode) -> None:
    """Print a tree, one line a node."""
    rows = [_row(drawn, node) for drawn, node in drawn_lines(root)]
    print_table(_HEADINGS, rows, spare=_SPARE)


def drawn_lines(node: TreeNode, lead: str = "", branch: str = "") -> Iterator[tuple[str, TreeNode]]:
    """Yield each node with its id behind the lines that connect it to its parent."""
    yield f"{lead}{branch}{node.get('id', '?')}", node
    if branch:
        lead += "│  " if branch == "├─ " else "   "
    children = node.get("children") or []
    for index, child in enumerate(children):
        last = index == len(children) - 1
        yield from drawn_lines(child, lead, "└─ " if last else "├─ ")


def short_time(seconds: float | None) -> str:
    """Return a duration as people say it: ``12.3 s``, ``4 min``, ``2.5 h``."""
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE_S:.0f} min" if seconds < _HOUR_S else f"{seconds / _HOUR_S:.1f} h"


def _row(drawn: str, node: TreeNode) -> list[object]:
    strategy = node.get("strategy")
    error = " ".join(str(node.get("last_error") or "").split())
    return [
        drawn,
        f"{node.get('placement', '')}{f', {strategy}' if strategy else ''}",
        str(node["pid"]) if node.get("pid") else None,
        node.get("state"),
        node.get("restarts"),
        short_time(node.get("uptime_s")),
        node.get("mailbox"),
        node.get("handled"),
        error if len(error) <= _LONGEST_ERROR else f"{error[: _LONGEST_ERROR - 1]}…",
    ]
