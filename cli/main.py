"""The ``bidwright`` command: a table of commands, each a thin file of its own."""

from __future__ import annotations

import click

from cli.lazy import Home, LazyGroup

HELP = """Run and watch Bidwright, a real-time bidder built as a supervised team of agents.

Data goes to stdout, everything else to stderr; `-o json` gives JSON for scripts. Exit codes:
0 ok, 1 error, 2 usage, 3 degraded, 4 invalid, 5 not running, 6 needs approval.
"""

COMMANDS = {
    "up": Home("cli.up:up", "Start a node."),
    "down": Home("cli.down:down", "Stop the node and wait until all its processes are gone."),
    "status": Home("cli.status:status", "Tell whether the node is well."),
    "tree": Home("cli.tree:tree", "Show the supervision tree."),
    "top": Home("cli.top.command:top", "Watch and steer the node on a full screen."),
    "actor": Home("cli.actor:actor", "Look into a part of the tree; suspend, restart or kill it."),
    "events": Home("cli.events:events", "Show what happened in the tree, or follow it."),
    "bid": Home("cli.bid:bid", "Send bid requests and show the decisions."),
    "load": Home("cli.load:load", "Play an exchange: requests, auctions, wins, clicks."),
    "ledger": Home("cli.ledger:ledger", "Show, verify, export, reconcile and correct the money."),
    "rates": Home("cli.rates:rates", "Show and renew the exchange rates."),
    "chaos": Home("cli.chaos.commands:chaos", "Hurt a node on purpose, and see that it takes it."),
    "train": Home("cli.train:train", "Train a model on the sample world."),
    "evaluate": Home("cli.evaluate:evaluate", "Measure a part of the bidder beside its baselines."),
    "reproduce": Home("cli.reproduce.command:reproduce", "Make the tables of results again."),
    "config": Home("cli.config_show:config", "Show every setting and where it comes from."),
    "doctor": Home("cli.doctor:doctor", "Check that this machine can run a node."),
    "demo": Home("cli.demo:demo", "Start a node, play traffic, explain a decision."),
}

cli = click.version_option(package_name="bidwright", message="bidwright %(version)s")(
    LazyGroup("bidwright", COMMANDS, HELP)
)


def main() -> None:
    """Run the command line; ends the process with one of the codes of :class:`cli.exits.Exit`."""
    cli.main(prog_name="bidwright")


if __name__ == "__main__":
    main()
