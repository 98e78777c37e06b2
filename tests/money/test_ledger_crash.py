"""The real ledger on a real socket and a real disk, killed in the middle of its work."""

from __future__ import annotations

import random
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.ledger.verify import show, verify
from transport.money import (
    LeaseGranted,
    LeaseRequest,
    MoneyReply,
    MoneyRequest,
    Settle,
    SettleAck,
    decode_replies,
    encode_requests,
)
from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transport.frames import ClientLink

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from actors.ledger.actor import LedgerActor
from actors.ledger.books import BudgetPlan
from actors.ledger.configuration import LedgerConfig
from supervision import Cell
from supervision.clock import wall_clock
from transport.nng import NngLinks

db_path, url, publish_url = sys.argv[1:]
cell = Cell()
config = LedgerConfig(db_path, url, publish_url)
plans = {"autumn": BudgetPlan("shop.example", 10_000_000)}
cell.spawn(LedgerActor, (config, plans, NngLinks(), wall_clock()))
cell.run(max_s=60.0)
"""
DEADLINE_S = 20.0


class LedgerProcess:
    """A ledger in a process of its own, and a client that stays when it dies."""

    def __init__(self, folder: Path) -> None:
        self.db_path = folder / "ledger.db"
        self.url = f"ipc://{folder}/l"
        self.publish_url = f"ipc://{folder}/p"
        self.client: ClientLink = NngLinks().client()
        self.client.dial(self.url)
        self.number = 0
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-c", PROGRAM, str(self.db_path), self.url, self.publish_url]
        self.process = subprocess.Popen(argv, cwd=ROOT)
        return self.process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def post(self, *messages: MoneyRequest) -> int:
        """Send a frame as soon as the ledger is there, and return its number."""
        self.number += 1
        give_up_s = time.monotonic() + DEADLINE_S
        while not self.client.send(self.number, encode_requests(messages)):
            assert time.monotonic() < give_up_s, "the ledger did not come up"
            select.select([self.client.change_fileno()], [], [], 0.05)
            self.client.take_changes()
        return self.number

    def hear(self, timeout_s: float) -> dict[int, tuple[MoneyReply, ...]]:
        select.select([self.client.fileno()], [], [], timeout_s)
        return {reply.request_id: decode_replies(reply.body) for reply in self.client.drain(1_000)}

    def ask(self, *messages: MoneyRequest) -> tuple[MoneyReply, ...]:
        number = self.post(*messages)
        give_up_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < give_up_s:
            answers = self.hear(0.1).get(number)
            if answers is not None:
                return answers
        raise AssertionError("the ledger did not answer")

    def close(self) -> None:
        self.kill()
        self.client.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerProcess]:
    ledger = LedgerProcess(tmp_path)
    yield ledger
    ledger.close()


@pytest.mark.integration
@pytest.mark.slow
def test_a_ledger_killed_at_work_loses_nothing_it_answered_and_books_the_rest_once(
    ledger: LedgerProcess,
) -> None:
    (granted,) = ledger.ask(LeaseRequest("r-1", "bidder-1", "autumn", 9_000_000))
    assert isinstance(granted, LeaseGranted)
    wins = [Settle(f"win-{number}", "autumn", granted.lease_id, 7, 9) for number in range(3_000)]
    rng = random.Random(5)
    acknowledged: set[str] = set()
    for _ in range(3):
        sent = 0
        stop_after = len(acknowledged) + rng.randrange(100, 800)
        while sent < len(wins) and len(acknowledged) < stop_after:
            ledger.post(*wins[sent : sent + 50])
            sent += 50
            acknowledged |= keys_of(ledger.hear(0.001))
        ledger.kill()
        acknowledged |= keys_of(ledger.hear(0.1))
        booked = show(ledger.db_path)
        assert booked.settlements >= len(acknowledged)
        ledger.start()
    for start in range(0, len(wins), 500):
        for ack in ledger.ask(*wins[start : start + 500]):
            assert isinstance(ack, SettleAck)
            assert ack.status == "settled"
            assert ack.repeated or ack.key not in acknowledged
    assert show(ledger.db_path).settled_micros == 7 * len(wins)
    assert verify(ledger.db_path).ok


def keys_of(replies: dict[int, tuple[MoneyReply, ...]]) -> set[str]:
    return {ack.key for acks in replies.values() for ack in acks if isinstance(ack, SettleAck)}
