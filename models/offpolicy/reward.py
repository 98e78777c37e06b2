"""The model of rewards that DM and DR lean on: ridge logistic regression, cross-fitted.

Every decision is foretold by a model that has not seen it: the surprises of DR are then honest
(Chernozhukov et al., 2018). Ridge pulls arms towards the common rate, because clicks are few.

Letters: N decisions, D context, K arms.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.regression import fit_logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS: Final = 5
#: A click more or less says little of an arm: log-odds of arms spread by about a half.
PULL: Final = 4.0


def cross_fitted(
    contexts: Floats, actions: Ints, rewards: Floats, arms: int, rng: np.random.Generator
) -> Floats:
    """Return every arm's expected reward in every decision, from models that have not seen it.

    Args:
        contexts: Shape ``(N, D)``.
        actions: Logged arms, shape ``(N,)``.
        rewards: In [0, 1], shape ``(N,)``.
        arms: K.
        rng: Splits the decisions into folds.

    Returns:
        Shape ``(N, K)``.
    """
    fold = rng.permutation(len(actions)) % FOLDS
    found = np.empty((len(actions), arms))
    for number in range(FOLDS):
        held = fold == number
        weights = fit_rewards(contexts[~held], actions[~held], rewards[~held], arms)
        found[held] = expected_rewards(weights, contexts[held], arms)
    return found


def fit_rewards(contexts: Floats, actions: Ints, rewards: Floats, arms: int) -> Floats:
    """Return weights of the log-odds ``v . x + b_k + c``, shape ``(D + K + 1,)``."""
    x = np.hstack([contexts, np.eye(arms)[actions], np.ones((len(actions), 1))])
    ridge = np.full(x.shape[1], PULL)
    ridge[-1] = 1e-6
    return fit_logistic(x, rewards, ridge)


def expected_rewards(weights: Floats, contexts: Floats, arms: int) -> Floats:
    """Return every arm's expected reward, shape ``(N, K)``."""
    places = contexts.shape[1]
    shared = contexts @ weights[:places] + weights[-1]  # (N,)
    logit = shared[:, None] + weights[places : places + arms]  # (N, K)
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))))
