"""The rules of money, as pure functions on frozen rows.

Principle: a campaign's budget has three parts, settled, leased and free, and every rule moves money
between exactly two of them. A lease's *outstanding* money is blocked until its bidder gives it back
or the lease closes; a win draws on its lease first and on free budget only for what the lease can't
cover. So ``settled + leased <= funded`` holds after every rule, and no rule knows time, disk or
network.

All amounts are integer micros of USD per impression.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from transport.money_types import SettleStatus

if TYPE_CHECKING:
    from transport.money import LeaseRequest, Settle
    from transport.money_types import DenyReason


class BudgetPlan(msgspec.Struct, frozen=True, gc=False):
    """What a campaign's owner allows.

    Attributes:
        advertiser: Whose money it is: the advertiser's domain.
        budget_micros: In all.
        daily_budget_micros: On one day; None without such a limit.
    """

    advertiser: str
    budget_micros: int
    daily_budget_micros: int | None = None


class Campaign(msgspec.Struct, frozen=True, gc=False):
    """A campaign's budget and where it is.

    Attributes:
        campaign_id: Its id.
        advertiser: Whose money it is.
        budget_micros: What its owner allows in all.
        daily_budget_micros: What may be leased and spent of one day; None for no limit.
        settled_micros: Won and booked, less what was refunded.
        leased_micros: Outstanding in open leases: reserved by bidders, or ready to be.
        unfunded_micros: Won, recorded, and not booked because no budget was left.
        active: Whether new leases may be granted.
    """

    campaign_id: str
    advertiser: str
    budget_micros: int
    daily_budget_micros: int | None = None
    settled_micros: int = 0
    leased_micros: int = 0
    unfunded_micros: int = 0
    active: bool = True

    @property
    def out_micros(self) -> int:
        """What is settled or leased."""
        return self.settled_micros + self.leased_micros

    @property
    def funded_micros(self) -> int:
        """What the advertiser has given: the budget, or more while a cut waits for its leases."""
        return max(self.budget_micros, self.out_micros)

    @property
    def free_micros(self) -> int:
        """What is neither settled nor leased."""
        return max(0, self.budget_micros - self.out_micros)

    @property
    def remaining_micros(self) -> int:
        """What is not settled yet."""
        return max(0, self.budget_micros - self.settled_micros)


class Day(msgspec.Struct, frozen=True, gc=False):
    """What is out of a campaign's budget on one day (ISO date), in micros."""

    day: str
    leased_micros: int = 0
    spent_micros: int = 0

    def room_micros(self, campaign: Campaign) -> int:
        """What may still be leased of this day, at most what the campaign has free."""
        if campaign.daily_budget_micros is None:
            return campaign.free_micros
        left = campaign.daily_budget_micros - self.leased_micros - self.spent_micros
        return max(0, min(campaign.free_micros, left))


class Lease(msgspec.Struct, frozen=True, gc=False):
    """A part of a budget that one bidder may reserve from.

    Attributes:
        number: Its place in the order of grants, from 1.
        lease_id: What the bidder calls it.
        request_id: The request it answers; unique.
        bidder: Who holds it.
        campaign_id: Whose budget it is.
        day: Of whose budget it is a part: the day of its grant.
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
    day: str
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

    ``booked_micros`` of ``price_micros`` were charged to the campaign on ``day``, ``drawn_micros``
    of these came from the lease; ``refunded_micros`` were given back since.
    """

    key: str
    campaign_id: str
    lease_id: str
    day: str
    price_micros: int
    booked_micros: int
    drawn_micros: int
    status: SettleStatus
    refunded_micros: int = 0


class LeaseTerms(msgspec.Struct, frozen=True):
    """What a lease is.

    Attributes:
        lease_s: How long a bidder may reserve from it, counted from the sending of its request.
        win_window_s: How long after that a win may still come.
        max_lease_micros: No lease is larger.
        share: No lease is larger than this share of what may be leased, so that several bidders
            find something, and little is locked up when little is left,
        least_micros: unless that is less than this: an amount that one bid may need.
    """

    lease_s: float = 5.0
    win_window_s: float = 30.0
    max_lease_micros: int = 32_000_000
    share: float = 1.0
    least_micros: int = 1

    @property
    def blocked_s(self) -> float:
        """How long a lease's money stays blocked at most."""
        return self.lease_s + self.win_window_s

    def size_micros(self, asked_micros: int, room_micros: int) -> int:
        """Return the size of a lease, of what was asked and what there is."""
        fair = max(int(room_micros * self.share), self.least_micros)
        return min(asked_micros, self.max_lease_micros, fair, room_micros)


