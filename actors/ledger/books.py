"""The rules of money, as pure functions on frozen rows.

Principle: a campaign's budget has three parts, settled, leased and free, and every rule moves money
between exactly two of them. A lease's *outstanding* money is blocked until its bidder gives it back
or the lease closes; a win draws on its lease first and on free budget only for what the lease can't
cover. So ``settled + leased <= ceiling`` holds after every rule, and no rule knows time, disk or
network.

All amounts are integer micros of USD per impression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from transport.money import SettleStatus

if TYPE_CHECKING:
    from transport.money import DenyReason, LeaseRequest, Settle


class Campaign(msgspec.Struct, frozen=True, gc=False):
    """A campaign's budget and where it is.

    Attributes:
        campaign_id: Its id.
        budget_micros: What its owner allows in all.
        settled_micros: Won and booked; never falls.
        leased_micros: Outstanding in open leases: reserved by bidders, or ready to be.
        unfunded_micros: Won, recorded, and not booked because no budget was left.
        committed_micros: Settled and leased at the moment when the owner cut the budget below
            that; 0 otherwise.
        active: Whether new leases may be granted.
    """

    campaign_id: str
    budget_micros: int
    settled_micros: int = 0
    leased_micros: int = 0
    unfunded_micros: int = 0
    committed_micros: int = 0
    active: bool = True

    @property
    def ceiling_micros(self) -> int:
        """What ``settled + leased`` may never pass."""
        return max(self.budget_micros, self.committed_micros)

    @property
    def free_micros(self) -> int:
        """What is neither settled nor leased."""
        return max(0, self.budget_micros - self.settled_micros - self.leased_micros)

    @property
    def remaining_micros(self) -> int:
        """What is not settled yet."""
        return max(0, self.budget_micros - self.settled_micros)


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A part of a budget that one bidder may reserve from.

    Attributes:
        number: Its place in the order of grants, from 1.
        lease_id: What the bidder calls it.
        request_id: The request it answers; unique.
        bidder: Who holds it.
        campaign_id: Whose budget it is.
        granted_micros: Its size.
        blocked_s: How long it stays open after its grant: its life and the win window.
        drawn_micros: Settled wins that it paid for.
        returned_micros: Given back so far, as told by the bidder.
        is_open: False once its money went back to the campaign.
    """

    number: int
    lease_id: str
    request_id: str
    bidder: str
    campaign_id: str
    granted_micros: int
    blocked_s: float
    drawn_micros: int = 0
    returned_micros: int = 0
    is_open: bool = True

    @property
    def outstanding_micros(self) -> int:
        """What it still keeps away from everyone else."""
        if not self.is_open:
            return 0
        return max(0, self.granted_micros - self.drawn_micros - self.returned_micros)


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """What became of one win; there is one per key, for ever.

    ``booked_micros`` of ``price_micros`` were charged to the campaign, ``drawn_micros`` of these
    came from the lease.
    """

    key: str
    campaign_id: str
    lease_id: str
    price_micros: int
    booked_micros: int
    drawn_micros: int
    status: SettleStatus


class Granted(NamedTuple):
    """The rows after a grant."""

    campaign: Campaign
    lease: Lease


class Moved(NamedTuple):
    """The rows after money went back from a lease to its campaign."""

    campaign: Campaign
    lease: Lease
    freed_micros: int


class Booked(NamedTuple):
    """The rows after a settlement; a row that isn't known stays None."""

    campaign: Campaign | None
    lease: Lease | None
    settlement: Settlement


def seed(known: Campaign | None, campaign_id: str, budget_micros: int) -> Campaign:
    """Set a campaign's budget, keeping all that has happened to it.

    A budget cut below what is settled and leased takes effect as far as it can: nothing more is
    leased, and what is out may still be won.
    """
    campaign = known or Campaign(campaign_id, budget_micros)
    committed = campaign.settled_micros + campaign.leased_micros
    return msgspec.structs.replace(
        campaign,
        budget_micros=budget_micros,
        committed_micros=committed if committed > budget_micros else 0,
        active=True,
    )


