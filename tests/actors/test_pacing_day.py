"""A day of one campaign and two bidders, from the question for money to the ledger and back.

Everything is real but the sockets, the clock and the exchange: two cells with their links, feeds
and budget managers, the bid rule, and the ledger with its database. A day takes 720 s, so an hour
is 30 s long.
"""

from __future__ import annotations

import heapq
import math
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from actors.budget.manager import BudgetManager, Kept
from actors.budget.pacing import Pacing
from actors.budget.wallet import WalletTerms
from actors.events.feeds import LedgerFeed
from actors.ledger.actor import LedgerActor
from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.configuration import LedgerConfig
from actors.ledger.verify import verify
from actors.links.ledger import LedgerLink
from actors.messages import Forward, Fund, Funded, Reserve, Reserved
from config.trade import PacingSettings
from models.market.day import HOURLY
from models.optimizer.curves import MarketCurve
from models.optimizer.pricing import BidRule
from models.registry import weights_folder
from supervision import Cell, VirtualClock
from tests.models.helpers import campaign
from transport.memory import MemoryHub
from transport.money import Settle

if TYPE_CHECKING:
    from pathlib import Path

    from supervision import Ref

URL, PUBLISH_URL = "ipc://ledger", "ipc://ledger-pub"
DAWN = datetime(2026, 11, 23, 10, tzinfo=UTC)
HOUR_S, DAY_S, STEP_S = 30.0, 720.0, 0.1
AUCTIONS_PER_S = 40.0
BUDGET = 15_000_000
FLOWN = campaign(budget_micros=BUDGET, starts_at=DAWN, ends_at=DAWN + timedelta(seconds=DAY_S))
TERMS = WalletTerms(lease_s=5.0, lease_micros=20_000, max_lease_micros=400_000)
RULE = BidRule.load(weights_folder("optimizer"))
CURVE = MarketCurve(3_000.0, 3.0)


class Bidder:
    """One bidder's cell, as far as money is concerned."""

    def __init__(self, name: str, clock: VirtualClock, hub: MemoryHub, start: float) -> None:
        self.cell = Cell(clock, random.Random(name))
        self.pacing = Pacing((FLOWN,), PacingSettings(plan="even", start=start), UTC)
        self.make_manager = partial(
            BudgetManager, TERMS, name, (FLOWN.id,), kept=Kept(pacing=self.pacing)
        )
        self.bind("link-ledger", partial(LedgerLink, hub, URL))
        self.bind("ledger-feed", partial(LedgerFeed, hub, PUBLISH_URL))
        self.manager = self.bind("budget-manager", self.make_manager)

    def bind(self, role: str, make: Any) -> Ref:
        ref = self.cell.spawn(make, name=role)
        self.cell.registry.bind(role, ref)
        return ref

    def restart_manager(self) -> None:
        self.cell.kill(self.manager)
        self.manager = self.bind("budget-manager", self.make_manager)

    def ask(self, role: str, question: object) -> Any:
        """Return what is answered at once, None if nothing is."""
        address = self.cell.registry.address(role)
        assert address is not None
        outside = self.cell.outside
        outside.mailbox.clear()
        outside.post(address, question)
        self.cell.run(max_s=0.0)
        return outside.mailbox.popleft()[0] if outside.mailbox else None


class Win(NamedTuple):
    """A bid that won, to be billed at a later moment."""

    due_s: float
    number: int
    bidder: Bidder
    settle: Settle


