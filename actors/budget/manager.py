"""The budget manager: says what campaigns may spend, and reserves it, without leaving the process.

Principle: closed on money. What it holds in leases it may promise; what it does not hold it does
not promise, whoever is late or gone. All rules are in ``actors.budget.wallet``; this shell gives
them the time, carries their requests to the ledger's link, and lets a question about campaigns
without a lease wait for the lease that is on its way, up to the question's own deadline.

A restart loses nothing: the cell keeps a journal of what happened to the wallet, and the next
manager goes on with the same leases and reservations. Where that journal can't be repeated it is
given up: what was promised stays blocked in the ledger until the win windows are over, and fresh
leases are asked for at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from thespian.actors import WakeupMessage

from actors.budget.errors import JournalError
from actors.budget.journal import Journal
from actors.budget.liveness import LEDGER, Liveness
from actors.budget.pacing import Pacing
from actors.decision.reasons import LEDGER_AWAY, SLOW_MODE
from actors.messages import (
    BudgetView,
    Forward,
    Fund,
    Funded,
    Heard,
    LinkDown,
    Released,
    Reserve,
    Reserved,
    Settled,
)
from supervision.actor import LightActor
from supervision.messages import Down, Report
from transport.messages import Conversion, Win
from transport.money import (
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    LeaseReturned,
    MoneyRefused,
    ReleasedNotice,
    SettledNotice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from actors.budget.liveness import Change
    from actors.budget.wallet import Wallet, WalletTerms
    from actors.metering import Account
    from supervision.ref import Ref

LEDGER_ROLE: Final = "link-ledger"
#: How often the wallet looks for what is due, in seconds.
TICK_S: Final = 0.1
#: How often waiting questions are looked at, in seconds, while there are any.
LOOK_S: Final = 0.002
#: A waiting question is answered this long before its deadline, so that the answer is in time.
ANSWER_MARGIN_S: Final = 0.002 + LOOK_S
#: No more questions than this wait for a lease; further ones are answered at once.
MAX_WAITING: Final = 4096

_TICK: Final = "tick"
_LOOK: Final = "look"
_NEWS: Final = object()


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cell keeps for one budget manager after another.

    Attributes:
        journal: What happened to the wallet.
        pacing: How fast campaigns may spend.
        liveness: Who is heard of.
    """

    journal: Journal = field(default_factory=Journal)
    pacing: Pacing = field(default_factory=Pacing.of_nothing)
    liveness: Liveness = field(default_factory=Liveness)


class _Waiting(NamedTuple):
    """A question that waits for a lease."""

    asker: Ref
    question: Fund


