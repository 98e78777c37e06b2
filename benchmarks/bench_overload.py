"""What does a node do with more requests than it can decide? Goodput against offered load.

The capacity is measured first, by a client that keeps some requests in flight. Then requests come
at a quarter to three times of it, whether or not answers come, once with shedding and once without;
latency counts from the moment a request was due. Of the answers

* *refused* are those that the door gave at once, for want of room or time (nbr 503 and 15),
* *accepted* all others: decided, or given up when their time was over,
* *in time* those accepted that were decided and were back within the request's ``tmax``,
* *goodput* the last ones a second.

Every request has an id of its own, and an answer with another id is counted as wrong. The client
speaks nng's protocol by itself, many frames in one system call: it shares the machine with the
node, and what it takes is not there for decisions.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench_path import BURST, TMAX_MS, Traffic, closed_loop
from benchmarks.nodes import own_node
from cli.play import lanes
from cli.play.summary import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
PATIENCE_S = 5.0
"""A request without an answer for so long after the last one came stays unanswered."""
REST_S = 0.5
FIRST_NUMBER = 1_000_000
"""Requests of the ladder have numbers above those that the capacity was measured with."""
_REFUSED = (b'"reason":"overloaded"', b'"reason":"insufficient_time"')
_GIVEN_UP = b'"reason":"out_of_time"'


class Wire:
    """Connections to nng REP sockets, each with many requests under way.

    Args:
        urls: ``tcp://HOST:PORT``; connections take turns.
        connections: How many in all.
    """

    HELLO = b"\0SP\0\0\x30\0\0"  # of a REQ socket, the peer's is REP's
    FRAME = struct.Struct(">QI")  # length of what follows, number of the request
    REQUEST = 0x8000_0000

    def __init__(self, urls: Sequence[str], connections: int) -> None:
        self._out: list[bytearray] = []
        self._in: list[bytearray] = []
        self._turn = 0
        self.sockets: list[socket.socket] = []
        for index in range(connections):
            host, _, port = urls[index % len(urls)].removeprefix("tcp://").rpartition(":")
            line = socket.create_connection((host, int(port)), PATIENCE_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(self.HELLO)
            if len(line.recv(len(self.HELLO), socket.MSG_WAITALL)) != len(self.HELLO):
                raise ConnectionError(f"{urls[index % len(urls)]} does not speak nng's protocol")
            line.setblocking(False)
            self.sockets.append(line)
            self._out.append(bytearray())
            self._in.append(bytearray())

    def send(self, number: int, body: bytes) -> None:
        """Put a request into the line whose turn it is."""
        self._turn = (self._turn + 1) % len(self._out)
        self._out[self._turn] += self.FRAME.pack(len(body) + 4, number | self.REQUEST) + body

    def exchange(self, wait_s: float) -> list[tuple[int, bytes]]:
        """Send what the peers take and return what they have sent, after ``wait_s`` at most."""
        for line, out in zip(self.sockets, self._out, strict=True):
            if out:
                with contextlib.suppress(BlockingIOError):
                    del out[: line.send(out)]
        blocked = [line for line, out in zip(self.sockets, self._out, strict=True) if out]
        readable = select.select(self.sockets, blocked, (), wait_s)[0]
        answers: list[tuple[int, bytes]] = []
        for line, taken in zip(self.sockets, self._in, strict=True):
            if line in readable:
                taken.extend(line.recv(1 << 20))
                self._split(taken, answers)
        return answers

    def _split(self, taken: bytearray, answers: list[tuple[int, bytes]]) -> None:
        at, header = 0, self.FRAME.size
        while at + header <= len(taken):
            length, number = self.FRAME.unpack_from(taken, at)
            end = at + 8 + length
            if end > len(taken):
                break
            answers.append((number ^ self.REQUEST, bytes(taken[at + header : end])))
            at = end
        del taken[:at]

    def close(self) -> None:
        """Close all lines."""
        for line in self.sockets:
            line.close()


@dataclass(slots=True)
class Load:
    """What became of the requests of one run; latencies in milliseconds."""

    factor: float
    rate: float
    offered: int = 0
    answered: int = 0
    refused: int = 0
    given_up: int = 0
    in_time: int = 0
    wrong: int = 0
    seconds: float = 0.0
    accepted_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Answers that are no refusal at the door."""
        return self.answered - self.refused

    def note(self, number: int, latency_ms: float, body: bytes) -> None:
        """Count one answer."""
        self.answered += 1
        self.wrong += not body.startswith(b'{"id":"bench-%d"' % number)
        if any(reason in body for reason in _REFUSED):
            self.refused += 1
            self.refused_ms.append(latency_ms)
            return
        self.accepted_ms.append(latency_ms)
        if _GIVEN_UP in body:
            self.given_up += 1
        elif latency_ms <= TMAX_MS:
            self.in_time += 1

    def row(self) -> dict[str, Any]:
        """Return everything as JSON-able data."""
        accepted, refused = sorted(self.accepted_ms), sorted(self.refused_ms)
        return {
            "factor": self.factor,
            "offered_per_s": round(self.rate),
            "offered": self.offered,
            "answered": self.answered,
            "answered_share": share(self.answered, self.offered),
            "refused": self.refused,
            "accepted": self.accepted,
            "given_up": self.given_up,
            "in_time": self.in_time,
            "in_time_share": share(self.in_time, self.accepted),
            "goodput_per_s": round(self.in_time / self.seconds),
            "wrong_ids": self.wrong,
            "accepted_p50_ms": milliseconds(percentile(accepted, 0.50)),
            "accepted_p99_ms": milliseconds(percentile(accepted, 0.99)),
            "refused_p99_ms": milliseconds(percentile(refused, 0.99)),
        }


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole, None of nothing."""
    return round(part / whole, 4) if whole else None


def milliseconds(value: float | None) -> float | None:
    """Round a latency."""
    return None if value is None else round(value, 1)


def offer(wire: Wire, traffic: Traffic, load: Load, first: int) -> int:
    """Send requests at the load's rate for its time, and hear what becomes of them.

    Args:
        wire: To the node.
        traffic: The requests.
        load: Its ``factor``, ``rate`` and ``seconds`` say what to do; the rest is filled in.
        first: Number of the request before the first.

    Returns:
        The number of the last request.
    """
    clock = time.perf_counter
    due_s: dict[int, float] = {}
    sent, total = 0, int(load.rate * load.seconds)
    begun_s = last_s = clock()
    while sent < total or (due_s and clock() - last_s < PATIENCE_S):
        now_s = clock()
        while sent < total and (at_s := begun_s + sent / load.rate) <= now_s:
            body = traffic.next()
            sent += 1
            due_s[first + sent] = at_s
            wire.send(first + sent, body)
            if not sent % BURST:
                break  # answers must not wait for the end of a long queue
        pause_s = begun_s + sent / load.rate - clock() if sent < total else PATIENCE_S
        answers = wire.exchange(max(0.0, pause_s))
        if answers:
            last_s = clock()
        for number, body in answers:
            load.note(number, 1000 * (last_s - due_s.pop(number)), body)
    load.offered = sent
    return first + sent


def capacity_of(urls: Sequence[str], options: argparse.Namespace) -> float:
    """Return how many requests a second are answered to one who keeps some in flight."""
    links = lanes.dial(urls[:1])
    for url in urls[1:]:
        links[0].dial(url)  # one client, all bidders: nng spreads the load
    try:
        traffic = Traffic(options.seed)
        closed_loop(links[0], traffic, options.seconds / 2, options.window)
        return closed_loop(links[0], traffic, options.seconds, options.window).rate
    finally:
        lanes.close(links)


def ladder(wire: Wire, options: argparse.Namespace, capacity: float) -> list[Load]:
    """Offer shares of the capacity, one after the other."""
    loads = []
    traffic = Traffic(options.seed)
    number = FIRST_NUMBER
    traffic.skip(number)
    for factor in options.factors:
        load = Load(factor, factor * capacity, seconds=options.seconds)
        number = offer(wire, traffic, load, number)
        loads.append(load)
        select.select((), (), (), REST_S)
    return loads


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Take all measurements, each on a node of its own, and return them as JSON-able data."""
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "bidders": options.bidders,
        "seconds": options.seconds,
        "tmax_ms": TMAX_MS,
    }
    capacity = 0.0
    for name in ("on", "off"):
        shed = f"overload.shed={str(name == 'on').lower()}"
        with own_node(options.bidders, settings=(shed,)) as node:
            measured = capacity_of(node.gateway_urls, options)
            capacity = capacity or measured
            wire = Wire(node.gateway_urls, options.connections)
            try:
                loads = ladder(wire, options, capacity)
            finally:
                wire.close()
        found["capacity_per_s"] = round(capacity)
        found[f"shedding_{name}"] = [load.row() for load in loads]
    return found


