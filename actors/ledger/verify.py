"""Prove from the database alone that no money was lost, doubled or overspent.

Principle: every figure that the ledger keeps is worked out again from the journal, entry by entry
(``audit``), and compared with what stands in the tables. All is read in one transaction, so the
answer is about one instant, whether the node is up (the database gives readers a stable view beside
the writer) or down.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, case, func, select, true
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger import accounts, schema
from actors.ledger.audit import Auditor, Violation
from actors.ledger.engines import Database, damage, plain_cause
from actors.ledger.errors import LedgerStoreError
from actors.ledger.journal import Entry, Head, Posting
from actors.ledger.store import check_version, fact, head_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

#: No more offenders than this are named in all.
MAX_NAMED: Final = 100
#: Rows fetched at a time.
_ROWS: Final = 2_000

#: What is checked, by the names that violations have.
RULES: Final = (
    "file_is_sound",
    "no_entry_is_missing",
    "no_entry_was_changed",
    "remembered_end_is_part_of_it",
    "postings_sum_to_0",
    "balances_sum_to_0",
    "money_moves_by_rule",
    "never_overspent",
    "never_more_than_a_days_budget",
    "balances_are_the_journals",
    "campaigns_are_the_journals",
    "leases_are_the_journals",
    "settlements_are_the_journals",
)


class CampaignReport(msgspec.Struct, frozen=True):
    """One campaign's money, in micros of USD.

    ``leased_micros`` is what open leases block, reserved or not; ``free_micros`` may be leased.
    ``unfunded_micros`` was won when no budget was left. Counts are of settlements.
    """

    campaign_id: str
    advertiser: str
    budget_micros: int
    settled_micros: int
    leased_micros: int
    free_micros: int
    unfunded_micros: int
    active: bool
    open_leases: int
    settlements: int
    unfunded: int


class DayReport(msgspec.Struct, frozen=True):
    """What is out of a campaign's budget on one day (ISO date), in micros of USD."""

    day: str
    campaign_id: str
    spent_micros: int
    leased_micros: int


class Summary(msgspec.Struct, frozen=True):
    """What the ledger holds (``bidwright ledger show``)."""

    path: str
    ledger_id: str
    head: str
    budget_micros: int
    settled_micros: int
    leased_micros: int
    unfunded_micros: int
    settlements: int
    open_leases: int
    statuses: dict[str, int]
    campaigns: tuple[CampaignReport, ...]
    days: tuple[DayReport, ...]


class Report(msgspec.Struct, frozen=True):
    """The verdict (``bidwright ledger verify``): ``ok`` means no violation."""

    ok: bool
    checked: tuple[str, ...]
    violations: tuple[Violation, ...]
    summary: Summary


def show(where: Database | Path) -> Summary:
    """Return what the ledger holds now.

    Args:
        where: Its database, or the path of its SQLite file.

    Raises:
        LedgerStoreError: There is no ledger, or it can't be read.
        LedgerSchemaError: It was written by a newer version.
    """
    database = where if isinstance(where, Database) else Database(where)
    with reading(database) as connection:
        return _summary(connection, database)


def verify(where: Database | Path, remembered: Head | None = None) -> Report:
    """Check every promise of the ledger against its journal.

    Args:
        where: Its database, or the path of its SQLite file.
        remembered: An end of the journal that was written down earlier; it must still be in it.

    Raises:
        LedgerStoreError: There is no ledger, or it can't be read.
        LedgerSchemaError: It was written by a newer version.
    """
    database = where if isinstance(where, Database) else Database(where)
    with reading(database) as connection:
        violations = []
        for violation in _violations(connection, remembered):
            violations.append(violation)
            if len(violations) == MAX_NAMED:
                break
        summary = _summary(connection, database)
    return Report(ok=not violations, checked=RULES, violations=tuple(violations), summary=summary)


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    """Open a ledger for reading, at one instant.

    Raises:
        LedgerStoreError: There is no ledger, or it can't be read.
        LedgerSchemaError: It was written by a newer version.
    """
    missing = LedgerStoreError(
        f"there is no ledger at {database}; start a node once, or pass its --data-dir"
    )
    if not database.exists:
        raise missing
    engine = database.reading()
    try:
        with engine.begin() as connection:
            version = check_version(connection, database)
            if not version:
                raise missing
            if version != str(schema.VERSION):
                raise LedgerStoreError(
                    f"{database} was written by an older Bidwright; start the node once to bring it"
                    " up to date"
                )
            yield connection
    except SQLAlchemyError as error:
        raise LedgerStoreError(
            f"cannot read the ledger {database}: {plain_cause(error)};"
            " if it is damaged, restore a backup"
        ) from error
    finally:
        engine.dispose()


