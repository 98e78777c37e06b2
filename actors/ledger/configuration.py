"""Where a ledger lives, how it lends, and what campaigns may spend: its part of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.engines import database_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from actors.ledger.engines import Database
    from config.campaigns import Campaign
    from config.paths import NodePaths
    from config.trade import MoneySettings


class LedgerConfig(msgspec.Struct, frozen=True):
    """Where the ledger lives and how it lends.

    Attributes:
        database: Path of the SQLite file, or URL of a PostgreSQL database.
        url: Address of its request socket.
        publish_url: Address on which it tells what was settled, released, closed and exhausted.
        terms: What a lease is.
        group_commit_s: How long a burst may wait for company.
        answers_after_commit: False is dangerous: answers leave at once, and are on disk only up to
            ``EXPIRE_EVERY_S`` later; a ledger that is killed meanwhile has lost them.
        password_file: Holds the database's password; "" for none.
        timezone: Where a campaign's day begins at midnight.
    """

    database: str
    url: str
    publish_url: str
    terms: LeaseTerms = LeaseTerms()
    group_commit_s: float = 0.002
    answers_after_commit: bool = True
    password_file: str = ""
    timezone: str = "UTC"

    @classmethod
    def of_node(
        cls, money: MoneySettings, paths: NodePaths, *, answers_after_commit: bool = True
    ) -> LedgerConfig:
        """Return the configuration of the ledger of the node on ``paths``."""
        return cls(
            database=money.database or str(paths.ledger_db),
            url=paths.ipc("ledger"),
            publish_url=paths.ipc("ledger-pub"),
            terms=LeaseTerms(
                lease_s=money.lease_s,
                win_window_s=money.win_window_s,
                share=money.lease_share,
                least_micros=money.price_cap_micros,
            ),
            group_commit_s=money.group_commit_ms / 1000,
            answers_after_commit=answers_after_commit,
            password_file=money.database_password_file,
            timezone=money.timezone,
        )

    def opened(self) -> Database:
        """Return the database.

        Raises:
            LedgerStoreError: It can't be named, or its password not be read.
        """
        return database_of(self.database, self.password_file)


def plans_of(campaigns: Iterable[Campaign]) -> dict[str, BudgetPlan]:
    """Return what the owners of campaigns allow, by campaign id."""
    return {
        each.id: BudgetPlan(each.advertiser_domain, each.budget_micros, each.daily_budget_micros)
        for each in campaigns
    }
