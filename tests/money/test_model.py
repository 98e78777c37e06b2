"""The whole of money under fire: bidders, a ledger, a bad network and an exchange that is slow.

A message may be delivered late, twice, out of order or never; bidders and ledger crash at any
point, the ledger also between its commit and its answer. After every single step:

* the ledger never has more settled and leased than the budget;
* what bidders hold, reserved or free, is covered by what the ledger keeps blocked for them;
* every win has exactly one settlement, and one that came in its window is paid in full.

At the end, when all windows are over, everything that was not settled is free again.
"""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors.budget.wallet import Wallet, WalletTerms
from actors.ledger.store import LedgerStore
from actors.ledger.verify import verify
from tests.money.worlds import TERMS, Ledger, MemoryStore, Store
from transport.money import (
    LeaseDenied,
    LeaseGranted,
    LeaseReturned,
    MoneyReply,
    MoneyRequest,
    Settle,
    SettleAck,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.budget.holdings import HeldLease
    from actors.ledger.books import Campaign

BUDGETS = {"autumn": 3_000, "winter": 900}
BIDDERS = ("bidder-1", "bidder-2")
WALLET_TERMS = WalletTerms(
    lease_s=TERMS.lease_s, lease_micros=300, max_lease_micros=1_000, keep_s=5.0, resend_s=0.5
)

campaign_ids = st.sampled_from(sorted(BUDGETS))
bidders = st.sampled_from(BIDDERS)
picks = st.integers(min_value=0, max_value=1_000)


class Offer(NamedTuple):
    """A bid that the exchange has not decided yet."""

    key: str
    bidder: str
    campaign_id: str
    lease_id: str
    micros: int


class News(NamedTuple):
    """What a bidder hears of its own bid: the price, or None for a loss."""

    key: str
    price_micros: int | None


class MoneyMachine(RuleBasedStateMachine):
    """Everything that can happen to money, in any order."""

    def make_store(self) -> Store:
        return MemoryStore()

    def reopen(self, store: Store) -> Store:
        return store

    @initialize()
    def begin(self) -> None:
        self.now_s = 100.0
        self.store = self.make_store()
        self.ledger = Ledger(self.store, BUDGETS, self.now_s)
        self.lives = self.bids = 0
        self.wallets = {bidder: self.new_wallet(bidder) for bidder in BIDDERS}
        self.requests: list[tuple[str, MoneyRequest]] = []
        self.replies: list[tuple[str, MoneyReply | News]] = []
        self.offers: list[Offer] = []
        self.wins: dict[str, Settle] = {}
        self.booked: dict[str, int] = {}

    def new_wallet(self, bidder: str) -> Wallet:
        self.lives += 1
        return Wallet(WALLET_TERMS, bidder, f"life-{self.lives}")

    def post(self, bidder: str) -> None:
        """Put what a wallet wants to send on the road."""
        for request in self.wallets[bidder].take_requests():
            self.requests.append((bidder, request))

    # --- bidders ------------------------------------------------------------------------------

    @rule(
        bidder=bidders,
        campaign_id=campaign_ids,
        amounts=st.lists(st.integers(1, 150), min_size=1, max_size=5),
    )
    def a_bidder_bids(self, bidder: str, campaign_id: str, amounts: list[int]) -> None:
        for micros in amounts:
            self.bid(bidder, campaign_id, micros)
        self.post(bidder)

    def bid(self, bidder: str, campaign_id: str, micros: int) -> None:
        wallet = self.wallets[bidder]
        spendable = wallet.spendable([campaign_id], self.now_s).get(campaign_id, 0)
        self.bids += 1
        key = f"bid-{self.bids}"
        done = wallet.reserve(key, campaign_id, micros, self.now_s)
        assert done.ok == (micros <= spendable)
        if done.ok:
            assert wallet.reserve(key, campaign_id, micros, self.now_s) == done
            self.offers.append(Offer(key, bidder, campaign_id, done.lease_id, micros))

    @rule(bidder=bidders, politely=st.booleans())
    def a_bidder_ends(self, bidder: str, politely: bool) -> None:
        if politely:
            self.wallets[bidder].give_all_back(self.now_s)
            self.post(bidder)
        self.wallets[bidder] = self.new_wallet(bidder)

    # --- the exchange -------------------------------------------------------------------------

    @precondition(lambda self: self.offers)
    @rule(pick=picks, count=st.integers(1, 3), discount=st.integers(0, 20))
    def bids_win(self, pick: int, count: int, discount: int) -> None:
        for offer in self.take(self.offers, pick, count, again=False):
            price = max(0, offer.micros - discount)
            win = Settle(offer.key, offer.campaign_id, offer.lease_id, price, offer.micros)
            self.wins[offer.key] = win
            self.requests.append((offer.bidder, win))

    @precondition(lambda self: self.offers)
    @rule(pick=picks, count=st.integers(1, 3))
    def bids_lose(self, pick: int, count: int) -> None:
        for offer in self.take(self.offers, pick, count, again=False):
            self.replies.append((offer.bidder, News(offer.key, None)))

    # --- the road -----------------------------------------------------------------------------

    @rule(again=st.booleans())
    def everything_arrives(self, again: bool) -> None:
        if self.requests:
            self.deliver(self.take(self.requests, 0, len(self.requests), again=again))
        for _ in range(len(self.replies)):
            self.a_reply_arrives(0, again)

    @precondition(lambda self: self.requests)
    @rule(first=picks, count=st.integers(1, 4), again=st.booleans())
    def requests_arrive_in_one_burst(self, first: int, count: int, again: bool) -> None:
        self.deliver(self.take(self.requests, first, count, again=again))

    def deliver(self, burst: list[tuple[str, MoneyRequest]]) -> None:
        self.ledger.clerk.expire(self.now_s)
        opened = set(self.ledger.clerk.leases)
        answers = self.ledger.handle([request for _, request in burst], self.now_s)
        for (bidder, request), answer in zip(burst, answers, strict=True):
            if isinstance(request, Settle):
                assert isinstance(answer, SettleAck)
                self.check_ack(request, answer, in_window=request.lease_id in opened)
                self.replies.append((bidder, News(answer.key, answer.booked_micros)))
            else:
                self.replies.append((bidder, answer))

    def check_ack(self, win: Settle, ack: SettleAck, *, in_window: bool) -> None:
        first = self.booked.setdefault(win.key, ack.booked_micros)
        assert ack.booked_micros == first
        assert ack.booked_micros in (0, win.price_micros)
        if in_window and not ack.repeated:
            assert ack.status == "settled"
            assert ack.booked_micros == win.price_micros

    @precondition(lambda self: self.replies)
    @rule(pick=picks, again=st.booleans())
    def a_reply_arrives(self, pick: int, again: bool) -> None:
        ((bidder, reply),) = self.take(self.replies, pick, 1, again=again)
        self.hear(self.wallets[bidder], reply)
        self.post(bidder)

    def hear(self, wallet: Wallet, reply: MoneyReply | News) -> None:
        match reply:
            case LeaseGranted():
                wallet.granted(reply, self.now_s)
            case LeaseDenied():
                wallet.denied(reply, self.now_s)
            case LeaseReturned():
                wallet.returned(reply)
            case News(key=key, price_micros=None):
                wallet.released(key)
            case News(key=key, price_micros=int(price)):
                wallet.settled(key, price)
            case _:
                raise AssertionError(reply)

    @rule(pick=picks)
    def messages_are_lost(self, pick: int) -> None:
        """Whatever the place, but a win is repeated by the exchange until it is acknowledged."""
        if self.replies:
            self.replies.pop(pick % len(self.replies))
        if self.requests and not isinstance(self.requests[pick % len(self.requests)][1], Settle):
            self.requests.pop(pick % len(self.requests))

    @staticmethod
    def take(road: list, first: int, count: int, *, again: bool) -> list:  # type: ignore[type-arg]
        """Take messages off the road, from any place; with ``again`` they stay on it as well."""
        taken = [road.pop(first % len(road)) for _ in range(min(count, len(road)))]
        if again:
            road.extend(taken)
        return taken

    # --- the ledger and time ------------------------------------------------------------------

    @rule(first=picks, moment=st.sampled_from(["idle", "before commit", "before answer"]))
    def the_ledger_crashes(self, first: int, moment: str) -> None:
        if self.requests and moment != "idle":
            burst = self.take(self.requests, first, 3, again=True)
            self.handle_in_vain(burst, is_committed=moment == "before answer")
        self.store = self.reopen(self.store)
        self.ledger = Ledger(self.store, BUDGETS, self.now_s)

    def handle_in_vain(self, burst: list[tuple[str, MoneyRequest]], *, is_committed: bool) -> None:
        requests = [request for _, request in burst]
        if not is_committed:
            clerk = self.ledger.clerk
            clerk.handle(requests, self.store.find(clerk.wanted(requests)), self.now_s)
            return
        answers = self.ledger.handle(requests, self.now_s)
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(request, Settle) and isinstance(answer, SettleAck):
                self.check_ack(request, answer, in_window=False)

    @rule(seconds=st.sampled_from([0.2, 0.6, 1.0, 2.5, 5.0, 31.0]), ledger_looks=st.booleans())
    def time_passes(self, seconds: float, ledger_looks: bool) -> None:
        self.now_s += seconds
        for bidder, wallet in self.wallets.items():
            wallet.tick(self.now_s)
            self.post(bidder)
        if ledger_looks:
            self.ledger.expire(self.now_s)

    # --- promises -----------------------------------------------------------------------------

    def campaigns(self) -> dict[str, Campaign]:
        return dict(self.store.snapshot().campaigns)

    @invariant()
    def nothing_is_overspent(self) -> None:
        for campaign in self.campaigns().values():
            assert campaign.settled_micros + campaign.leased_micros <= campaign.budget_micros
            assert campaign.leased_micros == sum(
                lease.outstanding_micros
                for lease in self.ledger.clerk.leases.values()
                if lease.campaign_id == campaign.campaign_id
            )

    @invariant()
    def what_bidders_hold_is_blocked_for_them(self) -> None:
        held_by_campaign = dict.fromkeys(BUDGETS, 0)
        for wallet in self.wallets.values():
            for held in wallet.held().values():
                if self.now_s < held.closes_s:
                    promised = self.promised(held)
                    lease = self.ledger.clerk.leases[held.lease_id]
                    assert promised <= lease.outstanding_micros
                    held_by_campaign[held.campaign_id] += promised
        for campaign_id, campaign in self.campaigns().items():
            assert campaign.settled_micros + held_by_campaign[campaign_id] <= campaign.budget_micros

    def promised(self, held: HeldLease) -> int:
        """Return free and reserved money, but for reservations that the ledger has settled."""
        open_bids = (micros for key, micros in held.reserved.items() if key not in self.booked)
        return held.free_micros + sum(open_bids)

    @invariant()
    def every_win_is_settled_once(self) -> None:
        settled = dict.fromkeys(BUDGETS, 0)
        for key, micros in self.booked.items():
            settled[self.wins[key].campaign_id] += micros
        for campaign_id, campaign in self.campaigns().items():
            assert campaign.settled_micros == settled[campaign_id]

    def teardown(self) -> None:
        if not hasattr(self, "ledger"):
            return
        self.deliver([(bidder, r) for bidder, r in self.requests if isinstance(r, Settle)])
        self.requests.clear()
        assert self.booked.keys() == self.wins.keys()
        self.time_passes(TERMS.lease_s + TERMS.win_window_s, ledger_looks=True)
        for campaign in self.campaigns().values():
            assert campaign.leased_micros == 0
            assert campaign.free_micros == campaign.budget_micros - campaign.settled_micros
        assert not any(wallet.held() for wallet in self.wallets.values())
        self.every_win_is_settled_once()


class MoneyOnDiskMachine(MoneyMachine):
    """The same with SQLite: a crash of the ledger opens the file again."""

    folder: Path | None = None

    def make_store(self) -> Store:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        return LedgerStore(self.folder / "ledger.db")

    def reopen(self, store: Store) -> Store:
        assert self.folder is not None
        assert isinstance(store, LedgerStore)
        store.close()
        return LedgerStore(self.folder / "ledger.db")

    def teardown(self) -> None:
        super().teardown()
        if self.folder is None:
            return
        report = verify(self.folder / "ledger.db")
        assert isinstance(self.store, LedgerStore)
        self.store.close()
        shutil.rmtree(self.folder)
        assert report.ok, report.violations


def actions_of(machine: MoneyMachine, rng: random.Random) -> dict[Callable[[], object], int]:
    """Return what may happen, with weights like real traffic: bids often, crashes rarely."""
    pick = functools.partial(rng.randrange, 1_000)
    moments = ("idle", "before commit", "before answer")

    def chance() -> bool:
        return rng.random() < 0.2

    def bids() -> None:
        amounts = [rng.randint(1, 60) for _ in range(4)]
        machine.a_bidder_bids(rng.choice(BIDDERS), rng.choice(sorted(BUDGETS)), amounts)

    return {
        bids: 30,
        lambda: machine.offers and machine.bids_win(pick(), 2, rng.randint(0, 30)): 12,
        lambda: machine.offers and machine.bids_lose(pick(), 2): 8,
        lambda: machine.everything_arrives(chance()): 15,
        lambda: machine.requests and machine.requests_arrive_in_one_burst(pick(), 2, chance()): 20,
        lambda: machine.replies and machine.a_reply_arrives(pick(), chance()): 20,
        lambda: machine.messages_are_lost(pick()): 5,
        lambda: machine.time_passes(rng.choice([0.05, 0.2, 0.6, 2.5]), chance()): 20,
        lambda: machine.time_passes(rng.choice([5.0, 31.0]), chance()): 1,
        lambda: machine.a_bidder_ends(rng.choice(BIDDERS), chance()): 1,
        lambda: machine.the_ledger_crashes(pick(), rng.choice(moments)): 1,
    }


def simulate(machine: MoneyMachine, seed: int, steps: int) -> None:
    """Drive the machine by chance and check every promise after every step."""
    rng = random.Random(seed)
    actions = actions_of(machine, rng)
    machine.begin()
    for action in rng.choices(list(actions), list(actions.values()), k=steps):
        action()
        machine.nothing_is_overspent()
        machine.what_bidders_hold_is_blocked_for_them()
        machine.every_win_is_settled_once()
    machine.teardown()


@pytest.mark.parametrize("seed", range(60))
def test_a_simulated_day_of_money_keeps_every_promise(seed: int) -> None:
    simulate(MoneyMachine(), seed, steps=250)


@pytest.mark.slow
def test_money_is_safe_whatever_happens_to_messages_bidders_and_the_ledger() -> None:
    run_state_machine_as_test(
        MoneyMachine,
        settings=settings(max_examples=150, stateful_step_count=40, deadline=None),
    )


@pytest.mark.slow
def test_money_is_safe_on_disk_when_the_ledger_opens_it_again_after_each_crash() -> None:
    run_state_machine_as_test(
        MoneyOnDiskMachine,
        settings=settings(max_examples=6, stateful_step_count=25, deadline=None),
    )