class LeaseName(NamedTuple):
    """A new lease's place in the order of grants, and what bidders call it."""

    number: int
    lease_id: str


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


class Refunded(NamedTuple):
    """The rows after a refund."""

    campaign: Campaign
    settlement: Settlement


def seed(known: Campaign | None, campaign_id: str, plan: BudgetPlan) -> Campaign:
    """Set a campaign's budget, keeping all that has happened to it.

    A budget cut below what is settled and leased takes effect as far as it can: nothing more is
    leased, and what is out may still be won.
    """
    campaign = known or Campaign(campaign_id, plan.advertiser, plan.budget_micros)
    return msgspec.structs.replace(
        campaign,
        advertiser=plan.advertiser,
        budget_micros=plan.budget_micros,
        daily_budget_micros=plan.daily_budget_micros,
        active=True,
    )


def retire(campaign: Campaign) -> Campaign:
    """Grant no new lease of this campaign; wins of open leases are still booked."""
    return msgspec.structs.replace(campaign, active=False)


def why_denied(campaign: Campaign | None, day: Day) -> DenyReason | None:
    """Return why nothing can be leased now, or None."""
    if campaign is None:
        return "unknown_campaign"
    if not campaign.active:
        return "inactive"
    if day.room_micros(campaign) > 0:
        return None
    if campaign.remaining_micros == 0:
        return "exhausted"
    return "day_spent" if campaign.free_micros and not day.leased_micros else "all_leased"


def grant(
    campaign: Campaign, day: Day, request: LeaseRequest, name: LeaseName, terms: LeaseTerms
) -> Granted:
    """Lease what was asked, or what may be leased if that is less.

    Args:
        campaign: One for which ``why_denied`` is None.
        day: Today, of whose budget it is.
        request: Who asks, and for how much.
        name: The lease's number and id, not used before.
        terms: What a lease is.
    """
    micros = terms.size_micros(request.micros, day.room_micros(campaign))
    lease = Lease(
        name.number,
        name.lease_id,
        request.request_id,
        request.bidder,
        campaign.campaign_id,
        day.day,
        micros,
        terms.blocked_s,
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


def settle(campaign: Campaign | None, lease: Lease | None, win: Settle, today: Day) -> Booked:
    """Book a win that has not been booked before.

    It is charged at its price, at most at our bid, or, if neither lease nor free budget covers
    that, recorded as unfunded: never lost, never overspent.

    Args:
        campaign: Whose win it is.
        lease: From which the bid was reserved, open or closed.
        win: The win.
        today: What is out on the day that it counts for, see ``day_of``.
    """
    due = min(win.price_micros, win.bid_micros) if win.bid_micros else win.price_micros
    drawn = min(due, lease.outstanding_micros) if lease else 0
    funded = campaign is not None and due - drawn <= today.room_micros(campaign)
    settlement = Settlement(
        key=win.key,
        campaign_id=lease.campaign_id if lease else win.campaign_id,
        lease_id=win.lease_id,
        day=today.day,
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


def day_of(lease: Lease | None, today: str) -> str:
    """Return the day that a win counts for: its open lease's, else the day of its booking."""
    return lease.day if lease and lease.is_open else today


def refund(campaign: Campaign, settlement: Settlement, micros: int) -> Refunded:
    """Give a part of a booking back to its campaign.

    Args:
        campaign: Whose booking it was.
        settlement: The booking.
        micros: How much, at most what is left of it.
    """
    refunded = settlement.refunded_micros + micros
    after = msgspec.structs.replace(settlement, refunded_micros=refunded)
    return Refunded(_moved(campaign, settled=-micros), after)


def adjust(campaign: Campaign, micros: int) -> Campaign:
    """Charge a campaign for something that is no win, or (less than 0) give it something back.

    Args:
        campaign: One with so much free, or so much spent.
        micros: How much.
    """
    return _moved(campaign, settled=micros)


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
    assert min(after.leased_micros, after.settled_micros) >= 0, after
    assert after.out_micros <= campaign.funded_micros, after
    return after
