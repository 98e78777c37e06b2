"""How many settlements a second the ledger books, by the size of its bursts and by its link.

Three layers, so that one sees where the time goes:

* ``rules``: the clerk alone, no disk;
* ``store``: clerk and SQLite (WAL, ``synchronous=FULL``), one durable transaction per burst;
* ``link``: the whole actor in a process of its own, reached over nng, with so many frames of so
  many settlements in flight.

Run: ``python -m benchmarks.bench_ledger [--seconds S] [--folder DIR]``; the table goes to stderr,
JSON to stdout. Fsync decides: the folder should be on the disk that the ledger will live on.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from actors.ledger.bookkeeping import Calendar
from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.clerk import Clerk
from actors.ledger.journal import Head, first_seal
from actors.ledger.rows import NOTHING_FOUND, Snapshot
from actors.ledger.store import LedgerStore
from supervision.clock import wall_clock
from transport.money import (
    MoneyRequest,
    Settle,
    decode_replies,
    encode_requests,
)
from transport.nng import NngClient, NngLinks

if TYPE_CHECKING:
    from collections.abc import Callable

BURSTS = (1, 16, 128, 1024)
IN_FLIGHT = ((1, 1), (1, 16), (64, 1), (8, 64), (4, 512))
BUDGETS = {f"campaign-{number}": BudgetPlan("shop.example", 10**14) for number in range(20)}
CALENDAR = Calendar(wall_clock(), UTC)
EMPTY = Snapshot("bench", {}, [], 1, Head(0, first_seal("bench")), {})
CAMPAIGNS = sorted(BUDGETS)
ROOT = Path(__file__).resolve().parents[1]

SERVER = """
import sys
from actors.ledger.actor import LedgerActor
from actors.ledger.configuration import LedgerConfig
from actors.ledger.books import BudgetPlan
from supervision import Cell
from supervision.clock import wall_clock
from transport.nng import NngLinks

folder = sys.argv[1]
config = LedgerConfig(f"{folder}/link.db", f"ipc://{folder}/l", f"ipc://{folder}/p")
plans = {f"campaign-{number}": BudgetPlan("shop.example", 10**14) for number in range(20)}
cell = Cell()
cell.spawn(LedgerActor, (config, plans, NngLinks(), wall_clock()))
cell.run(max_s=600.0)
"""


class Measured(NamedTuple):
    """One line of the table; latencies in milliseconds, from sending a frame to its answer."""

    layer: str
    what: str
    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def settlements(start: int, count: int) -> list[MoneyRequest]:
    """Return new wins, spread over the campaigns."""
    numbers = range(start, start + count)
    return [Settle(f"win-{n:012d}", CAMPAIGNS[n % 20], "", 1_500, 2_000) for n in numbers]


def repeat(seconds: float, burst: int, handle: Callable[[list[MoneyRequest]], object]) -> float:
    """Handle fresh bursts for ``seconds`` and return settlements per second."""
    done, spent_s = 0, 0.0
    while spent_s < seconds:
        messages = settlements(done, burst)
        begin_s = time.perf_counter()
        handle(messages)
        spent_s += time.perf_counter() - begin_s
        done += burst
    return done / spent_s


def bench_rules(seconds: float) -> list[Measured]:
    """Measure the clerk alone."""
    clerk = Clerk(LeaseTerms(), EMPTY, 0.0, CALENDAR)
    clerk.seed(BUDGETS)

    def handle(messages: list[MoneyRequest]) -> None:
        clerk.handle(messages, NOTHING_FOUND, 0.0)
        clerk.take_changes()
        clerk.take_notices()

    return [Measured("rules", "burst 1024", repeat(seconds, 1024, handle))]


def bench_store(seconds: float, folder: Path) -> list[Measured]:
    """Measure clerk and disk."""
    return [
        Measured("store", f"burst {burst}", repeat(seconds, burst, store_handler(folder, burst)))
        for burst in BURSTS
    ]


def store_handler(folder: Path, burst: int) -> Callable[[list[MoneyRequest]], None]:
    """Return what books a burst on a fresh database."""
    store = LedgerStore(folder / f"store-{burst}.db")
    clerk = Clerk(LeaseTerms(), store.snapshot(), 0.0, CALENDAR)
    clerk.seed(BUDGETS)
    store.commit(clerk.take_changes())

    def handle(messages: list[MoneyRequest]) -> None:
        clerk.handle(messages, store.find(clerk.wanted(messages)), 0.0)
        store.commit(clerk.take_changes())
        clerk.take_notices()

    return handle


class LinkBench:
    """A client that keeps frames in flight to a ledger in another process."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], cwd=ROOT)
        self.client: NngClient = NngLinks().client()
        self.client.dial(f"ipc://{folder}/l")
        while not self.client.connected:
            select.select([self.client.change_fileno()], [], [], 0.1)
            self.client.take_changes()
        self.sent = 0
        self.frames: dict[int, float] = {}

    def close(self) -> None:
        """End the ledger."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def send(self, size: int) -> None:
        """Send one frame of ``size`` new settlements."""
        self.sent += size
        number = self.sent % 0x7FFF_FFFF
        self.frames[number] = time.perf_counter()
        if not self.client.send(number, encode_requests(settlements(self.sent, size))):
            raise RuntimeError("the ledger went away during the measurement")

    def receive(self, latencies_ms: list[float]) -> int:
        """Wait for answers and return how many frames were answered."""
        select.select([self.client.fileno()], [], [], 5.0)
        replies = self.client.drain(1024)
        now_s = time.perf_counter()
        for reply in replies:
            decode_replies(reply.body)
            latencies_ms.append(1e3 * (now_s - self.frames.pop(reply.request_id)))
        return len(replies)

    def measure(self, seconds: float, in_flight: int, size: int) -> Measured:
        """Keep ``in_flight`` frames of ``size`` settlements on their way for ``seconds``."""
        latencies_ms: list[float] = []
        begin_s = time.perf_counter()
        for _ in range(in_flight):
            self.send(size)
        while time.perf_counter() - begin_s < seconds:
            for _ in range(self.receive(latencies_ms)):
                self.send(size)
        spent_s = time.perf_counter() - begin_s
        counted = len(latencies_ms)
        while self.frames:
            self.receive(latencies_ms)
        ordered = sorted(latencies_ms)
        return Measured(
            "link",
            f"{in_flight} frames of {size}",
            counted * size / spent_s,
            ordered[len(ordered) // 2],
            ordered[int(len(ordered) * 0.99)],
        )


def bench_link(seconds: float, folder: Path) -> list[Measured]:
    """Measure the whole ledger from another process."""
    bench = LinkBench(folder)
    try:
        return [bench.measure(seconds, in_flight, size) for in_flight, size in IN_FLIGHT]
    finally:
        bench.close()


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per line of the table")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ledger", dir=options.folder) as name:
        folder = Path(name)
        lines = [
            *bench_rules(options.seconds),
            *bench_store(options.seconds, folder),
            *bench_link(options.seconds, folder),
        ]
    print(
        f"{'layer':<8}{'what':<26}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}", file=sys.stderr
    )
    for line in lines:
        tail = "" if line.p50_ms is None else f"{line.p50_ms:>10.2f}{line.p99_ms:>10.2f}"
        print(f"{line.layer:<8}{line.what:<26}{line.per_second:>12,.0f}{tail}", file=sys.stderr)
    print(json.dumps([line._asdict() for line in lines]))


if __name__ == "__main__":
    main()
