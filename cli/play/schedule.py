"""When the next request is due: at a fixed rate, or whenever one was answered.

At a fixed rate a slow bidder doesn't slow the exchange down: each request has its own due time and
its latency counts from there, else the slowest answers would hide themselves.
"""

from __future__ import annotations

import math
from typing import Protocol


class Schedule(Protocol):
    """Decides how many requests may leave now."""

    def due(self, now_s: float, sent: int, in_flight: int) -> int:
        """Return how many requests are due.

        Args:
            now_s: Seconds since the start of the run.
            sent: Requests sent so far.
            in_flight: Requests without an answer so far.
        """

    def due_s(self, index: int, now_s: float) -> float:
        """Return when request ``index`` was due, in seconds since the start."""

    def next_s(self, sent: int) -> float:
        """Return when the next request is due, infinity when that depends on an answer."""


class AtRate:
    """So many requests a second, come what may.

    Args:
        rate_per_s: Requests a second, > 0.
        most_in_flight: A bound: with so many unanswered requests none is sent.
    """

    def __init__(self, rate_per_s: float, most_in_flight: int) -> None:
        self._rate_per_s = rate_per_s
        self._most_in_flight = most_in_flight

    def due(self, now_s: float, sent: int, in_flight: int) -> int:
        """See :meth:`Schedule.due`."""
        behind = int(now_s * self._rate_per_s) + 1 - sent
        return max(0, min(behind, self._most_in_flight - in_flight))

    def due_s(self, index: int, now_s: float) -> float:
        """See :meth:`Schedule.due_s`."""
        return min(index / self._rate_per_s, now_s)

    def next_s(self, sent: int) -> float:
        """See :meth:`Schedule.next_s`."""
        return sent / self._rate_per_s


class AsAnswered:
    """Always the same number of requests in flight.

    Args:
        concurrency: How many, > 0.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency

    def due(self, now_s: float, sent: int, in_flight: int) -> int:
        """See :meth:`Schedule.due`."""
        del now_s, sent
        return max(0, self._concurrency - in_flight)

    def due_s(self, index: int, now_s: float) -> float:
        """See :meth:`Schedule.due_s`."""
        del index
        return now_s

    def next_s(self, sent: int) -> float:
        """See :meth:`Schedule.next_s`."""
        del sent
        return math.inf
