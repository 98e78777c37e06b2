"""What a run amounts to in numbers: pure functions of its records."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from cli.chaos.target import path_of
from cli.play.summary import percentile, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Record = Mapping[str, Any]

_NOTICED = frozenset({"crashed", "start_failed", "killed", "gave_up", "rebuilt", "fallback_on"})
_BACK = frozenset({"restarted", "rebuilt"})
_SLACK_S = 0.002
"""Events carry milliseconds."""


def detect_s(faults: Sequence[Record], events: Sequence[Record]) -> float | None:
    """Return the longest time from a fault to the first event about one of its targets.

    None when no fault was noticed at all (nothing that it did was worth a report).
    """
    found = [
        noticed for fault in faults if (noticed := _first(fault, events, _NOTICED)) is not None
    ]
    return round(max(found), 3) if found else None


def restart_s(fault: Record, events: Sequence[Record]) -> float | None:
    """Return the time from a fault to the first restart of a target; None if there was none."""
    return _first(fault, events, _BACK)


def hits(fault: Record, events: Iterable[Record]) -> int | None:
    """Return how often a fault struck, as the node says at its end; None if it says nothing."""
    told = [
        event["offender"]["hits"]
        for event in events
        if event.get("kind") == "fault_off"
        and event["at_ts"] >= float(fault["at_ts"]) - _SLACK_S
        and _is_about(event, fault["targets"])
        and (event.get("offender") or {}).get("fault", {}).get("kind") == fault["kind"]
        and "hits" in event["offender"]
    ]
    return sum(told) if told else None


def _is_about(event: Record, targets: Iterable[str]) -> bool:
    """Tell whether an event is about one of the parts, or about something inside it."""
    path = path_of(str(event.get("address", "")))
    return any(path == target or path.startswith(f"{target}/") for target in targets)


def _first(fault: Record, events: Iterable[Record], kinds: frozenset[str]) -> float | None:
    """Return seconds from the fault to the first such event about a target or what is above it."""
    at_ts = float(fault["at_ts"])
    for event in events:
        if event.get("kind") in kinds and event["at_ts"] >= at_ts - _SLACK_S:
            about = path_of(str(event.get("address", "")))
            if any(path == about or path.startswith(f"{about}/") for path in fault["targets"]):
                return max(0.0, float(event["at_ts"]) - at_ts)
    return None


def recover_s(faults: Sequence[Record]) -> float | None:
    """Return the longest time from a fault to a whole tree; None if one never was over."""
    times = [
        fault["recovered_ts"] - fault["at_ts"] if fault["recovered_ts"] is not None else None
        for fault in faults
    ]
    if None in times:
        return None
    return round(max((time for time in times if time is not None), default=0.0), 3)


def steady_p99_ms(rows: Sequence[Record], until_ts: float) -> float | None:
    """Return the median of the timeline's 99th percentiles before the method."""
    found = [row["p99_ms"] for row in rows if row["ts"] <= until_ts and row["p99_ms"] is not None]
    return round(median(found), 2) if found else None


def worst_p99_ms(rows: Sequence[Record], since_ts: float) -> float | None:
    """Return the worst of the timeline's 99th percentiles from the method on."""
    found = [row["p99_ms"] for row in rows if row["ts"] > since_ts and row["p99_ms"] is not None]
    return max(found, default=None)


def numbers_of_load(load: Record) -> dict[str, Any]:
    """Return what the exchange's summary says, under the names of a result."""
    return {
        "requests": load["sent"],
        "answered": load["answered"],
        "unanswered": load["unanswered"],
        "late": load["late"],
        "late_share": ratio(load["late"], load["answered"]),
        "invalid": load["invalid"],
        "bids": load["bids"],
        "wins": load["wins"],
        "fallbacks": load["fallbacks"],
        "explained": load["explained"],
        "p50_ms": load["p50_ms"],
        "p99_ms": load["p99_ms"],
        "worst_ms": load["max_ms"],
        "spend_micros": load["spend_micros"],
    }


_STRUCK = frozenset({"fault_on", "killed", "crashed"})


def mttr_s(fault: Record, events: Sequence[Record]) -> float | None:
    """Return the time from when a fault struck, as the node says, to the restart of its target.

    None when the target was not started anew by itself: it came back with what is above it.
    """
    (path,) = fault["targets"]
    since_ts = float(fault["at_ts"]) - _SLACK_S
    struck = next(
        (
            float(event["at_ts"])
            for event in events
            if event.get("kind") in _STRUCK and event["at_ts"] >= since_ts and _of(event) == path
        ),
        None,
    )
    if struck is None:
        return None
    for event in events:
        if event.get("kind") in _BACK and event["at_ts"] >= struck:
            about = _of(event)
            if path == about or path.startswith(f"{about}/"):
                return float(event["at_ts"]) - struck if path == about else None
    return None


def _of(event: Record) -> str:
    return path_of(str(event.get("address", "")))


def spread(times_s: Sequence[float]) -> dict[str, float | int]:
    """Return how many times there are, their median and their 95th percentile."""
    ordered = sorted(times_s)
    at_95 = percentile(ordered, 0.95)
    return {
        "number": len(ordered),
        "median_s": round(median(ordered), 4) if ordered else 0.0,
        "p95_s": round(at_95, 4) if at_95 is not None else 0.0,
    }
