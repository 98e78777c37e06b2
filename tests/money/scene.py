"""All who have to do with money, and what they owe each other: the scene of the state machine.

The ledger is the real clerk on a real database, bidders are real wallets with their journals; the
network, the exchange, the operators and all clocks are this module's, so that it knows the truth.
See ``tests.money.machine`` for what happens to them, and for what is promised meanwhile.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from actors.budget.journal import Journal
from actors.budget.wallet import Wallet, WalletTerms
from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.errors import LedgerError
from actors.ledger.requests import key_of
from actors.ledger.verify import verify
from tests.money.auditor import Auditor
from tests.money.banks import Bank, Vault
from transport.money import (
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturned,
    MoneyNotice,
    MoneyRefused,
    MoneyReply,
    MoneyRequest,
    ReleaseAck,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
)
from transport.money_operators import Adjust, Adjusted, Refund, Refunded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.budget.holdings import HeldLease

TERMS: Final = LeaseTerms(
    lease_s=5.0, win_window_s=30.0, max_lease_micros=1_000, share=0.5, least_micros=50
)
WALLET_TERMS: Final = WalletTerms(
    lease_s=TERMS.lease_s, lease_micros=300, max_lease_micros=1_000, keep_s=5.0, resend_s=0.5
)
PLANS: Final = {
    "autumn": BudgetPlan("shop.example", 3_000),
    "winter": BudgetPlan("shop.example", 900, 400),
    "spring/sale": BudgetPlan("travel.example", 1_500, 1_000),
}
CAMPAIGNS: Final = tuple(PLANS)
MOST_BIDDERS: Final = 4
#: Who asks the ledger besides bidders.
OPERATOR: Final = "operator"
WALL_S: Final = 1_800_014_400.0

_Item = TypeVar("_Item")


@dataclass
class Offer:
    """A bid that left; ``closes_s`` (true time) is the end of the time in which it may win."""

    key: str
    campaign_id: str
    lease_id: str
    micros: int
    closes_s: float


@dataclass
class Bidder:
    """A bidder's process: its wallet, its clock, and whether the network reaches it."""

    name: str
    wallet: Wallet
    journal: Journal
    origin_s: float
    reachable: bool = True
    bids: int = field(default=0)

    def dies(self, *_call: object) -> None:
        """End the budget manager just after it noted what it was going to do."""
        self.journal.note(*_call)
        raise _DiedError


class _DiedError(Exception):
    """The budget manager is gone in the middle of a message."""


class Letter(NamedTuple):
    """A message on the road, and whose it is: who sent it, or who shall hear it."""

    bidder: str
    message: MoneyRequest | MoneyReply | MoneyNotice


