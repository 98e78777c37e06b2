"""A run as a picture: four panels over one time axis, with the faults as bands behind them.

Plain SVG text; colours are classes, so that the page's style sheet gives them for light and dark.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Record = Mapping[str, Any]

WIDTH = 960
_LEFT, _RIGHT, _TOP = 56, 16, 30
_PANEL, _GAP = 96, 34
_MOST_BANDS = 40
_MOST_LABELS = 6
_TIME_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300)
_MOST_TIME_TICKS = 12
_LEAST_BAND = 3.0
_WIDEST_BAR = 12.0
_TICK_TOP, _TICK_HEIGHT, _TICK_WIDTH = 1, 12, 1.5
_LEAST_MS = 1.0


class Panel(NamedTuple):
    """One panel: its words, its class, its points ``(s, value)``, and how it is drawn."""

    title: str
    style: str
    points: Sequence[tuple[float, float | None]]
    bars: bool = False
    log: bool = False
    second: Sequence[tuple[float, float | None]] = ()
    second_title: str = ""


class Scale(NamedTuple):
    """From values to heights in one panel."""

    low: float
    high: float
    top: float
    log: bool

    def y(self, value: float) -> float:
        """Return the vertical place of a value."""
        low, high, at = self.low, self.high, max(value, self.low)
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(at)
        return self.top + _PANEL * (1 - (at - low) / (high - low))


def chart(run: Record) -> str:
    """Draw one run.

    Args:
        run: The block ``bidwright`` of a journal, with ``timeline``, ``faults``, ``events`` and
            ``window``.
    """
    begun_ts = float(run["window"]["begun_ts"])
    rows = [row for row in run["timeline"] if row["ts"] >= begun_ts - 1]
    if not rows:
        return ""
    span_s = max(1.0, float(rows[-1]["ts"]) - begun_ts)
    panels = panels_of(rows, run["events"], begun_ts, span_s)
    height = _TOP + len(panels) * (_PANEL + _GAP)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="the run over time">']
    parts += _bands(run["faults"], begun_ts, span_s, height - _GAP + 6)
    for index, panel in enumerate(panels):
        parts += _panel(panel, _TOP + index * (_PANEL + _GAP), span_s)
    parts += _time_axis(span_s, height - _GAP + 4)
    parts += _columns(rows, begun_ts, span_s, height - _GAP)
    parts.append("</svg>")
    return "\n".join(parts)


def panels_of(
    rows: Sequence[Record], events: Sequence[Record], begun_ts: float, span_s: float
) -> list[Panel]:
    """Return what is drawn: rate and late answers, latency, fallbacks, restarts."""
    at = [(float(row["ts"]) - begun_ts, row) for row in rows]
    answers = [(s, row["answered"] / row["for_s"]) for s, row in at if row["for_s"] > 0]
    late = [(s, row["late"] / row["for_s"]) for s, row in at if row["for_s"] > 0]
    p99 = [(s, row["p99_ms"]) for s, row in at]
    fallbacks = [
        (s, 100 * row["with_fallback"] / row["explained"] if row["explained"] else 0.0)
        for s, row in at
    ]
    return [
        Panel("answers a second", "rate", answers, second=late, second_title="late ones"),
        Panel("99th percentile of latency, ms (logarithmic)", "latency", p99, log=True),
        Panel("decisions with a fallback, per cent", "fallback", fallbacks, bars=True),
        Panel("restarts", "restart", _restarts(events, begun_ts, span_s), bars=True),
    ]


def _restarts(
    events: Sequence[Record], begun_ts: float, span_s: float
) -> list[tuple[float, float | None]]:
    """Count restarts in each quarter of a second, or in each hundredth of a long run."""
    step_s = max(0.25, span_s / 100)
    counts: dict[int, int] = {}
    for event in events:
        if event.get("kind") in ("restarted", "rebuilt"):
            slot = int((float(event["at_ts"]) - begun_ts) // step_s)
            counts[slot] = counts.get(slot, 0) + 1
    slots = range(math.ceil(span_s / step_s))
    return [((slot + 0.5) * step_s, float(counts.get(slot, 0))) for slot in slots]


def _x(at_s: float, span_s: float) -> float:
    share = min(max(at_s / span_s, 0.0), 1.0)
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * share


def _bands(faults: Sequence[Record], begun_ts: float, span_s: float, bottom: float) -> list[str]:
    """Draw each fault from its begin to its end; many of them as ticks above the panels."""
    few = len(faults) <= _MOST_BANDS
    parts = []
    for index, fault in enumerate(faults):
        begin_s = float(fault["at_ts"]) - begun_ts
        until_s = float(fault["ends_ts"]) - begun_ts
        left = _x(begin_s, span_s)
        width = max(_LEAST_BAND, _x(until_s, span_s) - left) if few else _TICK_WIDTH
        top, height = (_TOP - 6, bottom - _TOP) if few else (_TICK_TOP, _TICK_HEIGHT)
        words = escape(f"{fault['kind']} {fault['says']}".strip())
        whom = escape(", ".join(fault["targets"]))
        parts.append(
            f'<rect class="{"band" if few else "tick"}" x="{left:.1f}" y="{top}" '
            f'width="{width:.1f}" height="{height:.1f}">'
            f"<title>{words}: {whom}, {begin_s:.2f} s to {until_s:.2f} s</title></rect>"
        )
        if index < _MOST_LABELS and few:
            parts.append(_label(left, words, index))
    return parts


def _label(left: float, words: str, index: int) -> str:
    """Name a band above the panels, on one of two lines, inside the picture."""
    on_right = left > WIDTH * 0.7
    anchor = ' text-anchor="end"' if on_right else ""
    return f'<text class="fault" x="{left:.1f}" y="{10 + 12 * (index % 2)}"{anchor}>{words}</text>'


def _panel(panel: Panel, top: float, span_s: float) -> Iterator[str]:
    values = [value for _, value in (*panel.points, *panel.second) if value is not None]
    scale = _scale(values, top, log=panel.log)
    yield f'<text class="title" x="{_LEFT}" y="{top - 8:.1f}">{escape(panel.title)}'
    if panel.second_title:
        yield f'<tspan class="late-word" dx="10">{escape(panel.second_title)}</tspan>'
    yield "</text>"
    for value in _ticks(scale):
        y = scale.y(value)
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick-word" x="{_LEFT - 8}" y="{y + 4:.1f}">{value:g}</text>'
    if panel.bars:
        yield from _drawn_bars(panel, scale, span_s)
    else:
        yield from _drawn_line(panel.points, panel.style, scale, span_s)
        yield from _drawn_line(panel.second, "late", scale, span_s)


def _scale(values: Sequence[float], top: float, *, log: bool) -> Scale:
    most = max(values, default=0.0)
    if log:
        high = 10 ** math.ceil(math.log10(max(most, 10 * _LEAST_MS)))
        return Scale(_LEAST_MS, high, top, log=True)
    return Scale(0.0, _nice(most), top, log=False)


def _nice(most: float) -> float:
    """Return a round number that is not below the largest value."""
    if most <= 1:
        return 1.0
    unit = 10 ** math.floor(math.log10(most))
    return float(next(step * unit for step in (1, 2, 4, 5, 10) if step * unit >= most))


def _ticks(scale: Scale) -> list[float]:
    if scale.log:
        powers = range(round(math.log10(scale.low)), round(math.log10(scale.high)) + 1)
        return [10.0**power for power in powers]
    return [scale.low, scale.high / 2, scale.high] if scale.high > 1 else [scale.low, scale.high]


def _drawn_line(
    points: Sequence[tuple[float, float | None]], style: str, scale: Scale, span_s: float
) -> Iterator[str]:
    """Draw a line; where there is no value it has a gap."""
    pieces: list[list[str]] = [[]]
    for at_s, value in points:
        if value is None:
            pieces.append([])
        elif at_s >= 0:
            pieces[-1].append(f"{_x(at_s, span_s):.1f},{scale.y(value):.1f}")
    for piece in pieces:
        if piece:
            yield f'<polyline class="line {style}" points="{" ".join(piece)}"/>'


def _drawn_bars(panel: Panel, scale: Scale, span_s: float) -> Iterator[str]:
    room = (WIDTH - _LEFT - _RIGHT) / max(len(panel.points), 1)
    width = min(max(1.0, room - 1.5), _WIDEST_BAR)
    bottom = scale.y(scale.low)
    for at_s, value in panel.points:
        if value and at_s >= 0:
            x, y = _x(at_s, span_s) - width / 2, scale.y(value)
            yield (
                f'<rect class="bar {panel.style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
                f'height="{bottom - y:.1f}" rx="1.5"/>'
            )


def _time_axis(span_s: float, y: float) -> Iterator[str]:
    fitting = (step for step in _TIME_STEPS if span_s / step <= _MOST_TIME_TICKS)
    step_s = next(fitting, _TIME_STEPS[-1])
    for number in range(int(span_s / step_s) + 1):
        at_s = number * step_s
        yield f'<text class="time" x="{_x(at_s, span_s):.1f}" y="{y + 10:.1f}">{at_s} s</text>'


def _columns(
    rows: Sequence[Record], begun_ts: float, span_s: float, bottom: float
) -> Iterator[str]:
    """Lay invisible columns over the panels that tell their numbers when pointed at."""
    for row in rows:
        at_s = float(row["ts"]) - begun_ts
        if at_s < 0:
            continue
        left = _x(at_s - float(row["for_s"]), span_s)
        words = (
            f"{at_s:.2f} s: {row['answered']} answered, {row['late']} late, "
            f"p99 {row['p99_ms']} ms, {row['with_fallback']} of {row['explained']} explained "
            "with a fallback"
        )
        yield (
            f'<rect class="column" x="{left:.1f}" y="{_TOP}" '
            f'width="{max(1.0, _x(at_s, span_s) - left):.1f}" height="{bottom - _TOP:.1f}">'
            f"<title>{words}</title></rect>"
        )
