"""What a run of the exchange amounted to: counted while it plays, summed up at its end."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_MICROS = 1_000_000


@dataclass(slots=True)
class Tally:
    """Running counts of one run.

    Attributes:
        latencies_ms: One per answer, from the moment its request was due.
        no_bids: Answers without a bid, by reason.
        fallback_steps: Fallbacks among the explained decisions, by step.
    """

    sent: int = 0
    answered: int = 0
    unanswered: int = 0
    late: int = 0
    with_bid: int = 0
    bids: int = 0
    wins: int = 0
    losses: int = 0
    clicks: int = 0
    conversions: int = 0
    spend_micros: int = 0
    explained: int = 0
    with_fallback: int = 0
    resent: int = 0
    events_sent: int = 0
    events_acknowledged: int = 0
    events_repeated: int = 0
    latencies_ms: array[float] = field(default_factory=lambda: array("d"))
    no_bids: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    event_errors: Counter[str] = field(default_factory=Counter)
    fallback_steps: Counter[str] = field(default_factory=Counter)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that at least ``share`` of the values don't exceed.

    Args:
        ordered: Values, ascending.
        share: 0 < share <= 1.

    Returns:
        None when there are no values.
    """
    if not ordered:
        return None
    return ordered[math.ceil(share * len(ordered)) - 1]


def ratio(part: float, whole: float) -> float:
    """Return ``part / whole`` rounded to four places; 0 of nothing is 0."""
    return round(part / whole, 4) if whole else 0.0


def summarise(tally: Tally, elapsed_s: float) -> dict[str, Any]:
    """Return the summary of a run as JSON-able data.

    Args:
        tally: What was counted.
        elapsed_s: From the first request to the last answer.
    """
    ordered = sorted(tally.latencies_ms)
    return {
        "duration_s": round(elapsed_s, 3),
        "sent": tally.sent,
        "answered": tally.answered,
        "unanswered": tally.unanswered,
        "late": tally.late,
        "invalid": sum(tally.faults.values()),
        "rate_per_s": round(tally.answered / elapsed_s, 1) if elapsed_s > 0 else 0.0,
        "p50_ms": _rounded(percentile(ordered, 0.50)),
        "p95_ms": _rounded(percentile(ordered, 0.95)),
        "p99_ms": _rounded(percentile(ordered, 0.99)),
        "max_ms": _rounded(ordered[-1] if ordered else None),
        "bids": tally.bids,
        "bid_rate": ratio(tally.with_bid, tally.answered),
        "wins": tally.wins,
        "losses": tally.losses,
        "win_rate": ratio(tally.wins, tally.bids),
        "spend_micros": tally.spend_micros,
        "spend_usd": round(tally.spend_micros / _MICROS, 6),
        "clicks": tally.clicks,
        "conversions": tally.conversions,
        "explained": tally.explained,
        "fallbacks": tally.with_fallback,
        "fallback_rate": ratio(tally.with_fallback, tally.explained),
        "fallback_steps": dict(tally.fallback_steps),
        "no_bids": dict(tally.no_bids.most_common()),
        "faults": dict(tally.faults.most_common()),
        "events_sent": tally.events_sent,
        "events_acknowledged": tally.events_acknowledged,
        "events_repeated": tally.events_repeated,
        "event_errors": dict(tally.event_errors.most_common()),
        "resent": tally.resent,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
