"""Numbers with their uncertainty: means, paired differences and calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

Floats = NDArray[np.float64]

_NORMAL_95: Final = 1.959964


class Interval(msgspec.Struct, frozen=True):
    """A mean with its 95 % interval.

    Attributes:
        mean: The estimate.
        low: Lower end.
        high: Upper end.
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def mean_interval(values: Floats) -> Interval:
    """Return the mean of independent values, with the interval of the central limit theorem.

    Args:
        values: Shape ``(N,)``, N >= 1.
    """
    mean = float(values.mean())
    half = _NORMAL_95 * float(values.std()) / np.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def clustered_interval(values: Floats, clusters: Sequence[Hashable]) -> Interval:
    """Return the mean of values that depend on each other within clusters, with its interval.

    The variance of the sum is the sum over clusters of the squared sum of their residuals (Liang
    and Zeger, 1986).

    Args:
        values: Shape ``(N,)``, N >= 1.
        clusters: To which cluster each value belongs, length N.
    """
    mean = float(values.mean())
    number = {name: at for at, name in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros(len(number))
    np.add.at(sums, [number[name] for name in clusters], values - mean)
    half = _NORMAL_95 * float(np.sqrt((sums**2).sum())) / len(values)
    return Interval(mean, mean - half, mean + half)


def calibration_error(predicted: Floats, happened: Floats, bins: int = 10) -> float:
    """Return the expected calibration error: mean |predicted - observed| over bins of equal size.

    Args:
        predicted: Chances, shape ``(N,)``.
        happened: 0 or 1, shape ``(N,)``.
        bins: How many bins.
    """
    order = np.argsort(predicted, kind="stable")
    groups = np.array_split(order, bins)
    gaps = [abs(predicted[g].mean() - happened[g].mean()) * len(g) for g in groups if len(g)]
    return float(np.sum(gaps) / len(predicted))


def log_loss(predicted: Floats, happened: Floats) -> float:
    """Return the mean negative log-likelihood of outcomes.

    Args:
        predicted: Chances, shape ``(N,)``.
        happened: 0 or 1, shape ``(N,)``.
    """
    safe = np.clip(predicted, 1e-9, 1.0 - 1e-9)
    return float(-(happened * np.log(safe) + (1.0 - happened) * np.log1p(-safe)).mean())


def area_under_curve(scores: Floats, happened: Floats) -> float:
    """Return the chance that an event is ranked above a non-event (ROC AUC; ties by order).

    Args:
        scores: Shape ``(N,)``.
        happened: 0 or 1 with both present, shape ``(N,)``.
    """
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    events = happened > 0
    positives = int(events.sum())
    negatives = len(scores) - positives
    return float((ranks[events].sum() - positives * (positives + 1) / 2) / (positives * negatives))
