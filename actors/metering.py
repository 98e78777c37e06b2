"""What a bidder counts: kept in plain numbers on the hot path, handed to statsd now and then.

Principle: counting must cost less than what it counts. So a decision adds to a few integers, and
only the flush turns them into named metrics; latencies are sampled in full up to a bound per flush.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.steps import NAMES, ROLES

if TYPE_CHECKING:
    from actors.messages import Decided
    from transport.metrics import Metrics

MAX_SAMPLES: Final = 256
"""Latencies of one step that are sent per flush; the rest are only counted."""

_KINDS: Final = ("live", "retried", "fallback")
_ROLE_OF: Final = dict(zip(NAMES, ROLES, strict=True))


class Meter:
    """The numbers of one bidder since the last flush.

    Args:
        metrics: Where they go.

    Attributes:
        requests: Bid requests received.
        repeated: Of these, requests delivered again.
        unlogged: Bursts whose records could not be written.
        events: Notices and user events received, by type.
        spend_micros: Money booked, as the ledger acknowledged it.
        refused_events: Events that were not ours or could not be read.
    """

    __slots__ = (
        "_bids",
        "_metrics",
        "_no_bids",
        "_steps",
        "events",
        "refused_events",
        "repeated",
        "requests",
        "spend_micros",
        "unlogged",
    )

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._reset()

    def _reset(self) -> None:
        self.requests = 0
        self.repeated = 0
        self.unlogged = 0
        self.refused_events = 0
        self.spend_micros = 0
        self.events: dict[str, int] = {}
        self._bids = 0
        self._no_bids: dict[str, int] = {}
        self._steps: dict[tuple[str, str], list[float]] = {
            (step, kind): [] for step in NAMES for kind in _KINDS
        }

    def decided(self, decided: Decided) -> None:
        """Count one decision and how each of its steps went."""
        steps = self._steps
        for taken in decided.steps:
            steps[taken.step, taken.kind].append(taken.ms)
        if decided.bid is not None:
            self._bids += 1
        else:
            self.no_bid(decided.reason)

    def no_bid(self, reason: str) -> None:
        """Count a no-bid under its code, without the detail after the colon."""
        code = reason.partition(":")[0]
        self._no_bids[code] = self._no_bids.get(code, 0) + 1

    def event(self, kind: str) -> None:
        """Count a notice or user event."""
        self.events[kind] = self.events.get(kind, 0) + 1

    def queue(self, role: str, waiting: int) -> None:
        """Note how many messages wait for an agent now."""
        self._metrics.gauge(f"agent.{role}.queue", waiting)

    def flush(self) -> None:
        """Hand everything to the metrics facade and begin again at zero."""
        metrics = self._metrics
        for name, count in self._counts().items():
            if count:
                metrics.incr(name, count)
        for (step, kind), latencies in self._steps.items():
            if latencies:
                agent = f"agent.{_ROLE_OF[step]}"
                metrics.incr(f"{agent}.{step}.{kind}", len(latencies))
                for latency_ms in latencies[:MAX_SAMPLES]:
                    metrics.timing(f"{agent}.{step}.ms", latency_ms)
        self._reset()
        metrics.flush()

    def _counts(self) -> dict[str, int]:
        return {
            "requests": self.requests,
            "requests.repeated": self.repeated,
            "bids": self._bids,
            "log.failed": self.unlogged,
            "events.refused": self.refused_events,
            "spend_micros": self.spend_micros,
            **{f"events.{kind}": count for kind, count in self.events.items()},
            **{f"no_bids.{code}": count for code, count in self._no_bids.items()},
        }
