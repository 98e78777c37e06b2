"""``bidwright doctor``: can this machine run a node?"""

from __future__ import annotations

import click

from cli.exits import Exit
from cli.launch import state_of
from cli.node import Node, node_options, set_option
from cli.output import emit, output_option, print_table


@click.command()
@set_option
@output_option
@node_options
@click.pass_context
def doctor(context: click.Context, node: Node, assignments: dict[str, object], output: str) -> None:
    """Check that this machine can run a node, and say what to do where it can't.

    Exit code 3 when something would keep a node from working.
    """
    from cli.checks import Finding, examine

    def render(_: object) -> None:
        print_table(
            ("check", "verdict", "found", "advice"),
            [(each.check, each.verdict, each.found, each.advice) for each in findings],
        )

    findings: list[Finding] = examine(
        node.settings(assignments), node_runs=bool(state_of(node.paths()))
    )
    emit([each.as_dict() for each in findings], output, render)
    if any(each.verdict == "fault" for each in findings):
        context.exit(Exit.DEGRADED)
