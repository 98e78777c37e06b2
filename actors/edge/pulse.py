"""Does a thread's loop still go round? A ping now and then, and a limit for its answer.

Who was kept from running itself (a stopped process, a busy machine) cannot tell whether the other
was silent, so a beat that comes late asks again and judges nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LATE_BEATS: Final = 3
"""A beat that is late by so many intervals says nothing about the other."""


@dataclass(slots=True)
class Pulse:
    """The memory of a watcher.

    Attributes:
        interval_s: Time between two beats.
        limit_s: How long an answer may take.
        number: Of the last ping sent.
        sent_s: When it was sent.
        beat_s: When the last beat was.
    """

    interval_s: float
    limit_s: float
    number: int = 0
    sent_s: float = 0.0
    beat_s: float = 0.0

    def beat(self, now_s: float, answered: int) -> bool:
        """Note a beat; ``number`` is the ping to send, if it has grown.

        Args:
            now_s: On any clock that never runs back.
            answered: Number of the last ping that was answered.

        Returns:
            False when the answer to the last ping is overdue.
        """
        was_awake = now_s - self.beat_s <= LATE_BEATS * self.interval_s
        self.beat_s = now_s
        if answered == self.number or not was_awake:
            self.number += 1
            self.sent_s = now_s
            return True
        return now_s - self.sent_s <= self.limit_s
