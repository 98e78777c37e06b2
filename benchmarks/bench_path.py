"""How fast is the whole decision path, beside a bare nng echo on the same machine in the same run?

Three measurements, all with one client process:

* echo: a process that sends every request back, with the links the gateway uses;
* path: a node of its own, from bid request to logged, budgeted, priced answer;
* open loop: requests at 70 % of the path's rate, whether or not answers come; latency counts from
  the moment a request was due.

Echo and path take turns, and the medians count, because a shared machine has moods. Every request
has an id of its own, so that no answer comes from memory.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import select
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.nodes import own_node
from cli.play import lanes
from cli.play.answers import no_bid_reason
from cli.play.summary import percentile
from config.campaigns import load_campaigns
from models.market import MarketSimulator
from transport.nng import NngServer
from transport.openrtb import BidResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from transport.frames import ClientLink

SHARE_OF_RATE = 0.7
TMAX_MS = 100.0
SAMPLE_REQUESTS = 4000
PATIENCE_S = 3.0
BURST = 256


@dataclass(slots=True)
class Phase:
    """What one measurement gave; latencies in milliseconds."""

    answered: int = 0
    unanswered: int = 0
    elapsed_s: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    bids: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.elapsed_s if self.elapsed_s else 0.0


class Traffic:
    """Endless requests of the sample world, each made by joining an own id and a ready tail."""

    def __init__(self, seed: int) -> None:
        world = MarketSimulator(seed, load_campaigns(None))
        self._tails = []
        for request in itertools.islice(world.requests(), SAMPLE_REQUESTS):
            del request["id"]
            self._tails.append(b'",' + json.dumps(request).encode()[1:])
        self._number = 0

    def skip(self, count: int) -> None:
        """Leave out so many requests."""
        self._number += count

    def next(self) -> bytes:
        """Return the next request."""
        self._number += 1
        tail = self._tails[self._number % len(self._tails)]
        return b'{"id":"bench-%d%s' % (self._number, tail)


def closed_loop(link: ClientLink, traffic: Traffic, seconds: float, window: int) -> Phase:
    """Keep ``window`` requests in flight for some seconds."""
    phase = Phase()
    clock = time.perf_counter
    descriptor = [link.fileno()]
    number = waiting = 0
    begun_s = last_s = clock()
    over_s = begun_s + seconds
    while (now_s := clock()) < over_s or waiting:
        while waiting < window and now_s < over_s:
            if not link.send(number, traffic.next()):
                break
            number += 1
            waiting += 1
        if not select.select(descriptor, (), (), PATIENCE_S)[0]:
            phase.unanswered += waiting
            waiting = 0
            continue
        answers = link.drain(BURST)
        last_s = clock()
        waiting = max(0, waiting - len(answers))
        phase.answered += len(answers)
        for answer in answers[:1]:
            note(phase, answer.body)
    phase.elapsed_s = last_s - begun_s
    return phase


def open_loop(link: ClientLink, traffic: Traffic, seconds: float, rate: float) -> Phase:
    """Send ``rate`` requests a second, and measure each answer from when its request was due."""
    phase = Phase()
    clock = time.perf_counter
    descriptor = [link.fileno()]
    due_s: dict[int, float] = {}
    number = 0
    total = int(rate * seconds)
    begun_s = last_s = clock()
    while number < total or (due_s and clock() - last_s < PATIENCE_S):
        now_s = clock()
        while number < total and begun_s + number / rate <= now_s:
            due_s[number] = begun_s + number / rate
            link.send(number, traffic.next())
            number += 1
        pause_s = begun_s + number / rate - clock() if number < total else PATIENCE_S
        if not select.select(descriptor, (), (), max(0.0, pause_s))[0]:
            continue
        last_s = clock()
        for request_id, body in link.drain(BURST):
            phase.latencies_ms.append((clock() - due_s.pop(request_id)) * 1000)
            note(phase, body)
    phase.answered = len(phase.latencies_ms)
    phase.unanswered = len(due_s)
    phase.elapsed_s = clock() - begun_s
    return phase


def note(phase: Phase, body: bytes) -> None:
    """Count what an answer says; an echo says nothing."""
    answer = json.loads(body)
    if "seatbid" in answer:
        phase.bids += 1
    elif "nbr" in answer:
        phase.reasons[no_bid_reason(BidResponse(nbr=answer["nbr"], ext=answer.get("ext")))] += 1


def echo_forever() -> None:
    """Serve as the echo process: print the address, then send every request back."""
    server = NngServer()
    print(server.listen("tcp://127.0.0.1:0"), flush=True)
    while True:
        select.select([server.fileno()], [], [])
        for header, body in server.drain(64):
            server.reply(header, body)


@contextlib.contextmanager
def echo_process() -> Iterator[str]:
    """Run the echo in a process of its own; yields its address."""
    command = [sys.executable, __file__, "--serve-echo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measure(options: argparse.Namespace, echo_url: str, node_urls: Sequence[str]) -> dict[str, Any]:
    """Take all measurements and return them as JSON-able data."""
    traffic = Traffic(options.seed)
    links = lanes.dial([echo_url, node_urls[0]])
    echo, path = links
    for url in node_urls[1:]:
        path.dial(url)  # one client, all bidders: nng spreads the load
    try:
        closed_loop(path, traffic, options.seconds / 2, options.window)
        echoes, paths = [], []
        for _ in range(options.rounds):
            echoes.append(closed_loop(echo, traffic, options.seconds, options.window))
            paths.append(closed_loop(path, traffic, options.seconds, options.window))
        rate = statistics.median(phase.rate for phase in paths)
        open_phase = open_loop(path, traffic, 2 * options.seconds, SHARE_OF_RATE * rate)
    finally:
        lanes.close(links)
    return report(options, echoes, paths, open_phase)


def report(
    options: argparse.Namespace, echoes: Sequence[Phase], paths: Sequence[Phase], opened: Phase
) -> dict[str, Any]:
    """Put the measurements together."""
    echo_rate = statistics.median(phase.rate for phase in echoes)
    path_rate = statistics.median(phase.rate for phase in paths)
    ordered = sorted(opened.latencies_ms)
    looked_at = opened.bids + sum(opened.reasons.values())
    return {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "bidders": options.bidders,
        "window": options.window,
        "seconds": options.seconds,
        "echo_per_s": round(echo_rate),
        "echo_rounds_per_s": [round(phase.rate) for phase in echoes],
        "path_per_s": round(path_rate),
        "path_rounds_per_s": [round(phase.rate) for phase in paths],
        "ratio": round(path_rate / echo_rate, 3) if echo_rate else None,
        "unanswered": sum(phase.unanswered for phase in (*paths, opened)),
        "open_loop": {
            "rate_per_s": round(SHARE_OF_RATE * path_rate),
            "answered_per_s": round(opened.rate),
            "p50_ms": shown(percentile(ordered, 0.50)),
            "p99_ms": shown(percentile(ordered, 0.99)),
            "max_ms": shown(ordered[-1] if ordered else None),
            "late": sum(latency > TMAX_MS for latency in ordered),
            "answers": len(ordered),
            "bid_rate": round(opened.bids / looked_at, 3) if looked_at else None,
            "no_bids": dict(opened.reasons.most_common(8)),
        },
    }


def shown(value: float | None) -> float | None:
    """Round a latency."""
    return None if value is None else round(value, 2)


def print_report(found: dict[str, Any]) -> None:
    """Print the measurements for a person."""
    opened = found["open_loop"]
    machine = found["machine"]
    print(
        f"{machine['cores']} cores, Python {machine['python']}, {found['bidders']} bidders, "
        f"{found['window']} in flight"
    )
    rows: list[tuple[str, Callable[[], str]]] = [
        ("bare nng echo", lambda: f"{found['echo_per_s']:>9,} requests/s"),
        ("full decision path", lambda: f"{found['path_per_s']:>9,} requests/s"),
        ("ratio", lambda: f"{found['ratio']:>9.2f}"),
        ("at 70 % of it", lambda: f"{opened['rate_per_s']:>9,} requests/s"),
        ("  p50", lambda: f"{opened['p50_ms']:>9.2f} ms"),
        ("  p99", lambda: f"{opened['p99_ms']:>9.2f} ms"),
        ("  later than 100 ms", lambda: f"{opened['late']:>9,} of {opened['answers']:,}"),
        ("  answers with a bid", lambda: f"{opened['bid_rate']:>9.1%}"),
        ("unanswered", lambda: f"{found['unanswered']:>9,}"),
    ]
    for name, text in rows:
        print(f"  {name:<22}{text()}")


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve-echo", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=4.0, help="of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of echo and path in turn")
    parser.add_argument("--window", type=int, default=48, help="requests in flight")
    parser.add_argument("--bidders", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="of the sample world")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    if options.serve_echo:
        echo_forever()
    with echo_process() as echo_url, own_node(options.bidders) as node:
        found = measure(options, echo_url, node.gateway_urls)
    if not found["open_loop"]["answers"]:
        sys.exit("the node answered no request in the open loop")
    print_report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
