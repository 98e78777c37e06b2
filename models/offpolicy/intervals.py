"""How sure an estimate is, and whether it may be believed at all.

Letters: N decisions, R resamples.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation import Interval

Floats = NDArray[np.float64]

RESAMPLES: Final = 1_000
#: Longer logs are drawn anew in so many stretches of time instead of decision by decision.
STRETCHES: Final = 5_000
LEAST_SAMPLE: Final = 500.0
LEAST_SHARE: Final = 0.05
_LONG: Final = 4 * STRETCHES
_BLOCK: Final = 2_000_000


class Gate(msgspec.Struct, frozen=True):
    """Whether the log knows enough of a policy.

    Attributes:
        sample: Effective number of decisions, ``(sum w)^2 / sum w^2`` (Kish, 1965).
        share: Of all decisions.
        passed: At least 500 of them, and at least 5 % of all.
    """

    sample: float
    share: float
    passed: bool


def effective_sample(weights: Floats) -> Gate:
    """Return the effective sample of weights and whether it is enough.

    Args:
        weights: Shape ``(N,)``, N >= 1.
    """
    squares = float((weights**2).sum())
    sample = float(weights.sum()) ** 2 / squares if squares > 0.0 else 0.0
    share = sample / len(weights)
    return Gate(sample, share, sample >= LEAST_SAMPLE and share >= LEAST_SHARE)


def bootstrap(terms: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Interval:
    """Return the mean of terms with its 95 % percentile interval.

    Args:
        terms: Shape ``(N,)``, N >= 1.
        rng: Source of chance.
        resamples: R.
    """
    low, high = np.quantile(resampled_means(terms, rng, resamples), (0.025, 0.975))
    return Interval(float(terms.mean()), float(low), float(high))


def resampled_means(terms: Floats, rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """Return means of resamples, shape ``(R,)``.

    Long logs are cut into stretches of equal length, which are drawn as a whole: as good, and fair
    to what lasts longer than one decision.
    """
    if len(terms) > _LONG:
        terms = np.array([each.mean() for each in np.array_split(terms, STRETCHES)])
    total = len(terms)
    block = max(1, _BLOCK // total)
    means = [
        terms[rng.integers(0, total, (min(block, resamples - at), total))].mean(axis=1)
        for at in range(0, resamples, block)
    ]
    return np.concatenate(means)


def bernstein(terms: Floats, span: float, miss: float = 0.05) -> Interval:
    """Return the mean of terms with an interval that needs no large sample.

    Empirical Bernstein (Maurer and Pontil, 2009, theorem 4), each side with half of the chance to
    miss: ``sqrt(2 V ln(4/d) / N) + 7 span ln(4/d) / (3 (N - 1))``.

    Args:
        terms: Shape ``(N,)``, N >= 2.
        span: Greatest difference that two terms could ever have.
        miss: Chance ``d`` that the truth lies outside.
    """
    return _around(terms, _bernstein_half(terms, span, miss / 2.0))


def lower_bound(terms: Floats, span: float, miss: float = 0.05) -> float:
    """Return a value that the mean exceeds with chance ``1 - miss`` (one side of `bernstein`)."""
    return float(terms.mean()) - _bernstein_half(terms, span, miss)


def _bernstein_half(terms: Floats, span: float, miss: float) -> float:
    count = len(terms)
    if count < 2:
        return span
    log = np.log(2.0 / miss)
    spread = np.sqrt(2.0 * terms.var(ddof=1) * log / count)
    return float(spread + 7.0 * span * log / (3.0 * (count - 1)))


def _around(terms: Floats, half: float) -> Interval:
    mean = float(terms.mean())
    return Interval(mean, mean - half, mean + half)