def retire(campaign: Campaign) -> Campaign:
    """Grant no new lease of this campaign; wins of open leases are still booked."""
    return msgspec.structs.replace(campaign, active=False)


def why_denied(campaign: Campaign | None) -> DenyReason | None:
    """Return why nothing can be leased now, or None."""
    if campaign is None:
        return "unknown_campaign"
    if not campaign.active:
        return "inactive"
    if campaign.free_micros > 0:
        return None
    return "exhausted" if campaign.remaining_micros == 0 else "all_leased"


def grant(
    campaign: Campaign, request: LeaseRequest, number: int, lease_id: str, blocked_s: float
) -> Granted:
    """Lease what was asked, or what is free if that is less.

    Args:
        campaign: One for which ``why_denied`` is None.
        request: Who asks, and for how much.
        number: The lease's number, not used before.
        lease_id: The lease's name, not used before.
        blocked_s: How long its money stays blocked at most.
    """
    micros = min(request.micros, campaign.free_micros)
    lease = Lease(
        number,
        lease_id,
        request.request_id,
        request.bidder,
        campaign.campaign_id,
        micros,
        blocked_s,
    )
    return Granted(_moved(campaign, leased=micros), lease)


def give_back(campaign: Campaign, lease: Lease, returned_micros: int) -> Moved:
    """Take money back: ``returned_micros`` in total, so repeating or overtaking changes nothing."""
    total = min(max(lease.returned_micros, returned_micros), lease.granted_micros)
    after = msgspec.structs.replace(lease, returned_micros=total)
    freed = lease.outstanding_micros - after.outstanding_micros
    return Moved(_moved(campaign, leased=-freed), after, freed)


def close(campaign: Campaign, lease: Lease) -> Moved:
    """End a lease whose win window is over; whatever it still holds is free again."""
    freed = lease.outstanding_micros
    after = msgspec.structs.replace(lease, is_open=False)
    return Moved(_moved(campaign, leased=-freed), after, freed)


def settle(campaign: Campaign | None, lease: Lease | None, win: Settle) -> Booked:
    """Book a win that has not been booked before.

    It is charged at its price, at most at our bid, or, if neither lease nor free budget covers
    that, recorded as unfunded: never lost, never overspent.
    """
    due = min(win.price_micros, win.bid_micros) if win.bid_micros else win.price_micros
    drawn = min(due, lease.outstanding_micros) if lease else 0
    funded = campaign is not None and due - drawn <= campaign.free_micros
    settlement = Settlement(
        key=win.key,
        campaign_id=lease.campaign_id if lease else win.campaign_id,
        lease_id=win.lease_id,
        price_micros=win.price_micros,
        booked_micros=due if funded else 0,
        drawn_micros=drawn if funded else 0,
        status=_status(lease, funded=funded, over_bid=due < win.price_micros),
    )
    if campaign is None:
        return Booked(None, lease, settlement)
    if not funded:
        owed = campaign.unfunded_micros + due
        return Booked(msgspec.structs.replace(campaign, unfunded_micros=owed), lease, settlement)
    if lease and drawn:
        lease = msgspec.structs.replace(lease, drawn_micros=lease.drawn_micros + drawn)
    return Booked(_moved(campaign, leased=-drawn, settled=due), lease, settlement)


def _status(lease: Lease | None, *, funded: bool, over_bid: bool) -> SettleStatus:
    """Name the outcome; what needs a human most comes first."""
    if lease is None:
        return "unknown_lease"
    if not funded:
        return "unfunded"
    if over_bid:
        return "over_bid"
    return "settled" if lease.is_open else "late"


def _moved(campaign: Campaign, *, leased: int = 0, settled: int = 0) -> Campaign:
    """Return the campaign with these changes, which must keep the promise of this module."""
    after = msgspec.structs.replace(
        campaign,
        leased_micros=campaign.leased_micros + leased,
        settled_micros=campaign.settled_micros + settled,
    )
    # Invariant: never more out than there is; a breach is our bug and must not reach the disk.
    assert after.leased_micros >= 0, after
    assert after.settled_micros + after.leased_micros <= after.ceiling_micros, after
    return after