class BudgetManager(LightActor):
    """Answers ``Fund`` and ``Reserve`` from the leases that it holds.

    Args:
        terms: How to manage leases.
        bidder: Name of the bidder that it works for.
        campaign_ids: Campaigns to lease from at the start, before anyone asks.
        kept: What outlives it; None: it knows nothing, and a restart forgets all.
        account: What others know of it.
        tell_silent: Called at each tick with how many sources of news are silent.
    """

    def __init__(
        self,
        terms: WalletTerms,
        bidder: str,
        campaign_ids: Iterable[str] = (),
        *,
        kept: Kept | None = None,
        account: Account = dict,
        tell_silent: Callable[[int], object] = abs,
    ) -> None:
        super().__init__()
        self._account = account
        self._terms = terms
        self._bidder = bidder
        self._campaign_ids = tuple(campaign_ids)
        kept = kept or Kept()
        self._journal, self._pacing, self._liveness = kept.journal, kept.pacing, kept.liveness
        self._tell_silent = tell_silent
        # How campaigns stand, as told before; see ``_views_of``.
        self._views: dict[str, BudgetView] = {}
        self._waiting: list[_Waiting] = []
        self._has_news = False
        self._is_looking = False
        self._counts = {"funded": 0, "unfunded": 0, "reserved": 0, "refused": 0, "link_down": 0}

    def on_start(self) -> None:
        """Hear of settlements and losses, and lease some money before the first question."""
        self._wallet = self._take_over()
        self.subscribe(Settled)
        self.subscribe(Released)
        self.subscribe(CampaignStanding)
        self.subscribe(Conversion)
        self.subscribe(Win)
        self.subscribe(Heard)
        self._wallet.spendable(self._campaign_ids, self.cell.clock())
        self._carry()
        self.wake_after(TICK_S, _TICK)

    def _take_over(self) -> Wallet:
        """Return the wallet of the budget manager before us; an empty one if there was none."""
        journal = self._journal
        if not journal.is_empty:
            try:
                return journal.recover(self._terms, self._bidder, self.cell.clock())
            except JournalError as error:
                journal.forget()
                self.cell.reporter(Report(self.myAddress.path, "wallet_lost", str(error)))
        return journal.begin(self._terms, self._bidder, self.cell.fresh_id())

    def on_stop(self, reason: Any) -> None:
        """Send free money home; reservations stay blocked until their windows are over."""
        self._wallet.give_all_back(self.cell.clock())
        self._carry()

    def describe(self) -> dict[str, Any]:
        """Return counts and the money held per campaign, in micros."""
        held: dict[str, int] = {}
        leases = self._wallet.held().values()
        for lease in leases:
            held[lease.campaign_id] = held.get(lease.campaign_id, 0) + lease.held_micros
        return {
            **self._counts,
            "waiting": len(self._waiting),
            "leases": len(leases),
            "reservations": sum(len(lease.reserved) for lease in leases),
            "expired": self._wallet.expired,
            "journal": len(self._journal),
            "held_micros": held,
            "silent": self._liveness.silent(),
            "pace": self._pacing.describe(),
            **self._account(),
        }

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Answer agents; hear what became of bids and leases."""
        match message:
            case Reserve():
                self._reserve(message, sender)
            case Fund():
                self._fund(message, sender)
            case Settled() | SettledNotice() | Released() | ReleasedNotice() | Win():
                self._hear_of_bid(message)
            case WakeupMessage(payload="tick"):
                self._tick()
            case WakeupMessage(payload="look"):
                self._look()
            case _ if message is _NEWS:
                self._answer_funded()
            case _:
                self._hear_ledger(message)

    def _hear_of_bid(self, news: Settled | SettledNotice | Released | ReleasedNotice | Win) -> None:
        self._liveness.heard(news.key)
        match news:
            case Settled(key=key, price_micros=micros):
                self._wallet.settled(key, micros)
            case SettledNotice(key=key, booked_micros=micros):
                self._wallet.settled(key, micros)
            case Released(key=key) | ReleasedNotice(key=key):
                self._wallet.released(key)
            case Win():
                pass  # what it costs is booked by its bill

    def _hear_ledger(self, message: Any) -> None:
        match message:
            case LeaseGranted():
                self._wallet.granted(message, self.cell.clock())
                self._have_news()
            case LeaseDenied():
                self._wallet.denied(message, self.cell.clock())
                self._have_news()
            case LeaseReturned():
                self._wallet.returned(message)
            case LinkDown() | Down() | MoneyRefused():
                # The wallet sends again by itself; only those who wait must not wait in vain.
                self._counts["link_down"] += 1
                if isinstance(message, Down):
                    self._wallet.road_lost(self.cell.clock())
                self._answer_where(lambda _question: True)
            case CampaignStanding() | Conversion() | Heard():
                self._hear_of_pace(message)
                return
            case LeaseClosed() | BudgetExhausted():
                pass  # news for others: our own count of a lease's end is the earlier one
            case _:
                return  # not for us
        self._carry()

    def _reserve(self, question: Reserve, asker: Ref) -> None:
        now_s, micros = self.cell.clock(), question.amount_micros
        if not self._liveness.may_spend(question.exchange, now_s):
            self._counts["refused"] += 1
            self.send(asker, Reserved(question.key, ok=False, reason=SLOW_MODE))
            return
        done = self._wallet.reserve(question.key, question.campaign_id, micros, now_s)
        if done.ok:
            self._liveness.reserved(question.key, question.exchange, micros, now_s)
        self._counts["reserved" if done.ok else "refused"] += 1
        self.send(asker, Reserved(question.key, done.ok, done.lease_id, done.reason))
        if self._wallet.has_requests:
            self._carry()

    def _fund(self, question: Fund, asker: Ref) -> None:
        now_s = self.cell.clock()
        if not self._liveness.may_spend(question.exchange, now_s):
            self._counts["unfunded"] += 1
            self.send(asker, Funded({}, reason=SLOW_MODE))
            return
        spendable = self._wallet.spendable(question.campaign_ids, now_s)
        is_linked = self._carry()
        if spendable or not (is_linked and self._may_wait(question, now_s)):
            self._answer(asker, question, spendable)
            return
        if not self._is_looking:
            self._is_looking = True
            self.wake_after(LOOK_S, _LOOK)
        self._waiting.append(_Waiting(asker, question))

    def _may_wait(self, question: Fund, now_s: float) -> bool:
        """Whether a lease may come before the question's deadline, and there is room to wait."""
        has_time = question.deadline_s - ANSWER_MARGIN_S > now_s
        is_on_its_way = self._wallet.is_waiting(question.campaign_ids, now_s)
        return has_time and is_on_its_way and len(self._waiting) < MAX_WAITING

    def _have_news(self) -> None:
        """Look at those who wait once for all the leases that come in one burst."""
        if self._waiting and not self._has_news:
            # Behind the rest of the burst; with a full mailbox the next look answers.
            self._has_news = self.send(self.myAddress, _NEWS)

    def _answer_funded(self) -> None:
        """Answer those whose money has come, or who have nothing to wait for any more."""
        self._has_news = False
        now_s = self.cell.clock()

        def is_decided(question: Fund) -> bool:
            campaign_ids = question.campaign_ids
            money = self._wallet.spendable(campaign_ids, now_s)
            return bool(money) or not self._wallet.is_waiting(campaign_ids, now_s)

        self._answer_where(is_decided)
        self._carry()

    def _look(self) -> None:
        """Answer those whose time is up."""
        due_s = self.cell.clock() + ANSWER_MARGIN_S
        self._answer_where(lambda question: question.deadline_s <= due_s)
        self._is_looking = bool(self._waiting)
        if self._is_looking:
            self.wake_after(LOOK_S, _LOOK)

    def _answer_where(self, is_over: Callable[[Fund], bool]) -> None:
        """Answer the waiting questions of which ``is_over`` holds with what there is now."""
        waiting, self._waiting = self._waiting, []
        now_s = self.cell.clock()
        for each in waiting:
            if is_over(each.question):
                spendable = self._wallet.spendable(each.question.campaign_ids, now_s)
                self._answer(each.asker, each.question, spendable)
            else:
                self._waiting.append(each)

    def _answer(self, asker: Ref, question: Fund, spendable: Mapping[str, int]) -> None:
        self._counts["funded" if spendable else "unfunded"] += 1
        reason = "" if spendable else self._why_unfunded(question)
        self.send(asker, Funded(spendable, self._views_of(spendable), reason))

    def _why_unfunded(self, question: Fund) -> str:
        """Return why there is no money, if it is not for want of budget."""
        is_unheard = self._wallet.is_unheard(question.campaign_ids, self.cell.clock())
        return LEDGER_AWAY if is_unheard else ""

    def _views_of(self, campaign_ids: Mapping[str, int]) -> dict[str, BudgetView]:
        """Return how campaigns stand, worked out anew after news of them."""
        known = self._views
        try:
            return {campaign_id: known[campaign_id] for campaign_id in campaign_ids}
        except KeyError:
            for campaign_id in campaign_ids:
                if campaign_id not in known:
                    known[campaign_id] = BudgetView(self._pacing.multiplier(campaign_id))
            return {campaign_id: known[campaign_id] for campaign_id in campaign_ids}

    def _tick(self) -> None:
        self._wallet.tick(self.cell.clock())
        self._listen()
        if self._journal.is_long:
            self._journal.compact(self._wallet)
        self._carry()
        self.wake_after(TICK_S, _TICK)

    def _listen(self) -> None:
        """Tell who has fallen silent, and who is heard again."""
        for change in self._liveness.look(self.cell.clock()):
            self.cell.reporter(_report_of(change, self.myAddress.path))
        self._tell_silent(len(self._liveness.silent()))

    def _carry(self) -> bool:
        """Send what the wallet wants to send; false if there is no link just now.

        What is lost here is sent again by the wallet under the same ids. No deadline: an answer
        that comes late must still come here, because a lease that is of no use any more goes home.
        """
        requests = self._wallet.take_requests()
        link = self.cell.registry.address(LEDGER_ROLE)
        if link is None:
            return False
        for request in requests:
            self.ask(link, Forward(self._with_levels(request)))
        return True

    def _with_levels(self, request: LeaseRequest | LeaseReturn) -> LeaseRequest | LeaseReturn:
        """Return a request that also says how fast we spend, for bidders that don't know yet."""
        if not isinstance(request, LeaseRequest):
            return request
        pace, goal = self._pacing.levels(request.campaign_id)
        return msgspec.structs.replace(request, pace=pace, goal=goal) if pace or goal else request

    def _hear_of_pace(self, message: CampaignStanding | Conversion | Heard) -> None:
        """Take note of what was spent, and of what that has brought."""
        if isinstance(message, CampaignStanding):
            self._liveness.heard_ledger()
            self._pacing.hear(message)
            self._views.pop(message.campaign_id, None)
            return
        event = message.event if isinstance(message, Heard) else message
        self._liveness.heard(event.key)
        if isinstance(event, Conversion) and event.campaign_id and not event.test:
            self._pacing.converted(event.campaign_id, event.value_micros)


def _report_of(change: Change, path: str) -> Report:
    who = f"exchange {change.source or 'without a name'}"
    if change.source == LEDGER:
        who = "the ledger"
    if change.silent_s is None:
        return Report(path, "slow_off", f"{who} is heard again", level="info")
    why = f"{who} has told nothing of {change.bids} bids for {change.silent_s:.0f} s"
    return Report(path, "slow_on", f"{why}: see that notices reach us")
