"""Logistic regression with a ridge, by Newton's method, for a few dozen features and many rows."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TOLERANCE: Final = 1e-8


def fit_logistic(x: Floats, happened: Floats, ridge: Floats, steps: int = 30) -> Floats:
    """Return the weights of ``P(happened) = sigmoid(x . w)`` that maximise likelihood minus ridge.

    Args:
        x: Features, shape ``(N, F)``.
        happened: 0 or 1, shape ``(N,)``.
        ridge: How strongly each weight is pulled to zero, shape ``(F,)``, > 0 where features are
            collinear.
        steps: Most Newton steps.

    Returns:
        Shape ``(F,)``.
    """
    weights = np.zeros(x.shape[1])
    for _ in range(steps):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30.0, 30.0)))
        gradient = x.T @ (happened - chance) - ridge * weights
        curvature = chance * (1.0 - chance) + 1e-12
        step = np.linalg.solve((x * curvature[:, None]).T @ x + np.diag(ridge), gradient)
        weights += step
        if np.abs(step).max() < _TOLERANCE:
            break
    return weights
