"""What does looking into a serving node cost it?

A node of its own serves flat out, looked at and not looked at in turns (quiet, looked at, looked
at, quiet), so that the moods of a shared machine fall on both alike. Each way of looking is the
real command in a process of its own, as people use it. Two numbers are told, with 95 % intervals
over the blocks:

* the throughput lost, with client, node and looker sharing the machine; neighbours blur it;
* the processor time that looking takes, of node and looker together, as a share of the machine: the
  most that can be lost where every core is busy. It is measured on the node at rest, where it
  stands out; a trace alone has little to do there.

The last line is what is paid always: five heartbeats a second, each of which carries a snapshot of
the process for those who may look; the other side is a node with one heartbeat in five seconds.

    python benchmarks/bench_looking.py [--rounds N] [--seconds S] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import pty
import random
import select
import signal
import statistics
import subprocess
import sys
import termios
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench_path import Traffic, closed_loop
from benchmarks.nodes import OwnNode, own_node
from cli.play import lanes
from transport.control import ControlClient
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transport.frames import ClientLink

ROOT = Path(__file__).resolve().parents[1]
TRACED = "user-profiler"
TRACED_MESSAGES = 100
TRACE_POLL_S = 0.3
PATIENCE_S = 30.0
SETTLE_S = 1.0
CALM_S = 0.5
"""What was under way when the load ended is done by then."""
LAST_WORDS = 2_000
WINDOW_SIZE = (45, 160)
OFTEN = ("supervision.hang_s=20",)
RARE = ("supervision.heartbeat_s=5", *OFTEN)
RESAMPLES = 4_000
SNAPSHOTS = "heartbeats with snapshots, 5 a second"


@dataclass(frozen=True)
class Served:
    """A node that can be put under load: the way to its bidders, and its processes."""

    node: OwnNode
    links: list[ClientLink]
    family: list[psutil.Process]
    traffic: Traffic

    def rate(self, options: argparse.Namespace) -> float:
        """Serve flat out for a while; return the answers a second."""
        phase = closed_loop(self.links[0], self.traffic, options.seconds, options.window)
        if not all(process.is_running() for process in self.family):
            sys.exit(f"a process of the node died: {self.node.ask('dead')['dead'][-1]}")
        if phase.unanswered or not phase.answered:
            sys.exit(f"{phase.unanswered} requests were not answered")
        return phase.rate

    def rest(self, options: argparse.Namespace, *lookers: psutil.Process) -> float:
        """Serve nobody for a while; return the cores used, those of lookers too."""
        everybody = [*self.family, *lookers]
        threading.Event().wait(CALM_S)
        before_s, started_s = cpu_s(everybody), time.perf_counter()
        threading.Event().wait(options.rest)
        return (cpu_s(everybody) - before_s) / (time.perf_counter() - started_s)


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Return the processor time that processes have used so far, seconds."""
    times = (process.cpu_times() for process in processes)
    return float(sum(used.user + used.system for used in times))


@contextlib.contextmanager
def serving(seed: int, *settings: str) -> Iterator[Served]:
    """Run a node of one bidder and connect to it."""
    with own_node(1, settings=settings) as node:
        links = lanes.dial(node.gateway_urls)
        try:
            top = psutil.Process(node.ask("status")["pid"])
            yield Served(node, links, [top, *top.children(recursive=True)], Traffic(seed))
        finally:
            lanes.close(links)


# --- ways of looking --------------------------------------------------------------------------


def commands(node: OwnNode) -> dict[str, list[str]]:
    """Return the ways of looking at a node, by name."""
    own = [sys.executable, "-m", "cli.main"]
    here = ["--data-dir", str(node.paths.data_dir)]
    trace = [sys.executable, __file__, "--trace", str(node.paths.control_socket)]
    return {
        "tree --watch, each second": [*own, "tree", "--watch", *here],
        "top, each second": [*own, "top", *here],
        "events --follow": [*own, "events", "--follow", *here],
        f"a trace of {TRACED_MESSAGES} messages each second": trace,
    }


