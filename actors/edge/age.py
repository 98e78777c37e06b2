"""How old is a request when a loop comes to look at it?

Principle: what a loop serves now came while it was busy with the round before, at the earliest when
that began; a loop that rested in between was woken by what it serves. So a busy loop's requests are
taken for as old as its last round, which errs on the side of haste.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

REST_S: Final = 0.002
"""A pause that is shorter may be a loop's own doing; its clock counts milliseconds."""


class LoopAge:
    """What one asyncio loop knows of the age of its work.

    Args:
        turn_clock: The loop's own time: when its present round began.
        clock: The same clock as it is now.

    Attributes:
        awake_s: Since when the loop has not rested.
    """

    __slots__ = ("_clock", "_last_s", "_since_s", "_turn_clock", "_turn_s", "awake_s")

    def __init__(self, turn_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        self._turn_clock = turn_clock
        self._clock = clock
        self._turn_s = self._since_s = self.awake_s = turn_clock()
        self._last_s = clock()

    def arrived_s(self) -> float:
        """Return the moment before which what is served now cannot have come."""
        turn_s = self._turn_clock()
        if turn_s != self._turn_s:
            if turn_s - self._last_s > REST_S:
                self._since_s = self.awake_s = turn_s
            else:
                self._since_s = self._turn_s
            self._turn_s = turn_s
        self._last_s = self._clock()
        return self._since_s

    def worked(self) -> None:
        """Note that the loop is at work now."""
        self.arrived_s()
