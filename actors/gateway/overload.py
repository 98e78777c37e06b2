"""How much may be in hand at one time, so that what is begun is finished in time.

Principle: measure, do not model. Nobody knows beforehand what a decision costs on this machine at
this hour; but each answer tells which share of its time it has used. When many use too much of it
while the loop never rests, less may be begun; while they use little and there is demand, more. That
is additive increase, multiplicative decrease (Chiu and Jain, 1989) on the time from arrival to
answer, the signal of CoDel (Nichols and Jacobson, 2012), and it stays still when answers are late
for another reason than want of processor time.

Where others take the processor away now and then, some answers are slow however little is in hand,
and a bound that only ever heard of slow answers would fall until the loop starved. So it does not
fall below what is in hand at the present pace when answers take a good part of their time: in hand
= pace x time (Little, 1961).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from supervision.clock import Clock

LEAST: Final = 16
"""In hand there may always be so many: the sick must see some work to be found well."""
FIRST: Final = 64
TARGET_SHARE: Final = 0.3
"""An answer that used more of its time than this is slow."""
SLOW_SHARE: Final = 0.1
"""With more slow answers than this there is too much in hand."""
INTERVAL_S: Final = 0.02
FEWEST: Final = 16
"""Answers that make a judgement."""
BUSY_S: Final = 0.01
"""A loop that has not rested for so long is short of processor time."""
FLOOR_SHARE: Final = 0.2
"""Of its time, what an answer takes on average with as much in hand as there may always be."""
PACE_S: Final = 0.25
"""Over so long the pace of answers is averaged."""
_DECREASE: Final = 0.85
_INCREASE: Final = 1.05
_DEMAND: Final = 0.75
_FORGET: Final = 0.1


class Limiter:
    """The bound of what is in hand, moved by what the answers tell.

    Args:
        clock: Monotonic seconds.
        most: The bound is never above this.

    Attributes:
        limit: The bound now.
        typical_s: How long answers took lately, until their departure.
    """

    __slots__ = (
        "_allowed_s",
        "_answers",
        "_clock",
        "_demand",
        "_judged_s",
        "_most",
        "_pace",
        "_slow",
        "limit",
        "typical_s",
    )

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self.limit = float(min(FIRST, most))
        self.typical_s = 0.0
        self._answers = 0
        self._slow = 0
        self._demand = 0
        self._pace = 0.0
        self._allowed_s = 0.0
        self._judged_s = clock()

    def has_room(self, in_hand: int) -> bool:
        """Tell whether one more may be begun.

        Args:
            in_hand: What is begun and not finished.
        """
        self._demand = max(self._demand, in_hand)
        return in_hand < self.limit

    def answered(self, taken_s: float, time_s: float, awake_s: float) -> None:
        """Learn from an answer that leaves.

        Args:
            taken_s: Until now, from its arrival, or from when it was begun where what it had waited
                before is not the doing of what is in hand.
            time_s: What it was allowed to take since the same moment.
            awake_s: Since when the loop that does the work has not rested.
        """
        self.typical_s += _FORGET * (taken_s - self.typical_s)
        self._allowed_s += (_FORGET if self._allowed_s else 1.0) * (time_s - self._allowed_s)
        self._answers += 1
        self._slow += taken_s > TARGET_SHARE * time_s
        if self._answers >= FEWEST:
            now_s = self._clock()
            passed_s = now_s - self._judged_s
            if passed_s >= INTERVAL_S:
                pace = self._answers / passed_s
                weight = min(1.0, passed_s / PACE_S) if self._pace else 1.0
                self._pace += weight * (pace - self._pace)
                self._judge(now_s - awake_s > BUSY_S)
                self._judged_s = now_s

    def _judge(self, busy: bool) -> None:  # noqa: FBT001 - one of two facts
        if self._slow <= SLOW_SHARE * self._answers:
            if self._demand >= _DEMAND * self.limit:
                self.limit = min(float(self._most), self.limit * _INCREASE + 1.0)
        elif busy:
            proper = max(float(LEAST), self._pace * FLOOR_SHARE * self._allowed_s)
            self.limit = min(float(self._most), max(proper, self.limit * _DECREASE))
        self._answers = self._slow = self._demand = 0
