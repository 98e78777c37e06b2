"""How many settlements a second the ledger books, by the size of its bursts and by its link.

Four layers, so that one sees where the time goes. Each settlement draws on a lease, and is a sealed
entry of the journal with its postings:

* ``rules``: the clerk alone, no disk;
* ``store``: clerk and database, one durable transaction per burst (SQLite: WAL,
  ``synchronous=FULL``; PostgreSQL: ``synchronous_commit=on``); a burst of 1 is one commit each;
* ``link``: the whole actor in a process of its own, reached over nng, with so many frames of so
  many settlements in flight; one frame of 1 is one commit each;
* ``verify``: entries a second that are read again from the first one, afterwards.

Run: ``python -m benchmarks.bench_ledger [--seconds S] [--folder DIR] [--database URL]``; the table
goes to stderr, JSON to stdout. Fsync decides: the folder should be on the disk that the ledger will
live on. A database given by URL must be empty; all is measured in it, after SQLite.
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
from actors.ledger.engines import database_of
from actors.ledger.journal import Head, first_seal
from actors.ledger.rows import NOTHING_FOUND, Snapshot
from actors.ledger.store import LedgerStore
from actors.ledger.verify import verify
from supervision.clock import wall_clock
from transport.money import (
    LeaseGranted,
    LeaseRequest,
    MoneyRequest,
    Settle,
    decode_replies,
    encode_requests,
)
from transport.nng import NngClient, NngLinks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from transport.money import MoneyReply

BURSTS = (1, 16, 128, 1024)
IN_FLIGHT = ((1, 1), (1, 16), (64, 1), (8, 64), (4, 512))
BUDGETS = {f"campaign-{number}": BudgetPlan("shop.example", 10**14) for number in range(20)}
#: One lease of each campaign pays for all.
LEASE_MICROS = 10**13
TERMS = LeaseTerms(lease_s=86_400.0, max_lease_micros=LEASE_MICROS)
CALENDAR = Calendar(wall_clock(), UTC)
EMPTY = Snapshot("bench", {}, [], 1, Head(0, first_seal("bench")), {})
CAMPAIGNS = sorted(BUDGETS)
RESEND_S = 0.5
ROOT = Path(__file__).resolve().parents[1]

SERVER = """
import sys
from actors.ledger.actor import LedgerActor
from actors.ledger.configuration import LedgerConfig
from benchmarks.bench_ledger import BUDGETS, TERMS
from supervision import Cell
from supervision.clock import wall_clock
from transport.nng import NngLinks

folder, database = sys.argv[1:]
config = LedgerConfig(database, f"ipc://{folder}/l", f"ipc://{folder}/p", TERMS)
cell = Cell()
cell.spawn(LedgerActor, (config, BUDGETS, NngLinks(), wall_clock()))
cell.run(max_s=600.0)
"""


class Measured(NamedTuple):
    """One line of the table; latencies in milliseconds, from sending a frame to its answer."""

    layer: str
    what: str
    per_second: float
    p50_ms: float | None = None
    p99_ms: float | None = None


def lease_requests(name: str) -> list[MoneyRequest]:
    """Return requests for a lease of each campaign."""
    return [LeaseRequest(f"{name}-{each}", "bench", each, LEASE_MICROS) for each in CAMPAIGNS]


def ids_of(replies: Sequence[MoneyReply]) -> list[str]:
    """Return the leases that were granted, in the campaigns' order."""
    leases = [reply.lease_id for reply in replies if isinstance(reply, LeaseGranted)]
    if len(leases) != len(CAMPAIGNS):
        raise RuntimeError(f"no lease of each campaign: {replies}")
    return leases


class Wins(NamedTuple):
    """Makes wins that draw on the campaigns' leases."""

    name: str
    leases: list[str]

    def take(self, start: int, count: int) -> list[MoneyRequest]:
        """Return new wins, spread over the campaigns."""
        return [
            Settle(f"{self.name}-{n:012d}", CAMPAIGNS[n % 20], self.leases[n % 20], 1_500, 2_000)
            for n in range(start, start + count)
        ]


def repeat(
    seconds: float, burst: int, wins: Wins, handle: Callable[[list[MoneyRequest]], object]
) -> float:
    """Handle fresh bursts for ``seconds`` and return settlements per second."""
    done, spent_s = 0, 0.0
    while spent_s < seconds:
        messages = wins.take(done, burst)
        begin_s = time.perf_counter()
        handle(messages)
        spent_s += time.perf_counter() - begin_s
        done += burst
    return done / spent_s


def bench_rules(seconds: float) -> list[Measured]:
    """Measure the clerk alone."""
    clerk = Clerk(TERMS, EMPTY, 0.0, CALENDAR)
    clerk.seed(BUDGETS)
    wins = Wins("rules", ids_of(clerk.handle(lease_requests("rules"), NOTHING_FOUND, 0.0)))

    def handle(messages: list[MoneyRequest]) -> None:
        clerk.handle(messages, NOTHING_FOUND, 0.0)
        clerk.take_changes()
        clerk.take_notices()

    return [Measured("rules", "burst 1024", repeat(seconds, 1024, wins, handle))]


