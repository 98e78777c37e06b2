"""``bidwright demo``: from nothing to printed decisions, and the node goes on running."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace

import click

from cli.bid import ask_gateway, print_decision
from cli.evaluate.team import learning, print_teams
from cli.exits import Exit
from cli.launch import state_of
from cli.ledger.place import plain, plain_errors
from cli.ledger.reconcile import compare, print_books
from cli.load import Order, play, progress, sample_market
from cli.node import Node, node_options, set_option
from cli.numbers import FiniteRange
from cli.output import say
from cli.play.report import print_summary
from cli.play.traffic import asks
from cli.tree import print_tree
from cli.up import start

_LOOK_AT = 20
"""Requests asked to find one that gets a bid."""


@click.command()
@click.option(
    "--duration",
    type=FiniteRange(min=0.5),
    default=10.0,
    show_default=True,
    help="Seconds of traffic.",
)
@set_option
@node_options
@click.pass_context
def demo(
    context: click.Context, /, node: Node, assignments: dict[str, object], duration: float
) -> None:
    """Start a node, play traffic, explain one decision, show the money, learning and the tree.

    A node that runs already is used as it is. It goes on running: `bidwright down` stops it.
    Exit code 3 when a request was not answered or an answer broke a rule.
    """
    if state_of(node.paths()):
        say(f"a node runs on {node.paths().data_dir} already: it is used as it is")
    else:
        start(node.settings({"node.bidders": 1, **assignments}), detach=True)
    order = replace(Order(), duration=duration)
    _heading(f"{duration:g} seconds of exchange traffic")
    with progress(order) as on_progress:
        summary = play(node, order, on_progress)
    print_summary(summary)
    _heading("one decision, explained")
    print_decision(_some_decision(node, order))
    _heading("the money: ledger, decision log and notices compared")
    with plain_errors():
        print_books(plain(compare(node)))
    _heading("learning: the served agents beside the rules that stand in for them")
    say("the same traffic for both, in virtual time ...")
    print_teams(learning(), campaigns=False)
    _heading("the supervision tree")
    print_tree(node.ask("tree"))
    click.echo("\nThe node goes on running. Try `bidwright tree`, `bidwright ledger verify`,")
    click.echo("`bidwright actor kill user-profiler`, and `bidwright down` to stop it.")
    if summary["unanswered"] or summary["invalid"]:
        context.exit(Exit.DEGRADED)


def _some_decision(node: Node, order: Order) -> dict[str, object]:
    """Return the answer to a request of the sample world, with a bid if one of some has one."""
    requests = sample_market(node, order.seed + 1).requests()
    some = itertools.islice(asks(requests, secrets.token_hex(4), explain_every=1), _LOOK_AT)
    answers = ask_gateway(node.gateway_urls(), [ask.body for ask in some])
    return next((answer for answer in answers if answer.get("seatbid")), answers[0])


def _heading(text: str) -> None:
    click.echo(f"\n== {text}\n")
