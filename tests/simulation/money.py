"""Money, looked at on disk after every commit: nothing overspent, promised twice, lost or doubled.

Principle: the file is read by a connection of our own, never by the ledger's code. What exchanges
were offered and have told is the truth that it must agree with.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from actors.ledger.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.budget.holdings import HeldLease
    from tests.simulation.exchange import Exchange
    from tests.simulation.world import World

_OVERSPENT = """
    SELECT campaign_id, settled_micros, leased_micros, budget_micros FROM campaigns
    WHERE settled_micros + leased_micros > budget_micros
"""
_LEASES = """
    SELECT lease_id, campaign_id, MAX(0, granted_micros - drawn_micros - returned_micros)
    FROM leases WHERE is_open
"""
_CAMPAIGNS = "SELECT campaign_id, settled_micros, leased_micros, budget_micros FROM campaigns"
_SETTLEMENTS = """
    SELECT rowid, key, campaign_id, price_micros, booked_micros, status FROM settlements
    WHERE rowid > ? ORDER BY rowid
"""


class Settled:
    """A settlement as it was first seen."""

    def __init__(self, at_s: float, price_micros: int, booked_micros: int, status: str) -> None:
        self.at_s = at_s
        self.price_micros = price_micros
        self.booked_micros = booked_micros
        self.status = status


class Money:
    """Watches the ledger's file.

    Args:
        world: With the node.
        exchange: Knows what was offered and told.

    Attributes:
        commits: How often the file was looked at because it had changed.
        settled: All settlements, by key.
    """

    def __init__(self, world: World, exchange: Exchange) -> None:
        self._world = world
        self._exchange = exchange
        self._file: sqlite3.Connection | None = None
        self._version = -1
        self._last_row = 0
        self.commits = 0
        self.settled: dict[str, Settled] = {}
        self._contrary: set[str] = set()
        self._booked: dict[str, int] = {}
        world.machine.after_turn = self.look

    def look(self, name: str) -> None:
        """Look at the file if the process that just had its turn may have changed it."""
        if name == "ledger":
            self._look()

    def _look(self) -> None:
        path = self._world.paths.ledger_db
        if self._file is None:
            if not path.exists():
                return
            self._file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        version = self._ask("PRAGMA data_version")[0][0]
        if version != self._version and self._is_made():
            self._version = version
            self.commits += 1
            self._check()

    def _is_made(self) -> bool:
        return bool(self._ask("SELECT 1 FROM sqlite_master WHERE name = 'settlements'"))

    def _ask(self, query: str, *values: Any) -> list[Any]:
        assert self._file is not None
        return self._file.execute(query, values).fetchall()

    # --- after every commit --------------------------------------------------------------------

    def _check(self) -> None:
        for rowid, key, campaign_id, *row in self._ask(_SETTLEMENTS, self._last_row):
            self._last_row = rowid
            self._take(key, *row)
            self._booked[campaign_id] = self._booked.get(campaign_id, 0) + row[1]
        outstanding: dict[str, int] = {}
        leased: dict[str, int] = {}
        for lease_id, campaign_id, micros in self._ask(_LEASES):
            outstanding[lease_id] = micros
            leased[campaign_id] = leased.get(campaign_id, 0) + micros
        for campaign_id, settled, blocked, budget in self._ask(_CAMPAIGNS):
            if settled + blocked > budget:
                self._blame("overspent", f"{campaign_id}: {settled} + {blocked} > {budget}")
            if settled != self._booked.get(campaign_id, 0):
                self._blame("books", f"{campaign_id}: {settled} is not the sum of its wins")
            if blocked != leased.get(campaign_id, 0):
                self._blame("leases", f"{campaign_id}: {blocked} is not {leased.get(campaign_id)}")
        self._check_promises(outstanding)
        self._check_wallets(outstanding)

    def _take(self, key: str, price: int, booked: int, status: str) -> None:
        """Take a new settlement: of a bid that was told won, at a price that was told."""
        now_s = self._world.machine.clock()
        self._world.history.note("settled", key, price, booked, status)
        if key in self.settled:
            self._blame("settled_once", f"{key} twice")
        self.settled[key] = Settled(now_s, price, booked, status)
        offer = self._exchange.offers.get(key)
        told = self._exchange.prices.get(key)
        if offer is None or told is None:
            self._blame("settled_wins", f"{key} was settled, and nobody said that it won")
            return
        if not offer.is_open:
            # Lost, and won after all: its lease may have been promised to others meanwhile.
            self._contrary.add(offer.lease_id)
        if booked > offer.bid_micros:
            self._blame("over_bid", f"{key}: {booked} > {offer.bid_micros}")
        if booked and booked not in told:
            self._blame("settled_wins", f"{key}: {booked} was never told, but {sorted(told)}")
        is_due = now_s <= offer.valid_s and offer.lease_id not in self._contrary
        if is_due and booked not in told:
            self._blame("paid_in_window", f"{key}: {booked} ({status}) in its window, due {told}")

    def _check_promises(self, outstanding: dict[str, int]) -> None:
        """What an exchange may still let win is blocked in its lease."""
        now_s = self._world.machine.clock()
        promised: dict[str, int] = {}
        for key, offer in self._exchange.offers.items():
            if offer.is_open and now_s < offer.valid_s and key not in self.settled:
                promised[offer.lease_id] = promised.get(offer.lease_id, 0) + offer.bid_micros
        for lease_id, micros in promised.items():
            if lease_id not in self._contrary and micros > outstanding.get(lease_id, 0):
                left = outstanding.get(lease_id)
                self._blame("promises", f"lease {lease_id} keeps {left} for bids of {micros}")

    def _check_wallets(self, outstanding: dict[str, int]) -> None:
        """What bidders hold, free or reserved, is blocked for them."""
        now_s = self._world.machine.clock()
        for held in self._held():
            if now_s >= held.closes_s or held.lease_id in self._contrary:
                continue
            reserved = (m for key, m in held.reserved.items() if key not in self.settled)
            micros = held.free_micros + sum(reserved)
            if micros > outstanding.get(held.lease_id, 0):
                left = outstanding.get(held.lease_id)
                self._blame("wallets", f"{micros} held of lease {held.lease_id}, {left} blocked")

    def _held(self) -> Iterator[HeldLease]:
        for process in self._world.machine.processes.values():
            for ref in process.cell.everybody():
                wallet = getattr(ref.actor, "_wallet", None)
                if wallet is not None:
                    yield from wallet.held().values()

    # --- now and then --------------------------------------------------------------------------

    def confirmed(self, key: str) -> None:
        """A notice was confirmed: what it was about is on disk."""
        self._look()
        if key not in self.settled:
            self._blame("durable", f"{key} was confirmed and is not on disk")

    def least_free_micros(self) -> int:
        """Return what is left of the poorest campaign."""
        self._look()
        rows = self._ask(_CAMPAIGNS) if self._file is not None else []
        return min((budget - settled - leased for _, settled, leased, budget in rows), default=0)

    def at_the_end(self) -> None:
        """All windows are over: every win has its settlement, and all leases have come home."""
        self._look()
        missing = self._exchange.prices.keys() - self.settled.keys()
        if missing:
            self._blame("settled_wins", f"told won, not settled: {sorted(missing)[:5]}")
        if self._file is None:
            self._blame("verify", "there is no ledger")
            return
        report = verify(self._world.paths.ledger_db)
        for violation in report.violations:
            self._blame("verify", f"{violation}")
        if report.summary.leased_micros or report.summary.open_leases:
            summary = report.summary
            self._blame("leases", f"left: {summary.leased_micros} in {summary.open_leases} leases")

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()

    def _blame(self, rule: str, what: str) -> None:
        self._world.history.blame(rule, what)
