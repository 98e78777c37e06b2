"""The ledger's working memory: turns a burst of messages into replies, notices and changed rows.

Principle: look up, decide, write, answer, in this order. The clerk decides on rows in memory and
hands out what changed; the caller commits that in one transaction and only then sends the replies.
If the commit fails, the clerk's memory is ahead of the disk, so it must be thrown away: the ledger
crashes and a fresh one reads the disk again.

Leases live by the clerk's own monotonic clock. A clerk that takes over from an earlier one can't
know how long ago a lease was granted, so it blocks each for its whole time again: money may come
back late, never early.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple, assert_never

import msgspec

from actors.ledger import books
from transport.money import (
    BudgetExhausted,
    DenyReason,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    LeaseReturned,
    MoneyNotice,
    MoneyReply,
    MoneyRequest,
    Release,
    ReleaseAck,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from actors.ledger.books import Campaign, Lease, Settlement


class LeaseTerms(msgspec.Struct, frozen=True):
    """What a lease is.

    Attributes:
        lease_s: How long a bidder may reserve from it, counted from the sending of its request.
        win_window_s: How long after that a win may still come.
        max_lease_micros: No lease is larger.
    """

    lease_s: float = 5.0
    win_window_s: float = 30.0
    max_lease_micros: int = 32_000_000


class Snapshot(NamedTuple):
    """What a clerk must know to begin: everything that is still open."""

    ledger_id: str
    campaigns: Mapping[str, Campaign]
    open_leases: Sequence[Lease]
    next_number: int


class Wanted(NamedTuple):
    """What must be looked up on disk before a burst can be decided."""

    keys: frozenset[str]
    request_ids: frozenset[str]
    lease_ids: frozenset[str]


class Found(NamedTuple):
    """Rows from disk for a ``Wanted``: by key, by request id and by lease id."""

    settlements: Mapping[str, Settlement]
    leases_by_request: Mapping[str, Lease]
    leases: Mapping[str, Lease]


class Changes(NamedTuple):
    """Rows to write in one transaction."""

    campaigns: Sequence[Campaign]
    leases: Sequence[Lease]
    settlements: Sequence[Settlement]

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.campaigns or self.leases or self.settlements)


NOTHING_FOUND = Found({}, {}, {})


class Clerk:
    """Decides bursts; knows all campaigns and all open leases by heart.

    Args:
        terms: What a lease is from now on.
        snapshot: What was open when the last clerk ended.
        now_s: The present moment on the clock that all further calls use.
    """

    def __init__(self, terms: LeaseTerms, snapshot: Snapshot, now_s: float) -> None:
        self.terms = terms
        self.campaigns: dict[str, Campaign] = dict(snapshot.campaigns)
        self.leases: dict[str, Lease] = {}
        self.notices: list[MoneyNotice] = []
        self._ledger_id = snapshot.ledger_id
        self._next_number = snapshot.next_number
        self._by_request: dict[str, str] = {}
        self._endings: list[tuple[float, str]] = []
        self._found = NOTHING_FOUND
        self._now_s = now_s
        self._dirty_campaigns: set[str] = set()
        self._dirty_leases: dict[str, Lease] = {}
        self._settlements: dict[str, Settlement] = {}
        for lease in snapshot.open_leases:
            self._remember(lease, now_s)

    def seed(self, budgets: Mapping[str, int]) -> None:
        """Set the campaigns' budgets (micros, by campaign id); campaigns not named are retired."""
        for campaign_id, budget_micros in budgets.items():
            known = self.campaigns.get(campaign_id)
            self._put(books.seed(known, campaign_id, budget_micros))
        for campaign_id in self.campaigns.keys() - budgets.keys():
            self._put(books.retire(self.campaigns[campaign_id]))

    def wanted(self, messages: Iterable[MoneyRequest]) -> Wanted:
        """Name what the burst refers to and the clerk doesn't know by heart."""
        keys, request_ids, lease_ids = set(), set(), set()
        for message in messages:
            match message:
                case Settle(key=key, lease_id=lease_id):
                    keys.add(key)
                    lease_ids.add(lease_id)
                case LeaseRequest(request_id=request_id):
                    request_ids.add(request_id)
                case LeaseReturn() | Release():
                    pass
        return Wanted(
            frozenset(keys),
            frozenset(request_ids - self._by_request.keys()),
            frozenset(lease_ids - self.leases.keys() - {""}),
        )

    def handle(
        self, messages: Iterable[MoneyRequest], found: Found, now_s: float
    ) -> list[MoneyReply]:
        """Decide a burst, in order.

        Args:
            messages: The burst.
            found: The rows for ``wanted(messages)``.
            now_s: A moment after the burst arrived; leases granted in it begin then, so no lease
                closes here before its bidder's own count, begun at the sending, is over.

        Returns:
            One reply per message, in order; they may leave once ``take_changes`` is on disk.
        """
        self._found = found
        self._now_s = now_s
        return [self._handle(message) for message in messages]

    def expire(self, now_s: float) -> None:
        """Close the leases whose win window is over."""
        while self._endings and self._endings[0][0] <= now_s:
            _, lease_id = heapq.heappop(self._endings)
            self._close(self.leases[lease_id])

    def take_changes(self) -> Changes:
        """Return the rows changed since the last call, to be written in one transaction."""
        changes = Changes(
            [self.campaigns[campaign_id] for campaign_id in sorted(self._dirty_campaigns)],
            sorted(self._dirty_leases.values(), key=_number),
            list(self._settlements.values()),
        )
        self._dirty_campaigns.clear()
        self._dirty_leases.clear()
        self._settlements.clear()
        return changes

    def take_notices(self) -> list[MoneyNotice]:
        """Return what others should hear of since the last call."""
        notices, self.notices = self.notices, []
        return notices

    def _handle(self, message: MoneyRequest) -> MoneyReply:
        match message:
            case Settle():
                return self._settle(message)
            case LeaseRequest():
                return self._lease(message)
            case LeaseReturn():
                return self._give_back(message)
            case Release(key=key, campaign_id=campaign_id, lease_id=lease_id):
                self.notices.append(ReleasedNotice(key, campaign_id, lease_id))
                return ReleaseAck(key)
            case _:
                assert_never(message)

    def _settle(self, win: Settle) -> SettleAck:
        earlier = self._settlements.get(win.key) or self._found.settlements.get(win.key)
        if earlier is not None:
            return SettleAck(win.key, "duplicate", earlier.booked_micros)
        lease = self.leases.get(win.lease_id) or self._newest(self._found.leases.get(win.lease_id))
        campaign = self.campaigns.get(lease.campaign_id if lease else win.campaign_id)
        campaign, lease, settlement = books.settle(campaign, lease, win)
        self._settlements[win.key] = settlement
        if campaign is not None:
            self._put(campaign)
        if lease is not None and settlement.drawn_micros:
            self._keep(lease)
        self._tell_settled(campaign, settlement)
        return SettleAck(win.key, settlement.status, settlement.booked_micros)

    def _tell_settled(self, campaign: Campaign | None, settlement: Settlement) -> None:
        self.notices.append(
            SettledNotice(
                settlement.key,
                settlement.campaign_id,
                settlement.lease_id,
                settlement.booked_micros,
            )
        )
        if campaign is not None and settlement.booked_micros and not campaign.remaining_micros:
            self.notices.append(
                BudgetExhausted(
                    campaign.campaign_id, campaign.settled_micros, campaign.budget_micros
                )
            )

    def _lease(self, request: LeaseRequest) -> LeaseGranted | LeaseDenied:
        earlier = self._earlier_lease(request.request_id)
        if earlier is not None:
            return self._grant_again(request, earlier)
        campaign = self.campaigns.get(request.campaign_id)
        denied = books.why_denied(campaign)
        if campaign is None or denied is not None:
            return self._denial(request, denied or "unknown_campaign")
        number = self._next_number
        self._next_number += 1
        asked = msgspec.structs.replace(
            request, micros=min(request.micros, self.terms.max_lease_micros)
        )
        blocked_s = self.terms.lease_s + self.terms.win_window_s
        granted = books.grant(campaign, asked, number, f"{self._ledger_id}-{number:x}", blocked_s)
        self._put(granted.campaign)
        self._remember(granted.lease, self._now_s)
        self._keep(granted.lease)
        return self._grant(granted.lease)

    def _earlier_lease(self, request_id: str) -> Lease | None:
        lease_id = self._by_request.get(request_id)
        if lease_id is not None:
            return self.leases[lease_id]
        return self._newest(self._found.leases_by_request.get(request_id))

    def _newest(self, lease: Lease | None) -> Lease | None:
        """Return a lease from disk, or what has become of it since the last commit."""
        return lease and self._dirty_leases.get(lease.lease_id, lease)

    def _grant_again(self, request: LeaseRequest, earlier: Lease) -> LeaseGranted | LeaseDenied:
        """Answer a request that came before: the same lease, or none if it is over."""
        mine = (earlier.bidder, earlier.campaign_id) == (request.bidder, request.campaign_id)
        if earlier.is_open and mine:
            return self._grant(earlier)
        return self._denial(request, "stale")

    def _grant(self, lease: Lease) -> LeaseGranted:
        campaign = self.campaigns[lease.campaign_id]
        return LeaseGranted(
            request_id=lease.request_id,
            lease_id=lease.lease_id,
            campaign_id=lease.campaign_id,
            micros=lease.granted_micros,
            lease_s=self.terms.lease_s,
            win_window_s=self.terms.win_window_s,
            remaining_micros=campaign.remaining_micros,
            budget_micros=campaign.budget_micros,
        )

    def _denial(self, request: LeaseRequest, reason: DenyReason) -> LeaseDenied:
        campaign = self.campaigns.get(request.campaign_id)
        return LeaseDenied(
            request_id=request.request_id,
            campaign_id=request.campaign_id,
            reason=reason,
            retry_after_s=self.terms.lease_s / 5,
            remaining_micros=campaign.remaining_micros if campaign else 0,
            budget_micros=campaign.budget_micros if campaign else 0,
        )

    def _give_back(self, message: LeaseReturn) -> LeaseReturned:
        lease = self.leases.get(message.lease_id)
        if lease is not None:
            campaign = self.campaigns[lease.campaign_id]
            moved = books.give_back(campaign, lease, message.returned_micros)
            self._put(moved.campaign)
            self._keep(moved.lease)
        # A closed lease has given everything back already, so the bidder has nothing more to do.
        return LeaseReturned(message.lease_id, message.returned_micros)

    def _close(self, lease: Lease) -> None:
        moved = books.close(self.campaigns[lease.campaign_id], lease)
        self._put(moved.campaign)
        self._dirty_leases[lease.lease_id] = moved.lease
        del self.leases[lease.lease_id]
        del self._by_request[lease.request_id]
        self.notices.append(LeaseClosed(lease.lease_id, lease.campaign_id, moved.freed_micros))

    def _remember(self, lease: Lease, now_s: float) -> None:
        """Know an open lease by heart, until it closes."""
        self.leases[lease.lease_id] = lease
        self._by_request[lease.request_id] = lease.lease_id
        heapq.heappush(self._endings, (now_s + lease.blocked_s, lease.lease_id))

    def _keep(self, lease: Lease) -> None:
        if lease.lease_id in self.leases:
            self.leases[lease.lease_id] = lease
        self._dirty_leases[lease.lease_id] = lease

    def _put(self, campaign: Campaign) -> None:
        self.campaigns[campaign.campaign_id] = campaign
        self._dirty_campaigns.add(campaign.campaign_id)


def _number(lease: Lease) -> int:
    return lease.number