def entries(connection: Connection, since: int = 0) -> Iterator[Entry]:
    """Yield the journal's entries after number ``since``, in order, a few at a time."""
    query = (
        select(schema.journal, schema.postings.c.account, schema.postings.c.micros)
        .outerjoin(schema.postings, schema.postings.c.seq == schema.journal.c.seq)
        .where(schema.journal.c.seq > since)
        .order_by(schema.journal.c.seq, schema.postings.c.line)
        .execution_options(yield_per=_ROWS)
    )
    held: dict[str, Any] = {}
    postings: list[Posting] = []
    for row in connection.execute(query):
        if held and held["seq"] != row.seq:
            yield Entry(**held, postings=tuple(postings))
            postings = []
        held = {column.name: getattr(row, column.name) for column in schema.journal.columns}
        if row.account is not None:
            postings.append(Posting(row.account, row.micros))
    if held:
        yield Entry(**held, postings=tuple(postings))


# --- the tables against the journal -------------------------------------------------------------


def _violations(connection: Connection, remembered: Head | None) -> Iterator[Violation]:
    for line in damage(connection):
        yield Violation("file_is_sound", "database", line)
    auditor = Auditor(fact(connection, "ledger_id"), remembered)
    for entry in entries(connection):
        yield from auditor.read(entry)
    yield from auditor.end()
    yield from _check_balances(connection, auditor)
    yield from _check_campaigns(connection, auditor)
    yield from _check_leases(connection, auditor)
    yield from _check_settlements(connection, auditor)


def _check_balances(connection: Connection, auditor: Auditor) -> Iterator[Violation]:
    kept = {row.account: row.micros for row in connection.execute(select(schema.balances))}
    for account in sorted(kept.keys() | auditor.balances.keys()):
        yield from _differs(
            "balances_are_the_journals",
            account,
            {"balance": kept.get(account, 0)},
            {"balance": auditor.balances.get(account, 0)},
        )


def _check_campaigns(connection: Connection, auditor: Auditor) -> Iterator[Violation]:
    parts: dict[tuple[str, str], int] = {}
    for account, micros in auditor.balances.items():
        place = accounts.place(account)
        parts[place.owner, place.part] = parts.get((place.owner, place.part), 0) + micros
    for row in connection.execute(select(schema.campaigns)):
        out = row.settled_micros + row.leased_micros
        said = {
            "free": max(0, row.budget_micros - out),
            "leased": row.leased_micros,
            "spent": row.settled_micros,
            "unfunded": row.unfunded_micros,
        }
        proved = {part: parts.get((row.campaign_id, part), 0) for part in said}
        yield from _differs("campaigns_are_the_journals", row.campaign_id, said, proved)


def _check_leases(connection: Connection, auditor: Auditor) -> Iterator[Violation]:
    proved = dict(auditor.leases)
    query = select(schema.leases).execution_options(yield_per=_ROWS)
    for row in connection.execute(query):
        left = max(0, row.granted_micros - row.drawn_micros - row.returned_micros)
        yield from _differs(
            "leases_are_the_journals",
            row.lease_id,
            {"outstanding": left if row.is_open else 0},
            {"outstanding": proved.pop(row.lease_id, None)},
        )
    for lease_id in proved:
        yield Violation("leases_are_the_journals", lease_id, "its row is missing")


def _check_settlements(connection: Connection, auditor: Auditor) -> Iterator[Violation]:
    proved = dict(auditor.won)
    query = select(schema.settlements).execution_options(yield_per=_ROWS)
    for row in connection.execute(query):
        won = proved.pop(row.key, None)
        yield from _differs(
            "settlements_are_the_journals",
            row.key,
            {"booked": row.booked_micros, "refunded": row.refunded_micros},
            won and {"booked": won.booked_micros, "refunded": won.refunded_micros},
        )
    for key in proved:
        yield Violation("settlements_are_the_journals", key, "its row is missing")


