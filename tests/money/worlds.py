"""A small world of money for tests: a ledger in memory, and one on disk, behind the same verbs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from actors.ledger.clerk import Changes, Clerk, Found, LeaseTerms, Snapshot, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.ledger.books import Campaign, Lease, Settlement
    from transport.money import MoneyReply, MoneyRequest

TERMS = LeaseTerms(lease_s=5.0, win_window_s=30.0, max_lease_micros=1_000)


class Store(Protocol):
    """What a clerk's rows live in."""

    def snapshot(self) -> Snapshot: ...

    def find(self, wanted: Wanted) -> Found: ...

    def commit(self, changes: Changes) -> None: ...


class MemoryStore:
    """The rows in dictionaries; refuses a second settlement of one key, as the database does."""

    def __init__(self) -> None:
        self.campaigns: dict[str, Campaign] = {}
        self.leases: dict[int, Lease] = {}
        self.settlements: dict[str, Settlement] = {}

    def snapshot(self) -> Snapshot:
        opened = [lease for lease in self.leases.values() if lease.is_open]
        return Snapshot("db", dict(self.campaigns), opened, len(self.leases) + 1)

    def find(self, wanted: Wanted) -> Found:
        leases = self.leases.values()
        return Found(
            {key: self.settlements[key] for key in wanted.keys & self.settlements.keys()},
            {lease.request_id: lease for lease in leases if lease.request_id in wanted.request_ids},
            {lease.lease_id: lease for lease in leases if lease.lease_id in wanted.lease_ids},
        )

    def commit(self, changes: Changes) -> None:
        for settlement in changes.settlements:
            assert settlement.key not in self.settlements
            self.settlements[settlement.key] = settlement
        self.campaigns.update({row.campaign_id: row for row in changes.campaigns})
        self.leases.update({lease.number: lease for lease in changes.leases})


class Ledger:
    """A clerk and its store: what the actor does, without sockets."""

    def __init__(
        self, store: Store, budgets: Mapping[str, int], now_s: float, terms: LeaseTerms = TERMS
    ) -> None:
        self.store = store
        self.clerk = Clerk(terms, store.snapshot(), now_s)
        self.clerk.seed(budgets)
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
