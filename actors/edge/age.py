"""How old is a request when a loop comes to look at it?

Principle: ask the loop itself. While there is work, a timer is set every few milliseconds; by how
much it rings too late is how long everything waits that has become ready meanwhile, requests in the
kernel's buffers included. A loop whose timers are late has no time to rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE_S: Final = 0.005
"""Between two looks, while there is work."""
LATE_S: Final = 0.003
"""A timer that is later than this waited for others; a loop's own clock counts milliseconds."""


BEHIND_S: Final = 0.02
"""A loop whose work waits longer than this is behind with it ..."""
BEHIND_FOR_S: Final = 0.1
"""... and not for a moment only, if it has not rested for so long (as CoDel's interval)."""


class LoopAge:
    """What one loop knows of the age of its work.

    Args:
        clock: Monotonic seconds.
        call_later: Has something called after so many seconds, in the loop.

    Attributes:
        lag_s: How long what is served now has waited, as far as is known.
        awake_s: Since when the loop has not rested.
    """

    __slots__ = ("_call_later", "_clock", "_due_s", "_is_set", "_worked", "awake_s", "lag_s")

    def __init__(
        self,
        clock: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._clock = clock
        self._call_later = call_later
        self._is_set = self._worked = False
        self._due_s = 0.0
        self.lag_s = 0.0
        self.awake_s = clock()

    def arrived_s(self) -> float:
        """Return when what is served now came, as far as is known."""
        now_s = self._clock()
        self._worked = True
        if not self._is_set:
            self.awake_s = now_s
            self._set(now_s)
        elif now_s - self._due_s > self.lag_s:  # a timer that has not even rung yet tells as much
            self.lag_s = now_s - self._due_s
        return now_s - self.lag_s

    def is_behind(self) -> bool:
        """Tell whether there is more work than the loop gets to, and has been for some time."""
        return self.lag_s > BEHIND_S and self._clock() - self.awake_s > BEHIND_FOR_S

    def _set(self, now_s: float) -> None:
        self._is_set = True
        self._worked = False
        self._due_s = now_s + PROBE_S
        self._call_later(PROBE_S, self._rung)

    def _rung(self) -> None:
        now_s = self._clock()
        late_s = now_s - self._due_s
        if late_s > LATE_S:
            self.lag_s = late_s
        else:
            self.lag_s, self.awake_s = 0.0, now_s
        self._is_set = False
        if self._worked:
            self._set(now_s)
        else:
            self.lag_s, self.awake_s = 0.0, now_s
