"""What a logistic bandit believes, and how a click changes it: pure arithmetic on arrays.

The log-odds of a click are ``w . x + b_k``: shared weights ``w`` over features of user and ad, and
one intercept per ad. The belief about ``w`` is a normal distribution with full covariance, that
about each ``b_k`` a normal of its own (the correlation between the two is dropped: it is small once
an ad has been shown to many). Letters: D vector (16), F shared features (37), A ads, S draws.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.opportunity import FORMATS
from models.profiler.events import VECTOR_DIM

Floats = NDArray[np.float64]

#: Shared features: user x ad by element, the ad, its format, and a constant.
FEATURE_COUNT: Final = 2 * VECTOR_DIM + len(FORMATS) + 1


class Belief(msgspec.Struct):
    """Means and (co)variances, changed in place by `observe`.

    Attributes:
        mean: Of the shared weights, shape ``(F,)``.
        covariance: Of the shared weights, shape ``(F, F)``.
        intercepts: Means of the ads' intercepts, shape ``(A,)``.
        variances: Of the ads' intercepts, shape ``(A,)``.
    """

    mean: Floats
    covariance: Floats
    intercepts: Floats
    variances: Floats


def shared_features(vectors: Floats, embeddings: Floats, formats: NDArray[np.int64]) -> Floats:
    """Return the shared features of pairs of user and ad.

    Args:
        vectors: Of users, shape ``(N, D)``.
        embeddings: Of ads, shape ``(N, D)``.
        formats: Indexes into `FORMATS`, shape ``(N,)``.

    Returns:
        Shape ``(N, F)``.
    """
    one_hot = np.eye(len(FORMATS))[formats]
    constant = np.ones((len(vectors), 1))
    return np.hstack([vectors * embeddings, embeddings, one_hot, constant])


def observe(belief: Belief, features: Floats, ad: int, *, clicked: bool) -> None:
    """Change a belief by one shown impression: one step of an online Laplace approximation.

    The curvature ``p (1 - p)`` of the log-likelihood is added to the precision (Sherman-Morrison
    keeps the covariance), then the means move along the gradient ``y - p``.

    Args:
        belief: Changed in place.
        features: Shared features, shape ``(F,)``.
        ad: Row of the ad.
        clicked: What happened.
    """
    chance = 1.0 / (1.0 + np.exp(-(features @ belief.mean + belief.intercepts[ad])))
    curvature = chance * (1.0 - chance)
    surprise = float(clicked) - chance
    spread = belief.covariance @ features  # (F,)
    shrink = 1.0 + curvature * (features @ spread)
    belief.covariance -= np.outer(spread, spread) * (curvature / shrink)
    belief.mean += (spread / shrink) * surprise
    belief.variances[ad] /= 1.0 + curvature * belief.variances[ad]
    belief.intercepts[ad] += belief.variances[ad] * surprise


def draw_weights(belief: Belief, draws: int, rng: np.random.Generator) -> Floats:
    """Return draws of the shared weights, shape ``(S, F)``."""
    root = np.linalg.cholesky(belief.covariance + 1e-12 * np.eye(len(belief.mean)))
    drawn: Floats = belief.mean + rng.normal(size=(draws, len(belief.mean))) @ root.T
    return drawn


def static_logits(weights: Floats, embeddings: Floats, formats: NDArray[np.int64]) -> Floats:
    """Return the part of the log-odds that does not depend on the user.

    Args:
        weights: Draws of the shared weights, shape ``(S, F)``.
        embeddings: Of ads, shape ``(A, D)``.
        formats: Indexes into `FORMATS`, shape ``(A,)``.

    Returns:
        Shape ``(A, S)``.
    """
    nobody = np.zeros_like(embeddings)
    return np.asarray(shared_features(nobody, embeddings, formats) @ weights.T)
