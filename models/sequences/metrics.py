"""How well the next item was foretold: its rank among all items, never among a sample of them.

Sampled negatives make numbers five to ten times larger and change the order of models (Krichene and
Rendle, KDD 2020), so they are not offered. An item that ties with the answer stands before it: who
can't tell items apart earns nothing by luck.

Letters: N questions, V items.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.evaluation import Interval

Floats = NDArray[np.float64]
Scores = NDArray[np.float32]
Ints = NDArray[np.int64]

#: Resamples of a bootstrap.
RESAMPLES: Final = 1_000


class Ranking(msgspec.Struct, frozen=True):
    """How well answers were ranked, each number with its 95 % interval.

    Attributes:
        hit: Share of answers among the first k: P@k, HR@k and Recall@k are this one number.
        mrr: Mean reciprocal rank, 0 after the first k: MRR@k.
        ndcg: Mean of ``1 / log2(rank + 1)``, 0 after the first k: NDCG@k.
    """

    hit: Interval
    mrr: Interval
    ndcg: Interval


def ranks(scores: Scores, answers: Ints) -> Ints:
    """Return the rank of each answer among all items.

    Args:
        scores: Higher is better; the first column is "no item", shape ``(N, V + 1)``.
        answers: 1..V, or 0 for an item that can't be ranked, shape ``(N,)``.

    Returns:
        1 is best; V + 1 where the answer is 0; shape ``(N,)``.
    """
    own = scores[np.arange(len(answers)), answers][:, None]  # (N, 1)
    before = (scores[:, 1:] >= own).sum(axis=1)  # the answer itself is among them
    found: Ints = np.where(answers > 0, before, scores.shape[1]).astype(np.int64)
    return found


def hits(rank: Ints, k: int) -> Floats:
    """Return 1 for each answer among the first k, shape ``(N,)``."""
    return (rank <= k).astype(np.float64)


def reciprocals(rank: Ints, k: int) -> Floats:
    """Return 1 / rank for each answer among the first k, else 0, shape ``(N,)``."""
    return np.where(rank <= k, 1.0 / rank, 0.0)


def gains(rank: Ints, k: int) -> Floats:
    """Return 1 / log2(rank + 1) for each answer among the first k, else 0, shape ``(N,)``."""
    return np.where(rank <= k, 1.0 / np.log2(rank + 1.0), 0.0)


def ranking(rank: Ints, groups: Ints, k: int, seed: int) -> Ranking:
    """Return how well answers were ranked.

    Args:
        rank: Of each answer, shape ``(N,)``.
        groups: The session of each question, shape ``(N,)``.
        k: Length of the list.
        seed: Of the bootstrap.
    """
    measures = (hits(rank, k), reciprocals(rank, k), gains(rank, k))
    return Ranking(*(mean_by_group(values, groups, seed) for values in measures))


def mean_by_group(values: Floats, groups: Ints, seed: int) -> Interval:
    """Return a mean over questions with its 95 % bootstrap interval over sessions.

    Questions of one session stand or fall together, so sessions are drawn, not questions (Field and
    Welsh 2007). A paired difference of two models is the mean of the differences.

    Args:
        values: Shape ``(N,)``.
        groups: Shape ``(N,)``.
        seed: Of the draws.
    """
    _, group = np.unique(groups, return_inverse=True)
    count = np.bincount(group).astype(np.float64)  # (G,)
    total = np.bincount(group, weights=values)  # (G,)
    rng = np.random.default_rng(seed)
    means = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(count), len(count)), minlength=len(count))
        means[draw] = times @ total / (times @ count)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))
