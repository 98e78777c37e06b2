"""One seed, one run: build, spoil, heal, wait, look, stop.

``simulate(seed)`` returns what was found. The same seed gives the same run, message by message, in
every process; ``Outcome.digest`` is the proof.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.answers import Answers
from tests.simulation.exchange import Exchange
from tests.simulation.faults import KINDS
from tests.simulation.history import History, Wrong
from tests.simulation.leftovers import Leftovers
from tests.simulation.machine import Livelock
from tests.simulation.money import Money
from tests.simulation.plan import STEADY_S, plan_of
from tests.simulation.records import Records
from tests.simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.plan import FaultPlan, Plan

PATIENCE_S = 30.0
"""Within that time after the last fault everything must have been answered."""
LOOK_S = 0.5
KEEP_S = 5.0
"""So long a bidder renews its leases after the last request."""
SETTLE_S = 5.0
"""So long after the last fault everybody is back, and every route open again."""
STOP_S = 20.0
FRESH = 12
"""Requests that are sent after everything is well again."""
ENOUGH_MICROS = 20_000
"""With so much money left in each campaign there must be bids."""


class Outcome(NamedTuple):
    """What came of a run."""

    plan: Plan
    wrongs: tuple[Wrong, ...]
    digest: str
    notes: tuple[str, ...]
    counts: dict[str, int]

    @property
    def rule(self) -> str:
        """The first broken promise, "" if there is none."""
        return self.wrongs[0].rule if self.wrongs else ""


class Run:
    """One run, from an empty folder to a stopped node.

    Args:
        plan: What is to happen.
        folder: An empty folder.
        history: Takes what happens.
    """

    def __init__(self, plan: Plan, folder: Path, history: History) -> None:
        self._plan = plan
        self._history = history
        self.world = World(plan, folder, history)
        self.exchange = Exchange(self.world, plan.exchange)
        self.answers = Answers(self.world)
        self.money = Money(self.world, self.exchange)
        self.exchange.paid = self.money.confirmed
        self._leftovers = Leftovers(self.world)
        self._records = Records(self.world)
        self._ends: dict[int, Callable[[], None]] = {}

    def go(self) -> None:
        """Do all of it; broken promises are in the history afterwards."""
        machine = self.world.machine
        for fault in self._plan.faults:
            machine.after(fault.at_s, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        try:
            self.world.start()
            machine.run(STEADY_S)
            self.exchange.begin(self._plan.faults_s)
            machine.run(self._plan.faults_s + 0.01)
            self._heal()
            self._wait()
            self.world.machine.run(SETTLE_S)
            self._ask_again()
            self._come_to_rest()
            self._leftovers.look()
            self.money.at_the_end()
            self._records.check_bids(self.answers.bids)
            self._stop()
        except Livelock as error:
            self._history.blame("livelock", str(error))

    def _strike(self, fault: FaultPlan) -> None:
        self._history.note("fault", fault.number, fault.kind)
        end = KINDS[fault.kind](self.world, random.Random(fault.seed), fault.for_s)
        self.world.machine.touch_all()
        if end is not None:
            self._ends[fault.number] = end
            self.world.machine.after(fault.for_s, lambda: self._end(fault.number))

    def _end(self, number: int) -> None:
        end = self._ends.pop(number, None)
        if end is not None:
            self._history.note("over", number)
            end()
            self.world.machine.touch_all()

    def _heal(self) -> None:
        for number in sorted(self._ends):
            self._end(number)

    def _wait(self) -> None:
        """Wait until all is answered and confirmed."""
        machine = self.world.machine
        end_s = machine.clock() + PATIENCE_S
        machine.run(LOOK_S)
        while self.exchange.is_waiting and machine.clock() < end_s:
            machine.run(LOOK_S)
        if self.exchange.is_waiting:
            waiting = self.exchange.waiting()
            self._history.blame("liveness", f"no answer in {PATIENCE_S} s: {waiting}")

    def _come_to_rest(self) -> None:
        """Let all leases end and all windows pass."""
        money = self.world.settings.money
        self.world.machine.run(KEEP_S + 2 * money.lease_s + money.win_window_s + 2.0)

    def _ask_again(self) -> None:
        """See that the node is as well as ever: all agents answer, and there are bids again."""
        has_money = self.money.least_free_micros() > ENOUGH_MICROS
        before = len(self.answers.bids)
        fresh = self.exchange.ask_slowly(FRESH)
        self.world.machine.run(FRESH * 0.05)
        self._wait()
        self._records.check_live({f"r{ask.number}" for ask in fresh})
        if has_money and len(self.answers.bids) == before:
            self._history.blame("well_again", f"no bid in {FRESH} requests, and there is money")

    def _stop(self) -> None:
        """Stop the whole node politely."""
        machine = self.world.machine
        machine.is_watched = False
        top = machine.find("node")
        if top is not None:
            top.hear(lambda: top.stop("shutdown"))
        machine.run(STOP_S)
        self.exchange.close()
        self._leftovers.nobody()

    def close(self) -> None:
        """Give back what the system lent, however the run ended."""
        self.world.machine.is_watched = False
        for process in list(self.world.machine.processes.values()):
            process.die("killed")
        self.money.close()

    def outcome(self) -> Outcome:
        """Say what came of it."""
        machine = self.world.machine
        counts = {
            "requests": len(self.exchange.asks),
            "answers": self.answers.count,
            "bids": len(self.answers.bids),
            "offers": len(self.exchange.offers),
            "settled": len(self.money.settled),
            "commits": self.money.commits,
            "births": self.world.lives.births,
            "escalations": self.world.lives.escalations,
            "falls": machine.falls,
            "lost_frames": machine.network.lost,
        }
        history = self._history
        return Outcome(
            self._plan, tuple(history.wrongs), history.digest(), tuple(history.notes), counts
        )


def simulate(
    seed: int, *, without: frozenset[int] = frozenset(), keeps_notes: bool = False
) -> Outcome:
    """Run one seed.

    Args:
        seed: Decides everything.
        without: Numbers of faults that are left out.
        keeps_notes: Return every note in words, too.
    """
    return run_plan(plan_of(seed).without(without), keeps_notes=keeps_notes)


def run_plan(plan: Plan, *, keeps_notes: bool = False) -> Outcome:
    """Run a plan in a folder of its own."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    run = Run(plan, folder, History(keeps=keeps_notes))
    try:
        run.go()
        return run.outcome()
    finally:
        run.close()
        shutil.rmtree(folder)
