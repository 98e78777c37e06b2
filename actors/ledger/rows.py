"""What a clerk knows by heart and what has changed of it: campaigns, leases, the journal's end.

Principle: a change is an operation. Whoever changes a campaign hands in the operation that did it,
and row, entry and balances leave together, for one transaction.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from actors.ledger.bookkeeping import Bookkeeper, Calendar, Days, Operation
from actors.ledger.requests import KINDS, key_of, name_of, said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.ledger.books import Campaign, Day, Lease, Settlement
    from actors.ledger.journal import Entry, Head
    from transport.money import MoneyReply, MoneyRequest


class Snapshot(NamedTuple):
    """What a clerk must know to begin: everything that is still open."""

    ledger_id: str
    campaigns: Mapping[str, Campaign]
    open_leases: Sequence[Lease]
    next_number: int
    head: Head
    balances: Mapping[str, int]


class Wanted(NamedTuple):
    """What must be looked up on disk before a burst can be decided.

    Attributes:
        keys: Of journal entries: which of these operations were done before?
        lease_ids: Of leases that are not open.
        settled: Keys of settlements that are to be refunded.
    """

    keys: frozenset[str]
    lease_ids: frozenset[str]
    settled: frozenset[str]


class Done(NamedTuple):
    """What a journal entry says of an operation that is asked for again."""

    request: str
    answer: str


class Found(NamedTuple):
    """Rows from disk for a ``Wanted``."""

    done: Mapping[str, Done]
    leases: Mapping[str, Lease]
    settlements: Mapping[str, Settlement]


class Changes(NamedTuple):
    """Rows to write in one transaction."""

    entries: Sequence[Entry]
    balances: Mapping[str, int]
    campaigns: Sequence[Campaign]
    leases: Sequence[Lease]
    settlements: Sequence[Settlement]

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.entries or self.campaigns)


NOTHING_FOUND = Found({}, {}, {})


class Rows:
    """All campaigns, all open leases, and what changed since the last commit.

    Args:
        snapshot: What was open when the last clerk ended.
        now_s: The present moment on the clock that leases live by.
        calendar: Says which day it is.
    """

    def __init__(self, snapshot: Snapshot, now_s: float, calendar: Calendar) -> None:
        self.campaigns: dict[str, Campaign] = dict(snapshot.campaigns)
        self.leases: dict[str, Lease] = {}
        self.found = NOTHING_FOUND
        self.calendar = calendar
        self._books = Bookkeeper(snapshot.head, snapshot.balances, calendar)
        self._endings: list[tuple[float, str]] = []
        self._changed: set[str] = set()
        self._changed_leases: dict[str, Lease] = {}
        self._changed_settlements: dict[str, Settlement] = {}
        self.moved: set[str] = set(self.campaigns)
        for lease in snapshot.open_leases:
            self.remember(lease, now_s)

    # --- what is known ---------------------------------------------------------------------------

    @property
    def head(self) -> Head:
        """Where the journal ends."""
        return self._books.head

    def today(self, campaign_id: str) -> Day:
        """Return what is out of a campaign's budget on the present day."""
        return self.day(campaign_id, self.calendar.today())

    def day(self, campaign_id: str, day: str) -> Day:
        """Return what is out of a campaign's budget on a day."""
        return self._books.day(campaign_id, day)

    def lease(self, lease_id: str) -> Lease | None:
        """Return a lease, open or closed, as it is now."""
        changed = self.leases.get(lease_id) or self._changed_leases.get(lease_id)
        return changed or self.found.leases.get(lease_id)

    def settlement(self, key: str) -> Settlement | None:
        """Return what became of a win, as it is now."""
        return self._changed_settlements.get(key) or self.found.settlements.get(key)

    def done(self, request: MoneyRequest) -> Done | None:
        """Return what the journal says of this operation, None if it was not done yet."""
        key = key_of(request)
        fresh = self._books.fresh(key)
        return Done(fresh.request, fresh.answer) if fresh else self.found.done.get(key)

    def ended(self, now_s: float) -> Lease | None:
        """Return a lease whose win window is over and forget that it was open; None without one."""
        if not self._endings or self._endings[0][0] > now_s:
            return None
        return self.leases.pop(heapq.heappop(self._endings)[1])

    # --- what changes ----------------------------------------------------------------------------

    def remember(self, lease: Lease, now_s: float) -> None:
        """Know an open lease by heart, until it ends."""
        self.leases[lease.lease_id] = lease
        heapq.heappush(self._endings, (now_s + lease.blocked_s, lease.lease_id))

    def keep_lease(self, lease: Lease) -> None:
        """Take over what a lease has become."""
        if lease.lease_id in self.leases:
            self.leases[lease.lease_id] = lease
        self._changed_leases[lease.lease_id] = lease

    def keep_settlement(self, settlement: Settlement) -> None:
        """Take over what a settlement has become."""
        self._changed_settlements[settlement.key] = settlement

    def answered(
        self,
        request: MoneyRequest,
        answer: MoneyReply,
        states: tuple[Campaign | None, Campaign | None],
        days: Days,
        *,
        lease_id: str = "",
    ) -> None:
        """Take over what a request did.

        Args:
            request: What was asked.
            answer: What is answered, now and whenever it is asked again.
            states: The campaign before and after.
            days: On which days money was leased and spent that moved.
            lease_id: The lease that it was about.
        """
        campaign_id = states[1].campaign_id if states[1] else ""
        told = msgspec.json.encode(answer).decode()
        kind = KINDS[type(request)]
        done = Operation(kind, name_of(request), campaign_id, lease_id, said(request), told)
        self.record(done, states, days)

    def record(
        self, done: Operation, states: tuple[Campaign | None, Campaign | None], days: Days
    ) -> None:
        """Take over what an operation did to a campaign (before, after), and write it down."""
        before, after = states
        self._books.record(done, before, after, days)
        if after is not None:
            self.campaigns[after.campaign_id] = after
            self._changed.add(after.campaign_id)
            self.moved.add(after.campaign_id)

    def take_changes(self) -> Changes:
        """Return the rows changed since the last call, to be written in one transaction."""
        entries, balances = self._books.take()
        changes = Changes(
            entries,
            balances,
            [self.campaigns[campaign_id] for campaign_id in sorted(self._changed)],
            sorted(self._changed_leases.values(), key=_number),
            list(self._changed_settlements.values()),
        )
        self._changed.clear()
        self._changed_leases.clear()
        self._changed_settlements.clear()
        return changes


def _number(lease: Lease) -> int:
    return lease.number
