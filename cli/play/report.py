"""The summary of a run as a person reads it."""

from __future__ import annotations

from typing import Any

from cli.output import dollars, print_facts

Summary = dict[str, Any]


def print_summary(summary: Summary) -> None:
    """Print what :func:`cli.play.summary.summarise` returned."""
    facts: list[tuple[str, object]] = [
        ("requests", _requests(summary)),
        ("rate", f"{summary['rate_per_s']:,.0f} answers/s over {summary['duration_s']:.1f} s"),
        ("latency", _latency(summary)),
        ("bids", f"{summary['bids']:,} ({summary['bid_rate']:.1%} of the answers have one)"),
        ("wins", _wins(summary)),
        ("users", f"{summary['clicks']:,} clicks, {summary['conversions']:,} conversions"),
        ("fallbacks", _fallbacks(summary)),
        ("events", _events(summary)),
    ]
    facts += [(f"no bid: {reason}", count) for reason, count in summary["no_bids"].items()]
    facts += [(f"invalid: {fault}", count) for fault, count in summary["faults"].items()]
    facts += [(f"event: {error}", count) for error, count in summary["event_errors"].items()]
    print_facts(facts)


def _requests(summary: Summary) -> str:
    counts = ("sent", "answered", "unanswered", "late", "invalid")
    again = f", {summary['resent']:,} sent again" if summary["resent"] else ""
    return ", ".join(f"{summary[name]:,} {name}" for name in counts) + again


def _latency(summary: Summary) -> str:
    shown = (("p50", "p50_ms"), ("p95", "p95_ms"), ("p99", "p99_ms"), ("worst", "max_ms"))
    return ", ".join(f"{name} {_ms(summary[key])}" for name, key in shown)


def _wins(summary: Summary) -> str:
    spent = dollars(summary["spend_micros"])
    return f"{summary['wins']:,} ({summary['win_rate']:.1%} of the bids), {spent} spent"


def _fallbacks(summary: Summary) -> str:
    by_step = ", ".join(f"{step} {count}" for step, count in summary["fallback_steps"].items())
    steps = f" ({by_step})" if by_step else ""
    return f"{summary['fallbacks']:,} of {summary['explained']:,} explained decisions{steps}"


def _events(summary: Summary) -> str:
    again = f", {summary['events_repeated']:,} repeated" if summary["events_repeated"] else ""
    return f"{summary['events_acknowledged']:,} of {summary['events_sent']:,} acknowledged{again}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"
