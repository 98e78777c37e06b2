"""Tables of the ledger's database, version 1.

Principle: the constraints that money rests on are the database's own: one settlement per key, one
lease per request, no negative amount. Names and types are plain SQL, so that the same tables can
live in PostgreSQL. Timestamps are the database's, for people only: no rule reads them.
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
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    true,
)

SCHEMA_VERSION: Final = 1

metadata: Final = MetaData()

#: Facts about the database itself: ``schema_version``, ``ledger_id``, ``owner``.
facts: Final = Table(
    "facts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

campaigns: Final = Table(
    "campaigns",
    metadata,
    Column("campaign_id", Text, primary_key=True),
    Column("budget_micros", BigInteger, CheckConstraint("budget_micros >= 0"), nullable=False),
    Column("settled_micros", BigInteger, CheckConstraint("settled_micros >= 0"), nullable=False),
    Column("leased_micros", BigInteger, CheckConstraint("leased_micros >= 0"), nullable=False),
    Column("unfunded_micros", BigInteger, CheckConstraint("unfunded_micros >= 0"), nullable=False),
    Column("committed_micros", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
    CheckConstraint(
        "settled_micros + leased_micros <= budget_micros"
        " OR settled_micros + leased_micros <= committed_micros",
        name="never_overspent",
    ),
)

leases: Final = Table(
    "leases",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("lease_id", Text, nullable=False, unique=True),
    Column("request_id", Text, nullable=False, unique=True),
    Column("bidder", Text, nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("granted_micros", BigInteger, CheckConstraint("granted_micros >= 0"), nullable=False),
    Column("blocked_s", Float, nullable=False),
    Column("drawn_micros", BigInteger, CheckConstraint("drawn_micros >= 0"), nullable=False),
    Column("returned_micros", BigInteger, CheckConstraint("returned_micros >= 0"), nullable=False),
    Column("is_open", Boolean, nullable=False),
    Column("granted_at", DateTime, nullable=False, server_default=func.current_timestamp()),
    CheckConstraint("drawn_micros <= granted_micros", name="never_overdrawn"),
)

Index("open_leases", leases.c.number, sqlite_where=leases.c.is_open == true())

settlements: Final = Table(
    "settlements",
    metadata,
    Column("key", Text, primary_key=True),
    Column("campaign_id", Text, nullable=False),
    Column("lease_id", Text, nullable=False),
    Column("price_micros", BigInteger, CheckConstraint("price_micros >= 0"), nullable=False),
    Column("booked_micros", BigInteger, CheckConstraint("booked_micros >= 0"), nullable=False),
    Column("drawn_micros", BigInteger, CheckConstraint("drawn_micros >= 0"), nullable=False),
    Column("status", Text, nullable=False),
    Column("settled_at", DateTime, nullable=False, server_default=func.current_timestamp()),
    CheckConstraint("booked_micros <= price_micros", name="never_overcharged"),
    CheckConstraint("drawn_micros <= booked_micros", name="never_drawn_unbooked"),
)
