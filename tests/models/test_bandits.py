"""Bandits: the exact update beside slow twins, honest chances, and floors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.bandits.bernoulli import BernoulliThompson, prior_of
from models.bandits.gaussian import Gaussian, log_evidence, observe_one
from models.bandits.linear import LinearThompson, LinUCB, best_prior
from models.bandits.policy import Feedback, Policy
from models.bandits.propensity import floor_of, floored, shares_won

if TYPE_CHECKING:
    from collections.abc import Callable


def rows(seed: int, count: int = 40) -> Feedback:
    rng = np.random.default_rng(seed)
    contexts = rng.normal(size=(count, 3))
    arm = rng.integers(0, 2, count)
    chance = 0.4 + 0.3 * np.where(arm == 0, 1, -1) * np.sign(contexts[:, 0])
    return Feedback(contexts, arm, (rng.random(count) < chance).astype(np.float64))


def test_a_batch_is_the_same_as_one_observation_after_the_other() -> None:
    seen, prior = rows(1), np.array([0.5, 1.0, 2.0])
    batch = Gaussian(2, prior, 0.3, forgetting=0.99)
    single = Gaussian(2, prior, 0.3, forgetting=0.99)
    batch.update(seen.contexts, seen.actions, seen.rewards)
    for at in range(len(seen)):
        one = slice(at, at + 1)
        single.update(seen.contexts[one], seen.actions[one], seen.rewards[one])
    np.testing.assert_allclose(batch.precision, single.precision)
    np.testing.assert_allclose(batch.means(), single.means())


def test_without_forgetting_the_mean_is_ridge_regression() -> None:
    seen, prior = rows(2), np.array([0.5, 1.0, 2.0])
    model = Gaussian(1, prior, 0.3, forgetting=1.0)
    model.update(seen.contexts, np.zeros(len(seen), dtype=np.int64), seen.rewards)
    x = seen.contexts
    slow = np.linalg.inv(x.T @ x + 0.3 * np.diag(1.0 / prior)) @ x.T @ seen.rewards
    np.testing.assert_allclose(model.means()[0], slow)


def test_sherman_and_morrison_agree_with_the_precision() -> None:
    seen, prior = rows(3), np.array([0.5, 1.0, 2.0])
    model = Gaussian(1, prior, 0.3, forgetting=1.0)
    covariance, mean = np.diag(prior), np.zeros(3)
    for x, reward in zip(seen.contexts, seen.rewards, strict=True):
        covariance, mean = observe_one(covariance, mean, x, float(reward), 0.3)
    model.update(seen.contexts, np.zeros(len(seen), dtype=np.int64), seen.rewards)
    np.testing.assert_allclose(mean, model.means()[0])
    np.testing.assert_allclose(covariance, np.linalg.inv(model.precision[0]))


def test_what_is_forgotten_goes_back_to_the_prior() -> None:
    seen, prior = rows(4), np.ones(3)
    model = Gaussian(2, prior, 0.3, forgetting=0.5)
    model.update(seen.contexts, seen.actions, seen.rewards)
    model.update(np.zeros((60, 3)), np.zeros(60, dtype=np.int64), np.zeros(60))
    np.testing.assert_allclose(model.precision, np.repeat(np.eye(3)[None], 2, axis=0), atol=1e-9)


def test_draws_have_the_mean_and_covariance_of_the_belief() -> None:
    seen = rows(5)
    model = Gaussian(2, np.ones(3), 0.3)
    model.update(seen.contexts, seen.actions, seen.rewards)
    drawn = model.draws(40_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=1), model.means(), atol=0.01)
    np.testing.assert_allclose(np.cov(drawn[1].T), np.linalg.inv(model.precision[1]), atol=0.01)
    spread = np.sqrt(
        np.einsum("p,mpq,q->m", x := seen.contexts[0], np.linalg.inv(model.precision), x)
    )
    np.testing.assert_allclose(model.spreads(seen.contexts[:1])[0], spread)


def test_the_evidence_is_the_density_of_the_rewards() -> None:
    seen, prior, noise = rows(6, 12), np.array([0.5, 1.0, 2.0]), 0.3
    none = np.zeros(12, dtype=np.int64)

    def density(variances: np.ndarray) -> float:
        cover = noise * np.eye(12) + seen.contexts @ np.diag(variances) @ seen.contexts.T
        fit = seen.rewards @ np.linalg.solve(cover, seen.rewards)
        return float(-0.5 * (np.linalg.slogdet(cover)[1] + fit))

    def short(variances: np.ndarray) -> float:
        return log_evidence(seen.contexts, none, seen.rewards, variances, noise)

    assert short(prior) - short(prior / 9) == pytest.approx(density(prior) - density(prior / 9))


def test_context_that_says_nothing_gets_a_small_prior() -> None:
    rng = np.random.default_rng(7)
    x = np.hstack([np.ones((4_000, 1)), rng.normal(size=(4_000, 3))])
    arm = rng.integers(0, 2, 4_000)
    blind = rng.normal(size=4_000)
    seeing = blind + np.where(arm == 0, 0.5, -0.5) * x[:, 1]
    assert best_prior(x, arm, blind, 1.0)[1] < 0.1 * best_prior(x, arm, seeing, 1.0)[1]


def test_shares_count_the_first_of_the_best() -> None:
    scores = np.array([[[1.0, 2.0, 2.0], [3.0, 1.0, 0.0], [0.0, 0.0, 5.0], [0.0, 1.0, 0.0]]])
    np.testing.assert_array_equal(shares_won(scores), [[0.25, 0.5, 0.25]])


def test_a_floor_lifts_the_lowest_and_takes_from_the_others() -> None:
    found = floored(np.array([[0.0, 0.3, 0.7], [0.0, 0.0, 1.0]]), 0.05)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert found.min() == pytest.approx(0.05)
    assert (found[0].argsort() == [0, 1, 2]).all()
    assert (floor_of(5), floor_of(50)) == (0.01, 0.002)


POLICIES: dict[str, Callable[[], Policy]] = {
    "bernoulli": lambda: BernoulliThompson(2, np.random.default_rng(1)),
    "linear": lambda: LinearThompson(2, np.random.default_rng(1)),
    "linucb": lambda: LinUCB(2),
}


@pytest.mark.parametrize("name", POLICIES)
def test_chances_sum_to_one_and_keep_the_floor(name: str) -> None:
    policy = POLICIES[name]()
    contexts = np.random.default_rng(2).normal(size=(50, 3))
    assert policy.probabilities(contexts).shape == (50, 2)
    policy.update(rows(8, 400))
    chances = policy.probabilities(contexts)
    np.testing.assert_allclose(chances.sum(axis=1), 1.0)
    assert chances.min() >= 0.01 - 1e-12
    assert policy.best(contexts).shape == (50,)


@pytest.mark.parametrize("name", ["linear", "linucb"])
def test_a_linear_bandit_learns_whom_each_arm_suits(name: str) -> None:
    policy = POLICIES[name]()
    policy.update(rows(9, 300))
    policy.update(rows(10, 300))
    contexts = np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0]])
    assert policy.best(contexts).tolist() == [0, 1]
    assert (policy.probabilities(contexts).argmax(axis=1) == [0, 1]).all()


def test_equal_rates_get_a_strong_prior_and_unequal_ones_a_weak() -> None:
    shown = np.full(4, 5_000.0)
    alike = prior_of(shown, shown * 0.1)
    apart = prior_of(shown, shown * np.array([0.05, 0.08, 0.12, 0.15]))
    assert alike[0] == apart[0] == pytest.approx(0.1)
    assert alike[1] > 50 * apart[1]
