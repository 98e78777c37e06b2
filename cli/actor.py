"""``bidwright actor``: look into one part of the tree, or do something to it on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.errors import DegradedError
from cli.event_lines import event_lines
from cli.looking import short_time
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts, print_json, width_of_stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MEBIBYTE = 1 << 20
_POLL_S = 0.2
_MOST_S = 60.0


@click.group()
def actor() -> None:
    """Look into a part of the tree; suspend, resume, restart or kill it.

    NAME is an id of `bidwright tree`, or the path to it where several have the same id, as in
    bidders/bidder-1/cell/agents/user-profiler; the node's name may stand before it, as in
    node-1:ledger.
    """


def _on_name(command: Callable[..., None]) -> click.Command:
    """Make a command of the group that takes NAME, ``-o`` and the options of a node."""
    return actor.command()(click.argument("name")(output_option(node_options(command))))


# --- looking -----------------------------------------------------------------------------------


@_on_name
def show(node: Node, name: str, output: str) -> None:
    """Show all there is to know of it, whether it answers or not."""
    emit(node.ask("show", name=name), output, print_shown)


@_on_name
def state(node: Node, name: str, output: str) -> None:
    """Show what it keeps in mind, without what is private."""
    emit(node.ask("state", name=name), output, lambda told: _print_nested(told["state"]))


@actor.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(0.1, _MOST_S),
    default=10.0,
    show_default=True,
    help="Seconds after which it ends by itself.",
)
@output_option
@node_options
def trace(node: Node, name: str, limit: int, for_s: float, output: str) -> None:
    """Show the messages that it gets and sends from now on, without what is private.

    It ends after --limit messages, after --for seconds, or with Ctrl-C. With -o json there is one
    object a line.
    """
    for message in traced(node, name, limit, for_s):
        if output == "json":
            print_json(message, lines=True)
        else:
            line, width = _trace_line(message), width_of_stdout()
            click.echo(line if len(line) <= width else f"{line[: width - 1]}…")


@_on_name
def stack(node: Node, name: str, output: str) -> None:
    """Show what its process does at this moment, also in an endless loop.

    Exit code 3 when there is nothing to show, as of a process that is stopped.
    """
    told = node.ask("stack", name=name)
    if output == "json":
        print_json(told)
    elif told.get("stack"):
        click.echo(f"{told['process']} (pid {told['pid']}), {told['os_state']}")
        click.echo(told["stack"])
    if not told.get("stack"):
        raise DegradedError(f"no stack of {told.get('process', name)}: {told.get('error')}")


# --- doing -------------------------------------------------------------------------------------


@_on_name
def kill(node: Node, name: str, output: str) -> None:
    """Kill it: a process by SIGKILL, a light actor at once. Its supervisor decides what follows."""
    _order(node, "kill", name, output, "killed")


@_on_name
def restart(node: Node, name: str, output: str) -> None:
    """End it politely and have its supervisor start it anew, as after any other end."""
    _order(node, "restart", name, output, "restarting")


@_on_name
def suspend(node: Node, name: str, output: str) -> None:
    """Suspend it: it keeps its state but gets no work; its fallback answers."""
    _order(node, "suspend", name, output, "suspended")


@_on_name
def resume(node: Node, name: str, output: str) -> None:
    """Let a suspended actor go on."""
    _order(node, "resume", name, output, "resumed")


# --- how it is done ----------------------------------------------------------------------------


def _order(node: Node, operation: str, name: str, output: str, done: str) -> None:
    """Have the node do something to a part of its tree, and say that it is done."""
    emit(node.ask(operation, name=name), output, lambda _: click.echo(f"{done} {name}"))


def traced(node: Node, name: str, limit: int, for_s: float) -> Iterator[Mapping[str, Any]]:
    """Begin a trace and yield its messages until it ends; left early, it is switched off."""
    from cli.patience import paced

    page = node.ask("trace", name=name, limit=limit, for_s=for_s)
    try:
        for _ in paced(_POLL_S):
            yield from page.get("messages", ())
            if not page.get("active"):
                return
            page = node.ask("trace", name=name, since=page["next"])
    finally:
        if page.get("active"):
            node.ask("trace", name=name, since=page["next"], stop=True)


def print_shown(shown: Mapping[str, Any]) -> None:
    """Print what ``show`` told: the supervisor's table, the system's, the actor's own, the past."""
    node, process, account = shown["node"], shown.get("process"), shown.get("account")
    print_facts(_facts_of(node), title=str(node.get("address") or node.get("name")))
    if process:
        print_facts(
            (
                ("pid", str(process["pid"])),
                ("does", process["os_state"]),
                ("processor time", f"{process['cpu_s']:.2f} s"),
                ("memory", f"{process['rss_bytes'] / _MEBIBYTE:.1f} MiB"),
                ("threads", process["threads"]),
                ("descriptors", process["fds"]),
            ),
            title="its process",
        )
    if account is None:
        print_facts([("none", shown.get("account_error"))], title="its own account")
    else:
        own = {key: account[key] for key in ("behaviour", "run_state", "debug") if account.get(key)}
        print_facts([*own.items(), *account.get("details", {}).items()], title="its own account")
    events = shown.get("last_events") or []
    if events:
        click.echo("its last events")
        for event in events:
            for line in event_lines(event, detail=False):
                click.echo(f"  {line}")


def _facts_of(node: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what its supervisor knows of it."""
    for key in ("state", "kind", "placement", "strategy", "restarts"):
        if node.get(key) is not None:
            yield key, node[key]
    yield "up", short_time(node.get("uptime_s"))
    if node.get("allowance") is not None:
        left, whole, period_s = (
            node[key] for key in ("allowance_left", "allowance", "allowance_period_s")
        )
        yield "restarts left", f"{left} of {whole} within {period_s} s"
    for key in ("mailbox", "handled", "rate", "dropped", "last_error"):
        if node.get(key) is not None:
            yield key.replace("_", " "), node[key]


def _trace_line(message: Mapping[str, Any]) -> str:
    arrow = "<-" if message["direction"] == "in" else "->"
    return (
        f"{message['at_s']:10.6f} {arrow} {message['type']} {message['peer']}: "
        f"{_one_line(message['message'])}"
    )


def _one_line(value: object) -> str:
    if isinstance(value, dict):
        parts = (f"{key}={_one_line(part)}" for key, part in value.items() if key != "type")
        return f"({', '.join(parts)})"
    return str(value)


def _print_nested(value: object, lead: str = "") -> None:
    """Print nested data, a line each, as deep as it goes."""
    if isinstance(value, dict):
        pairs = [(f"{key}:", part) for key, part in value.items()]
    else:
        pairs = [("-", part) for part in value] if isinstance(value, list) else [("", value)]
    for key, part in pairs:
        if isinstance(part, dict | list) and part:
            click.echo(f"{lead}{key}")
            _print_nested(part, f"{lead}  ")
        else:
            click.echo(f"{lead}{key} {part}".rstrip() if key else f"{lead}{part}")
