"""``bidwright ledger``: where the money is, and the proof that none is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.errors import CommandError
from cli.exits import Exit
from cli.node import Node, node_options
from cli.output import dollars, emit, output_option, print_facts, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


@click.group()
def ledger() -> None:
    """Show and verify the money; works whether the node is up or down."""


@ledger.command()
@output_option
@node_options
def show(node: Node, output: str) -> None:
    """Show what every campaign has spent, leased and left."""
    from actors.ledger.verify import show as read

    summary = _plain(_read(lambda: read(node.paths().ledger_db)))
    emit(summary, output, _print_summary)


@ledger.command()
@output_option
@node_options
@click.pass_context
def verify(context: click.Context, /, node: Node, output: str) -> None:
    """Check from the ledger's rows alone that no money is lost, doubled or overspent.

    Exit code 3 when a rule is broken.
    """
    from actors.ledger.verify import verify as check

    report = _plain(_read(lambda: check(node.paths().ledger_db)))
    emit(report, output, _print_report)
    if not report["ok"]:
        context.exit(Exit.DEGRADED)


def _read(read: Callable[[], Result]) -> Result:
    from actors.ledger.errors import LedgerError

    try:
        return read()
    except LedgerError as error:
        raise CommandError(str(error)) from error


def _plain(value: object) -> Any:
    import msgspec

    return msgspec.to_builtins(value)


def _print_summary(summary: dict[str, Any]) -> None:
    rows = [
        (
            each["campaign_id"],
            dollars(each["budget_micros"]),
            dollars(each["settled_micros"]),
            dollars(each["leased_micros"]),
            dollars(each["free_micros"]),
            each["settlements"],
            each["open_leases"],
            each["active"],
        )
        for each in summary["campaigns"]
    ]
    headings = ("campaign", "budget", "spent", "leased", "free", "wins", "leases", "active")
    print_table(headings, rows, spare=("active", "leases", "budget", "wins"))
    print_facts(_totals(summary))


def _print_report(report: dict[str, Any]) -> None:
    broken = report["violations"]
    if broken:
        rows = [(each["rule"], each["subject"], each["detail"]) for each in broken]
        print_table(("broken rule", "where", "figures"), rows)
    verdict = f"{len(broken)} violations" if broken else "no money lost, doubled or overspent"
    checked = len(report["checked"])
    facts = [("verdict", verdict), ("rules checked", checked), *_totals(report["summary"])]
    print_facts(facts)


def _totals(summary: dict[str, Any]) -> list[tuple[str, object]]:
    return [
        ("ledger", summary["path"]),
        ("budget", dollars(summary["budget_micros"])),
        ("spent", dollars(summary["settled_micros"])),
        ("leased", dollars(summary["leased_micros"])),
        ("won without budget", dollars(summary["unfunded_micros"])),
        ("settlements", summary["settlements"]),
        ("open leases", summary["open_leases"]),
    ]
