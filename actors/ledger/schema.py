"""Tables of the ledger's database, version 2.

Principle: the constraints that money rests on are the database's own: one entry per operation, one
lease per request, no negative amount, and a journal that only grows. The tables are the same in
SQLite and PostgreSQL; ``migrations`` makes them, step by step from the first version on. Timestamps
are for people only: no rule reads them.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    true,
)

VERSION: Final = 2
#: The newest migration, by its name in ``migrations/versions``.
REVISION: Final = f"{VERSION:04}"

metadata: Final = MetaData()

#: Facts about the database itself: ``schema_version``, ``ledger_id``, ``owner``.
facts: Final = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

journal: Final = Table(
    "journal",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("lease_id", Text, nullable=False),
    Column("at_micros", BigInteger, nullable=False),
    Column("request", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("chain", Text, nullable=False),
)

postings: Final = Table(
    "postings",
    metadata,
    Column("seq", BigInteger, ForeignKey("journal.seq"), primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("micros", BigInteger, CheckConstraint("micros <> 0"), nullable=False),
)

#: What only grows: the database refuses to change or delete a row.
APPEND_ONLY: Final = (journal, postings)

balances: Final = Table(
    "balances",
    metadata,
    Column("account", Text, primary_key=True),
    Column("micros", BigInteger, nullable=False),
    CheckConstraint(
        "micros >= 0 OR account LIKE 'advertiser/%' OR account LIKE 'house/%'", name="nobody_owes"
    ),
)

campaigns: Final = Table(
    "campaigns",
    metadata,
    Column("campaign_id", Text, primary_key=True),
    Column("advertiser", Text, nullable=False),
    Column("budget_micros", BigInteger, CheckConstraint("budget_micros >= 0"), nullable=False),
    Column("daily_budget_micros", BigInteger, CheckConstraint("daily_budget_micros >= 0")),
    Column("settled_micros", BigInteger, CheckConstraint("settled_micros >= 0"), nullable=False),
    Column("leased_micros", BigInteger, CheckConstraint("leased_micros >= 0"), nullable=False),
    Column("unfunded_micros", BigInteger, CheckConstraint("unfunded_micros >= 0"), nullable=False),
    Column("active", Boolean, nullable=False),
)

leases: Final = Table(
    "leases",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("lease_id", Text, nullable=False, unique=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("bidder", Text, nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("granted_micros", BigInteger, CheckConstraint("granted_micros >= 0"), nullable=False),
    Column("blocked_s", Float, nullable=False),
    Column("drawn_micros", BigInteger, CheckConstraint("drawn_micros >= 0"), nullable=False),
    Column("returned_micros", BigInteger, CheckConstraint("returned_micros >= 0"), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("granted_at", DateTime, nullable=False, server_default=func.current_timestamp()),
    CheckConstraint("drawn_micros <= granted_micros", name="never_overdrawn"),
)

Index(
    "open_leases",
    leases.c.number,
    sqlite_where=leases.c.is_open == true(),
    postgresql_where=leases.c.is_open == true(),
)

settlements: Final = Table(
    "settlements",
    metadata,
    Column("key", Text, primary_key=True),
    Column("campaign_id", Text, nullable=False),
    Column("lease_id", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("price_micros", BigInteger, CheckConstraint("price_micros >= 0"), nullable=False),
    Column("booked_micros", BigInteger, CheckConstraint("booked_micros >= 0"), nullable=False),
    Column("drawn_micros", BigInteger, CheckConstraint("drawn_micros >= 0"), nullable=False),
    Column("refunded_micros", BigInteger, CheckConstraint("refunded_micros >= 0"), nullable=False),
    Column("status", Text, nullable=False),
    Column("settled_at", DateTime, nullable=False, server_default=func.current_timestamp()),
    CheckConstraint("booked_micros <= price_micros", name="never_overcharged"),
    CheckConstraint("drawn_micros <= booked_micros", name="never_drawn_unbooked"),
    CheckConstraint("refunded_micros <= booked_micros", name="never_refunded_twice"),
)
