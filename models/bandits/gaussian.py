"""The exact Bayesian linear model: ``r = mu + x . theta + noise``, all normal, in float64.

Prior ``theta ~ N(0, diag(v))``. The posterior is kept as precision ``L`` and moment ``b`` (mean
``L^-1 b``), for several independent models (one an arm) at once. With forgetting ``g`` every
observation first pulls the posterior back towards the prior: ``L <- g L + (1 - g) L0 + x x' / s``,
``b <- g b + x r / s``, so that old rewards count ``g^age`` and the prior never fades.

Letters: N observations, M models, P features, S draws.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Rewards count half after some 7,000 later ones.
FORGETTING: Final = 0.9999


class Gaussian:
    """Beliefs about the weights of M models.

    Args:
        models: M.
        prior: Prior variance of each weight, shape ``(P,)``.
        noise: Variance ``s`` of a reward around its mean.
        forgetting: ``g`` in (0, 1]; 1 forgets nothing.

    Attributes:
        precision: Shape ``(M, P, P)``.
        moment: Shape ``(M, P)``.
    """

    def __init__(
        self, models: int, prior: Floats, noise: float, forgetting: float = FORGETTING
    ) -> None:
        self.precision: Floats = np.repeat(np.diag(1.0 / prior)[None], models, axis=0)
        self.moment: Floats = np.zeros((models, len(prior)))
        self._prior = prior
        self._noise = noise
        self._forgetting = forgetting

    def update(self, x: Floats, model: Ints, rewards: Floats) -> None:
        """Learn from a batch: the same as one observation after the other.

        Args:
            x: Features, shape ``(N, P)``.
            model: Which model each row speaks of, shape ``(N,)``.
            rewards: Less the common mean ``mu``, shape ``(N,)``.
        """
        count = len(model)
        if not count:
            return
        kept = self._forgetting**count
        weight = self._forgetting ** np.arange(count - 1, -1, -1) / self._noise  # (N,)
        self.precision = kept * self.precision + (1.0 - kept) * np.diag(1.0 / self._prior)
        self.moment = kept * self.moment
        for each in np.unique(model):
            rows = model == each
            mine = x[rows] * weight[rows][:, None]  # (n, P)
            self.precision[each] += mine.T @ x[rows]
            self.moment[each] += mine.T @ rewards[rows]

    def means(self) -> Floats:
        """Return the mean weights, shape ``(M, P)``."""
        return np.asarray(np.linalg.solve(self.precision, self.moment[..., None])[..., 0])

    def draws(self, count: int, rng: np.random.Generator) -> Floats:
        """Return draws of the weights, shape ``(M, S, P)``.

        With ``L = C C'`` a draw is ``mean + C'^-1 z`` for standard normal ``z``.

        Args:
            count: S.
            rng: Source of chance.
        """
        models, places = self.moment.shape
        root = np.linalg.cholesky(self.precision)  # (M, P, P)
        noise = rng.normal(size=(models, places, count))
        spread = np.linalg.solve(np.swapaxes(root, 1, 2), noise)  # (M, P, S)
        return np.asarray(self.means()[:, None] + np.swapaxes(spread, 1, 2))

    def spreads(self, x: Floats) -> Floats:
        """Return the standard deviation of every model's mean reward, shape ``(N, M)``.

        Args:
            x: Features, shape ``(N, P)``.
        """
        root = np.linalg.cholesky(self.precision)
        columns = [np.linalg.solve(each, x.T) for each in root]  # M of (P, N)
        return np.stack([np.sqrt((column**2).sum(axis=0)) for column in columns], axis=1)


def observe_one(
    covariance: Floats, mean: Floats, x: Floats, reward: float, noise: float
) -> tuple[Floats, Floats]:
    """Return covariance and mean after one observation (Sherman and Morrison, 1950).

    The same as `Gaussian.update` without forgetting, in ``P^2`` steps instead of ``P^3``: for the
    path that serves.

    Args:
        covariance: Shape ``(P, P)``.
        mean: Shape ``(P,)``.
        x: Features, shape ``(P,)``.
        reward: Less the common mean.
        noise: Variance of a reward around its mean.
    """
    reach = covariance @ x  # (P,)
    gain = reach / (noise + float(x @ reach))
    return covariance - np.outer(gain, reach), mean + gain * (reward - float(x @ mean))


def log_evidence(x: Floats, model: Ints, rewards: Floats, prior: Floats, noise: float) -> float:
    """Return the log of how likely rewards are under a prior, up to what no prior changes.

    ``sum over models of (log|L0| - log|L| + b' L^-1 b) / 2`` (Bishop, 2006, equation 3.86).

    Args:
        x: Features, shape ``(N, P)``.
        model: Shape ``(N,)``.
        rewards: Less the common mean, shape ``(N,)``.
        prior: Prior variances, shape ``(P,)``.
        noise: Variance of a reward around its mean.
    """
    return evidence_of(*sufficient(x, model, rewards), prior, noise)


def sufficient(x: Floats, model: Ints, rewards: Floats) -> tuple[Floats, Floats]:
    """Return ``X' X`` and ``X' r`` of each model, shapes ``(M, P, P)`` and ``(M, P)``."""
    models, places = int(model.max()) + 1, x.shape[1]
    squares, products = np.zeros((models, places, places)), np.zeros((models, places))
    for each in range(models):
        rows = x[model == each]
        squares[each] = rows.T @ rows
        products[each] = rows.T @ rewards[model == each]
    return squares, products


def evidence_of(squares: Floats, products: Floats, prior: Floats, noise: float) -> float:
    """Return `log_evidence` from sufficient statistics."""
    precision = squares / noise + np.diag(1.0 / prior)  # (M, P, P)
    moment = products / noise  # (M, P)
    fit = np.linalg.solve(precision, moment[..., None])[..., 0]
    prior_part = -len(products) * float(np.log(prior).sum())
    volume = float(np.linalg.slogdet(precision)[1].sum())
    return 0.5 * (prior_part - volume + float((moment * fit).sum()))