def bench_store(seconds: float, database: str) -> list[Measured]:
    """Measure clerk and disk, then the reading of what was written."""
    store = LedgerStore(database_of(database))
    clerk = Clerk(TERMS, store.snapshot(), 0.0, CALENDAR)
    clerk.seed(BUDGETS)

    def handle(messages: list[MoneyRequest]) -> list[MoneyReply]:
        replies = clerk.handle(messages, store.find(clerk.wanted(messages)), 0.0)
        store.commit(clerk.take_changes())
        clerk.take_notices()
        return replies

    leases = ids_of(handle(lease_requests("store")))
    lines = [
        Measured(
            "store",
            "one commit each" if burst == 1 else f"burst {burst}",
            repeat(seconds, burst, Wins(f"store-{burst}", leases), handle),
        )
        for burst in BURSTS
    ]
    store.close()
    return [*lines, bench_verify(database, clerk.head.seq)]


def bench_verify(database: str, count: int) -> Measured:
    """Measure how quickly the journal is read again and compared with all tables."""
    begin_s = time.perf_counter()
    verdict = verify(database_of(database))
    spent_s = time.perf_counter() - begin_s
    if not verdict.ok:
        raise RuntimeError(f"what was measured is wrong: {verdict.violations}")
    return Measured("verify", f"{count} entries", count / spent_s)


class Sent(NamedTuple):
    """A frame that is not answered yet."""

    at_s: float
    body: bytes


class LinkBench:
    """A client that keeps frames in flight to a ledger in another process."""

    def __init__(self, folder: Path, database: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder), database], cwd=ROOT
        )
        self.client: NngClient = NngLinks().client()
        self.client.dial(f"ipc://{folder}/l")
        while not self.client.connected:
            select.select([self.client.change_fileno()], [], [], 0.1)
            self.client.take_changes()
        self.sent = 0
        self.frames: dict[int, Sent] = {}
        self.client.send(1, encode_requests(lease_requests("link")))
        select.select([self.client.fileno()], [], [], 5.0)
        (reply,) = self.client.drain(1)
        self.wins = Wins("link", ids_of(decode_replies(reply.body)))

    def close(self) -> None:
        """End the ledger."""
        self.client.close()
        self.process.kill()
        self.process.wait()

    def send(self, size: int) -> None:
        """Send one frame of ``size`` new settlements."""
        self.sent += size
        number = self.sent % 0x7FFF_FFFF
        body = encode_requests(self.wins.take(self.sent, size))
        self.frames[number] = Sent(time.perf_counter(), body)
        self._send(number, body)

    def _send(self, number: int, body: bytes) -> None:
        if not self.client.send(number, body):
            raise RuntimeError("the ledger went away during the measurement")

    def receive(self, latencies_ms: list[float]) -> int:
        """Wait for answers and return how many frames were answered.

        What is not answered is sent again, as every sender of money does: replies beyond some sixty
        to one who is not reading are dropped, which on a busy machine happens to us.
        """
        select.select([self.client.fileno()], [], [], RESEND_S)
        replies = self.client.drain(1024)
        if not replies:
            for number, frame in self.frames.items():
                self._send(number, frame.body)
        now_s, answered = time.perf_counter(), 0
        for reply in replies:
            decode_replies(reply.body)
            sent = self.frames.pop(reply.request_id, None)
            if sent is not None:
                latencies_ms.append(1e3 * (now_s - sent.at_s))
                answered += 1
        return answered

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
            f"{in_flight} frames of {size}" if in_flight * size > 1 else "one commit each",
            counted * size / spent_s,
            ordered[len(ordered) // 2],
            ordered[int(len(ordered) * 0.99)],
        )


def bench_link(seconds: float, folder: Path, database: str) -> list[Measured]:
    """Measure the whole ledger from another process."""
    bench = LinkBench(folder, database)
    try:
        return [bench.measure(seconds, in_flight, size) for in_flight, size in IN_FLIGHT]
    finally:
        bench.close()


def report(title: str, lines: list[Measured]) -> None:
    """Print a table for people."""
    print(f"{title:<34}{'per second':>12}{'p50 ms':>10}{'p99 ms':>10}", file=sys.stderr)
    for line in lines:
        tail = "" if line.p50_ms is None else f"{line.p50_ms:>10.2f}{line.p99_ms:>10.2f}"
        print(f"{line.layer:<8}{line.what:<26}{line.per_second:>12,.0f}{tail}", file=sys.stderr)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="per line of the table")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk to be measured")
    parser.add_argument("--database", default="", help="URL of an empty PostgreSQL database")
    options = parser.parse_args()
    tables = {"rules": bench_rules(options.seconds)}
    report("no database", tables["rules"])
    with tempfile.TemporaryDirectory(prefix="ledger", dir=options.folder) as name:
        folder = Path(name)
        stores = {"SQLite": str(folder / "ledger.db")}
        if options.database:
            stores["PostgreSQL"] = options.database
        for title, database in stores.items():
            tables[title] = bench_store(options.seconds, database)
            tables[title] += bench_link(options.seconds, folder, database)
            report(title, tables[title])
    found = {title: [line._asdict() for line in lines] for title, lines in tables.items()}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
