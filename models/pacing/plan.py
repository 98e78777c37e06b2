"""Which share of a budget belongs before which moment: evenly, or as the traffic comes.

A plan is a density over time: the weight of each hour of the UTC day. Equal weights are an even
plan; weights in proportion to the traffic that is expected spend the same for each impression that
is offered, so the price level can stay where it is while the traffic rises and falls.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

HOURS: Final = 24
HOUR_S: Final = 3600.0
DAY_S: Final = HOURS * HOUR_S

#: Weights of a plan that spends as much by night as by day.
EVEN: Final = (1.0,) * HOURS


class SpendPlan:
    """The share of a budget that should be spent by each moment between a start and an end.

    Args:
        starts_s: First moment, Unix seconds.
        ends_s: End, Unix seconds.
        weights: Weight of each hour of the UTC day, 24 numbers >= 0, not all 0.
    """

    __slots__ = ("_before", "_from", "_whole", "ends_s", "starts_s", "weights")

    def __init__(self, starts_s: float, ends_s: float, weights: tuple[float, ...] = EVEN) -> None:
        if len(weights) != HOURS or min(weights) < 0.0 or max(weights) <= 0.0:
            raise ValueError(f"weights are {HOURS} numbers >= 0, one above 0, not {weights}")
        self.starts_s = starts_s
        self.ends_s = ends_s
        self.weights = weights
        self._before = (0.0, *accumulate(weights))
        self._from = self._weight_until(starts_s)
        self._whole = self._weight_until(ends_s) - self._from

    def share(self, at_s: float) -> float:
        """Return the share of the budget, 0..1, that belongs before a moment.

        A plan without weight (it has no length, or all its hours weigh nothing) is even.

        Args:
            at_s: Unix seconds.
        """
        if at_s >= self.ends_s:
            return 1.0
        if at_s <= self.starts_s:
            return 0.0
        if self._whole <= 0.0:
            return (at_s - self.starts_s) / (self.ends_s - self.starts_s)
        return (self._weight_until(at_s) - self._from) / self._whole

    def between(self, from_s: float, until_s: float) -> float:
        """Return the share of the budget, 0..1, that belongs between two moments."""
        return max(self.share(until_s) - self.share(from_s), 0.0)

    def _weight_until(self, at_s: float) -> float:
        """Return the weight of all hours since 1970, the last one in part."""
        days, rest_s = divmod(at_s, DAY_S)
        hour, part_s = divmod(rest_s, HOUR_S)
        index = min(int(hour), HOURS - 1)
        part = self.weights[index] * part_s / HOUR_S
        return days * self._before[HOURS] + self._before[index] + part
