"""``bidwright actor``: do something on purpose to one part of the tree."""

from __future__ import annotations

import click

from cli.node import Node, node_options
from cli.output import emit, output_option


@click.group()
def actor() -> None:
    """Kill, suspend or resume a part of the tree.

    NAME is an id of `bidwright tree`, or the path to it where several have the same id, as in
    bidders/bidder-1/cell/agents/user-profiler.
    """


@actor.command()
@click.argument("name")
@output_option
@node_options
def kill(node: Node, name: str, output: str) -> None:
    """Kill it: a process by SIGKILL, a light actor at once. Its supervisor decides what follows."""
    emit(node.ask("kill", name=name), output, lambda _: click.echo(f"killed {name}"))


@actor.command()
@click.argument("name")
@output_option
@node_options
def suspend(node: Node, name: str, output: str) -> None:
    """Suspend it: it keeps its state but gets no work; its fallback answers."""
    emit(node.ask("suspend", name=name), output, lambda _: click.echo(f"suspended {name}"))


@actor.command()
@click.argument("name")
@output_option
@node_options
def resume(node: Node, name: str, output: str) -> None:
    """Let a suspended actor go on."""
    emit(node.ask("resume", name=name), output, lambda _: click.echo(f"resumed {name}"))
