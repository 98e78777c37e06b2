"""``bidwright status``: is the node well?"""

from __future__ import annotations

import click

from cli.exits import Exit
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts


@click.command()
@output_option
@node_options
@click.pass_context
def status(context: click.Context, node: Node, output: str) -> None:
    """Tell whether the node is well.

    Exit code 0 when it is ready, 3 when it runs but is not well, 5 when no node runs.
    """
    answer = node.ask("status")
    emit(answer, output, _render)
    if answer.get("state") != "ready":
        context.exit(Exit.DEGRADED)


def _render(answer: dict[str, object]) -> None:
    print_facts((name.replace("_", " "), _readable(value)) for name, value in answer.items())


def _readable(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(str(_readable(inner)) for inner in value)
    # Numbers here are mostly names: pids and ports.
    return str(value) if isinstance(value, int) else value
