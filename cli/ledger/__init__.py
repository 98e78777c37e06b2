"""``bidwright ledger``: where the money is, and the proof that none is lost."""

from __future__ import annotations

from cli.lazy import Home, LazyGroup

HELP = """Show, verify, export, reconcile and correct the money.

All but `refund` and `adjust` work whether the node is up or down.
"""

COMMANDS = {
    "show": Home("cli.ledger.books:show", "What every campaign has spent, leased and left."),
    "verify": Home("cli.ledger.books:verify", "Is no money lost, doubled or overspent?"),
    "export": Home("cli.ledger.export:export", "The journal as CSV, JSON lines or for hledger."),
    "reconcile": Home(
        "cli.ledger.reconcile:reconcile", "Do ledger, decision log and notices agree?"
    ),
    "refund": Home("cli.ledger.orders:refund", "Give back what a win was booked at."),
    "adjust": Home("cli.ledger.orders:adjust", "Charge or credit a campaign."),
}

ledger = LazyGroup("ledger", COMMANDS, HELP)
