"""What happened when: a line of counts for every quarter of a second of a run.

A summary says how much; whoever hurts a node on purpose wants to know when. Lines are written while
the exchange plays, so that another process can read them meanwhile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cli.play.summary import percentile

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from cli.play.summary import Tally

EVERY_S = 0.25
_COUNTS = (
    "sent",
    "answered",
    "unanswered",
    "late",
    "with_bid",
    "explained",
    "with_fallback",
    "wins",
    "events_acknowledged",
)


class Timeline:
    """Writes the increase of a tally's counts, one JSON object a line.

    A line has ``ts`` (Unix time of its end), ``for_s`` (what it covers), the counts of
    :class:`~cli.play.summary.Tally` in that time, ``p50_ms``, ``p99_ms`` and ``max_ms`` of the
    answers in it (None without any) and ``in_flight`` at its end.

    Args:
        file: Where lines go; each is flushed.
        wall: Unix time in seconds.
        every_s: What one line covers at least.
    """

    def __init__(self, file: TextIO, wall: Callable[[], float], every_s: float = EVERY_S) -> None:
        self._file = file
        self._wall = wall
        self._every_s = every_s
        self._begun_s = 0.0
        self._latencies = 0
        self._before = dict.fromkeys(_COUNTS, 0)

    def __call__(self, now_s: float, tally: Tally) -> None:
        """Write a line if it is time; ``now_s`` counts from the start of the run."""
        if now_s - self._begun_s >= self._every_s:
            self.write(now_s, tally)

    def write(self, now_s: float, tally: Tally) -> None:
        """Write what happened since the last line."""
        counts = {name: int(getattr(tally, name)) for name in _COUNTS}
        line: dict[str, Any] = {"ts": round(self._wall(), 3)}
        line["for_s"] = round(now_s - self._begun_s, 3)
        line |= {name: counts[name] - self._before[name] for name in _COUNTS}
        line["in_flight"] = tally.sent - tally.answered - tally.unanswered
        line |= self._percentiles(tally)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._before, self._begun_s = counts, now_s

    def _percentiles(self, tally: Tally) -> dict[str, float | None]:
        ordered = sorted(tally.latencies_ms[self._latencies :])
        self._latencies = len(tally.latencies_ms)
        shown = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0}
        values = {name: percentile(ordered, share) for name, share in shown.items()}
        return {name: None if at is None else round(at, 2) for name, at in values.items()}
