"""A ledger and bidders under load, each in a process of its own, to be killed by others.

``python -m tests.money.processes ledger DATABASE FOLDER`` is the ledger of a node.

``python -m tests.money.processes bidder FOLDER NAME`` reserves, wins, loses and settles as fast as
it is let, by the budget manager and the link of a node. What an exchange told it and what the
ledger acknowledged stands in ``FOLDER/NAME.log``, each line written before anything follows from
it; wins without an acknowledgement are told again by the next process of that name.

``python -m tests.money.processes finish FOLDER NAME`` bids no more, and ends when all wins of that
log are acknowledged.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from thespian.actors import WakeupMessage

from actors.budget.manager import BudgetManager
from actors.budget.wallet import WalletTerms
from actors.ledger.actor import LedgerActor
from actors.ledger.books import BudgetPlan, LeaseTerms
from actors.ledger.configuration import LedgerConfig
from actors.links.ledger import LedgerLink
from actors.messages import Forward, Released, Reserve, Reserved, Settled
from supervision import Cell, LightActor
from supervision.clock import wall_clock
from transport.money import Settle, SettleAck
from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Callable

#: Short, so that leases also end and close while all this goes on.
TERMS: Final = LeaseTerms(lease_s=1.0, win_window_s=2.0, max_lease_micros=2_000_000, share=0.25)
#: Of the second a part is spent, of the third all, of the fourth all that its day may cost.
PLANS: Final = {
    "autumn": BudgetPlan("shop.example", 10**12),
    "winter": BudgetPlan("shop.example", 40_000_000),
    "spring": BudgetPlan("travel.example", 2_000_000),
    "summer": BudgetPlan("travel.example", 10**12, 4_000_000),
}
WALLET_TERMS: Final = WalletTerms(
    lease_s=TERMS.lease_s, lease_micros=100_000, max_lease_micros=TERMS.max_lease_micros
)
#: Bids of one turn, and how long a turn is.
BIDS: Final = 12
TURN_S: Final = 0.01
MOST_MICROS: Final = 2_000
#: Nobody lives longer, whatever happened to whoever was to end it.
LIFE_S: Final = 3_600.0


class Told(NamedTuple):
    """What stands in a bidder's log.

    Attributes:
        wins: What an exchange told, by key.
        acknowledged: What the ledger said that it booked, in micros, by key.
    """

    wins: dict[str, Settle]
    acknowledged: dict[str, int]


def read_log(path: Path) -> Told:
    """Read a bidder's log; a line that was cut by its writer's end says nothing."""
    told = Told({}, {})
    whole = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in whole.split("\n")[:-1]:
        match line.split():
            case ["won", key, campaign_id, lease_id, price, bid]:
                told.wins[key] = Settle(key, campaign_id, lease_id, int(price), int(bid))
            case ["booked", key, booked]:
                first = told.acknowledged.setdefault(key, int(booked))
                assert first == int(booked), f"{key}: two answers"
            case _:
                pass
    return told


class Trader(LightActor):
    """Bids, hears what became of it and has wins booked.

    Args:
        log: Where it writes down what it was told.
        is_bidding: False: it only has old wins booked.

    Attributes:
        waiting: Wins without an acknowledgement.
    """

    def __init__(self, log: Path, *, is_bidding: bool) -> None:
        super().__init__()
        self._path = log
        self._is_bidding = is_bidding
        self._bids = 0
        self._bid_micros: dict[str, int] = {}
        self.waiting: dict[str, Settle] = {}

    def on_start(self) -> None:
        """Have those wins booked again that nobody has acknowledged."""
        told = read_log(self._path)
        self._log = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._prefix = self.cell.fresh_id()
        self.waiting = {key: win for key, win in told.wins.items() if key not in told.acknowledged}
        # What the last process was killed at may lack its end.
        self._write("")
        for win in self.waiting.values():
            self._settle(win)
        self.wake_after(TURN_S, "turn")

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Bid, and hear of bids and wins."""
        match message:
            case WakeupMessage():
                self.wake_after(TURN_S, "turn")
                if self._is_bidding:
                    self._bid()
            case Reserved(ok=True):
                self._decide(message)
            case Reserved():
                self._bid_micros.pop(message.key)
            case SettleAck():
                self._acknowledged(message)
            case _:
                pass  # of the link: it sends again by itself

    def _bid(self) -> None:
        manager = self.cell.registry.address("budget-manager")
        assert manager is not None
        for _ in range(BIDS):
            self._bids += 1
            campaign_id = self.cell.random.choice(sorted(PLANS))
            key, micros = f"{self._prefix}/{self._bids}", self.cell.random.randint(1, MOST_MICROS)
            self._bid_micros[f"{campaign_id}/{key}"] = micros
            question = Reserve(f"{campaign_id}/{key}", campaign_id, micros, self.cell.clock() + 1)
            self.send(manager, question)

    def _decide(self, done: Reserved) -> None:
        """Win six of ten, lose three, and never hear of one."""
        micros, fate = self._bid_micros.pop(done.key), self.cell.random.random()
        campaign_id = done.key.partition("/")[0]
        if fate < 0.6:
            price = self.cell.random.randint(0, micros)
            self._write(f"won {done.key} {campaign_id} {done.lease_id} {price} {micros}")
            win = Settle(done.key, campaign_id, done.lease_id, price, micros)
            self.waiting[win.key] = win
            self._settle(win)
        elif fate < 0.9:
            self.cell.topics.publish(self.myAddress, Released(done.key, campaign_id))

    def _settle(self, win: Settle) -> None:
        link = self.cell.registry.address("link-ledger")
        assert link is not None
        self.send(link, Forward(win))

    def _acknowledged(self, ack: SettleAck) -> None:
        self._write(f"booked {ack.key} {ack.booked_micros}")
        if self.waiting.pop(ack.key, None) is not None:
            self.cell.topics.publish(self.myAddress, Settled(ack.key, ack.booked_micros))

    def _write(self, line: str) -> None:
        os.write(self._log, f"{line}\n".encode())


