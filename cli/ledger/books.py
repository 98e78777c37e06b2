"""``bidwright ledger show|verify``."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from cli.errors import CommandError
from cli.exits import Exit
from cli.ledger.place import database, plain, plain_errors
from cli.looking import slow_lines
from cli.node import Node, node_options
from cli.output import dollars, emit, output_option, print_facts, print_table
from config.errors import ConfigError

if TYPE_CHECKING:
    from actors.ledger.journal import Head
    from config.campaigns import Campaign

_SUMS = ("budget_micros", "settled_micros", "leased_micros", "free_micros", "unfunded_micros")


@click.command()
@click.option(
    "--by",
    type=click.Choice(["campaign", "advertiser", "day"]),
    default="campaign",
    show_default=True,
    help="What a line of the table is.",
)
@output_option
@node_options
def show(node: Node, by: str, output: str) -> None:
    """Show what every campaign has spent, leased and left."""
    from actors.ledger.verify import show as read

    with plain_errors():
        summary = plain(read(database(node))) | {"slow": _slow(node)}
    _add_plans(node, summary)
    views = {"campaign": _print_campaigns, "advertiser": _print_advertisers, "day": _print_days}
    emit(summary, output, views[by])


def _add_plans(node: Node, summary: dict[str, Any]) -> None:
    """Set today's spend beside today's plan; without a campaign file there is none."""
    from cli.ledger.plans import add_plans
    from config.campaigns import load_campaigns

    settings = node.running_settings()
    campaigns: tuple[Campaign, ...] = ()
    with contextlib.suppress(ConfigError):
        campaigns = load_campaigns(settings.node.campaign_file)
    add_plans(summary, campaigns, settings, datetime.now(tz=UTC))


def _slow(node: Node) -> list[str]:
    """Return which bidders bid slowly now, and why; none does where no node runs."""
    try:
        return list(slow_lines(node.ask("tree")))
    except CommandError:
        return []


@click.command()
@click.option(
    "--head",
    metavar="SEQ:SEAL",
    help="An end of the journal that you wrote down; it must still be part of it.",
)
@output_option
@node_options
@click.pass_context
def verify(context: click.Context, /, node: Node, head: str | None, output: str) -> None:
    """Check from the ledger's journal alone that no money is lost, doubled or overspent.

    Exit code 3 when a rule is broken.
    """
    from actors.ledger.verify import verify as check

    remembered = _head_of(head) if head else None
    with plain_errors():
        report = plain(check(database(node), remembered))
    emit(report, output, _print_report)
    if not report["ok"]:
        context.exit(Exit.DEGRADED)


def _head_of(text: str) -> Head:
    from actors.ledger.journal import Head

    seq, _, chain = text.partition(":")
    if not seq.isdigit() or not chain:
        raise click.BadParameter(f"{text!r} is no SEQ:SEAL; `bidwright ledger show` tells it")
    return Head(int(seq), chain)


def _print_campaigns(summary: dict[str, Any]) -> None:
    rows = [
        (
            each["campaign_id"],
            dollars(each["budget_micros"]),
            dollars(each["settled_micros"]),
            dollars(each["leased_micros"]),
            dollars(each["free_micros"]),
            dollars(each["today_micros"]),
            None if each["planned_micros"] is None else dollars(each["planned_micros"]),
            each["settlements"],
            each["open_leases"],
            each["active"],
        )
        for each in summary["campaigns"]
    ]
    money = ("budget", "spent", "leased", "free", "today", "planned today")
    headings = ("campaign", *money, "wins", "leases", "active")
    spare = ("active", "leases", "budget", "wins", "planned today", "today")
    print_table(headings, rows, spare=spare)
    print_facts(_totals(summary))


def _print_advertisers(summary: dict[str, Any]) -> None:
    sums: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_SUMS, 0))
    for each in summary["campaigns"]:
        for name in _SUMS:
            sums[each["advertiser"]][name] += each[name]
    rows = [
        (advertiser, *(dollars(money[name]) for name in _SUMS[:4]))
        for advertiser, money in sorted(sums.items())
    ]
    print_table(("advertiser", "budget", "spent", "leased", "free"), rows)
    print_facts(_totals(summary))


def _print_days(summary: dict[str, Any]) -> None:
    rows = [
        (
            each["day"],
            each["campaign_id"],
            dollars(each["spent_micros"]),
            dollars(each["leased_micros"]),
        )
        for each in summary["days"]
    ]
    print_table(("day", "campaign", "spent", "leased"), rows)
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
        ("head", summary["head"]),
        ("budget", dollars(summary["budget_micros"])),
        ("spent", dollars(summary["settled_micros"])),
        ("leased", dollars(summary["leased_micros"])),
        ("won without budget", dollars(summary["unfunded_micros"])),
        ("settlements", summary["settlements"]),
        ("open leases", summary["open_leases"]),
        *(("slow", line) for line in summary.get("slow", ())),
    ]
