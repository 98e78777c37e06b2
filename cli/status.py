"""``bidwright status``: is the node well?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandError
from cli.exits import Exit
from cli.looking import slow_lines
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@click.command()
@output_option
@node_options
@click.pass_context
def status(context: click.Context, node: Node, output: str) -> None:
    """Tell whether the node is well.

    Exit code 0 when it is ready, 3 when it runs but is not well, 5 when no node runs. A node is
    not well while a part of it is being restarted, is suspended, or does not answer.
    """
    answer = dict(node.ask("status"))
    if answer.get("state") == "ready":
        answer["unwell"] = _unwell(node)
        if answer["unwell"]:
            answer["state"] = "degraded"
    emit(answer, output, _render)
    if answer.get("state") != "ready":
        context.exit(Exit.DEGRADED)


def _unwell(node: Node) -> list[str]:
    """Return what is wrong with a node that is up: who of it does not work, and why."""
    paths = node.paths()
    if not paths.lock_file.exists():
        return [f"its folder {paths.data_dir} was removed: stop it, nothing it does is kept"]
    try:
        tree = node.ask("tree")
        return [*_idle(tree), *slow_lines(tree)]
    except CommandError as error:
        return [error.message]


def _idle(part: Mapping[str, Any]) -> Iterator[str]:
    if part.get("state") != "running":
        error = " ".join(str(part.get("last_error") or "").split())
        name = part.get("name") or part.get("id")
        yield f"{name} is {part.get('state')}{f' ({error})' if error else ''}"
    for child in part.get("children") or ():
        yield from _idle(child)


def _render(answer: dict[str, object]) -> None:
    told = {name: value for name, value in answer.items() if value != []}
    print_facts((name.replace("_", " "), _readable(value)) for name, value in told.items())


def _readable(value: object) -> object:
    if isinstance(value, dict):
        held = {name: inner for name, inner in value.items() if inner != []}
        return ", ".join(f"{name} {_readable(inner)}" for name, inner in held.items())
    if isinstance(value, list):
        return ", ".join(str(_readable(inner)) for inner in value)
    # Numbers here are mostly names: pids and ports.
    return str(value) if isinstance(value, int) else value