def run_ledger(database: str, folder: Path) -> None:
    """Be the ledger until killed."""
    cell = Cell()
    config = LedgerConfig(database, _url(folder), _url(folder) + "-pub", TERMS)
    cell.spawn(LedgerActor, (config, PLANS, NngLinks(), wall_clock()), name="ledger")
    cell.run(max_s=LIFE_S, until=_is_orphan())


def run_bidder(folder: Path, name: str, *, is_bidding: bool) -> None:
    """Be a bidder until killed; without bidding, until all is booked."""
    cell = Cell(rng=random.Random())
    actors: dict[str, Callable[[], Any]] = {
        "link-ledger": lambda: LedgerLink(NngLinks(), _url(folder)),
        "budget-manager": lambda: BudgetManager(WALLET_TERMS, name, sorted(PLANS)),
    }
    if not is_bidding:
        del actors["budget-manager"]
    for role, make in actors.items():
        cell.registry.bind(role, cell.spawn(make, name=role))
    trader = Trader(folder / f"{name}.log", is_bidding=is_bidding)
    cell.spawn(lambda: trader, name="trader")
    is_orphan = _is_orphan()
    if is_bidding:
        cell.run(max_s=LIFE_S, until=is_orphan)
    else:
        cell.run(max_s=60.0, until=lambda: not trader.waiting or is_orphan())
        sys.exit(bool(trader.waiting))


def _is_orphan() -> Callable[[], bool]:
    parent = os.getppid()
    return lambda: os.getppid() != parent


def _url(folder: Path) -> str:
    return f"ipc://{folder}/ledger"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["ledger", database, folder]:
            run_ledger(database, Path(folder))
        case [("bidder" | "finish") as kind, folder, name]:
            run_bidder(Path(folder), name, is_bidding=kind == "bidder")
        case _:
            sys.exit(__doc__)
