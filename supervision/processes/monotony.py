"""Monotony: of what happens again and again to the same actor, only so much a second is written.

An impression that crashes does so for every request; its thousand equal records would push all
others out of a file of bounded size.
"""

from __future__ import annotations

PER_SECOND = 20
"""Events of one kind about one actor that are written in each second."""
MOST_NAMES = 1_000
"""Kinds and actors that are told apart; then all are forgotten, which only writes more."""


class Monotony:
    """Counts by kind and actor, second by second."""

    def __init__(self, per_second: int = PER_SECOND) -> None:
        self._per_second = per_second
        self._counts: dict[tuple[str, str], tuple[int, int]] = {}

    def count(self, kind: str, path: str, now_s: float) -> int | None:
        """Note an event; return how many before it were suppressed, ``None`` if this one is."""
        second = int(now_s)
        last, number = self._counts.get((kind, path), (second, 0))
        if len(self._counts) > MOST_NAMES:
            self._counts.clear()
        if last == second:
            self._counts[kind, path] = (second, number + 1)
            return 0 if number < self._per_second else None
        self._counts[kind, path] = (second, 1)
        return max(0, number - self._per_second)
