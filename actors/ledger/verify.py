"""Prove from the database alone that no money was lost, doubled or overspent.

Principle: every sum that the ledger keeps is computed again from the rows it came from. The file is
opened read-only in one transaction, so the answer is about one instant, whether the node is up
(SQLite's log gives readers a stable view beside the writer) or down.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, case, func, or_, select, true
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger import schema
from actors.ledger.errors import LedgerStoreError
from actors.ledger.store import check_version, connect, fact, plain_cause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

#: No more offenders than this are named per rule.
MAX_NAMED: Final = 20


class Violation(msgspec.Struct, frozen=True):
    """A broken rule: its name, the row that breaks it, and the figures."""

    rule: str
    subject: str
    detail: str


class CampaignReport(msgspec.Struct, frozen=True):
    """One campaign's money, in micros of USD.

    ``leased_micros`` is what open leases block, reserved or not; ``free_micros`` may be leased.
    ``unfunded_micros`` was won when no budget was left. Counts are of settlements.
    """

    campaign_id: str
    budget_micros: int
    settled_micros: int
    leased_micros: int
    free_micros: int
    unfunded_micros: int
    active: bool
    open_leases: int
    settlements: int
    unfunded: int


class Summary(msgspec.Struct, frozen=True):
    """What the ledger holds (``bidwright ledger show``)."""

    path: str
    ledger_id: str
    budget_micros: int
    settled_micros: int
    leased_micros: int
    unfunded_micros: int
    settlements: int
    open_leases: int
    statuses: dict[str, int]
    campaigns: tuple[CampaignReport, ...]


class Report(msgspec.Struct, frozen=True):
    """The verdict (``bidwright ledger verify``): ``ok`` means no violation."""

    ok: bool
    checked: tuple[str, ...]
    violations: tuple[Violation, ...]
    summary: Summary


def show(db_path: Path) -> Summary:
    """Return what the ledger holds now.

    Raises:
        LedgerStoreError: There is no ledger at ``db_path``, or it can't be read.
        LedgerSchemaError: It was written by a newer version.
    """
    with _reading(db_path) as connection:
        return _summary(connection, db_path)


def verify(db_path: Path) -> Report:
    """Check every promise of the ledger against its rows.

    Raises:
        LedgerStoreError: There is no ledger at ``db_path``, or it can't be read.
        LedgerSchemaError: It was written by a newer version.
    """
    with _reading(db_path) as connection:
        violations = _file_damage(connection)
        for rule, query in _RULES.items():
            rows = connection.execute(query.limit(MAX_NAMED)).mappings()
            violations.extend(_violation(rule, dict(row)) for row in rows)
        summary = _summary(connection, db_path)
    return Report(
        ok=not violations,
        checked=("file_is_sound", *_RULES),
        violations=tuple(violations),
        summary=summary,
    )


@contextmanager
def _reading(db_path: Path) -> Iterator[Connection]:
    if not db_path.is_file():
        raise LedgerStoreError(
            f"there is no ledger at {db_path}; start a node once, or pass its --data-dir"
        )
    engine = connect(db_path, read_only=True)
    try:
        with engine.begin() as connection:
            check_version(connection, db_path)
            yield connection
    except SQLAlchemyError as error:
        raise LedgerStoreError(
            f"cannot read the ledger {db_path}: {plain_cause(error)};"
            " if it is damaged, restore a backup"
        ) from error
    finally:
        engine.dispose()


def _file_damage(connection: Connection) -> list[Violation]:
    found = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
    return [Violation("file_is_sound", "database", line) for line in found if line != "ok"]


def _violation(rule: str, row: dict[str, Any]) -> Violation:
    subject = str(row.pop("subject"))
    return Violation(rule, subject, ", ".join(f"{name}={value}" for name, value in row.items()))


def _summary(connection: Connection, db_path: Path) -> Summary:
    campaigns = tuple(
        CampaignReport(**row) for row in connection.execute(_campaign_reports).mappings()
    )
    status = schema.settlements.c.status
    by_status = select(status, func.count()).group_by(status)
    statuses = {str(row[0]): int(row[1]) for row in connection.execute(by_status)}
    return Summary(
        path=str(db_path),
        ledger_id=fact(connection, "ledger_id"),
        budget_micros=sum(campaign.budget_micros for campaign in campaigns),
        settled_micros=sum(campaign.settled_micros for campaign in campaigns),
        leased_micros=sum(campaign.leased_micros for campaign in campaigns),
        unfunded_micros=sum(campaign.unfunded_micros for campaign in campaigns),
        settlements=sum(statuses.values()),
        open_leases=sum(campaign.open_leases for campaign in campaigns),
        statuses=statuses,
        campaigns=campaigns,
    )


# --- Rules: each query returns the rows that break it -------------------------------------------

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
_drawn_by_lease = (
    select(_s.lease_id, func.sum(_s.drawn_micros).label("drawn")).group_by(_s.lease_id).subquery()
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

_RULES: Final = {
    "never_overspent": select(
        _c.campaign_id.label("subject"), _c.budget_micros, _c.settled_micros, _c.leased_micros
    ).where(
        _c.settled_micros + _c.leased_micros > _c.budget_micros,
        _c.settled_micros + _c.leased_micros > _c.committed_micros,
    ),
    "settled_is_the_sum_of_its_settlements": select(
        _c.campaign_id.label("subject"), _c.settled_micros, _booked.label("booked_micros")
    )
    .outerjoin(_booked_by_campaign, _booked_by_campaign.c.campaign_id == _c.campaign_id)
    .where(_c.settled_micros != _booked),
    "leased_is_the_sum_of_its_open_leases": select(
        _c.campaign_id.label("subject"), _c.leased_micros, _blocked.label("outstanding_micros")
    )
    .outerjoin(_leased_by_campaign, _leased_by_campaign.c.campaign_id == _c.campaign_id)
    .where(_c.leased_micros != _blocked),
    "drawn_is_the_sum_of_the_leases_wins": select(
        _l.lease_id.label("subject"),
        _l.drawn_micros,
        func.coalesce(_drawn_by_lease.c.drawn, 0).label("settlements_drew_micros"),
    )
    .outerjoin(_drawn_by_lease, _drawn_by_lease.c.lease_id == _l.lease_id)
    .where(_l.drawn_micros != func.coalesce(_drawn_by_lease.c.drawn, 0)),
    "no_settlement_is_above_its_price": select(
        _s.key.label("subject"), _s.price_micros, _s.booked_micros, _s.drawn_micros
    ).where(or_(_s.booked_micros > _s.price_micros, _s.drawn_micros > _s.booked_micros)),
    "every_booking_has_a_campaign": select(
        _s.key.label("subject"), _s.campaign_id, _s.booked_micros
    )
    .outerjoin(schema.campaigns, _c.campaign_id == _s.campaign_id)
    .where(_s.booked_micros > 0, _c.campaign_id.is_(None)),
    "a_settlement_is_unfunded_or_booked": select(
        _s.key.label("subject"), _s.status, _s.price_micros, _s.booked_micros
    ).where(_s.status.in_(["settled", "late"]), _s.booked_micros != _s.price_micros),
}