def _differs(
    rule: str, subject: str, said: dict[str, Any], proved: dict[str, Any] | None
) -> Iterator[Violation]:
    if said == proved:
        return
    pairs = (f"{name}={said[name]}, journal={(proved or {}).get(name)}" for name in said)
    yield Violation(rule, subject, "; ".join(pairs))


# --- the summary --------------------------------------------------------------------------------


def _summary(connection: Connection, database: Database) -> Summary:
    campaigns = tuple(
        CampaignReport(**row) for row in connection.execute(_campaign_reports).mappings()
    )
    status = schema.settlements.c.status
    by_status = select(status, func.count()).group_by(status)
    statuses = {str(row[0]): int(row[1]) for row in connection.execute(by_status)}
    return Summary(
        path=str(database),
        ledger_id=fact(connection, "ledger_id"),
        head=str(head_of(connection)),
        budget_micros=sum(campaign.budget_micros for campaign in campaigns),
        settled_micros=sum(campaign.settled_micros for campaign in campaigns),
        leased_micros=sum(campaign.leased_micros for campaign in campaigns),
        unfunded_micros=sum(campaign.unfunded_micros for campaign in campaigns),
        settlements=sum(statuses.values()),
        open_leases=sum(campaign.open_leases for campaign in campaigns),
        statuses=statuses,
        campaigns=campaigns,
        days=tuple(_days(connection)),
    )


def _days(connection: Connection) -> Iterator[DayReport]:
    """Yield what the balances say of days, in their order."""
    days: dict[tuple[str, str], dict[str, int]] = {}
    for row in connection.execute(select(schema.balances)):
        place = accounts.place(row.account)
        if place.day and row.micros:
            days.setdefault((place.day, place.owner), {})[place.part] = row.micros
    for (day, campaign_id), parts in sorted(days.items()):
        yield DayReport(day, campaign_id, parts.get("spent", 0), parts.get("leased", 0))


_c = schema.campaigns.c
_l = schema.leases.c
_s = schema.settlements.c

_booked_by_campaign = (
    select(
        _s.campaign_id,
        func.sum(_s.booked_micros).label("booked"),
        func.count().label("wins"),
        func.sum(case((and_(_s.booked_micros == 0, _s.price_micros > 0), 1), else_=0)).label(
            "short"
        ),
    )
    .group_by(_s.campaign_id)
    .subquery()
)
_left_of_lease = _l.granted_micros - _l.drawn_micros - _l.returned_micros
_outstanding = case((and_(_l.is_open == true(), _left_of_lease > 0), _left_of_lease), else_=0)
_leased_by_campaign = (
    select(
        _l.campaign_id,
        func.sum(_outstanding).label("outstanding"),
        func.sum(case((_l.is_open == true(), 1), else_=0)).label("open"),
    )
    .group_by(_l.campaign_id)
    .subquery()
)
_booked = func.coalesce(_booked_by_campaign.c.booked, 0)
_blocked = func.coalesce(_leased_by_campaign.c.outstanding, 0)
_free = _c.budget_micros - _c.settled_micros - _c.leased_micros

_campaign_reports = (
    select(
        _c.campaign_id,
        _c.advertiser,
        _c.budget_micros,
        _c.settled_micros,
        _c.leased_micros,
        case((_free > 0, _free), else_=0).label("free_micros"),
        _c.unfunded_micros,
        _c.active,
        func.coalesce(_leased_by_campaign.c.open, 0).label("open_leases"),
        func.coalesce(_booked_by_campaign.c.wins, 0).label("settlements"),
        func.coalesce(_booked_by_campaign.c.short, 0).label("unfunded"),
    )
    .outerjoin(_booked_by_campaign, _booked_by_campaign.c.campaign_id == _c.campaign_id)
    .outerjoin(_leased_by_campaign, _leased_by_campaign.c.campaign_id == _c.campaign_id)
    .order_by(_c.campaign_id)
)
