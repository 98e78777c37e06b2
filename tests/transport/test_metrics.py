from __future__ import annotations

import itertools
import re
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.metrics import (
    NAMES_LIMIT,
    PACKET_BYTES,
    RETRY_FLUSHES,
    TIMINGS_PER_NAME,
    Batch,
    MemoryMetrics,
    Metrics,
    make_metrics,
    safe_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class ListSink:
    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def send(self, batch: Batch) -> None:
        self.batches.append(batch)

    def close(self) -> None:
        self.batches.append(Batch({"closed": 1}, {}, {}))


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    """A statsd server of our own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        yield server


def lines_from(receiver: socket.socket, count: int) -> list[str]:
    lines: list[str] = []
    while len(lines) < count:
        packet = receiver.recv(65_535)
        assert len(packet) <= PACKET_BYTES
        lines += packet.decode().splitlines()
    return lines


def test_counters_are_summed_until_the_flush() -> None:
    sink = ListSink()
    metrics = Metrics("bidwright", sink)
    metrics.incr("bids")
    metrics.incr("bids", 2)
    metrics.gauge("queue", 3)
    metrics.gauge("queue", 1)
    metrics.timing("vet", 0.5)
    metrics.flush()
    assert sink.batches == [
        Batch({"bidwright.bids": 3}, {"bidwright.queue": 1}, {"bidwright.vet": [0.5]})
    ]


def test_a_flush_of_nothing_sends_nothing_and_a_second_flush_repeats_nothing() -> None:
    sink = ListSink()
    metrics = Metrics("bidwright", sink)
    metrics.flush()
    metrics.incr("bids")
    metrics.flush()
    metrics.flush()
    assert len(sink.batches) == 1


def test_closing_sends_the_rest_first() -> None:
    sink = ListSink()
    metrics = Metrics("p", sink)
    metrics.incr("bids")
    metrics.close()
    assert [dict(batch.counters) for batch in sink.batches] == [{"p.bids": 1}, {"closed": 1}]


def test_many_timings_are_thinned_evenly() -> None:
    sink = ListSink()
    metrics = Metrics("p", sink)
    for ms in range(10_000):
        metrics.timing("t", float(ms))
    metrics.flush()
    kept = sink.batches[0].timings_ms["p.t"]
    assert TIMINGS_PER_NAME / 2 <= len(kept) <= TIMINGS_PER_NAME
    gaps = {after - before for before, after in itertools.pairwise(kept)}
    assert len(gaps) == 1
    assert kept[0] == 0.0


def test_too_many_names_are_counted_not_kept() -> None:
    sink = ListSink()
    metrics = Metrics("p", sink)
    for number in range(NAMES_LIMIT + 10):
        metrics.incr(f"user.{number}")
    metrics.flush()
    assert len(sink.batches[0].counters) == NAMES_LIMIT + 1
    assert sink.batches[0].counters["p.metrics.dropped"] == 10


@given(st.text())
def test_any_name_becomes_one_that_statsd_reads_right(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", safe_name(name))


def test_safe_names_stay_as_they_are() -> None:
    assert safe_name("agents.fraud-detector.live_1") == "agents.fraud-detector.live_1"


@pytest.mark.integration
def test_a_batch_reaches_a_statsd_server_in_small_packets(receiver: socket.socket) -> None:
    metrics = make_metrics("127.0.0.1", receiver.getsockname()[1], "bw")
    for number in range(200):
        metrics.incr(f"counter.of.something.{number}", number)
    metrics.gauge("level|:@#é", 1.5)
    metrics.timing("latency", 2.5)
    metrics.flush()
    lines = lines_from(receiver, 202)
    metrics.close()
    assert "bw.counter.of.something.7:7|c" in lines
    assert "bw.level_:1.5|g" in lines
    assert "bw.latency:2.500000|ms" in lines


@pytest.mark.integration
def test_nobody_listening_is_harmless(receiver: socket.socket) -> None:
    port = receiver.getsockname()[1]
    receiver.close()
    metrics = make_metrics("127.0.0.1", port, "bw")
    for _ in range(3):
        metrics.incr("bids")
        metrics.flush()
    metrics.close()


def test_an_unknown_host_is_harmless_and_looked_up_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups: list[object] = []

    def unknown(*arguments: object, **_: object) -> list[Any]:
        lookups.append(arguments)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    metrics = make_metrics("statsd.invalid", 8125, "bw")
    assert lookups == [], "nothing is looked up before it is needed"
    for _ in range(RETRY_FLUSHES + 2):
        metrics.incr("bids")
        metrics.flush()
    assert len(lookups) == 2


def test_switched_off_metrics_send_nothing(receiver: socket.socket) -> None:
    metrics = make_metrics("127.0.0.1", receiver.getsockname()[1], "bw", enabled=False)
    metrics.incr("bids")
    metrics.close()
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(1)


def test_the_memory_twin_keeps_everything_under_plain_names() -> None:
    metrics = MemoryMetrics()
    for ms in (1.0, 2.0):
        metrics.incr("bids")
        metrics.gauge("queue", ms)
        metrics.timing("vet", ms)
        metrics.flush()
    assert metrics.counters == {"bids": 2}
    assert metrics.gauges == {"queue": 2.0}
    assert metrics.timings_ms == {"vet": [1.0, 2.0]}
