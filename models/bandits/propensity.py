"""Chances of arms: shares of draws that prefer each, lifted to a floor.

A policy that picks one draw of S by chance and plays its best arm has exactly these chances: they
are the propensities to log, without error. The floor keeps every logged weight bounded.

Letters: N decisions, K arms, S draws.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: No arm is played with less chance, but for many arms: then all floors together take a tenth.
FLOOR: Final = 0.01
MOST_FLOORED: Final = 0.1


def floor_of(arms: int, floor: float = FLOOR) -> float:
    """Return the least chance of each of K arms."""
    return min(floor, MOST_FLOORED / arms)


def shares_won(scores: NDArray[np.floating]) -> Floats:
    """Return the share of draws in which each arm is the first of the best.

    Args:
        scores: Shape ``(N, S, K)``.

    Returns:
        Shape ``(N, K)``.
    """
    rows, draws, arms = scores.shape
    best = scores.argmax(axis=2)  # (N, S)
    flat = best + arms * np.arange(rows)[:, None]
    counts = np.bincount(flat.ravel(), minlength=rows * arms)
    return np.asarray(counts.reshape(rows, arms) / draws)


def floored(chances: Floats, floor: float) -> Floats:
    """Return chances of which none is below a floor, shape ``(N, K)``.

    What lies below is lifted to the floor; the others give it, each in proportion to what it has
    above the floor.

    Args:
        chances: Rows sum to 1, shape ``(N, K)``.
        floor: At most ``1 / K``.
    """
    lifted = np.maximum(chances, floor)
    above = lifted - floor
    spare = 1.0 - floor * chances.shape[1]
    total = above.sum(axis=1, keepdims=True)
    even = np.full_like(chances, 1.0 / chances.shape[1])
    return np.where(total > 0.0, floor + above * spare / np.where(total > 0.0, total, 1.0), even)
