"""Flights as sets of stretches of time, so that ads can be filed by them.

Principle: a segment tree over the moments at which flights begin or end. Time is cut into slots at
some of these moments; slots are leaves of a binary tree, and its nodes are stretches of time. A
flight is the few largest stretches that cover it (rounded outwards to whole slots); a moment lies
in one stretch of each size. A flight may be running at a moment only if they share a stretch.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: So many moments lie in one slot; the rules themselves look at the times.
_MOMENTS_PER_SLOT: Final = 4


class Calendar:
    """The stretches of time that matter to some flights.

    Args:
        moments: When flights begin or end, seconds since 1970.
    """

    def __init__(self, moments: Iterable[float]) -> None:
        ordered = sorted(set(moments))
        self._cuts: Sequence[float] = ordered[::_MOMENTS_PER_SLOT]
        self._slots = 1 << len(self._cuts).bit_length()  # a power of two above their number
        self.levels = self._slots.bit_length()
        self._every = range(1, 2 * self._slots)

    def flight(self, starts_s: float, ends_s: float) -> tuple[int, ...]:
        """Return the stretches that cover a flight; none for one without start and end."""
        if starts_s == float("-inf") and ends_s == float("inf"):
            return ()
        first = bisect_right(self._cuts, starts_s)
        return _cover(first + self._slots, bisect_left(self._cuts, ends_s) + 1 + self._slots)

    def moment(self, now_s: float | None) -> Sequence[int]:
        """Return the stretches in which a moment lies; of no moment in particular, all."""
        if now_s is None:
            return self._every
        stretch = bisect_right(self._cuts, now_s) + self._slots
        return [stretch >> level for level in range(self.levels)]


@lru_cache(maxsize=65_536)
def _cover(first: int, end: int) -> tuple[int, ...]:
    """Return the largest nodes that cover the leaves from ``first`` up to before ``end``."""
    found = []
    while first < end:
        if first & 1:
            found.append(first)
            first += 1
        if end & 1:
            end -= 1
            found.append(end)
        first >>= 1
        end >>= 1
    return tuple(found)
