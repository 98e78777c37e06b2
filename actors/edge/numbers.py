"""The edge's own numbers, in the form that Prometheus reads.

One registry per edge, nothing global: two edges in one process (as in tests) do not share counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.edge.bidders import Bidders

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)


class Numbers:
    """Counts what the edge does.

    Args:
        gateways: Those who take bid requests.
        desks: Those who take events.
    """

    def __init__(self, gateways: Bidders, desks: Bidders) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "bidwright_edge_requests",
            "Requests answered, by route and HTTP status.",
            ("route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "bidwright_edge_seconds",
            "Time from a request's arrival to its answer.",
            ("route",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._no_bids = Counter(
            "bidwright_edge_no_bids",
            "Answers without a bid, by OpenRTB no-bid reason.",
            ("nbr",),
            registry=registry,
        )
        self._known: dict[tuple[str, int], Counter] = {}
        self._known_nbrs: dict[int, Counter] = {}
        self._known_seconds: dict[str, Histogram] = {}
        for kind, bidders in (("gateway", gateways), ("events", desks)):
            self._watch(kind, bidders)
        ProcessCollector(registry=registry)

    def _watch(self, kind: str, bidders: Bidders) -> None:
        registry = self._registry
        connected = Gauge(
            f"bidwright_edge_{kind}_connected", f"Bidders' {kind} sockets there.", registry=registry
        )
        connected.set_function(lambda: bidders.connected)
        waiting = Gauge(
            f"bidwright_edge_{kind}_waiting",
            f"Questions to {kind} sockets without an answer.",
            registry=registry,
        )
        waiting.set_function(lambda: bidders.waiting)
        resent = Gauge(
            f"bidwright_edge_{kind}_resent",
            f"Questions sent again since the start because their {kind} socket went away.",
            registry=registry,
        )
        resent.set_function(lambda: bidders.resent)

    def watch_limit(self, limit: Callable[[], int]) -> None:
        """Show how many bid requests may wait for bidders, as things are."""
        gauge = Gauge(
            "bidwright_edge_limit",
            "Bid requests that may wait for bidders before more are shed.",
            registry=self._registry,
        )
        gauge.set_function(limit)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            route: ``bid`` or ``notice``.
            status: Of HTTP.
            seconds: From the request's arrival to its answer.
        """
        # Looking up a labelled child costs more than counting.
        counter = self._known.get((route, status))
        if counter is None:
            counter = self._known[route, status] = self._requests.labels(route, str(status))
        counter.inc()
        histogram = self._known_seconds.get(route)
        if histogram is None:
            histogram = self._known_seconds[route] = self._seconds.labels(route)
        histogram.observe(seconds)

    def no_bid(self, nbr: int) -> None:
        """Count an answer without a bid."""
        counter = self._known_nbrs.get(nbr)
        if counter is None:
            counter = self._known_nbrs[nbr] = self._no_bids.labels(str(nbr))
        counter.inc()

    def text(self) -> bytes:
        """Return everything as Prometheus reads it."""
        return generate_latest(self._registry)
