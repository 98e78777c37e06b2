"""How many impressions a second the bare runtime carries: a fresh orchestrator, 12 messages each.

An orchestrator is made, asks six agents in turn, hears six answers, and ends. The same is done on
the cell (directly, and through a dynamic supervisor's fast lane), on Thespian's in-process and
multi-process bases, and on Erlang where ``erl`` is installed, as the limit. No model, no socket, no
JSON: what is left is the price of actors.

    python benchmarks/bench_cell.py [--impressions N] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thespian.actors import Actor, ActorExitRequest, ActorSystem

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supervision import (
    Cell,
    ChildSpec,
    LightActor,
    Ref,
    Start,
    StartChild,
    Supervisor,
    SupervisorFlags,
)
from supervision.processes.loopback import free_port, pin_to_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

AGENTS = 6
IN_FLIGHT = 64
LONGEST_S = 120.0
SLOW_IMPRESSIONS = 20
"""On the multi-process base an impression takes tens of milliseconds."""
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Result:
    """Impressions per second of one runtime; the best of its rounds."""

    runtime: str
    impressions: int
    per_s: float
    micros_each: float


# -- on the cell -----------------------------------------------------------------------------------


class Agent(LightActor):
    """Answers whatever it is asked."""

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Answer with the question."""
        self.send(sender, message)


class Orchestrator(LightActor):
    """Asks all agents in turn, tells its maker, and ends."""

    def __init__(self, agents: list[Ref], maker: Ref) -> None:
        super().__init__()
        self.agents = agents
        self.maker = maker
        self.answers = 0

    def on_start(self) -> None:
        """Ask the first agent."""
        self.ask(self.agents[0], "question")

    def receiveMessage(self, message: Any, _sender: Ref) -> None:
        """Count an answer; ask the next agent, or end."""
        self.answers += 1
        if self.answers == AGENTS:
            self.send(self.maker, "done")
            self.stop()
        else:
            self.ask(self.agents[self.answers], message)


class Maker(LightActor):
    """Keeps some impressions in flight until enough are done."""

    def __init__(self, impressions: int, supervisor: Ref | None) -> None:
        super().__init__()
        self.left = self.unanswered = impressions
        self.supervisor = supervisor
        self.agents: list[Ref] = []

    def on_start(self) -> None:
        """Make the agents and the first impressions."""
        self.agents = [self.cell.spawn(Agent, parent=self._myRef) for _ in range(AGENTS)]
        for _ in range(min(IN_FLIGHT, self.left)):
            self.make()

    def make(self) -> None:
        """Start one impression."""
        self.left -= 1
        args = (self.agents, self._myRef)
        if self.supervisor is not None:
            self.send(self.supervisor, StartChild(args))
        else:
            self.cell.spawn(Orchestrator, args, parent=self._myRef, quiet=True)

    def receiveMessage(self, message: Any, _sender: Ref) -> None:
        """Make one more for each that is done."""
        if message == "done":
            self.unanswered -= 1
            if self.left:
                self.make()


def cell_round(impressions: int, *, supervised: bool) -> float:
    """Return the seconds that the cell takes."""
    cell = Cell()
    supervisor = None
    if supervised:
        spec = ChildSpec("impression", Start(Orchestrator), restart="temporary")
        flags = SupervisorFlags("simple_one_for_one")
        supervisor = cell.spawn(lambda: Supervisor(flags, [spec]), name="impressions")
        cell.run(0.0)
    maker = Maker(impressions, supervisor)
    began_s = time.perf_counter()
    cell.spawn(lambda: maker, name="maker")
    cell.run(LONGEST_S, until=lambda: maker.unanswered == 0)
    took_s = time.perf_counter() - began_s
    assert maker.unanswered == 0, f"{maker.unanswered} impressions were left after {LONGEST_S} s"
    cell.poller.close()
    return took_s


# -- on Thespian's own bases -----------------------------------------------------------------------


class PlainAgent(Actor):  # type: ignore[misc]
    """Answers whatever it is asked."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Answer with the question; Thespian's own messages get none."""
        if message == "question":
            self.send(sender, message)


class PlainOrchestrator(Actor):  # type: ignore[misc]
    """Asks all agents in turn, tells its maker, and is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.agents: list[Any] = []
        self.maker: Any = None
        self.answers = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Take the agents, then count answers."""
        if isinstance(message, list):
            self.agents, self.maker = message, sender
            self.send(self.agents[0], "question")
        elif message == "question":
            self.answers += 1
            if self.answers == AGENTS:
                self.send(self.maker, "done")
            else:
                self.send(self.agents[self.answers], message)


