"""Time, handed in: the real clocks, and a virtual one that a test moves by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never run backwards; the origin means nothing."""

    def __call__(self) -> float:
        """Return the present moment in seconds."""


class VirtualClock:
    """A clock that stands still until it is moved; its cell jumps from timer to timer."""

    def __init__(self, now_s: float = 0.0) -> None:
        self._now_s = now_s

    def __call__(self) -> float:
        """Return the present virtual moment in seconds."""
        return self._now_s

    def advance(self, delta_s: float) -> None:
        """Move on by ``delta_s`` seconds.

        Raises:
            ValueError: ``delta_s`` is negative.
        """
        if delta_s < 0:
            raise ValueError(f"time runs forward only, not by {delta_s} s")
        self._now_s += delta_s


def monotonic_clock() -> Clock:
    """Return the machine's monotonic clock (shared by all processes of one machine)."""
    return time.monotonic


class WallClock:
    """Seconds since 1970, as a machine's clock shows them: it may be set, and then jumps.

    Attributes:
        ahead_s: By how much it was set wrong on purpose.
    """

    def __init__(self, true: Clock) -> None:
        self.ahead_s = 0.0
        self._true = true

    def __call__(self) -> float:
        """Return the present moment in seconds since 1970."""
        return self._true() + self.ahead_s


_wall = WallClock(time.time)  # noqa: TID251 - the edge of the process: here time comes in


def wall_clock() -> WallClock:
    """Return this process's wall clock; the only one that it has, as of what it stands for."""
    return _wall
