"""Linear bandits: one exact Bayesian linear model an arm, by Thompson sampling or optimism.

How far arms differ, and how far context matters, are prior variances. Both are chosen by the
evidence of the rewards seen so far, whenever their number has doubled: where context says nothing,
its variance goes towards 0 and the bandit becomes one that knows no context.

Letters: N decisions, D places of context, K arms, P = D + 1 features, S draws.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.bandits.gaussian import FORGETTING, Gaussian, evidence_of, sufficient
from models.bandits.propensity import FLOOR, floor_of, floored, shares_won

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models.bandits.policy import Feedback, Floats, Ints

#: Prior deviations that are tried, in deviations of the reward.
DEVIATIONS: Final = (0.003, 0.01, 0.03, 0.1, 0.3)
_FIRST: Final = (0.1, 0.03)
_SCORES: Final = 4_000_000  # at a time, to bound memory


class LinearSettings(msgspec.Struct, frozen=True):
    """How a linear bandit behaves.

    Attributes:
        draws: S, draws of the belief that a choice picks one of.
        optimism: Deviations above the mean that LinUCB hopes for.
        forgetting: What is left of a decision's weight after one more.
        floor: Least chance of an arm.
    """

    draws: int = 256
    optimism: float = 1.0
    forgetting: float = FORGETTING
    floor: float = FLOOR


class LinearModel:
    """The belief of K arms, with a prior that follows the evidence.

    Args:
        arms: K.
        forgetting: What is left of a decision's weight after one more.
    """

    def __init__(self, arms: int, forgetting: float) -> None:
        self._arms = arms
        self._forgetting = forgetting
        self._seen: list[Feedback] = []
        self._count = 0
        self._fitted_at = 0
        self._mean = 0.0
        self.belief: Gaussian | None = None

    @property
    def mean(self) -> float:
        """Common mean of the rewards when the belief was last fitted."""
        return self._mean

    def update(self, feedback: Feedback) -> None:
        """Learn from a batch; fit the prior anew when there is twice as much as at the last fit."""
        if not len(feedback):
            return
        self._seen.append(feedback)
        self._count += len(feedback)
        if self.belief is None or self._count >= 2 * self._fitted_at:
            self._fit()
        else:
            x = with_constant(feedback.contexts)
            self.belief.update(x, feedback.actions, feedback.rewards - self._mean)

    def best(self, contexts: Floats) -> Ints:
        """Return the arm with the highest expected reward in every context, shape ``(N,)``."""
        if self.belief is None:
            return np.zeros(len(contexts), dtype=np.int64)
        return np.asarray((with_constant(contexts) @ self.belief.means().T).argmax(axis=1))

    def _fit(self) -> None:
        x = with_constant(np.concatenate([each.contexts for each in self._seen]))
        arm = np.concatenate([each.actions for each in self._seen])
        rewards = np.concatenate([each.rewards for each in self._seen])
        self._fitted_at = self._count
        self._mean = float(rewards.mean())
        noise = max(float(rewards.var()), 1e-6)
        prior = best_prior(x, arm, rewards - self._mean, noise)
        self.belief = Gaussian(self._arms, prior, noise, self._forgetting)
        self.belief.update(x, arm, rewards - self._mean)


class LinearThompson:
    """Thompson sampling (Agrawal and Goyal, 2013) with exact chances.

    Args:
        arms: K.
        rng: Source of the draws.
        settings: How it behaves.
    """

    name = "linear thompson"

    def __init__(
        self, arms: int, rng: np.random.Generator, settings: LinearSettings | None = None
    ) -> None:
        self._how = settings or LinearSettings()
        self._arms = arms
        self._rng = rng
        self._floor = floor_of(arms, self._how.floor)
        self._model = LinearModel(arms, self._how.forgetting)

    def probabilities(self, contexts: Floats) -> Floats:
        """See `models.bandits.policy.Policy`."""
        belief = self._model.belief
        if belief is None:
            return even(contexts, self._arms)
        draws = belief.draws(self._how.draws, self._rng)  # (K, S, P)
        weights = np.ascontiguousarray(draws.transpose(1, 0, 2), dtype=np.float32)  # (S, K, P)
        flat = weights.reshape(-1, weights.shape[2]).T  # (P, S K)
        return floored(chances_of(with_constant(contexts), flat, self._arms), self._floor)

    def best(self, contexts: Floats) -> Ints:
        """See `models.bandits.policy.Policy`."""
        return self._model.best(contexts)

    def update(self, feedback: Feedback) -> None:
        """See `models.bandits.policy.Policy`."""
        self._model.update(feedback)


class LinUCB:
    """The arm with the highest hope (Li, Chu, Langford and Schapire, 2010), with a floor.

    Args:
        arms: K.
        settings: How it behaves.
    """

    name = "linucb"

    def __init__(self, arms: int, settings: LinearSettings | None = None) -> None:
        self._how = settings or LinearSettings()
        self._arms = arms
        self._floor = floor_of(arms, self._how.floor)
        self._model = LinearModel(arms, self._how.forgetting)

    def probabilities(self, contexts: Floats) -> Floats:
        """See `models.bandits.policy.Policy`."""
        belief = self._model.belief
        if belief is None:
            return even(contexts, self._arms)
        x = with_constant(contexts)
        hope = x @ belief.means().T + self._how.optimism * belief.spreads(x)  # (N, K)
        return floored(np.eye(self._arms)[hope.argmax(axis=1)], self._floor)

    def best(self, contexts: Floats) -> Ints:
        """See `models.bandits.policy.Policy`."""
        return self._model.best(contexts)

    def update(self, feedback: Feedback) -> None:
        """See `models.bandits.policy.Policy`."""
        self._model.update(feedback)


def with_constant(contexts: Floats) -> Floats:
    """Return contexts with a constant first, shape ``(N, D + 1)``."""
    return np.hstack([np.ones((len(contexts), 1)), contexts])


def even(contexts: Floats, arms: int) -> Floats:
    """Return even chances, shape ``(N, K)``."""
    return np.full((len(contexts), arms), 1.0 / arms)


def chances_of(x: Floats, weights: NDArray[np.float32], arms: int) -> Floats:
    """Return the share of draws that prefer each arm, shape ``(N, K)``.

    Args:
        x: Features, shape ``(N, P)``.
        weights: Of every draw and arm, shape ``(P, S K)``, arms last.
        arms: K.
    """
    narrow = x.astype(np.float32)
    block = max(1, _SCORES // weights.shape[1])
    parts = [
        shares_won((narrow[at : at + block] @ weights).reshape(-1, weights.shape[1] // arms, arms))
        for at in range(0, len(x), block)
    ]
    return np.concatenate(parts) if parts else np.empty((0, arms))


def best_prior(x: Floats, arm: Ints, rewards: Floats, noise: float) -> Floats:
    """Return the prior variances of the constant and of the context with the highest evidence.

    Args:
        x: Features with the constant first, shape ``(N, P)``.
        arm: Shape ``(N,)``.
        rewards: Less their mean, shape ``(N,)``.
        noise: Variance of rewards.

    Returns:
        Shape ``(P,)``.
    """
    squares, products = sufficient(x, arm, rewards)
    tried = [
        prior_variances(x.shape[1], own, context, noise)
        for own, context in product(DEVIATIONS, DEVIATIONS)
    ]
    tried.append(prior_variances(x.shape[1], *_FIRST, noise))
    return max(tried, key=lambda prior: evidence_of(squares, products, prior, noise))


def prior_variances(features: int, own: float, context: float, noise: float) -> Floats:
    """Return variances of a constant and of a context whose places share one deviation.

    Args:
        features: P.
        own: Deviation of the constant, in deviations of the reward.
        context: Deviation of all places together.
        noise: Variance of the reward.
    """
    places = max(features - 1, 1)
    variances = np.full(features, noise * context**2 / places)
    variances[0] = noise * own**2
    return variances