class Scene:
    """Everybody and everything on the road, and what was promised to whom."""

    def open(self, vault: Vault) -> None:
        """Begin with an empty database, and two bidders."""
        self.now_s, self.wall_jump_s, self.ledger_origin_s = 100.0, 0.0, 0.0
        self.plans = dict(PLANS)
        self.vault = vault
        self.bank = Bank(self.vault, TERMS, self.plans, self.wall_s)
        self.bank.start(self.ledger_s())
        self.auditor = Auditor(self.vault)
        self.outstanding: dict[str, int] = {}
        # Whether all is well, as far as anybody has looked since something was answered.
        self.is_sound = True
        self.names = self.operations = 0
        self.bidders: dict[str, Bidder] = {}
        self.up: list[Letter] = []
        self.down: list[Letter] = []
        self.offers: list[Offer] = []
        self.decided: list[Offer] = []
        self.unpaid: dict[str, Settle] = {}
        self.contrary: set[str] = set()
        self.answers: dict[str, bytes] = {}
        self.asked: dict[str, MoneyRequest] = {}
        self.booked: dict[str, SettleAck] = {}
        self.a_bidder_joins()
        self.a_bidder_joins()

    def wall_s(self) -> float:
        """What time people think it is."""
        return WALL_S + self.now_s + self.wall_jump_s

    def ledger_s(self) -> float:
        """The ledger's monotonic clock, which begins anew with each of its machines."""
        return self.now_s - self.ledger_origin_s

    def a_bidder_joins(self) -> None:
        self.names += 1
        name, journal = f"bidder-{self.names}", Journal()
        wallet = journal.begin(WALLET_TERMS, name, self.fresh_name("life"))
        self.bidders[name] = Bidder(name, wallet, journal, origin_s=self.now_s * 0.5)

    def fresh_name(self, kind: str) -> str:
        """Return a name that nobody else has."""
        self.operations += 1
        return f"{kind}-{self.operations}"

    def one_of(self, pick: int) -> Bidder:
        return list(self.bidders.values())[pick % len(self.bidders)]

    def post(self, bidder: Bidder) -> None:
        """Put what a wallet wants to send on the road."""
        for request in self.requests_of(bidder):
            self.up.append(Letter(bidder.name, request))

    def requests_of(self, bidder: Bidder) -> list[MoneyRequest]:
        """Return what a wallet wants to send; each sending says at what pace it spends by then."""
        pace = self.now_s % 1.0
        return [
            msgspec.structs.replace(each, pace=pace) if isinstance(each, LeaseRequest) else each
            for each in bidder.wallet.take_requests()
        ]

    def ask_for_money(self, bidder: Bidder, campaign_id: str, delay_s: float) -> None:
        """Have a bidder's requests answered at once, and the answers come after a while."""
        bidder.wallet.spendable([campaign_id], self.now_s - bidder.origin_s)
        for request in self.requests_of(bidder):
            if bidder.reachable:
                self.deliver([Letter(bidder.name, request)])
            else:
                self.up.append(Letter(bidder.name, request))
        self.now_s += delay_s
        if not bidder.reachable:
            return
        mine = [letter for letter in self.down if letter.bidder == bidder.name]
        self.down = [letter for letter in self.down if letter.bidder != bidder.name]
        for letter in mine:
            self.hear(letter)

    def bid(self, bidder: Bidder, campaign_id: str, micros: int) -> None:
        wallet, now_s = bidder.wallet, self.now_s - bidder.origin_s
        spendable = wallet.spendable([campaign_id], now_s).get(campaign_id, 0)
        bidder.bids += 1
        key = f"{bidder.name}/{bidder.bids}"
        done = wallet.reserve(key, campaign_id, micros, now_s)
        assert done.ok == (micros <= spendable), (done, spendable)
        if done.ok:
            assert wallet.reserve(key, campaign_id, micros, now_s) == done
            closes_s = wallet.held()[done.lease_id].closes_s + bidder.origin_s
            self.offers.append(Offer(key, campaign_id, done.lease_id, micros, closes_s))

    def restart_agent(self, bidder: Bidder, *, is_compact: bool, dies: bool) -> None:
        """Restart the budget manager alone: it holds what the one before held."""
        now_s = self.now_s - bidder.origin_s
        if is_compact:
            bidder.journal.compact(bidder.wallet)
        if dies:
            # In the middle of a reservation that no bid will ever come of.
            bidder.wallet.note = bidder.dies
            with contextlib.suppress(_DiedError):
                bidder.wallet.reserve(self.fresh_name("nobody"), "autumn", 10, now_s)
            bidder.wallet = bidder.journal.recover(WALLET_TERMS, bidder.name, now_s)
        else:
            before = {lease.lease_id: money_of(lease) for lease in bidder.wallet.held().values()}
            bidder.wallet = bidder.journal.recover(WALLET_TERMS, bidder.name, now_s)
            after = {lease.lease_id: money_of(lease) for lease in bidder.wallet.held().values()}
            assert before == after
        self.post(bidder)

    def win(self, offer: Offer, price: int) -> None:
        """Tell of a win, by way of whichever bidder; it is told until it was acknowledged."""
        win = Settle(offer.key, offer.campaign_id, offer.lease_id, price, offer.micros)
        self.unpaid[win.key] = win
        self.up.append(Letter(self.one_of(price).name, win))

    def repeat(self, request: MoneyRequest, *, is_changed: bool) -> None:
        """Use a key again that was used, for the same or for something else."""
        assert isinstance(request, Refund | Adjust)
        if not is_changed:
            self.order(request, is_lost=False)
            return
        changed = msgspec.structs.replace(request, reason="something else")
        (answer,) = self.bank.serve([changed], self.ledger_s())
        assert isinstance(answer, MoneyRefused), answer

    def order(self, request: Refund | Adjust, is_lost: bool) -> None:
        letter = Letter(OPERATOR, request)
        if is_lost:
            self.up.append(letter)
        else:
            self.deliver([letter])

    def sendable(self, letters: list[Letter]) -> tuple[list[Letter], list[Letter]]:
        """Part letters into those that the network carries now, and those that wait for it."""
        free = [each for each in letters if self.is_reachable(each.bidder)]
        return free, [each for each in letters if not self.is_reachable(each.bidder)]

    def is_reachable(self, name: str) -> bool:
        return name not in self.bidders or self.bidders[name].reachable

    def burst(self, first: int, count: int, *, again: bool) -> list[Letter]:
        """Take some letters off the road that the network carries."""
        free, waiting = self.sendable(self.up)
        taken = take(free, first, count)
        self.up = waiting + free + (taken if again else [])
        return taken

    def deliver(self, burst: Sequence[Letter]) -> None:
        self.bank.expire(self.ledger_s())
        requests = [each.message for each in burst]
        answers = self.bank.serve(requests, self.ledger_s())  # type: ignore[arg-type]
        for letter, answer in zip(burst, answers, strict=True):
            self.note(letter.message, answer)  # type: ignore[arg-type]
            self.answered(letter.bidder, answer)
        self.publish()

    def answered(self, bidder: str, answer: MoneyReply) -> None:
        """Send an answer home; an acknowledged win need not be told again."""
        if isinstance(answer, SettleAck):
            self.unpaid.pop(answer.key, None)
        self.down.append(Letter(bidder, answer))

    def publish(self) -> None:
        """Send out what the ledger told everybody."""
        for notice in self.bank.notices:
            if isinstance(notice, SettledNotice | ReleasedNotice):
                self.down += [Letter(name, notice) for name in self.bidders]
        self.bank.notices.clear()

    def hear(self, letter: Letter) -> None:
        bidder = self.bidders.get(letter.bidder)
        if bidder is None:
            return
        wallet, now_s = bidder.wallet, self.now_s - bidder.origin_s
        match letter.message:
            case LeaseGranted() as grant:
                wallet.granted(grant, now_s)
            case LeaseDenied() as denial:
                wallet.denied(denial, now_s)
            case LeaseReturned() as returned:
                wallet.returned(returned)
            case (
                SettleAck(key=key, booked_micros=micros)
                | SettledNotice(key=key, booked_micros=micros)
            ):
                wallet.settled(key, micros)
            case ReleasedNotice(key=key):
                wallet.released(key)
            case _:
                pass
        self.post(bidder)

    def restart_database(self, burst: list[Letter]) -> None:
        """Have the database restart between two bursts; a ledger may or may not notice."""
        self.vault.interrupt()
        try:
            self.deliver(burst)
        except LedgerError:
            self.bank.notices.clear()

    def begin_again(self) -> None:
        """Have the ledger start from its disk, on a machine with another clock."""
        self.ledger_origin_s = self.now_s * 0.75
        self.bank.start(self.ledger_s())
        self.publish()
        self.auditor.follow()
        self.outstanding = self.auditor.outstanding()
        self.auditor.check_settlements()
        self.nothing_acknowledged_is_lost()

    def note(self, request: MoneyRequest, answer: MoneyReply) -> None:
        """Remember an operation's first answer, which all others must be."""
        self.is_sound = False
        if isinstance(answer, ReleaseAck | LeaseReturned):
            return
        key = key_of(request)
        if isinstance(answer, LeaseDenied | MoneyRefused):
            assert key not in self.answers, f"{key}: {answer}, but first {self.answers[key]!r}"
            return
        assert isinstance(answer, LeaseGranted | SettleAck | Refunded | Adjusted)
        said = answer
        if isinstance(answer, SettleAck):
            said = msgspec.structs.replace(answer, repeated=False)
            assert answer.repeated == (key in self.answers), answer
        first = self.answers.setdefault(key, msgspec.json.encode(said))
        assert msgspec.json.encode(said) == first, f"{key}: {answer}, but first {first!r}"
        if key not in self.asked:
            self.asked[key] = request
            if isinstance(request, Settle):
                assert isinstance(answer, SettleAck)
                self.booked[request.key] = answer
                self.check_paid(request, answer)

    def check_paid(self, win: Settle, ack: SettleAck) -> None:
        """A win within its window is paid in full, though at most its bid."""
        offers = [offer for offer in self.decided if offer.key == win.key]
        due = min(win.price_micros, win.bid_micros or win.price_micros)
        assert ack.booked_micros == due or ack.status in ("unfunded", "unknown_lease"), (win, ack)
        assert ack.booked_micros in (0, due), (win, ack)
        assert (ack.status == "unknown_lease") == (not offers), (win, ack)
        for offer in offers:
            if self.now_s < offer.closes_s and offer.lease_id not in self.contrary:
                assert ack.booked_micros == due, (win, ack)
                assert ack.status in ("settled", "over_bid"), (win, ack)

    def promised(self, held: HeldLease) -> int:
        """Return free and reserved money, but for reservations that the ledger has settled."""
        open_bids = (m for key, m in held.reserved.items() if key not in self.booked)
        return held.free_micros + sum(open_bids)

    @staticmethod
    def check_blocked(promised: dict[str, int], outstanding: dict[str, int]) -> None:
        for lease_id, micros in promised.items():
            blocked = outstanding.get(lease_id, 0)
            assert micros <= blocked, f"{micros} promised of lease {lease_id} that blocks {blocked}"

    def nothing_acknowledged_is_lost(self) -> None:
        for key, answer in self.answers.items():
            assert self.auditor.answers.get(key) == answer.decode(), f"{key} is lost"
        done = {key for key in self.auditor.answers if not key.startswith(("budget:", "close:"))}
        unknown = {key for key in done - self.answers.keys() if not key.startswith("return:")}
        assert not unknown, f"nobody asked for {unknown}"

    def end(self) -> None:
        """Tell all wins, let all windows pass, and look at everything."""
        self.deliver([Letter(self.one_of(0).name, win) for win in self.unpaid.values()])
        assert not self.unpaid
        self.now_s += 2 * TERMS.blocked_s
        for bidder in self.bidders.values():
            bidder.wallet.tick(self.now_s - bidder.origin_s)
            assert not bidder.wallet.held()
        self.bank.expire(self.ledger_s())
        self.auditor.follow()
        self.auditor.check_settlements()
        self.nothing_acknowledged_is_lost()
        assert not self.auditor.outstanding()
        assert not any(self.auditor.leased(name) for name in self.auditor.plans)
        self.money_can_be_had_again()
        report = verify(self.vault.where)
        assert report.ok, report.violations

    def money_can_be_had_again(self) -> None:
        """What is free may be leased, of today's budget, and nothing else."""
        day = datetime.fromtimestamp(self.wall_s(), UTC).date().isoformat()
        for name, plan in self.auditor.plans.items():
            room = self.auditor.free(name)
            if plan.daily_budget_micros is not None:
                spent = self.auditor.of_day(name, day)
                room = min(room, plan.daily_budget_micros - spent)
            asked = LeaseRequest(f"last:{name}", "heir", name, 10)
            (answer,) = self.bank.serve([asked], self.ledger_s())
            if plan.active and room > 0:
                assert isinstance(answer, LeaseGranted), (name, plan, answer)
                assert answer.micros == min(10, room)
            else:
                assert isinstance(answer, LeaseDenied), (name, plan, answer)

    # --- promises --------------------------------------------------------------------------------

    def the_books_are_right(self) -> None:
        """What is new in the journal is right, and so is all that rests on it."""
        if self.bank.clerk.head.seq == self.auditor.seq:
            return
        if self.auditor.follow():
            self.outstanding = self.auditor.outstanding()
            active = {name: plan for name, plan in self.auditor.plans.items() if plan.active}
            assert active.keys() == self.plans.keys()
            for name, plan in self.plans.items():
                assert active[name].budget_micros == plan.budget_micros
                assert active[name].daily_budget_micros == plan.daily_budget_micros

    def nothing_is_promised_twice(self) -> None:
        """What bidders and exchanges may still spend is blocked for them in the ledger."""
        promised: dict[str, int] = {}
        for bidder in self.bidders.values():
            now_s = self.now_s - bidder.origin_s
            for held in bidder.wallet.held().values():
                assert held.free_micros >= 0, held
                if now_s < held.closes_s and held.lease_id not in self.contrary:
                    promised[held.lease_id] = self.promised(held)
        self.check_blocked(promised, self.outstanding)
        offered: dict[str, int] = {}
        for offer in self.offers:
            if self.now_s < offer.closes_s and offer.lease_id not in self.contrary:
                offered[offer.lease_id] = offered.get(offer.lease_id, 0) + offer.micros
        self.check_blocked(offered, self.outstanding)


def money_of(lease: HeldLease) -> tuple[object, ...]:
    """Return what a lease is worth to its holder, and what he promised of it."""
    reserved = sorted(lease.reserved.items())
    return lease.free_micros, reserved, lease.returned_micros, lease.ends_s, lease.closes_s


def take(road: list[_Item], first: int, count: int) -> list[_Item]:
    """Take some off a list, from any place on."""
    return [road.pop(first % len(road)) for _ in range(min(count, len(road)))]
