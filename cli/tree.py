"""``bidwright tree``: the supervision tree of the running node, once or again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import output as printing
from cli.errors import CommandError, NodeNotRunningError
from cli.looking import (
    allowance_of,
    allowance_style,
    drawn_lines,
    end_of,
    mailbox_style,
    name_of,
    one_line,
    pruned,
    round_rate,
    short_time,
    state_style,
    walk,
)
from cli.node import Node, node_options
from cli.numbers import FiniteRange
from cli.output import Styled, columns_that_fit, make_table, print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from cli.looking import TreeNode

LEAST_INTERVAL_S = 1.0
"""Looking more often would cost the node more and tell nobody more."""

_HEADINGS = (
    *("actor", "state", "restarts", "left", "rate/s", "mailbox", "handled", "up"),
    *("pid", "placement", "last error"),
)
_SPARE = ("handled", "placement", "pid", "last error", "up", "mailbox", "rate/s", "left")
_ERROR = _HEADINGS.index("last error")
_LEAST_ERROR = 14
_LONGEST_ERROR = 60
_GAP = 3


@click.command()
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=FiniteRange(min=LEAST_INTERVAL_S, max=3600.0),
    default=LEAST_INTERVAL_S,
    show_default=True,
    help="Seconds between two looks of --watch.",
)
@click.option("--depth", type=click.IntRange(min=0), help="Levels to show below the root.")
@click.option("--dead", is_flag=True, help="Show who died last, too, and why.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "ndjson"]),
    default="table",
    show_default=True,
    help="How to print it; ndjson, and json with --watch, print one tree a line.",
)
@node_options
def tree(node: Node, output: str, depth: int | None, **options: Any) -> None:
    """Show the supervision tree: who lives where, how often it was restarted, what waits for it.

    A supervisor that has no restarts "left" gives up with the next death of a child.
    """
    look = Look(node, depth, dead=options["dead"])
    if options["watch"]:
        from cli.watch import watch

        watch(look, output, options["interval"])
        return
    found = look()
    if output != "table":
        print_json(found, lines=output == "ndjson")
        return
    print_tree(found)
    if look.dead:
        print_dead(found.get("dead"))


class Look:
    """One look at the node's tree, as the options want it; call it for another.

    Args:
        node: Whose tree.
        depth: Levels below the root; None for all.
        dead: Put who died last under ``dead`` of the root; None if this node can't tell.
    """

    def __init__(self, node: Node, depth: int | None = None, *, dead: bool = False) -> None:
        self._node = node
        self._depth = depth
        self.dead = dead

    def __call__(self) -> dict[str, Any]:
        """Ask the node.

        Raises:
            CommandError: It does not answer; the message says why.
        """
        found: dict[str, Any] = self._node.ask("tree")
        if self._depth is not None:
            found = pruned(found, self._depth)
        return {**found, "dead": self._dead()} if self.dead else found

    def _dead(self) -> list[dict[str, Any]] | None:
        try:
            dead: list[dict[str, Any]] = self._node.ask("dead")["dead"]
        except NodeNotRunningError:
            raise
        except CommandError:
            return None
        return dead


def print_tree(root: TreeNode) -> None:
    """Print a tree, one line a node."""
    width = printing.width_of_stdout()
    printing.print_renderable(tree_table(root, width))
    if "last error" not in _shown(root, width):
        for node in walk(root):
            if node.get("last_error"):
                click.echo(" " + one_line(f"{name_of(node)}: {node['last_error']}", width - 1))


def tree_table(root: TreeNode, width: int, most: int | None = None) -> Table:
    """Return the tree as a table of ``most`` rows at most; lines are never broken.

    Args:
        root: The tree.
        width: Columns of the terminal.
        most: Rows that there is room for; None for all.
    """
    rows = [_row(drawn, node) for drawn, node in drawn_lines(root)]
    headings = _shown(root, width)
    shown = [_HEADINGS.index(heading) for heading in headings]
    if _ERROR in shown:
        others = [index for index in shown if index != _ERROR]
        room = width - _width(rows, others) - _GAP
        for row in rows:
            row[_ERROR] = Styled(one_line(row[_ERROR], min(room, _LONGEST_ERROR)), "red")
    return make_table(headings, [[row[index] for index in shown] for row in rows[:most]])


def print_dead(dead: Sequence[Mapping[str, Any]] | None) -> None:
    """Print who died last, the newest at the bottom; None is a node that keeps no account."""
    if dead is None:
        say("this node keeps no account of its dead; restart it with this version")
        return
    rows = [
        (
            str(each.get("ts", ""))[11:19],
            end_of(each.get("address"), printing.width_of_stdout() // 2),
            Styled(each.get("kind"), "yellow"),
            each.get("restarts"),
            Styled(one_line(each.get("reason"), _LONGEST_ERROR), "red"),
        )
        for each in dead
    ]
    if rows:
        headings = ("died (UTC)", "actor", "how", "restarts", "reason")
        print_table(headings, rows, spare=("restarts", "how"))
    else:
        click.echo("nobody has died so far")


def _shown(root: TreeNode, width: int) -> list[str]:
    """Return the headings of the columns that have something to say, and room to say it."""
    rows = [_row(drawn, node) for drawn, node in drawn_lines(root)]
    told = [index for index in range(len(_HEADINGS)) if any(_says(row[index]) for row in rows)]
    for row in rows:
        row[_ERROR] = one_line(row[_ERROR], _LEAST_ERROR)
    headings = [_HEADINGS[index] for index in told]
    cells = [[row[index] for index in told] for row in rows]
    spare = [heading for heading in _SPARE if heading in headings]
    return [headings[index] for index in columns_that_fit(headings, cells, spare, width)]


def _says(cell: object) -> bool:
    plain = cell.cell if isinstance(cell, Styled) else cell
    return plain not in (None, "")


def _width(rows: Sequence[Sequence[object]], shown: Sequence[int]) -> int:
    return sum(
        max(printing.cell_width(cell) for cell in (_HEADINGS[index], *(row[index] for row in rows)))
        + _GAP
        for index in shown
    )


def _row(drawn: str, node: TreeNode) -> list[object]:
    strategy = node.get("strategy")
    restarts, waiting = node.get("restarts"), node.get("mailbox")
    return [
        drawn,
        Styled(node.get("state"), state_style(node.get("state"))),
        Styled(restarts, "yellow" if restarts else "dim"),
        Styled(allowance_of(node), allowance_style(node)),
        round_rate(node.get("rate")),
        Styled(waiting, mailbox_style(waiting)),
        node.get("handled"),
        short_time(node.get("uptime_s")),
        str(node["pid"]) if node.get("pid") else None,
        f"{node.get('placement', '')}{f', {strategy}' if strategy else ''}",
        one_line(node.get("last_error"), _LONGEST_ERROR),
    ]
