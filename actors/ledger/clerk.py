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

from typing import TYPE_CHECKING, TypeVar, assert_never

import msgspec

from actors.ledger import books, operators
from actors.ledger.bookkeeping import Days, Operation
from actors.ledger.books import LeaseName
from actors.ledger.requests import key_of, means_the_same
from actors.ledger.rows import Rows, Wanted
from transport.money import (
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    LeaseReturned,
    MoneyNotice,
    MoneyRefused,
    MoneyReply,
    MoneyRequest,
    Release,
    ReleaseAck,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
)
from transport.money_operators import Adjust, Adjusted, Refund, Refunded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from actors.ledger.bookkeeping import Calendar
    from actors.ledger.books import BudgetPlan, Campaign, Lease, LeaseTerms, Settlement
    from actors.ledger.journal import Head
    from actors.ledger.rows import Changes, Found, Snapshot
    from transport.money_types import DenyReason

_Answer = TypeVar("_Answer", LeaseGranted, SettleAck, Refunded, Adjusted)


class Clerk:
    """Decides bursts; knows all campaigns and all open leases by heart.

    Args:
        terms: What a lease is from now on.
        snapshot: What was open when the last clerk ended.
        now_s: The present moment on the clock that all further calls use.
        calendar: Says which day it is.
    """

    def __init__(
        self, terms: LeaseTerms, snapshot: Snapshot, now_s: float, calendar: Calendar
    ) -> None:
        self.terms = terms
        self.repeated = self.conflicting = 0
        self._rows = Rows(snapshot, now_s, calendar)
        self._ledger_id = snapshot.ledger_id
        self._next_number = snapshot.next_number
        self._now_s = now_s
        self._notices: list[MoneyNotice] = []
        # What bidders multiply values with, as they said last: pace and goal, by campaign.
        self._multipliers: dict[str, tuple[float, float]] = {}

    @property
    def campaigns(self) -> Mapping[str, Campaign]:
        """All campaigns by id."""
        return self._rows.campaigns

    @property
    def leases(self) -> Mapping[str, Lease]:
        """All open leases by id."""
        return self._rows.leases

    @property
    def head(self) -> Head:
        """Where the journal ends."""
        return self._rows.head

    def seed(self, plans: Mapping[str, BudgetPlan]) -> None:
        """Set the campaigns' budgets, by campaign id; campaigns not named are retired."""
        for campaign_id, plan in plans.items():
            known = self.campaigns.get(campaign_id)
            self._plan(known, books.seed(known, campaign_id, plan))
        for campaign_id in sorted(self.campaigns.keys() - plans.keys()):
            known = self.campaigns[campaign_id]
            self._plan(known, books.retire(known))

    def wanted(self, messages: Iterable[MoneyRequest]) -> Wanted:
        """Name what the burst refers to and the clerk doesn't know by heart."""
        keys, lease_ids, settled = set(), set(), set()
        for message in messages:
            keys.add(key_of(message))
            if isinstance(message, Settle):
                lease_ids.add(message.lease_id)
            elif isinstance(message, Refund):
                settled.add(message.settle_key)
        return Wanted(
            frozenset(keys - {""}),
            frozenset(lease_ids - self.leases.keys() - {""}),
            frozenset(settled),
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
        self._rows.found = found
        self._now_s = now_s
        return [self._handle(message) for message in messages]

    def expire(self, now_s: float) -> None:
        """Close the leases whose win window is over."""
        while (lease := self._rows.ended(now_s)) is not None:
            self._close(lease)

    def take_changes(self) -> Changes:
        """Return the rows changed since the last call, to be written in one transaction."""
        return self._rows.take_changes()

    def take_notices(self) -> list[MoneyNotice]:
        """Return what others should hear of since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def take_standings(self, *, everyone: bool) -> list[CampaignStanding]:
        """Return how the campaigns stand whose money moved since the last call, or all."""
        names = self.campaigns.keys() if everyone else self._rows.moved
        standings = [self._standing(self.campaigns[name]) for name in sorted(names)]
        self._rows.moved.clear()
        return standings

    # --- one message -----------------------------------------------------------------------------

    def _handle(self, message: MoneyRequest) -> MoneyReply:
        match message:
            case Settle():
                return self._settle(message)
            case LeaseRequest():
                return self._lease(message)
            case LeaseReturn():
                return self._give_back(message)
            case Release(key=key, campaign_id=campaign_id, lease_id=lease_id):
                self._notices.append(ReleasedNotice(key, campaign_id, lease_id))
                return ReleaseAck(key)
            case Refund():
                return self._refund(message)
            case Adjust():
                return self._adjust(message)
            case _:
                assert_never(message)

    def _earlier(self, request: MoneyRequest, kind: type[_Answer]) -> tuple[_Answer | None, bool]:
        """Return what this operation was answered when it was done, None if it was not.

        Returns:
            The answer, and whether it was asked for the same.
        """
        done = self._rows.done(request)
        if done is None:
            return None, True
        same = means_the_same(request, done.request)
        self.repeated += 1
        self.conflicting += not same
        return msgspec.json.decode(done.answer, type=kind), same

    def _refund(self, request: Refund) -> Refunded | MoneyRefused:
        earlier, same = self._earlier(request, Refunded)
        if not same:
            return _key_taken(request.key)
        return earlier or operators.refund(self._rows, request)

    def _adjust(self, request: Adjust) -> Adjusted | MoneyRefused:
        earlier, same = self._earlier(request, Adjusted)
        if not same:
            return _key_taken(request.key)
        return earlier or operators.adjust(self._rows, request)

    def _settle(self, win: Settle) -> SettleAck:
        earlier, _same = self._earlier(win, SettleAck)
        if earlier is not None:
            # Also where another price is told this time: the first one is booked.
            return msgspec.structs.replace(earlier, repeated=True)
        lease = self._rows.lease(win.lease_id)
        before = self.campaigns.get(lease.campaign_id if lease else win.campaign_id)
        day = books.day_of(lease, self._rows.calendar.today())
        today = self._rows.day(before.campaign_id if before else "", day)
        booked = books.settle(before, lease, win, today)
        settlement = booked.settlement
        self._rows.keep_settlement(settlement)
        if booked.lease is not None and settlement.drawn_micros:
            self._rows.keep_lease(booked.lease)
        ack = SettleAck(win.key, settlement.status, settlement.booked_micros)
        states = (before, booked.campaign)
        self._rows.answered(win, ack, states, Days(day, day), lease_id=win.lease_id)
        self._tell_settled(booked.campaign, settlement)
        return ack

    def _tell_settled(self, campaign: Campaign | None, settlement: Settlement) -> None:
        self._notices.append(
            SettledNotice(
                settlement.key,
                settlement.campaign_id,
                settlement.lease_id,
                settlement.booked_micros,
            )
        )
        if campaign is not None and settlement.booked_micros and not campaign.remaining_micros:
            self._notices.append(
                BudgetExhausted(
                    campaign.campaign_id, campaign.settled_micros, campaign.budget_micros
                )
            )

    def _lease(self, request: LeaseRequest) -> LeaseGranted | LeaseDenied:
        if request.pace or request.goal:
            self._multipliers[request.campaign_id] = (request.pace, request.goal)
        earlier, same = self._earlier(request, LeaseGranted)
        if earlier is not None:
            # Its bidder counts its life from the first sending, so an old grant harms nobody.
            return earlier if same else self._denial(request, "stale")
        before = self.campaigns.get(request.campaign_id)
        day = self._rows.today(request.campaign_id)
        denied = books.why_denied(before, day)
        if before is None or denied is not None:
            return self._denial(request, denied or "unknown_campaign")
        name = LeaseName(self._next_number, f"{self._ledger_id}-{self._next_number:x}")
        self._next_number += 1
        campaign, lease = books.grant(before, day, request, name, self.terms)
        self._rows.remember(lease, self._now_s)
        self._rows.keep_lease(lease)
        answer = self._grant(campaign, lease)
        days = Days(day.day, day.day)
        self._rows.answered(request, answer, (before, campaign), days, lease_id=lease.lease_id)
        return answer

    def _grant(self, campaign: Campaign, lease: Lease) -> LeaseGranted:
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
        answer = LeaseReturned(message.lease_id, message.returned_micros)
        lease = self.leases.get(message.lease_id)
        if lease is None:
            # A closed lease has given all back already: the bidder has nothing more to do.
            return answer
        before = self.campaigns[lease.campaign_id]
        moved = books.give_back(before, lease, message.returned_micros)
        if moved.lease != lease:
            self._rows.keep_lease(moved.lease)
            states, days = (before, moved.campaign), Days(lease.day, lease.day)
            self._rows.answered(message, answer, states, days, lease_id=lease.lease_id)
        return answer

    def _close(self, lease: Lease) -> None:
        before = self.campaigns[lease.campaign_id]
        moved = books.close(before, lease)
        self._rows.keep_lease(moved.lease)
        done = Operation("close", lease.lease_id, lease.campaign_id, lease.lease_id)
        self._rows.record(done, (before, moved.campaign), Days(lease.day, lease.day))
        self._notices.append(LeaseClosed(lease.lease_id, lease.campaign_id, moved.freed_micros))

    def _plan(self, before: Campaign | None, after: Campaign) -> None:
        """Take a campaign's plan over, if it is another one."""
        if before == after:
            return
        plan = {
            "advertiser": after.advertiser,
            "budget_micros": after.budget_micros,
            "daily_budget_micros": after.daily_budget_micros,
            "active": after.active,
        }
        name = f"{after.campaign_id}:{self.head.seq + 1}"
        request = msgspec.json.encode(plan).decode()
        done = Operation("budget", name, after.campaign_id, request=request)
        today = self._rows.calendar.today()
        self._rows.record(done, (before, after), Days(today, today))

    def _standing(self, campaign: Campaign) -> CampaignStanding:
        day = self._rows.today(campaign.campaign_id)
        pace, goal = self._multipliers.get(campaign.campaign_id, (0.0, 0.0))
        return CampaignStanding(
            campaign_id=campaign.campaign_id,
            budget_micros=campaign.budget_micros,
            settled_micros=campaign.settled_micros,
            leased_micros=campaign.leased_micros,
            free_micros=campaign.free_micros,
            day=day.day,
            day_settled_micros=day.spent_micros,
            daily_budget_micros=campaign.daily_budget_micros,
            at=self._rows.calendar.unix_clock(),
            pace=pace,
            goal=goal,
        )


def _key_taken(key: str) -> MoneyRefused:
    return MoneyRefused(f"key {key!r} was used for something else; choose another")
