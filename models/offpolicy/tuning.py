"""Chooses how strongly weights are shrunk or cut, from the log alone.

Two ways: the smallest bound on the mean squared error, where bias counts by its upper bound; and
SLOPE, which goes on towards more bias as long as the intervals of all before still overlap. The
bound is cautious about bias, SLOPE about variance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from models.offpolicy.estimators import Evidence, Floats, shrunk_weights, switched_weights

#: Shrinkages and thresholds tried, as multiples of the mean weight (1): the last is no change.
SHRINKAGES: Final = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4, np.inf)
THRESHOLDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, np.inf)

_NORMAL_95: Final = 1.959964

Change = Callable[[Floats, float], Floats]


def best_by_bound(
    seen: Evidence, change: Change, tried: Sequence[float], miss: float = 0.05
) -> float:
    """Return the setting with the smallest bound on the mean squared error (Su et al., 2020).

    Args:
        seen: The evidence; rewards lie in [0, 1].
        change: `shrunk_weights` or `switched_weights`.
        tried: Settings.
        miss: Chance that a bias exceeds its bound.
    """
    return min(tried, key=lambda setting: error_bound(seen, change(seen.weights, setting), miss))


def error_bound(seen: Evidence, changed: Floats, miss: float = 0.05) -> float:
    """Return variance plus squared bound of the bias, of DR with changed weights.

    The bias is ``E[(w - w') (r - q)]``. Its estimate is known up to Bernstein's inequality with
    ``|r - q| <= 1``, whatever the model: ``sqrt(2 E[(w - w')^2] ln(2/d) / N) + 2 max(w) ln(2/d) /
    (3 N)``.

    Args:
        seen: The evidence.
        changed: Weights ``w'``, shape ``(N,)``.
        miss: Chance ``d`` that the bias exceeds its bound.
    """
    count = len(changed)
    terms = seen.q_policy + changed * seen.surprise
    variance = float(terms.var(ddof=1)) / count
    cut = seen.weights - changed
    if not cut.any():
        return variance
    log = float(np.log(2.0 / miss))
    bias = abs(float((cut * seen.surprise).mean()))
    bias += float(np.sqrt(2.0 * (cut**2).mean() * log / count))
    bias += 2.0 * float(cut.max()) * log / (3.0 * count)
    return variance + bias**2


def best_by_slope(seen: Evidence, change: Change, tried: Sequence[float]) -> float:
    """Return the setting that SLOPE picks (Su, Srinath and Krishnamurthy, ICML 2020).

    From the least biased on, the intervals ``estimate +- 2 width`` are intersected; the last
    setting before the intersection is empty is picked.

    Args:
        seen: The evidence.
        change: `shrunk_weights` or `switched_weights`.
        tried: Settings; the larger, the less bias.
    """
    low, high = -np.inf, np.inf
    picked = max(tried)
    for setting in sorted(tried, reverse=True):
        terms = seen.q_policy + change(seen.weights, setting) * seen.surprise
        half = 2.0 * _NORMAL_95 * float(terms.std(ddof=1)) / np.sqrt(len(terms))
        mean = float(terms.mean())
        low, high = max(low, mean - half), min(high, mean + half)
        if low > high:
            break
        picked = setting
    return picked


__all__ = [
    "SHRINKAGES",
    "THRESHOLDS",
    "best_by_bound",
    "best_by_slope",
    "error_bound",
    "shrunk_weights",
    "switched_weights",
]
