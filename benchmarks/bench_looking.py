"""What does looking into a serving node cost it?

A node of its own serves flat out, looked at and not looked at in turns (quiet, looked at, looked
at, quiet), so that the moods of a shared machine fall on both alike. Each way of looking is the
real command in a process of its own, as people use it. Two numbers are told, with 95 % intervals
over the blocks: the throughput lost, with client, node and looker sharing the machine; and the
processor time that the node itself spends more on a request, which no neighbour can blur as much.

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
    from collections.abc import Callable, Iterator, Sequence

    from transport.frames import ClientLink

ROOT = Path(__file__).resolve().parents[1]
TRACED = "user-profiler"
TRACED_MESSAGES = 100
PATIENCE_S = 30.0
SETTLE_S = 1.0
LAST_WORDS = 2_000
WINDOW_SIZE = (45, 160)
OFTEN = ("supervision.hang_s=20",)
RARE = ("supervision.heartbeat_s=5", *OFTEN)
RESAMPLES = 4_000
QUIET = "nobody looks"
SNAPSHOTS = "heartbeats with snapshots, 5 a second"


class Part(NamedTuple):
    """One measurement: answers a second, node's processor time a request, looker's share."""

    rate: float
    node_us: float
    looker_cores: float = 0.0


@dataclass(frozen=True)
class Served:
    """A node under load: the way to its bidders, and its processes."""

    node: OwnNode
    links: list[ClientLink]
    family: list[psutil.Process]
    traffic: Traffic

    def part(self, options: argparse.Namespace, looker: psutil.Process | None = None) -> Part:
        """Serve flat out for a while."""
        before_s, looked_s = cpu_s(self.family), cpu_s([looker] if looker else [])
        started_s = time.perf_counter()
        phase = closed_loop(self.links[0], self.traffic, options.seconds, options.window)
        took_s = time.perf_counter() - started_s
        if not all(process.is_running() for process in self.family):
            sys.exit(f"a process of the node died: {self.node.ask('dead')['dead'][-1]}")
        spent_s = cpu_s(self.family) - before_s
        looker_s = cpu_s([looker] if looker else []) - looked_s
        if phase.unanswered or not phase.answered:
            sys.exit(f"{phase.unanswered} requests were not answered")
        return Part(phase.rate, 1e6 * spent_s / phase.answered, looker_s / took_s)


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
                threading.Event().wait(0.1)
                page = client.call("trace", 5.0, name=TRACED, since=page["next"])
            print(number, page["next"], flush=True)
        due_s = max(due_s + 1.0, time.monotonic())
        threading.Event().wait(due_s - time.monotonic())


# --- measuring --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Quiet, looked at, looked at, quiet; added up."""

    quiet: tuple[Part, Part]
    looked: tuple[Part, Part]

    def lost(self) -> float:
        """Return the share of the throughput that is lost."""
        return 1.0 - _total(self.looked, "rate") / _total(self.quiet, "rate")

    def dearer(self) -> float:
        """Return by how much more processor time the node spends on a request, as a share."""
        return _total(self.looked, "node_us") / _total(self.quiet, "node_us") - 1.0


def _total(parts: Sequence[Part], name: str) -> float:
    return float(sum(getattr(part, name) for part in parts))


def block_of(quiet: Callable[[], Part], looked: Callable[[], tuple[Part, Part]]) -> Block:
    """Measure one block."""
    first = quiet()
    both = looked()
    return Block((first, quiet()), both)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Take all measurements and return them as JSON-able data."""
    found: dict[str, list[Block]] = {}
    with serving(options.seed, *OFTEN) as often, serving(options.seed, *RARE) as rare:
        for served in (often, rare):
            served.part(options)  # known users, warm caches

        def looked(command: list[str]) -> tuple[Part, Part]:
            with looking(command) as looker:
                return often.part(options, looker), often.part(options, looker)

        for _ in range(options.rounds):
            for name, command in commands(often.node).items():
                block = block_of(lambda: often.part(options), lambda c=command: looked(c))  # type: ignore[misc]
                found.setdefault(name, []).append(block)
            pair = lambda: (often.part(options), often.part(options))  # noqa: E731
            block = block_of(lambda: rare.part(options), pair)
            found.setdefault(SNAPSHOTS, []).append(block)
    return report(options, found)


def report(options: argparse.Namespace, found: dict[str, list[Block]]) -> dict[str, Any]:
    """Sum the blocks up."""
    quiet = [part for name, each in found.items() if name != SNAPSHOTS for part in _quiet(each)]
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "rounds": options.rounds,
        "seconds": options.seconds,
        "window": options.window,
        "quiet_per_s": round(statistics.median(part.rate for part in quiet)),
        "quiet_node_us": round(statistics.median(part.node_us for part in quiet), 1),
        "looking": {name: _summary(blocks) for name, blocks in found.items()},
    }


def _quiet(blocks: Sequence[Block]) -> Iterator[Part]:
    for block in blocks:
        yield from block.quiet


def _summary(blocks: Sequence[Block]) -> dict[str, Any]:
    looked = [part for block in blocks for part in block.looked]
    return {
        "per_s": round(statistics.median(part.rate for part in looked)),
        "lost_throughput": interval([block.lost() for block in blocks]),
        "dearer_request": interval([block.dearer() for block in blocks]),
        "looker_cores": round(statistics.fmean(part.looker_cores for part in looked), 4),
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
        f"4 x {found['seconds']:g} s each, {found['window']} requests in flight"
    )
    print(
        f"{QUIET}: {found['quiet_per_s']:,} requests/s, {found['quiet_node_us']:.0f} us of the node"
    )
    print(f"  {'':<40}{'lost throughput':>26}{'node, a request':>26}{'looker':>10}")
    for name, told in found["looking"].items():
        cores = f"{told['looker_cores']:.1%}" if name != SNAPSHOTS else ""
        print(
            f"  {name:<40}{_shown(told['lost_throughput']):>26}"
            f"{_shown(told['dearer_request']):>26}{cores:>10}"
        )


def _shown(told: dict[str, float]) -> str:
    return f"{told['median']:+.1%} ({told['low']:+.1%} .. {told['high']:+.1%})"


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trace", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=6, help="blocks of each way of looking")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
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