def print_report(found: dict[str, Any]) -> None:
    """Print the measurements as a table for a person."""
    machine = found["machine"]
    print(
        f"{machine['cores']} cores, Python {machine['python']}, {found['bidders']} bidders; "
        f"capacity {found['capacity_per_s']:,} requests/s, tmax {found['tmax_ms']:g} ms"
    )
    heads = (
        "load",
        "offered/s",
        "answered",
        "accepted",
        "in time",
        "goodput/s",
        "p50 ms",
        "p99 ms",
    )
    for name in ("on", "off"):
        print(f"\nshedding {name}")
        print("".join(f"{head:>11}" for head in heads))
        for row in found[f"shedding_{name}"]:
            print("".join(f"{cell:>11}" for cell in cells(row)))


def cells(row: dict[str, Any]) -> Sequence[str]:
    """Return one line of the table."""
    return (
        f"{row['factor']:g}x",
        f"{row['offered_per_s']:,}",
        percent(row["answered_share"]),
        percent(share(row["accepted"], row["offered"])),
        percent(row["in_time_share"]),
        f"{row['goodput_per_s']:,}",
        f"{row['accepted_p50_ms']}",
        f"{row['accepted_p99_ms']}",
    )


def percent(part: float | None) -> str:
    """Write a share."""
    return "-" if part is None else f"{part:.1%}"


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of one measurement")
    parser.add_argument("--window", type=int, default=48, help="in flight, for the capacity")
    parser.add_argument("--connections", type=int, default=4, help="of the open loop")
    parser.add_argument("--bidders", type=int, default=1)
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS, help="of the capacity")
    parser.add_argument("--seed", type=int, default=1, help="of the sample world")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    options = parser.parse_args()
    found = measure(options)
    print_report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
