"""Budget manager, link and ledger together, as in a node, on virtual time and memory links."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from actors.budget.manager import BudgetManager
from actors.budget.wallet import WalletTerms
from actors.ledger.actor import LedgerActor
from actors.ledger.books import LeaseTerms
from actors.ledger.configuration import LedgerConfig
from actors.ledger.verify import show, verify
from actors.links.ledger import LedgerLink
from actors.messages import Forward, Fund, Funded, Released, Reserve, Reserved, Settled
from supervision import Cell, VirtualClock
from tests.money.worlds import NOON, plans
from transport.memory import MemoryHub
from transport.money import Settle, SettleAck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from supervision import Ref

URL, PUBLISH_URL = "ipc://ledger", "ipc://ledger-pub"
BUDGETS = {"autumn": 40_000, "winter": 3_000}
WALLET_TERMS = WalletTerms(lease_s=5.0, lease_micros=2_000, max_lease_micros=8_000)


class Node:
    """The three of them in one cell; whoever is killed is started again by ``start``."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.db_path = folder / "ledger.db"
        self.cell = Cell(VirtualClock(50.0), random.Random(seed))
        self.hub = MemoryHub()
        self.refs: dict[str, Ref] = {}
        self.makers: dict[str, Callable[[], Any]] = {
            "ledger": self.make_ledger,
            "link-ledger": lambda: LedgerLink(self.hub, URL),
            "budget-manager": lambda: BudgetManager(WALLET_TERMS, "bidder-1"),
        }
        for role in self.makers:
            self.start(role)

    def make_ledger(self) -> LedgerActor:
        config = LedgerConfig(str(self.db_path), URL, PUBLISH_URL, LeaseTerms())
        return LedgerActor(config, plans(BUDGETS), self.hub, lambda: NOON)

    def start(self, role: str) -> None:
        ref = self.cell.spawn(self.makers[role], name=role)
        self.refs[role] = ref
        self.cell.registry.bind(role, ref)
        self.run(0.0)

    def kill(self, role: str) -> None:
        self.cell.kill(self.refs[role])

    def run(self, seconds: float) -> None:
        self.cell.run(max_s=seconds)

    def ask(self, role: str, question: object, wait_s: float) -> Any:
        """Ask from outside and return the answer, None if there was none in time."""
        self.cell.outside.mailbox.clear()
        self.cell.outside.post(self.refs[role], question)
        mailbox = self.cell.outside.mailbox
        self.cell.run(max_s=wait_s, until=lambda: bool(mailbox))
        return mailbox.popleft()[0] if mailbox else None

    def bid(self, key: str, campaign_id: str, micros: int) -> Reserved | None:
        """Go through the two money steps of an impression; None when there is no money."""
        now_s = self.cell.clock()
        funded = self.ask("budget-manager", Fund((campaign_id,), now_s + 0.03), 0.03)
        if not isinstance(funded, Funded) or funded.spendable.get(campaign_id, 0) < micros:
            return None
        done = self.ask("budget-manager", Reserve(key, campaign_id, micros, now_s + 0.05), 0.01)
        return done if isinstance(done, Reserved) and done.ok else None

    def settle(self, win: Settle) -> SettleAck | None:
        """Do what the event desk does with a win."""
        ack = self.ask("link-ledger", Forward(win), 0.5)
        if isinstance(ack, SettleAck) and not ack.repeated:
            self.tell(Settled(ack.key, ack.booked_micros, win.campaign_id))
        return ack if isinstance(ack, SettleAck) else None

    def tell(self, news: object) -> None:
        self.cell.topics.publish(self.cell.outside, news)
        self.run(0.0)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.cell.shutdown()


def test_the_first_bid_of_an_idle_node_finds_its_money_in_time(node: Node) -> None:
    done = node.bid("bid-1", "autumn", 100)
    assert done is not None
    assert node.settle(Settle("bid-1", "autumn", done.lease_id, 80, 100)) == SettleAck(
        "bid-1", "settled", 80
    )
    assert verify(node.db_path).ok


def test_bidding_goes_on_through_a_short_loss_of_the_ledger_and_stops_in_a_long_one(
    node: Node,
) -> None:
    assert node.bid("bid-1", "autumn", 100) is not None
    node.kill("ledger")
    node.run(2.0)
    assert node.bid("bid-2", "autumn", 100) is not None
    node.run(4.0)
    assert node.bid("bid-3", "autumn", 100) is None
    node.start("ledger")
    node.run(1.0)
    assert node.bid("bid-4", "autumn", 100) is not None


def test_a_long_loss_of_the_ledger_leaves_no_lease_behind(node: Node) -> None:
    node.kill("ledger")
    for number in range(60):
        assert node.bid(f"bid-{number}", "autumn", 100) is None
        node.run(0.97)
    node.start("ledger")
    node.run(1.5)
    assert show(node.db_path).leased_micros <= 2 * WALLET_TERMS.lease_micros


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whoever_is_killed_no_win_is_lost_or_doubled_and_all_money_comes_back(
    tmp_path: Path, seed: int
) -> None:
    node, rng = Node(tmp_path, seed), random.Random(seed)
    open_bids: list[Settle] = []
    booked: dict[str, int] = {}
    for number in range(150):
        campaign_id = rng.choice(sorted(BUDGETS))
        micros = rng.randint(20, 200)
        done = node.bid(f"bid-{number}", campaign_id, micros)
        if done is not None:
            price = rng.randint(1, micros)
            open_bids.append(Settle(done.key, campaign_id, done.lease_id, price, micros))
        if open_bids and rng.random() < 0.5:
            conclude(node, open_bids.pop(rng.randrange(len(open_bids))), rng, booked)
        if rng.random() < 0.06:
            role = rng.choice(sorted(node.makers))
            node.kill(role)
            node.run(rng.choice([0.0, 0.05, 1.0]))
            node.start(role)
        node.run(rng.choice([0.01, 0.1, 0.4]))
        assert number % 10 or verify(node.db_path).ok
    node.run(36.0)
    summary = show(node.db_path)
    assert verify(node.db_path).ok
    node.cell.shutdown()
    assert summary.settled_micros == sum(booked.values())
    assert summary.leased_micros == 0
    assert len(booked) > 15


def conclude(node: Node, bid: Settle, rng: random.Random, booked: dict[str, int]) -> None:
    """Let a bid win, until that is acknowledged and once more, or lose."""
    if rng.random() < 0.4:
        node.tell(Released(bid.key, bid.campaign_id))
        return
    ack = None
    while ack is None:
        ack = node.settle(bid)
    booked[bid.key] = ack.booked_micros
    assert ack.booked_micros == bid.price_micros
    again = node.settle(bid)
    assert again == SettleAck(bid.key, "settled", bid.price_micros, repeated=True)
