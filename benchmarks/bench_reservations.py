"""How many reservations a second a bidder makes, with all that one costs.

Three layers, so that one sees where the time goes:

* ``wallet``: the rules alone: what 8 campaigns may spend, a reservation, its settlement;
* ``kept``: the same with the journal from which a restarted budget manager goes on, which is
  replaced by the state that it led to as often as in a bidder, and with the count of silence;
* ``agent``: the budget manager in its cell: messages that reserve, answered, and the news of a
  loss; ``agent, all`` with a question about 8 campaigns before each.

Also how long a successor takes to rebuild the wallet from the longest journal, with reservations
that wait for news. Run: ``python -m benchmarks.bench_reservations [--seconds S]``; the table goes
to stderr, JSON to stdout.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from actors.budget.journal import MOST_CALLS, Journal
from actors.budget.liveness import Liveness
from actors.budget.manager import BudgetManager
from actors.budget.wallet import Wallet, WalletTerms
from actors.messages import Forward, Fund, Released, Reserve
from supervision import Cell, LightActor, monotonic_clock
from transport.money import LeaseGranted, LeaseRequest

if TYPE_CHECKING:
    from collections.abc import Callable

CAMPAIGNS: Final = tuple(f"campaign-{number}" for number in range(20))
ASKED: Final = CAMPAIGNS[:8]
TERMS: Final = WalletTerms(lease_s=1e6, lease_micros=10**12, max_lease_micros=10**13, keep_s=1e6)
BID_MICROS: Final = 1_500
PRICE_MICROS: Final = 1_000
BURST: Final = 32
WAITING: Final = 10_000


def grant_of(request: LeaseRequest) -> LeaseGranted:
    """Return the ledger's answer to a request of the wallet."""
    campaign_id, micros = request.campaign_id, request.micros
    return LeaseGranted(
        request.request_id, f"db-{campaign_id}", campaign_id, micros, 1e6, 30.0, micros, micros
    )


def fund(wallet: Wallet) -> Wallet:
    """Give a wallet a lease of each campaign."""
    wallet.spendable(CAMPAIGNS, 0.0)
    for request in wallet.take_requests():
        if isinstance(request, LeaseRequest):
            wallet.granted(grant_of(request), 0.0)
    return wallet


def per_second(seconds: float, burst: Callable[[int], None]) -> float:
    """Return how many bids a second ``burst`` makes; it is told the number of its first one."""
    done = 0
    begin_s = time.perf_counter()
    while time.perf_counter() - begin_s < seconds:
        burst(done)
        done += BURST
    return done / (time.perf_counter() - begin_s)


def bench_wallet(seconds: float) -> float:
    """Measure the rules alone."""
    wallet = fund(Wallet(TERMS, "bidder-1", "bench"))

    def burst(first: int) -> None:
        for number in range(first, first + BURST):
            wallet.spendable(ASKED, 1.0)
            wallet.reserve(f"bid-{number}", ASKED[number % 8], BID_MICROS, 1.0)
            wallet.settled(f"bid-{number}", PRICE_MICROS)

    return per_second(seconds, burst)


def bench_kept(seconds: float) -> float:
    """Measure the rules with what outlives the budget manager."""
    journal, live = Journal(), Liveness()
    wallet = fund(journal.begin(TERMS, "bidder-1", "bench"))

    def burst(first: int) -> None:
        for number in range(first, first + BURST):
            key = f"bid-{number}"
            live.may_spend("exchange", 1.0)
            wallet.spendable(ASKED, 1.0)
            live.may_spend("exchange", 1.0)
            wallet.reserve(key, ASKED[number % 8], BID_MICROS, 1.0)
            live.reserved(key, "exchange", BID_MICROS, 1.0)
            wallet.settled(key, PRICE_MICROS)
            live.heard(key)
        if journal.is_long:
            journal.compact(wallet)

    return per_second(seconds, burst)


class Link(LightActor):
    """Grants whatever is asked for."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Answer a request for a lease."""
        if isinstance(message, Forward) and isinstance(message.message, LeaseRequest):
            self.send(sender, grant_of(message.message))


def bench_agent(seconds: float, *, asks: bool) -> float:
    """Measure the budget manager in its cell, with a question before each reservation if wanted."""
    cell = Cell(monotonic_clock(), random.Random(0))
    cell.registry.bind("link-ledger", cell.spawn(Link))
    manager = cell.spawn(BudgetManager, (TERMS, "bidder-1", CAMPAIGNS))
    cell.run(max_s=0.1)
    answers = cell.outside.mailbox

    def burst(first: int) -> None:
        for number in range(first, first + BURST):
            key = f"bid-{number}"
            if asks:
                cell.outside.post(manager, Fund(ASKED, 1e12))
            cell.outside.post(manager, Reserve(key, ASKED[number % 8], BID_MICROS, 1e12))
            cell.outside.post(manager, Released(key))
        while len(answers) < (1 + asks) * BURST or manager.mailbox:
            cell.run(max_s=0.0)
        assert answers[-1][0].ok
        answers.clear()

    return per_second(seconds, burst)


def bench_takeover() -> float:
    """Return how many milliseconds a successor takes at worst."""
    journal = Journal()
    wallet = fund(journal.begin(TERMS, "bidder-1", "bench"))
    for number in range(WAITING):
        wallet.reserve(f"waits-{number}", ASKED[number % 8], BID_MICROS, 1.0)
    journal.compact(wallet)
    for number in range(MOST_CALLS // 2):
        wallet.reserve(f"bid-{number}", ASKED[number % 8], BID_MICROS, 1.0)
        wallet.settled(f"bid-{number}", PRICE_MICROS)
    begin_s = time.perf_counter()
    heir = journal.recover(TERMS, "bidder-1", 2.0)
    spent_s = time.perf_counter() - begin_s
    assert sum(len(lease.reserved) for lease in heir.held().values()) == WAITING
    return spent_s * 1000


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per line of the table")
    seconds = parser.parse_args().seconds
    rates = {
        "wallet": bench_wallet(seconds),
        "kept": bench_kept(seconds),
        "agent": bench_agent(seconds, asks=False),
        "agent, all": bench_agent(seconds, asks=True),
    }
    print(f"{'layer':<10}{'bids a second':>16}{'us a bid':>12}", file=sys.stderr)
    for layer, rate in rates.items():
        print(f"{layer:<10}{rate:>16,.0f}{1e6 / rate:>12.2f}", file=sys.stderr)
    takeover_ms = bench_takeover()
    print(f"a successor goes on after {takeover_ms:.1f} ms", file=sys.stderr)
    print(json.dumps({**rates, "takeover_ms": takeover_ms}))


if __name__ == "__main__":
    main()
