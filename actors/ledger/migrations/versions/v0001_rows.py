"""Version 1: rows of campaigns, leases and settlements, and no journal."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables of version 1."""
    op.create_table(
        "facts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", sa.Text, primary_key=True),
        *_amounts("budget", "settled", "leased", "unfunded", "committed"),
        sa.Column("active", sa.Boolean, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("number", sa.Integer, primary_key=True),
        *_texts("lease_id", "request_id", "bidder", "campaign_id"),
        *_amounts("granted"),
        sa.Column("blocked_s", sa.Float, nullable=False),
        *_amounts("drawn", "returned"),
        sa.Column("is_open", sa.Boolean, nullable=False),
        sa.Column("granted_at", sa.DateTime, server_default=sa.func.current_timestamp()),
    )
    op.create_index("open_leases", "leases", ["number"])
    op.create_table(
        "settlements",
        sa.Column("key", sa.Text, primary_key=True),
        *_texts("campaign_id", "lease_id"),
        *_amounts("price", "booked", "drawn"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("settled_at", sa.DateTime, server_default=sa.func.current_timestamp()),
    )


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _amounts(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(f"{name}_micros", sa.BigInteger, nullable=False) for name in names]
