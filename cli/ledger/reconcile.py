"""``bidwright ledger reconcile``: do the books agree?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.exits import Exit
from cli.ledger.place import database, plain, plain_errors
from cli.node import Node, node_options
from cli.output import emit, output_option, print_facts, print_table

if TYPE_CHECKING:
    from actors.ledger.reconcile import Reconciliation

#: A notice that was booked so recently may not be in the log yet, in seconds.
_GRACE_S = 15.0


@click.command()
@output_option
@node_options
@click.pass_context
def reconcile(context: click.Context, /, node: Node, output: str) -> None:
    """Compare the ledger with the decision log and with the notices that came.

    Lists what was billed and not booked, booked and not billed, booked without a bid, at another
    price, above the bid, or to another campaign. Exit code 3 when there is any difference.
    """
    with plain_errors():
        found = plain(compare(node))
    emit(found, output, print_books)
    if not found["ok"]:
        context.exit(Exit.DEGRADED)


def compare(node: Node) -> Reconciliation:
    """Compare the three books of a node.

    Raises:
        LedgerError: The ledger can't be read.
    """
    from actors.events.notice_rules import terms_of
    from actors.ledger import evidence
    from actors.ledger.reconcile import Books
    from actors.ledger.verify import reading
    from config.rates import load_rates
    from supervision.clock import wall_clock

    settings, paths = node.running_settings(), node.paths()
    rates = load_rates(settings.market.rate_file)
    books = Books(wall_clock()() - _GRACE_S)
    try:
        # The notices first: what they tell has been booked before.
        books.add_bills(evidence.bills_of(paths, terms_of(settings, rates.micros_of)))
        with reading(database(node)) as connection:
            books.add_bookings(evidence.bookings_of(connection))
        books.add_bids(evidence.bids_of(paths))
        return books.compare()
    finally:
        books.close()


def print_books(found: dict[str, Any]) -> None:
    """Print a comparison for a person."""
    if found["differences"]:
        rows = [(each["kind"], each["key"], each["detail"]) for each in found["differences"]]
        print_table(("difference", "bid", "figures"), rows)
    total = sum(found["counts"].values())
    counted = [(name.replace("_", " "), number) for name, number in found["counts"].items()]
    print_facts(
        [
            ("verdict", f"{total} differences" if total else "the books agree"),
            ("bids", found["bids"]),
            ("bills", found["bills"]),
            ("bookings", found["bookings"]),
            ("bids without a word", found["unresolved"]),
            ("bookings before the logs", found["not_covered"]),
            *counted,
        ]
    )
