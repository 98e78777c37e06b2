"""Makes scores honest: chances that are as often right as they say.

Fitted on data that the scorer was not fitted to. *Platt* (1999) shifts and scales the log-odds: two
numbers, for few data. *Isotonic* regression (pool adjacent violators; Zadrozny and Elkan, 2002)
takes any rising shape: many numbers, for many data. Both keep the order of scores.

Letters: N scores, B levels.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.regression import fit_logistic

Floats = NDArray[np.float64]

_SMALLEST: Final = 1e-7
#: Platt's own remedy against certainty: outcomes are that of one more success and failure.
_RIDGE: Final = 1e-3


class Platt(msgspec.Struct, frozen=True):
    """``sigmoid(offset + slope * logit(score))``; the slope is 0 at least.

    Attributes:
        offset: Added to the log-odds.
        slope: Scales the log-odds.
    """

    offset: float
    slope: float

    def __call__(self, scores: Floats) -> Floats:
        """Return chances, shape ``(N,)``."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.offset + self.slope * logit(scores)))))


class Isotonic(msgspec.Struct, frozen=True):
    """A rising curve through B levels, straight between them and flat beyond.

    Attributes:
        scores: Mean score of each level, rising, shape ``(B,)``.
        chances: Chance at each, rising, shape ``(B,)``.
    """

    scores: Floats
    chances: Floats

    def __call__(self, scores: Floats) -> Floats:
        """Return chances, shape ``(N,)``."""
        return np.asarray(np.interp(scores, self.scores, self.chances))


class Bin(msgspec.Struct, frozen=True):
    """One bin of a reliability diagram.

    Attributes:
        count: Scores in it.
        predicted: Their mean.
        happened: Share of events.
    """

    count: int
    predicted: float
    happened: float


def logit(chances: Floats) -> Floats:
    """Return log-odds, of certainty large but finite, shape ``(N,)``."""
    safe = np.clip(chances, _SMALLEST, 1.0 - _SMALLEST)
    return np.asarray(np.log(safe / (1.0 - safe)))


def fit_platt(scores: Floats, happened: Floats) -> Platt:
    """Fit offset and slope by maximum likelihood.

    Args:
        scores: In [0, 1], shape ``(N,)``.
        happened: 0 or 1, shape ``(N,)``.
    """
    odds = logit(scores)
    x = np.stack([np.ones_like(odds), odds], axis=1)
    offset, slope = fit_logistic(x, happened, np.full(2, _RIDGE))
    if slope < 0.0:  # scores that mislead are worth nothing, but order must not be turned round
        mean = (happened.sum() + 1.0) / (len(happened) + 2.0)
        return Platt(float(logit(np.array([mean]))[0]), 0.0)
    return Platt(float(offset), float(slope))


def fit_isotonic(scores: Floats, happened: Floats) -> Isotonic:
    """Fit a rising curve by least squares: pool adjacent violators.

    Each level gets half an event and half a non-event more (Krichevsky and Trofimov), at the common
    rate, so that no chance is 0 or 1.

    Args:
        scores: Shape ``(N,)``, N >= 1.
        happened: 0 or 1, shape ``(N,)``.
    """
    values, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    events = np.bincount(which, happened).astype(np.float64)
    pools = _pooled(values * counts, events, counts.astype(np.float64))
    weight = pools[:, 2]
    rate = float(happened.sum() + 0.5) / (len(happened) + 1.0)
    chances = np.maximum.accumulate((pools[:, 1] + rate) / (weight + 1.0))
    return Isotonic(pools[:, 0] / weight, chances)


def _pooled(sums: Floats, events: Floats, counts: Floats) -> Floats:
    """Return pools as rows of (sum of scores, events, count), with rising rates, shape (B, 3)."""
    pools: list[tuple[float, float, float]] = []
    for pool in zip(sums.tolist(), events.tolist(), counts.tolist(), strict=True):
        last = pool
        while pools and pools[-1][1] * last[2] >= last[1] * pools[-1][2]:
            before = pools.pop()
            last = (before[0] + last[0], before[1] + last[1], before[2] + last[2])
        pools.append(last)
    return np.array(pools)


def reliability(predicted: Floats, happened: Floats, bins: int = 10) -> tuple[Bin, ...]:
    """Return bins of equal size in the order of the predictions.

    Args:
        predicted: Shape ``(N,)``.
        happened: 0 or 1, shape ``(N,)``.
        bins: How many.
    """
    groups = np.array_split(np.argsort(predicted, kind="stable"), bins)
    return tuple(
        Bin(len(rows), float(predicted[rows].mean()), float(happened[rows].mean()))
        for rows in groups
        if len(rows)
    )
