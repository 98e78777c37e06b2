"""What happened in the last seconds, by name: counts, and times as a histogram.

Principle: those who count pay nothing; who looks pays little, and always the same. Times are put
into geometric buckets in bulk (one call for some hundred of them), so a percentile is within a few
per cent of the truth however many there were, and the memory is bounded by the number of names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

    from supervision.clock import Clock

WINDOW_S: Final = 10
"""How far back it looks; the present second counts as one."""

_LEAST_MS: Final = 0.001
_GROWTH: Final = 1.05
_BUCKETS: Final = 380  # up to 100 s
_LOG_GROWTH: Final = float(np.log(_GROWTH))


class Recent:
    """Counts and times of the last :data:`WINDOW_S` seconds.

    Args:
        clock: Monotonic seconds.
    """

    __slots__ = ("_born_s", "_clock", "_counts", "_second", "_times")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._born_s = clock()
        self._second = int(self._born_s)
        self._counts: dict[Hashable, NDArray[np.int64]] = {}  # (second of the window,)
        self._times: dict[Hashable, NDArray[np.int32]] = {}  # (second of the window, bucket)

    def count(self, name: Hashable, number: int) -> None:
        """Add to a count."""
        if number:
            self._turn()
            counts = self._counts.setdefault(name, np.zeros(WINDOW_S, np.int64))
            counts[self._second % WINDOW_S] += number

    def times(self, name: Hashable, taken_ms: Sequence[float]) -> None:
        """Add times, in milliseconds."""
        if not taken_ms:
            return
        self._turn()
        times = self._times.setdefault(name, np.zeros((WINDOW_S, _BUCKETS), np.int32))
        ratios = np.maximum(np.asarray(taken_ms), _LEAST_MS) / _LEAST_MS
        buckets = np.minimum((np.log(ratios) / _LOG_GROWTH).astype(np.intp), _BUCKETS - 1)
        times[self._second % WINDOW_S] += np.bincount(buckets, minlength=_BUCKETS).astype(np.int32)

    def total(self, name: Hashable) -> int:
        """Return a count over the window."""
        self._turn()
        counts = self._counts.get(name)
        return 0 if counts is None else int(counts.sum())

    def percentiles_ms(self, name: Hashable, *shares: float) -> list[float | None]:
        """Return the times that these shares of all are not above; None for each if there are none.

        Args:
            name: Of the times.
            shares: Each above 0, at most 1.
        """
        self._turn()
        times = self._times.get(name)
        below = None if times is None else np.cumsum(times.sum(axis=0))
        if below is None or not below[-1]:
            return [None] * len(shares)
        ranks = np.ceil(np.asarray(shares) * below[-1])
        middles = np.searchsorted(below, ranks) + 0.5
        return [round(float(_LEAST_MS * _GROWTH**middle), 4) for middle in middles]

    def span_s(self) -> float:
        """Return how many seconds the window covers now; less than its length at the beginning."""
        now_s = self._turn()
        return min(now_s - self._born_s, WINDOW_S - 1 + now_s - self._second)

    def _turn(self) -> float:
        """Forget what is too old; return the time."""
        now_s = self._clock()
        passed = int(now_s) - self._second
        if passed > 0:
            old = [(self._second + 1 + index) % WINDOW_S for index in range(min(passed, WINDOW_S))]
            self._second += passed
            for counts in self._counts.values():
                counts[old] = 0
            for times in self._times.values():
                times[old] = 0
        return now_s
