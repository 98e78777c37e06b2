"""Metrics: aggregated in process, flushed in batches, harmless when nobody listens.

Counting one thing costs a dictionary update, not a datagram. ``flush``, called a few times a
second, sends everything through the ``statsd`` client's pipeline in packets that fit one Ethernet
frame. A name may contain anything: what statsd would misread is replaced. No method raises because
of the network: a bidder without monitoring is still a bidder.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import statsd

PACKET_BYTES = 1432
"""An Ethernet frame, less the headers of IPv6 and UDP."""

TIMINGS_PER_NAME = 128
NAMES_LIMIT = 4096
RETRY_FLUSHES = 20

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


class Batch(NamedTuple):
    """What came together since the last flush; timings in ms."""

    counters: Mapping[str, int]
    gauges: Mapping[str, float]
    timings_ms: Mapping[str, list[float]]


class Sink(Protocol):
    """Where a batch goes."""

    def send(self, batch: Batch) -> None:
        """Send ``batch``; never raises because of the network."""

    def close(self) -> None:
        """Free what the sink holds; again is harmless."""


def safe_name(name: str) -> str:
    """Return ``name`` with everything replaced that statsd or a time series store misreads."""
    return _UNSAFE.sub("_", name).strip(".") or "_"


class Metrics:
    """The facade that everyone counts with.

    At most ``NAMES_LIMIT`` names are kept between two flushes; further ones are counted in
    ``metrics.dropped``, because a name made of an id from outside must not eat the memory.

    Args:
        prefix: Put before every name, with a dot.
        sink: Where ``flush`` sends.
    """

    def __init__(self, prefix: str, sink: Sink) -> None:
        self._prefix = safe_name(prefix)
        self._sink = sink
        self._names: dict[str, str] = {}
        self._counters: dict[str, int] = {}
        self._gauges: dict[str, float] = {}
        self._timings_ms: dict[str, _Timings] = {}

    def incr(self, name: str, n: int = 1) -> None:
        """Add ``n`` to a counter."""
        full = self._full_name(name)
        self._counters[full] = self._counters.get(full, 0) + n

    def gauge(self, name: str, value: float) -> None:
        """Set a level; the last one before a flush counts."""
        self._gauges[self._full_name(name)] = value

    def timing(self, name: str, ms: float) -> None:
        """Add a duration in milliseconds.

        Of very many in one flush an even sample is sent: quantiles hold, counts do not, so count
        with ``incr``.
        """
        full = self._full_name(name)
        timings = self._timings_ms.get(full)
        if timings is None:
            timings = self._timings_ms[full] = _Timings()
        timings.add(ms)

    def flush(self) -> None:
        """Send what came together and start anew."""
        timings = {name: kept.values_ms for name, kept in self._timings_ms.items()}
        batch = Batch(self._counters, self._gauges, timings)
        self._names, self._counters, self._gauges, self._timings_ms = {}, {}, {}, {}
        if batch.counters or batch.gauges or batch.timings_ms:
            self._sink.send(batch)

    def close(self) -> None:
        """Flush and free the sink; again is harmless."""
        self.flush()
        self._sink.close()

    def _full_name(self, name: str) -> str:
        full = self._names.get(name)
        if full is None:
            if len(self._names) >= NAMES_LIMIT:
                return f"{self._prefix}.metrics.dropped"
            full = self._names[name] = f"{self._prefix}.{safe_name(name)}"
        return full


class _Timings:
    """Keeps every ``_stride``-th value; doubles the stride whenever there are too many."""

    def __init__(self) -> None:
        self.values_ms: list[float] = []
        self._stride = 1
        self._seen = 0

    def add(self, ms: float) -> None:
        """Keep ``ms``, or not."""
        if self._seen % self._stride == 0:
            if len(self.values_ms) >= TIMINGS_PER_NAME:
                del self.values_ms[1::2]
                self._stride *= 2
            self.values_ms.append(ms)
        self._seen += 1


class StatsdSink:
    """Sends batches to a statsd server over UDP; finds it when first needed, and again later.

    Args:
        host: Name or address.
        port: UDP port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._client: statsd.StatsClient | None = None
        self._wait_flushes = 0

    def send(self, batch: Batch) -> None:
        """Send ``batch``, or forget it when the server cannot be found."""
        client = self._connect()
        if client is None:
            return
        pipeline = client.pipeline()
        for name, count in batch.counters.items():
            pipeline.incr(name, count)
        for name, level in batch.gauges.items():
            pipeline.gauge(name, level)
        for name, values_ms in batch.timings_ms.items():
            for ms in values_ms:
                pipeline.timing(name, ms)
        pipeline.send()  # swallows errors of the socket

    def close(self) -> None:
        """Close the socket; the next ``send`` opens another. Again is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> statsd.StatsClient | None:
        """Return the client; its constructor resolves the host, which may fail for a while."""
        if self._client is None and self._wait_flushes > 0:
            self._wait_flushes -= 1
        elif self._client is None:
            import statsd

            try:
                self._client = statsd.StatsClient(self._host, self._port, maxudpsize=PACKET_BYTES)
            except OSError:
                self._wait_flushes = RETRY_FLUSHES
        return self._client


class NullSink:
    """Forgets everything; for metrics that are switched off."""

    def send(self, batch: Batch) -> None:
        """Forget ``batch``."""

    def close(self) -> None:
        """Do nothing."""


def make_metrics(host: str, port: int, prefix: str, *, enabled: bool = True) -> Metrics:
    """Make the metrics of a process from its settings."""
    return Metrics(prefix, StatsdSink(host, port) if enabled else NullSink())


class MemoryMetrics(Metrics):
    """The twin for tests: keeps everything, under the plain names.

    Attributes:
        counters: Name -> sum since the beginning.
        gauges: Name -> last level.
        timings_ms: Name -> all durations.
    """

    def __init__(self) -> None:
        super().__init__("test", NullSink())
        self.counters: dict[str, int] = {}
        self.gauges: dict[str, float] = {}
        self.timings_ms: dict[str, list[float]] = {}

    def incr(self, name: str, n: int = 1) -> None:
        """See ``Metrics.incr``."""
        self.counters[name] = self.counters.get(name, 0) + n

    def gauge(self, name: str, value: float) -> None:
        """See ``Metrics.gauge``."""
        self.gauges[name] = value

    def timing(self, name: str, ms: float) -> None:
        """See ``Metrics.timing``."""
        self.timings_ms.setdefault(name, []).append(ms)
