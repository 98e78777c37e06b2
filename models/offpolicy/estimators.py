"""Estimators of a policy's value from decisions that another policy made.

Each estimator is the mean of one term a decision, so that intervals, lower bounds and paired
differences are those of a mean. ``w = pi(a | x) / p(a | x)`` is the weight of a logged decision,
``q(x, a)`` a model of its reward, and ``q(x, pi)`` the model's mean over the policy's actions.

Letters: N decisions.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import FeatureError

Floats = NDArray[np.float64]

_TOLERANCE: Final = 1e-9


class Evidence(msgspec.Struct, frozen=True):
    """What a log says about a policy.

    Attributes:
        weights: ``pi(a | x) / p(a | x)`` of the logged actions, shape ``(N,)``.
        rewards: Shape ``(N,)``.
        q_logged: The model's reward of the logged action, shape ``(N,)``.
        q_policy: The model's mean reward under the policy, shape ``(N,)``.
    """

    weights: Floats
    rewards: Floats
    q_logged: Floats
    q_policy: Floats

    @property
    def surprise(self) -> Floats:
        """What the model did not foresee, ``r - q(x, a)``, shape ``(N,)``."""
        return np.asarray(self.rewards - self.q_logged)


def importance_weights(policy: Floats, logged: Floats) -> Floats:
    """Return ``pi / p`` of the logged actions.

    Args:
        policy: Chance that the policy takes the logged action, shape ``(N,)``.
        logged: Chance with which it was logged, shape ``(N,)``, each in (0, 1].

    Raises:
        FeatureError: A logged chance is no chance, or 0: nothing can be said then.
    """
    if not len(logged) or not ((logged > 0.0) & (logged <= 1.0 + _TOLERANCE)).all():
        raise FeatureError("propensities must lie in (0, 1], one for each logged decision")
    return np.asarray(policy / logged)


def ips(seen: Evidence) -> Floats:
    """Inverse propensity scoring (Horvitz and Thompson, 1952): unbiased, of high variance."""
    return np.asarray(seen.weights * seen.rewards)


def snips(seen: Evidence) -> Floats:
    """Self-normalised IPS (Swaminathan and Joachims, 2015).

    The estimate is the ratio ``mean(w r) / mean(w)``; the terms are its linearisation around the
    estimate, whose mean is the ratio itself and whose spread is that of the delta method.
    """
    mass = float(seen.weights.mean())
    if mass <= 0.0:
        return np.zeros_like(seen.rewards)
    value = float((seen.weights * seen.rewards).mean()) / mass
    return np.asarray(value + seen.weights * (seen.rewards - value) / mass)


def direct(seen: Evidence) -> Floats:
    """Direct method: the model's word for it; as biased as the model."""
    return seen.q_policy


def doubly_robust(seen: Evidence) -> Floats:
    """DR (Dudik, Langford and Li, 2011): the model, corrected by weighted surprises."""
    return np.asarray(seen.q_policy + seen.weights * seen.surprise)


def shrunk_doubly_robust(seen: Evidence, shrinkage: float) -> Floats:
    """DR with optimistic shrinkage (Su et al., 2020): weights become ``s w / (w^2 + s)``.

    Args:
        seen: The evidence.
        shrinkage: ``s`` >= 0; 0 is the direct method, infinity is DR.
    """
    return np.asarray(seen.q_policy + shrunk_weights(seen.weights, shrinkage) * seen.surprise)


def shrunk_weights(weights: Floats, shrinkage: float) -> Floats:
    """Return ``s w / (w^2 + s)``, shape ``(N,)``; the weights themselves where s is infinite."""
    if np.isinf(shrinkage):
        return weights
    if shrinkage <= 0.0:
        return np.zeros_like(weights)
    return np.asarray(shrinkage * weights / (weights**2 + shrinkage))


def switch_doubly_robust(seen: Evidence, threshold: float) -> Floats:
    """Switch-DR (Wang, Agarwal and Dudik, 2017): beyond a weight only the model is believed.

    Args:
        seen: The evidence.
        threshold: Largest weight that still corrects the model.
    """
    return np.asarray(seen.q_policy + switched_weights(seen.weights, threshold) * seen.surprise)


def switched_weights(weights: Floats, threshold: float) -> Floats:
    """Return the weights up to a threshold and 0 beyond it, shape ``(N,)``."""
    return np.where(weights <= threshold, weights, 0.0)
