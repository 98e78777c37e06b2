"""``bidwright config``: what is set, and where each value comes from."""

from __future__ import annotations

import click

from cli.node import Node, node_options, set_option
from cli.output import emit, output_option, print_table
from config.layers import nest


@click.group()
def config() -> None:
    """Show every setting and where it comes from."""


@config.command()
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@set_option
@output_option
@node_options
def show(node: Node, assignments: dict[str, object], output: str, *, origin: bool) -> None:
    """Show the settings that `bidwright up` would use with the same options.

    Exit code 4 when they are not valid.
    """
    from config.settings import origins

    found = origins(node.config, node.overrides(assignments))
    if origin:
        listed = {key: {"value": value, "origin": where} for key, (value, where) in found.items()}
        rows = [(key, str(value), where) for key, (value, where) in found.items()]
        emit(listed, output, lambda _: print_table(("setting", "value", "origin"), rows))
        return
    values = {key: value for key, (value, _) in found.items()}
    pairs = [(key, str(value)) for key, value in values.items()]
    emit(nest(values), output, lambda _: print_table(("setting", "value"), pairs))