class PlainMaker(Actor):  # type: ignore[misc]
    """Makes impressions one after the other and answers when all are done."""

    def __init__(self) -> None:
        super().__init__()
        self.agents: list[Any] = []
        self.left = 0
        self.asker: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Take an order, then make one more for each that is done."""
        if isinstance(message, int):
            self.left, self.asker = message, sender
            self.agents = [self.createActor(PlainAgent) for _ in range(AGENTS)]
            self.make()
        elif message == "done":
            self.send(sender, ActorExitRequest())
            self.left -= 1
            if self.left:
                self.make()
            else:
                self.send(self.asker, "all done")

    def make(self) -> None:
        """Start one impression."""
        self.send(self.createActor(PlainOrchestrator), self.agents)


def thespian_round(impressions: int, *, base: str) -> float:
    """Return the seconds that one of Thespian's bases takes; its system is always shut down."""
    capabilities = {"Admin Port": free_port()} if base != "simpleSystemBase" else None
    system = ActorSystem(base, capabilities, logDefs={"version": 1}, transientUnique=True)
    try:
        maker = system.createActor(PlainMaker)
        began_s = time.perf_counter()
        answer = system.ask(maker, impressions, LONGEST_S)
        took_s = time.perf_counter() - began_s
    finally:
        system.shutdown()
    if answer != "all done":
        raise RuntimeError(f"{base} did not finish {impressions} impressions in {LONGEST_S} s")
    return took_s


# -- on Erlang -------------------------------------------------------------------------------------


def erlang_round(impressions: int) -> float:
    """Return the seconds that Erlang takes on one scheduler, its start not counted."""
    with tempfile.TemporaryDirectory() as folder:
        source = HERE / "bench_cell.erl"
        subprocess.run(["erlc", "-o", folder, str(source)], check=True)
        command = ["erl", "+S", "1", "-noshell", "-pa", folder, "-run", "bench_cell", "main"]
        done = subprocess.run(
            [*command, str(impressions), str(IN_FLIGHT)],
            check=True,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
        )
    return int(done.stdout) / 1e6


# -- putting it together ---------------------------------------------------------------------------


def measure(runtime: str, impressions: int, rounds: int, play: Callable[[int], float]) -> Result:
    """Play some rounds and keep the best: other load on the machine only ever slows one down."""
    times_s = []
    for _ in range(rounds):
        gc.collect()
        times_s.append(play(impressions))
    took_s = min(times_s)
    return Result(runtime, impressions, impressions / took_s, took_s / impressions * 1e6)


def measure_all(impressions: int, rounds: int) -> list[Result]:
    """Measure every runtime that this machine has."""
    results = [
        measure("cell", impressions, rounds, partial(cell_round, supervised=False)),
        measure("cell, supervised", impressions, rounds, partial(cell_round, supervised=True)),
    ]
    pin_to_loopback()
    simple = partial(thespian_round, base="simpleSystemBase")
    results.append(measure("simpleSystemBase", max(1, impressions // 50), 1, simple))
    multi = partial(thespian_round, base="multiprocTCPBase")
    results.append(measure("multiprocTCPBase", min(SLOW_IMPRESSIONS, impressions), 1, multi))
    if shutil.which("erl") and shutil.which("erlc"):
        results.append(measure("Erlang, 1 scheduler", impressions, rounds, erlang_round))
    return results


def table(results: list[Result]) -> str:
    """Lay the results out, each beside the first."""
    lines = [f"{'runtime':<22}{'impressions':>12}{'per second':>13}{'µs each':>11}{'ratio':>9}"]
    for result in results:
        ratio = result.per_s / results[0].per_s
        lines.append(
            f"{result.runtime:<22}{result.impressions:>12,}{result.per_s:>13,.0f}"
            f"{result.micros_each:>11.1f}{ratio:>9.4f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--impressions", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=None, help="also write the results here")
    args = parser.parse_args()
    results = measure_all(args.impressions, args.rounds)
    print(table(results))
    if shutil.which("erl") is None:
        print("Erlang is not installed here, so the limit is missing.")
    if args.json is not None:
        rows = [{**asdict(row), "ratio": row.per_s / results[0].per_s} for row in results]
        args.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
