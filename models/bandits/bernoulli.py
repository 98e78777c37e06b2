"""Bernoulli Thompson sampling: each arm has a rate, whoever looks (Chapelle and Li, 2011).

Rates have a common Beta prior, fitted to the arms' spread by moments, so that an arm with few
decisions is thought to be like the others. Letters: N decisions, K arms, S draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from models.bandits.gaussian import FORGETTING
from models.bandits.propensity import FLOOR, floor_of, floored, shares_won

if TYPE_CHECKING:
    from models.bandits.policy import Feedback, Floats, Ints

_DRAWS: Final = 1_000
_STRENGTHS: Final = (2.0, 1e5)


class BernoulliThompson:
    """Knows no context.

    Args:
        arms: K.
        rng: Source of the draws.
        forgetting: What is left of a decision's weight after one more.
        floor: Least chance of an arm.
    """

    name = "bernoulli thompson"

    def __init__(
        self,
        arms: int,
        rng: np.random.Generator,
        forgetting: float = FORGETTING,
        floor: float = FLOOR,
    ) -> None:
        self._rng = rng
        self._forgetting = forgetting
        self._floor = floor_of(arms, floor)
        self._shown = np.zeros(arms)
        self._earned = np.zeros(arms)

    def probabilities(self, contexts: Floats) -> Floats:
        """See `models.bandits.policy.Policy`."""
        good, bad = self._belief()
        rates = self._rng.beta(good, bad, (1, _DRAWS, len(good)))
        chances = floored(shares_won(rates), self._floor)
        return np.repeat(chances, len(contexts), axis=0)

    def best(self, contexts: Floats) -> Ints:
        """See `models.bandits.policy.Policy`: the same arm everywhere."""
        good, bad = self._belief()
        return np.full(len(contexts), int((good / (good + bad)).argmax()), dtype=np.int64)

    def _belief(self) -> tuple[Floats, Floats]:
        """Return the parameters of every arm's Beta distribution."""
        mean, strength = prior_of(self._shown, self._earned)
        good = mean * strength + self._earned
        bad = (1.0 - mean) * strength + self._shown - self._earned
        return np.maximum(good, 1e-9), np.maximum(bad, 1e-9)

    def update(self, feedback: Feedback) -> None:
        """See `models.bandits.policy.Policy`; rewards lie in [0, 1]."""
        count, arms = len(feedback), len(self._shown)
        weight = self._forgetting ** np.arange(count - 1, -1, -1)
        kept = self._forgetting**count
        shown = np.bincount(feedback.actions, weight, arms)
        earned = np.bincount(feedback.actions, weight * feedback.rewards, arms)
        self._shown = kept * self._shown + shown
        self._earned = kept * self._earned + earned


def prior_of(shown: Floats, earned: Floats) -> tuple[float, float]:
    """Return mean and strength (in decisions) of the Beta prior that the arms' rates suggest.

    Method of moments: what the rates spread beyond the luck of so many decisions is their own.

    Args:
        shown: Decisions of each arm, shape ``(K,)``.
        earned: Rewards of each arm, shape ``(K,)``.
    """
    total = float(shown.sum())
    if total <= 0.0 or not 0.0 < float(earned.sum()) < total:
        return 0.5, _STRENGTHS[0]
    mean = float(earned.sum()) / total
    rates = np.where(shown > 0.0, earned / np.maximum(shown, 1e-9), mean)
    spread = float((shown * (rates - mean) ** 2).sum()) / total
    luck = mean * (1.0 - mean) * np.count_nonzero(shown) / total
    own = max(spread - luck, 1e-12)
    return mean, float(np.clip(mean * (1.0 - mean) / own - 1.0, *_STRENGTHS))
