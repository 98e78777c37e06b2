"""All that can happen to money, in any order: the state machine of the tests.

The ledger (the real clerk on a real database) and any number of bidders (real wallets) talk over a
network that loses, doubles, delays and reorders, and is parted and healed. Bidders, the ledger and
its database end at any moment, also between a commit and its answer; the wall clock jumps, days
change, budgets and their days are cut and raised; operators refund and adjust. An exchange tells
of wins late, twice, at another price, of a loss before the win, and of wins that we never bid for.

After every step:

* money is conserved, entry by entry, and nothing is overspent, neither in all nor on a day;
* what bidders hold, and what an exchange may still let win, dead bidders' bids included, is blocked
  in the ledger for exactly them;
* every operation has one answer, the same for all its repetitions, and every acknowledged one is on
  disk; a win that was told in its window is paid in full.

At the end, when all windows are over, all leases have come home and ``verify`` finds nothing.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.budget.journal import Journal
from actors.ledger.books import BudgetPlan
from tests.money.banks import MOMENTS, Moment, Vault
from tests.money.scene import (
    CAMPAIGNS,
    MOST_BIDDERS,
    PLANS,
    WALLET_TERMS,
    Letter,
    Offer,
    Scene,
    take,
)
from transport.money import Release, ReleasedNotice
from transport.money_operators import Adjust, Refund

if TYPE_CHECKING:
    from collections.abc import Callable

picks = st.integers(min_value=0, max_value=1_000)
campaign_ids = st.sampled_from(CAMPAIGNS)
mostly = st.sampled_from((True, True, True, True, False))


class MoneyMachine(Scene, RuleBasedStateMachine):
    """See the module; ``make_vault`` says on which database."""

    make_vault: ClassVar[Callable[[], Vault]]
    steps: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        self.open(type(self).make_vault())

    # --- bidders ---------------------------------------------------------------------------------

    def _bid(self, pick: int, campaign_id: str, amounts: list[int], delay_s: float | None) -> None:
        bidder = self.one_of(pick)
        if delay_s is not None:
            self.ask_for_money(bidder, campaign_id, delay_s)
        for micros in amounts:
            self.bid(bidder, campaign_id, micros)
        self.post(bidder)

    bidding = rule(
        pick=picks,
        campaign_id=campaign_ids,
        amounts=st.lists(st.integers(1, 150), min_size=1, max_size=5),
        delay_s=st.sampled_from((0.0, 0.0, 0.0, 0.625, 4.0, None)),
    )
    a_bidder_bids, another_bids, and_another, and_one_more = (
        bidding(_bid),
        bidding(_bid),
        bidding(_bid),
        bidding(_bid),
    )

    @rule(
        pick=picks,
        what=st.sampled_from(("joins", "dies", "leaves", "ends", "agent", "agent", "agent dies")),
    )
    def bidders_come_and_go(self, pick: int, what: str) -> None:
        if what == "joins" and len(self.bidders) < MOST_BIDDERS:
            self.a_bidder_joins()
            return
        bidder = self.one_of(pick)
        if what.startswith("agent"):
            self.restart_agent(bidder, is_compact=pick % 2 == 0, dies=what == "agent dies")
            return
        if what == "ends":
            bidder.wallet.give_all_back(self.now_s - bidder.origin_s)
            self.post(bidder)
        if what == "leaves" and len(self.bidders) > 1:
            del self.bidders[bidder.name]
            return
        bidder.journal = Journal()
        life = self.fresh_name("life")
        bidder.wallet = bidder.journal.begin(WALLET_TERMS, bidder.name, life)
        bidder.origin_s = self.now_s * 0.25

    # --- the exchange ----------------------------------------------------------------------------

    def _win(self, pick: int, count: int, discount: int) -> None:
        for offer in take(self.offers, pick, count):
            self.win(offer, max(0, offer.micros - discount))
            self.decided.append(offer)

    winning = rule(pick=picks, count=st.integers(1, 4), discount=st.integers(-10, 20))
    bids_win = precondition(lambda self: self.offers)(winning(_win))
    more_bids_win = precondition(lambda self: self.offers)(winning(_win))

    @precondition(lambda self: self.offers)
    @rule(pick=picks, count=st.integers(1, 3), by_the_ledger=st.booleans())
    def bids_lose(self, pick: int, count: int, by_the_ledger: bool) -> None:
        for offer in take(self.offers, pick, count):
            self.decided.append(offer)
            loss = Release(offer.key, offer.campaign_id, offer.lease_id)
            if by_the_ledger:
                self.up.append(Letter(self.one_of(pick).name, loss))
            else:
                notice = ReleasedNotice(loss.key, loss.campaign_id, loss.lease_id)
                self.down += [Letter(name, notice) for name in self.bidders]

    @rule(pick=picks, price=st.integers(0, 200), campaign_id=campaign_ids)
    def the_exchange_is_odd(self, pick: int, price: int, campaign_id: str) -> None:
        """A win is told that nobody bid for; or what was decided is told anew, at any price."""
        if pick % 4 == 0 or not self.decided:
            self.stray(campaign_id if pick % 8 else "nobody's", price)
            return
        offer = self.decided[pick % len(self.decided)]
        if offer.key not in self.unpaid and offer.key not in self.booked:
            # Lost, and now won: its money may have been promised to others meanwhile.
            self.contrary.add(offer.lease_id)
        self.win(offer, price)

    def stray(self, campaign_id: str, price: int) -> None:
        """Tell of a win that nobody bid for."""
        name = self.fresh_name("stray")
        self.win(Offer(name, campaign_id, "no-such-lease", 0, -math.inf), price)

    # --- operators -------------------------------------------------------------------------------

    def _order(self, pick: int, campaign_id: str, micros: int, what: str, is_lost: bool) -> None:
        self.operations += 1
        known = [key for key in self.asked if key.startswith(("refund:", "adjust:"))]
        booked = [key for key, ack in self.booked.items() if ack.booked_micros]
        if what == "refund" and booked:
            win = booked[pick % len(booked)]
            key, micros = f"refund-{self.operations}", max(0, micros) % 50
            self.order(Refund(key, win, micros, "invalid traffic"), is_lost)
        elif what in ("again", "changed") and known:
            self.repeat(self.asked[known[pick % len(known)]], is_changed=what == "changed")
        else:
            key = f"adjust-{self.operations}"
            self.order(Adjust(key, campaign_id, micros, "by hand"), is_lost)

    ordering = rule(
        pick=picks,
        campaign_id=campaign_ids,
        micros=st.integers(-400, 900),
        what=st.sampled_from(("refund", "refund", "adjust", "adjust", "again", "changed")),
        is_lost=st.sampled_from((False, False, False, True)),
    )
    an_operator_acts, another_acts = ordering(_order), ordering(_order)

    @rule(
        campaign_id=campaign_ids,
        budget=st.integers(0, 4_000),
        daily=st.none() | st.integers(0, 1_200),
        is_there=mostly,
    )
    def a_budget_changes(
        self, campaign_id: str, budget: int, daily: int | None, is_there: bool
    ) -> None:
        if is_there:
            advertiser = PLANS[campaign_id].advertiser
            self.plans[campaign_id] = BudgetPlan(advertiser, budget, daily)
        else:
            self.plans.pop(campaign_id, None)
        self.bank.plan(self.plans)

    # --- the road --------------------------------------------------------------------------------

    def _arrive(self, again: bool) -> None:
        self.up += [Letter(self.one_of(0).name, win) for win in self.unpaid.values()]
        burst, self.up = self.sendable(self.up)
        self.up += burst if again else []
        self.deliver(burst)
        for _ in range(len(self.down)):
            self.a_reply_arrives(0, again)

    arriving = rule(again=st.booleans())
    everything_arrives, all_arrives, the_road_is_clear = (
        arriving(_arrive),
        arriving(_arrive),
        arriving(_arrive),
    )

    @precondition(lambda self: self.up)
    @rule(first=picks, count=st.integers(1, 4), again=st.booleans())
    def requests_arrive_in_one_burst(self, first: int, count: int, again: bool) -> None:
        self.deliver(self.burst(first, count, again=again))

    @precondition(lambda self: self.down)
    @rule(pick=picks, again=st.booleans())
    def a_reply_arrives(self, pick: int, again: bool) -> None:
        (letter,) = take(self.down, pick, 1)
        if again or not self.is_reachable(letter.bidder):
            self.down.append(letter)
        if self.is_reachable(letter.bidder):
            self.hear(letter)

    @rule(pick=picks)
    def messages_are_lost(self, pick: int) -> None:
        if self.down:
            self.down.pop(pick % len(self.down))
        if self.up:
            self.up.pop(pick % len(self.up))

    @rule(pick=picks, parts=st.booleans())
    def the_network_parts_and_heals(self, pick: int, parts: bool) -> None:
        if parts:
            self.one_of(pick).reachable = False
            return
        for bidder in self.bidders.values():
            bidder.reachable = True
            bidder.wallet.road_lost(self.now_s - bidder.origin_s)

    # --- the ledger and time ---------------------------------------------------------------------

    @rule(
        first=picks,
        count=st.integers(0, 3),
        moment=st.sampled_from((*MOMENTS, "database restarts")),
    )
    def the_ledger_breaks_down(
        self, first: int, count: int, moment: Moment | Literal["database restarts"]
    ) -> None:
        # So that there is something to be written, or lost.
        self.stray(CAMPAIGNS[first % len(CAMPAIGNS)], count)
        something = self.up.pop()
        burst = [*self.burst(first, count, again=True), something]
        if moment == "database restarts":
            self.restart_database(burst)
        else:
            requests = [each.message for each in burst]
            in_vain = self.bank.fail(requests, self.ledger_s(), moment)  # type: ignore[arg-type]
            for request, answer in zip(requests, in_vain, strict=False):
                self.note(request, answer)  # type: ignore[arg-type]
        self.begin_again()

    def _pass(self, seconds: float, looks: bool) -> None:
        self.now_s += seconds
        for bidder in self.bidders.values():
            bidder.wallet.tick(self.now_s - bidder.origin_s)
            self.post(bidder)
        if looks:
            self.bank.expire(self.ledger_s())
            self.publish()

    # All times are sums of binary fractions: where two ends meet, rounding must not part them.
    moments_pass = rule(seconds=st.sampled_from((0.0625, 0.25, 0.625)), looks=st.booleans())(_pass)
    seconds_pass = rule(seconds=st.sampled_from((1.0, 2.5)), looks=st.booleans())(_pass)
    much_time_passes = rule(
        seconds=st.sampled_from((5.0, 31.0, 36.0, 36.0, 90_000.0, 90_000.0)), looks=st.booleans()
    )(_pass)

    @rule(seconds=st.sampled_from([-200_000.0, -86_400.0, -3_600.0, 30.0, 3_600.0, 86_400.0]))
    def the_wall_clock_jumps(self, seconds: float) -> None:
        self.wall_jump_s += seconds

    # --- promises --------------------------------------------------------------------------------

    @invariant()
    def every_promise_is_kept(self) -> None:
        type(self).steps += 1
        self.is_sound = False
        self.the_books_are_right()
        self.nothing_is_promised_twice()
        self.is_sound = True

    def teardown(self) -> None:
        if not hasattr(self, "auditor"):
            return
        try:
            # What is broken already would only fail once more, and hide how.
            if self.is_sound:
                self.end()
        finally:
            self.bank.close()
            self.vault.discard()
