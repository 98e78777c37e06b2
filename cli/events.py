"""``bidwright events``: what happened in the tree, and what happens now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.errors import NodeNotRunningError
from cli.event_lines import COLOURS, event_lines
from cli.node import Node, node_options
from cli.output import print_json, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Event = Mapping[str, Any]

_POLL_S = 0.3
_AT_ONCE = 500


@click.command()
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option(
    "-k",
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice(sorted(COLOURS)),
    help="Only events of this kind; may be repeated.",
)
@click.option("--dead", is_flag=True, help="The last who died, and of what.")
@click.option(
    "-n",
    "--number",
    type=click.IntRange(0, 1000),
    default=50,
    show_default=True,
    help="So many of the past.",
)
@click.option("--brief", is_flag=True, help="One line each: no tracebacks.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "ndjson"]),
    default="table",
    show_default=True,
    help="How to print it; ndjson is one object a line.",
)
@node_options
def events(  # noqa: PLR0913 - the options of the command
    node: Node,
    kinds: tuple[str, ...],
    number: int,
    output: str,
    *,
    follow: bool,
    dead: bool,
    brief: bool,
) -> None:
    """Show starts, crashes, restarts, escalations, fallbacks, faults and orders.

    Of a node that does not run any more the past is shown from its file.
    """
    if follow and dead:
        raise click.UsageError("--follow and --dead do not go together")
    page = _past(node, kinds, number, dead=dead, follow=follow)
    write = _writer(output, detail=not brief, follow=follow)
    write(page["events"])
    if follow:
        _follow(node, str(page["cursor"]), kinds, write)


def _past(
    node: Node, kinds: tuple[str, ...], number: int, *, dead: bool, follow: bool
) -> Mapping[str, Any]:
    """Return the last events (or graves) there are, and a cursor behind them."""
    try:
        if not dead:
            return dict(node.ask("events", limit=number, kinds=list(kinds)))
        graves = [each for each in node.ask("dead")["dead"] if not kinds or each["kind"] in kinds]
    except NodeNotRunningError:
        path = node.paths().events_file
        if follow or not path.exists():
            raise
        say(f"no node runs on {node.paths().data_dir}; this is what the last one left")
        return {"events": _from_file(node, kinds, number, dead=dead)}
    return {"events": graves[-number:] if number else []}


def _from_file(
    node: Node, kinds: tuple[str, ...], number: int, *, dead: bool
) -> list[dict[str, Any]]:
    from transport.event_file import read_last

    path = node.paths().events_file
    if dead:
        from supervision.inspection.graveyard import Graveyard

        graves = Graveyard(path).dead()
        return [each for each in graves if not kinds or each["kind"] in kinds][-number:]
    return read_last(path, number, lambda event: not kinds or event.get("kind") in kinds).events


def _writer(output: str, *, detail: bool, follow: bool) -> Callable[[Iterable[Event]], None]:
    """Return what prints events; a list in JSON has an end, so what is followed is ndjson."""
    if output == "json" and not follow:
        return lambda found: print_json(list(found))
    if output != "table":
        return _print_objects
    return lambda found: _print_lines(found, detail=detail)


def _print_objects(found: Iterable[Event]) -> None:
    for event in found:
        print_json(event, lines=True)


def _print_lines(found: Iterable[Event], *, detail: bool) -> None:
    for event in found:
        for line in event_lines(event, detail=detail):
            click.echo(line)


def _follow(
    node: Node, cursor: str, kinds: tuple[str, ...], write: Callable[[Iterable[Event]], None]
) -> None:
    """Write what is new, until somebody interrupts it or the node ends."""
    from cli.patience import paced

    for _ in paced(_POLL_S):
        page = node.ask("events", cursor=cursor, limit=_AT_ONCE, kinds=list(kinds))
        cursor = str(page["cursor"])
        write(page["events"])
