"""What does a node do with more requests than it can decide? Goodput against offered load.

The capacity is measured first, by a client that keeps some requests in flight. Then requests come
at a quarter to three times of it, whether or not answers come, once with shedding and once without;
latency counts from the moment a request was due. Of the answers

* *refused* are those that the door gave at once, for want of room or time (nbr 503 and 15),
* *accepted* all others: decided, or given up when their time was over,
* *in time* those accepted that were decided and were back within the request's ``tmax``,
* *goodput* the last ones a second.

Every request has an id of its own, and an answer with another id is counted as wrong. With
``--door http`` the requests go through the edge, over many connections; there, too, the capacity is
that of the door.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench_path import BURST, TMAX_MS, Traffic
from benchmarks.nodes import own_node
from benchmarks.wires import HttpWire, NngWire
from cli.play.summary import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.nodes import OwnNode
    from benchmarks.wires import Wire

FACTORS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
PATIENCE_S = 5.0
"""A request without an answer for so long after the last one came stays unanswered."""
REST_S = 0.5
NNG_CONNECTIONS = 4
HTTP_CONNECTIONS = 256
FIRST_NUMBER = 1_000_000
"""Requests of the ladder have numbers above those that the capacity was measured with."""
_REFUSED = (b'"reason":"overloaded"', b'"reason":"insufficient_time"')
_GIVEN_UP = b'"reason":"out_of_time"'


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
            if number in due_s:  # else it comes after a load that has given it up
                load.note(number, 1000 * (last_s - due_s.pop(number)), body)
    load.offered = sent
    return first + sent


def capacity_of(wire: Wire, options: argparse.Namespace) -> float:
    """Return how many requests a second are answered to one who keeps some in flight."""
    traffic = Traffic(options.seed)
    clock = time.perf_counter
    number = in_flight = answered = 0
    warm_s = clock() + options.seconds / 2
    over_s = warm_s + options.seconds
    while (now_s := clock()) < over_s:
        while in_flight < options.window:
            number += 1
            in_flight += 1
            wire.send(number, traffic.next())
        answers = wire.exchange(PATIENCE_S)
        in_flight -= len(answers)
        if now_s >= warm_s:
            answered += len(answers)
    while in_flight and clock() < over_s + PATIENCE_S:
        in_flight -= len(wire.exchange(REST_S))
    return answered / float(options.seconds)


def ladder(
    wire: Wire, options: argparse.Namespace, capacity: float, tell: Callable[[Load], None]
) -> None:
    """Offer shares of the capacity, one after the other, and tell what became of each."""
    traffic = Traffic(options.seed)
    number = FIRST_NUMBER
    traffic.skip(number)
    for factor in options.factors:
        load = Load(factor, factor * capacity, seconds=options.seconds)
        number = offer(wire, traffic, load, number)
        tell(load)
        select.select((), (), (), REST_S)


def wire_to(node: OwnNode, options: argparse.Namespace) -> Wire:
    """Connect to the door that is asked for."""
    if options.door == "http":
        return HttpWire(node.http_port, options.connections or HTTP_CONNECTIONS)
    return NngWire(node.gateway_urls, options.connections or NNG_CONNECTIONS)


def measure(options: argparse.Namespace) -> None:
    """Take all measurements, each on a node of its own; print and keep each as soon as it is."""
    found: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "door": options.door,
        "bidders": options.bidders,
        "seconds": options.seconds,
        "tmax_ms": TMAX_MS,
    }
    capacity = 0.0
    for name in options.shedding:
        shed = f"overload.shed={str(name == 'on').lower()}"
        with own_node(options.bidders, edge=options.door == "http", settings=(shed,)) as node:
            wire = wire_to(node, options)
            try:
                measured = capacity_of(wire, options)
                capacity = capacity or measured
                found["capacity_per_s"] = round(capacity)
                rows = found[f"shedding_{name}"] = []
                print_heads(found, name, measured)
                ladder(wire, options, capacity, lambda load, rows=rows: keep(rows, load))  # type: ignore[misc]
            finally:
                wire.close()
                write(found, options.json)


def keep(rows: list[dict[str, Any]], load: Load) -> None:
    """Print a measurement as a line of the table, and keep it."""
    rows.append(load.row())
    print("".join(f"{cell:>11}" for cell in cells(rows[-1])), flush=True)


def write(found: dict[str, Any], file: Path | None) -> None:
    """Write what there is so far."""
    if file is not None:
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def print_heads(found: dict[str, Any], name: str, capacity: float) -> None:
    """Print what is measured, and the head of its table."""
    machine = found["machine"]
    print(
        f"{found['door']}, {found['bidders']} bidders, {machine['cores']} cores, "
        f"Python {machine['python']}; shedding {name}; "
        f"capacity {capacity:,.0f} requests/s, tmax {found['tmax_ms']:g} ms"
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
    print("".join(f"{head:>11}" for head in heads), flush=True)


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
    parser.add_argument("--seconds", type=float, default=3.0, help="of one measurement")
    parser.add_argument("--window", type=int, default=48, help="in flight, for the capacity")
    parser.add_argument("--door", choices=("nng", "http"), default="nng")
    parser.add_argument(
        "--connections",
        type=int,
        default=0,
        help=f"default: {NNG_CONNECTIONS} over nng, {HTTP_CONNECTIONS} over HTTP",
    )
    parser.add_argument("--bidders", type=int, default=1)
    parser.add_argument(
        "--shedding", choices=("on", "off"), nargs="+", default=("on", "off"), help="which nodes"
    )
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS, help="of the capacity")
    parser.add_argument("--seed", type=int, default=1, help="of the sample world")
    parser.add_argument("--json", type=Path, help="write the measurements here too")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