class Market:
    """The ledger, the bidders, and an exchange whose traffic comes in waves."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.hub, self.rng = VirtualClock(500.0), MemoryHub(), random.Random(9)
        self.begun_s = self.clock()
        self.db_path = folder / "ledger.db"
        self.ledger_cell = Cell(self.clock, random.Random(1))
        config = LedgerConfig(str(self.db_path), URL, PUBLISH_URL, LeaseTerms())
        plans = {FLOWN.id: BudgetPlan(FLOWN.advertiser_domain, BUDGET)}
        self.ledger_cell.spawn(lambda: LedgerActor(config, plans, self.hub, self.unix_s))
        self.bidders = [Bidder("bidder-1", self.clock, self.hub, 0.2)]
        self.wins: list[Win] = []
        self.auctions = 0
        self.spent = 0
        self.worst = 0.0

    def unix_s(self) -> float:
        return DAWN.timestamp() + self.clock() - self.begun_s

    def run(self, until_s: float) -> None:
        """Let the day go on until a moment after its beginning."""
        while self.clock() - self.begun_s < until_s:
            self.clock.advance(STEP_S)
            at_s = self.clock() - self.begun_s
            wave = HOURLY[int(at_s / HOUR_S) % 24]
            for _ in range(self._poisson(AUCTIONS_PER_S * STEP_S * wave)):
                self._hold_auction(at_s)
            while self.wins and self.wins[0].due_s <= at_s:
                self._bill(heapq.heappop(self.wins))
            for cell in (self.ledger_cell, *(each.cell for each in self.bidders)):
                cell.run(max_s=0.0)
            if 2 * HOUR_S <= at_s <= DAY_S:
                planned = BUDGET * at_s / DAY_S
                self.worst = max(self.worst, abs(self.spent - planned) / planned)

    def _poisson(self, mean: float) -> int:
        count, left = 0, self.rng.expovariate(1.0)
        while left < mean:
            count, left = count + 1, left + self.rng.expovariate(1.0)
        return count

    def _hold_auction(self, at_s: float) -> None:
        """Ask one bidder for a bid: money, price, reservation."""
        rng, now_s = self.rng, self.clock()
        self.auctions += 1
        bidder = self.bidders[self.auctions % len(self.bidders)]
        value, needed = rng.lognormvariate(8.7, 0.6), math.ceil(rng.lognormvariate(8.0, 0.4))
        funded = bidder.ask("budget-manager", Fund((FLOWN.id,), now_s))
        if not isinstance(funded, Funded) or not funded.spendable:
            return
        bid = RULE.price(
            value,
            1,
            CURVE,
            funded.budgets[FLOWN.id],
            first_price=False,
            cap_micros=funded.spendable[FLOWN.id],
        )
        key = f"bid-{self.auctions}"
        if bid < needed:
            return  # nothing is reserved for it, which costs a loser's notice less
        done = bidder.ask("budget-manager", Reserve(key, FLOWN.id, bid, now_s))
        if isinstance(done, Reserved) and done.ok:
            settle = Settle(key, FLOWN.id, done.lease_id, needed, bid)
            due_s = at_s + rng.uniform(0.1, 0.5)
            heapq.heappush(self.wins, Win(due_s, self.auctions, bidder, settle))

    def _bill(self, win: Win) -> None:
        """Have a win booked, as the event desk does, and count it when it is."""
        outside = win.bidder.cell.outside
        link = win.bidder.cell.registry.address("link-ledger")
        assert link is not None
        outside.post(link, Forward(win.settle))
        self.spent += win.settle.price_micros

    def multipliers(self) -> list[float]:
        return [bidder.pacing.multiplier(FLOWN.id) for bidder in self.bidders]


@pytest.mark.slow
def test_two_bidders_spend_a_day_as_planned_though_one_comes_late_and_one_is_restarted(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path)
    market.run(5 * HOUR_S)
    market.bidders.append(Bidder("bidder-2", market.clock, market.hub, 0.9))
    market.run(9 * HOUR_S)
    first, second = market.multipliers()
    assert first == pytest.approx(second, rel=0.01)
    market.bidders[0].restart_manager()
    assert market.multipliers()[0] == first
    market.run(DAY_S + 5.0)
    assert market.worst < 0.05
    assert 0.99 * BUDGET <= market.spent <= BUDGET
    report = verify(market.db_path)
    assert report.ok
    for cell in (market.ledger_cell, *(each.cell for each in market.bidders)):
        cell.shutdown()
