"""A small world of money for tests: a ledger in memory, and one on disk, behind the same verbs."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from actors.ledger.bookkeeping import Calendar
from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.clerk import Clerk
from actors.ledger.journal import Head, first_seal
from actors.ledger.rows import Changes, Done, Found, Snapshot, Wanted
from transport.money import LeaseGranted, LeaseRequest, LeaseReturn, Settle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.ledger.books import Campaign, Lease, Settlement
    from actors.ledger.journal import Entry
    from transport.money import MoneyReply, MoneyRequest

TERMS = LeaseTerms(lease_s=5.0, win_window_s=30.0, max_lease_micros=1_000)
#: Noon of 2027-01-15, UTC.
NOON = 1_800_014_400.0


def plans(budgets: Mapping[str, int], daily: int | None = None) -> dict[str, BudgetPlan]:
    """Plans of one advertiser with these budgets, in micros, by campaign id."""
    return {name: BudgetPlan("shop.example", micros, daily) for name, micros in budgets.items()}


def calendar(unix_s: float = NOON) -> Calendar:
    """A calendar whose day stands still."""
    return Calendar(lambda: unix_s, UTC)


class Store(Protocol):
    """What a clerk's rows live in."""

    def snapshot(self) -> Snapshot: ...

    def find(self, wanted: Wanted) -> Found: ...

    def commit(self, changes: Changes) -> None: ...


class MemoryStore:
    """The rows in dictionaries; refuses a second entry of one key, as the database does."""

    def __init__(self) -> None:
        self.journal: dict[str, Entry] = {}
        self.balances: dict[str, int] = {}
        self.campaigns: dict[str, Campaign] = {}
        self.leases: dict[int, Lease] = {}
        self.settlements: dict[str, Settlement] = {}

    def snapshot(self) -> Snapshot:
        opened = [lease for lease in self.leases.values() if lease.is_open]
        head = Head(0, first_seal("db"))
        for entry in self.journal.values():
            head = Head(entry.seq, entry.chain)
        number = len(self.leases) + 1
        return Snapshot("db", dict(self.campaigns), opened, number, head, dict(self.balances))

    def find(self, wanted: Wanted) -> Found:
        done = {key: self.journal[key] for key in wanted.keys & self.journal.keys()}
        leases = self.leases.values()
        return Found(
            {key: Done(entry.request, entry.answer) for key, entry in done.items()},
            {lease.lease_id: lease for lease in leases if lease.lease_id in wanted.lease_ids},
            {key: self.settlements[key] for key in wanted.settled & self.settlements.keys()},
        )

    def commit(self, changes: Changes) -> None:
        for entry in changes.entries:
            assert entry.key not in self.journal
            self.journal[entry.key] = entry
        self.balances.update(changes.balances)
        self.settlements.update({row.key: row for row in changes.settlements})
        self.campaigns.update({row.campaign_id: row for row in changes.campaigns})
        self.leases.update({lease.number: lease for lease in changes.leases})


class Ledger:
    """A clerk and its store: what the actor does, without sockets."""

    def __init__(
        self, store: Store, budgets: Mapping[str, int], now_s: float, terms: LeaseTerms = TERMS
    ) -> None:
        self.store = store
        self.clerk = Clerk(terms, store.snapshot(), now_s, calendar())
        self.clerk.seed(plans(budgets))
        store.commit(self.clerk.take_changes())

    def handle(self, messages: Sequence[MoneyRequest], now_s: float) -> list[MoneyReply]:
        self.clerk.expire(now_s)
        found = self.store.find(self.clerk.wanted(messages))
        replies = self.clerk.handle(messages, found, now_s)
        self.store.commit(self.clerk.take_changes())
        self.clerk.take_notices()
        return replies

    def expire(self, now_s: float) -> None:
        self.clerk.expire(now_s)
        self.store.commit(self.clerk.take_changes())
        self.clerk.take_notices()


def lived(store: Store, budgets: Mapping[str, int], *more: MoneyRequest) -> Ledger:
    """A ledger that has leased, settled and taken back, and done ``more``."""
    ledger = Ledger(store, budgets, 0.0)
    (granted,) = ledger.handle([LeaseRequest("r-1", "bidder-1", "autumn", 900)], 0.0)
    assert isinstance(granted, LeaseGranted)
    wins = [
        Settle("win-1", "autumn", granted.lease_id, 120, 150),
        Settle("win-2", "autumn", granted.lease_id, 80, 100),
    ]
    ledger.handle([*wins, LeaseReturn(granted.lease_id, 300), *more], 1.0)
    return ledger