@contextlib.contextmanager
def looking(command: list[str]) -> Iterator[psutil.Process]:
    """Run a looker on a terminal of its own; it has begun to show something when this yields."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, WINDOW_SIZE)
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    over = threading.Event()
    said = bytearray()
    reader = threading.Thread(target=_read_all, args=(master, over, said))
    try:
        if not select.select([master], [], [], PATIENCE_S)[0]:
            sys.exit(f"{' '.join(command)} showed nothing")
        reader.start()
        over.wait(SETTLE_S)
        yield psutil.Process(process.pid)
        if process.poll() is not None:
            sys.exit(f"{' '.join(command)} ended by itself: {said.decode(errors='replace')}")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        over.set()
        reader.join()
        os.close(master)


def _read_all(descriptor: int, over: threading.Event, said: bytearray) -> None:
    """Read what a terminal shows, so that whoever writes to it never waits; keep the end of it."""
    while not over.is_set():
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                said += os.read(descriptor, 1 << 16)
                del said[:-LAST_WORDS]
            except OSError:
                return


def trace_for_ever(control_socket: Path) -> None:
    """Trace some messages of one actor each second, as a looker."""
    client = ControlClient(control_socket)
    due_s = time.monotonic()
    for number in itertools.count(1):
        with contextlib.suppress(ControlError):  # too busy this time
            page = client.call("trace", 5.0, name=TRACED, limit=TRACED_MESSAGES, for_s=1.0)
            while page["active"]:
                threading.Event().wait(TRACE_POLL_S)
                page = client.call("trace", 5.0, name=TRACED, since=page["next"])
            print(number, page["next"], flush=True)
        due_s = max(due_s + 1.0, time.monotonic())
        threading.Event().wait(due_s - time.monotonic())


# --- measuring --------------------------------------------------------------------------------


class Block(NamedTuple):
    """Quiet, looked at, looked at, quiet: the share of throughput lost, the cores used more."""

    lost: float
    cores: float


def block_of(
    options: argparse.Namespace, quiet: Served, looked: Served, command: list[str] | None
) -> Block:
    """Measure one block; the rates that were seen are told on stderr."""
    before, at_rest = quiet.rate(options), quiet.rest(options)
    with looking(command) if command else contextlib.nullcontext() as looker:
        during = [looked.rate(options), looked.rate(options)]
        cores = looked.rest(options, *([looker] if looker else []))
    without = [before, quiet.rate(options)]
    at_rest = (at_rest + quiet.rest(options)) / 2
    print(".", end="", flush=True, file=sys.stderr)
    return Block(1.0 - sum(during) / sum(without), cores - at_rest)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Take all measurements and return them as JSON-able data."""
    found: dict[str, list[Block]] = {}
    with serving(options.seed, *OFTEN) as often, serving(options.seed, *RARE) as rare:
        rare.rate(options)  # known users, warm caches
        rates = [often.rate(options) for _ in range(3)]
        for _ in range(options.rounds):
            for name, command in commands(often.node).items():
                found.setdefault(name, []).append(block_of(options, often, often, command))
            found.setdefault(SNAPSHOTS, []).append(block_of(options, rare, often, None))
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "rest_s": options.rest,
        "window": options.window,
        "quiet_per_s": round(statistics.median(rates)),
        "looking": {name: summary(blocks) for name, blocks in found.items()},
    }


def summary(blocks: Sequence[Block]) -> dict[str, Any]:
    """Sum the blocks of one way of looking up."""
    machine = os.cpu_count() or 1
    return {
        "lost_throughput": interval([block.lost for block in blocks]),
        "share_of_machine": interval([block.cores / machine for block in blocks]),
    }


def interval(shares: Sequence[float]) -> dict[str, float]:
    """Return the median of the blocks, and where it lies with 95 % (bootstrap, one seed)."""
    chance = random.Random(1)
    medians = sorted(
        statistics.median(chance.choices(shares, k=len(shares))) for _ in range(RESAMPLES)
    )
    edge = int(0.025 * RESAMPLES)
    return {
        "median": round(statistics.median(shares), 5),
        "low": round(medians[edge], 5),
        "high": round(medians[-edge - 1], 5),
    }


def print_report(found: dict[str, Any]) -> None:
    """Print the measurements for a person."""
    machine = found["machine"]
    print(
        f"{machine['cores']} cores, Python {machine['python']}, {found['rounds']} blocks of "
        f"4 x {found['seconds']:g} s under load and 3 x {found['rest_s']:g} s at rest, "
        f"{found['window']} requests in flight; "
        f"nobody looks: {found['quiet_per_s']:,} requests/s"
    )
    print(f"  {'':<40}{'lost throughput':>26}{'share of the machine':>28}")
    for name, told in found["looking"].items():
        lost, share = _shown(told["lost_throughput"]), _shown(told["share_of_machine"])
        print(f"  {name:<40}{lost:>26}{share:>28}")


def _shown(told: dict[str, float]) -> str:
    return f"{told['median']:+.2%} ({told['low']:+.2%} .. {told['high']:+.2%})"


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=4, help="blocks of each way of looking")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement")
    parser.add_argument("--rest", type=float, default=5.0, help="seconds of one look at rest")
    parser.add_argument("--window", type=int, default=48, help="requests in flight")
    parser.add_argument("--seed", type=int, default=1, help="of the sample world")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    if options.trace:
        trace_for_ever(options.trace)
    found = measure(options)
    print_report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
