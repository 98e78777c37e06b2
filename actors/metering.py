"""What a bidder counts: kept in plain numbers on the hot path, handed to statsd now and then.

Principle: counting must cost less than what it counts. So a decision adds to a few integers and
lists, and only the flush turns them into named metrics; latencies are sent up to a bound per flush.
The flush also tells those who look in: how each agent and the gateway did in the last seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actors.decision.reasons import OVERLOADED
from actors.decision.steps import NAMES, ROLES
from actors.recent import WINDOW_S, Recent

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.messages import Decided
    from supervision.clock import Clock
    from transport.metrics import Metrics

    Account = Callable[[], dict[str, Any]]
    """What somebody else knows of an actor, for its own ``describe``."""

MAX_SAMPLES: Final = 256
"""Latencies of one step that are sent per flush; the rest are only counted."""

_KINDS: Final = ("live", "retried", "fallback")
_OWN_KINDS: Final = ("live", "retried")
_GATEWAY: Final = "gateway"
_ROLE_OF: Final = dict(zip(NAMES, ROLES, strict=True))


class Meter:
    """The numbers of one bidder since the last flush.

    Args:
        metrics: Where they go.
        clock: Monotonic seconds.

    Attributes:
        requests: Bid requests received.
        answer_ms: How long each request that was decided on took, from the socket to the socket.
        late: Of these, answered after their deadline.
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
        "_recent",
        "_steps",
        "answer_ms",
        "events",
        "late",
        "refused_events",
        "repeated",
        "requests",
        "spend_micros",
        "unlogged",
    )

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._recent = Recent(clock)
        self._reset()

    def _reset(self) -> None:
        self.requests = 0
        self.repeated = 0
        self.unlogged = 0
        self.refused_events = 0
        self.spend_micros = 0
        self.late = 0
        self.answer_ms: list[float] = []
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

    def silent(self, sources: int) -> None:
        """Note how many exchanges, the ledger included, are not heard of now."""
        self._metrics.gauge("money.silent", sources)

    def flush(self) -> None:
        """Hand everything to the metrics facade and begin again at zero."""
        self._remember()
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
            "answers.late": self.late,
            "bids": self._bids,
            "log.failed": self.unlogged,
            "events.refused": self.refused_events,
            "spend_micros": self.spend_micros,
            **{f"events.{kind}": count for kind, count in self.events.items()},
            **{f"no_bids.{code}": count for code, count in self._no_bids.items()},
        }

    # --- the last seconds, for those who look in -----------------------------------------------

    def _remember(self) -> None:
        recent = self._recent
        for (step, kind), latencies in self._steps.items():
            if latencies:
                role = _ROLE_OF[step]
                recent.count((role, kind), len(latencies))
                if kind in _OWN_KINDS:
                    recent.times(role, latencies)
        recent.times(_GATEWAY, self.answer_ms)
        recent.count("requests", self.requests)
        recent.count("bids", self._bids)
        recent.count("late", self.late)
        recent.count("shed", self._no_bids.get(OVERLOADED, 0))

    def agent_account(self, role: str) -> dict[str, Any]:
        """Tell how an agent did in the last seconds, as those who asked it saw it.

        Returns:
            ``answered`` by itself, of these ``retried``, and ``fallbacks`` that stood in for it;
            ``p50_ms`` and ``p99_ms`` of its own answers, with their time in its mailbox, None
            without one; ``window_s``, how far back that looks.
        """
        recent = self._recent
        retried = recent.total((role, "retried"))
        p50_ms, p99_ms = recent.percentiles_ms(role, 0.50, 0.99)
        return {
            "window_s": WINDOW_S,
            "answered": recent.total((role, "live")) + retried,
            "retried": retried,
            "fallbacks": recent.total((role, "fallback")),
            "p50_ms": p50_ms,
            "p99_ms": p99_ms,
        }

    def gateway_account(self) -> dict[str, Any]:
        """Tell how the bidder did in the last seconds.

        Returns:
            ``requests`` that came, ``requests_per_s``, ``bids``, impressions that were ``shed`` in
            overload, answers that were ``late``; ``p50_ms`` and ``p99_ms`` from the socket back to
            the socket, None without an answer; ``window_s``, how far back that looks.
        """
        recent = self._recent
        requests = recent.total("requests")
        p50_ms, p99_ms = recent.percentiles_ms(_GATEWAY, 0.50, 0.99)
        span_s = recent.span_s()
        return {
            "window_s": WINDOW_S,
            "requests": requests,
            "requests_per_s": round(requests / span_s, 1) if span_s else 0.0,
            "bids": recent.total("bids"),
            "shed": recent.total("shed"),
            "late": recent.total("late"),
            "p50_ms": p50_ms,
            "p99_ms": p99_ms,
        }
