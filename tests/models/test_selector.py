"""The selector: honest propensities, arithmetic equal to a slow twin, and learning that helps."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.eligibility import Candidate
from models.errors import FeatureError
from models.registry import weights_folder
from models.sample_ads import sample_candidates
from models.selector.posterior import FEATURE_COUNT, Belief, draw_weights, observe
from models.selector.thompson import EVEN_CHANCE, Observation, ThompsonSelector, cold_embedding
from tests.models.helpers import campaign, creative
from tests.models.helpers import candidate as one_candidate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLES = sample_candidates()


@pytest.fixture
def selector() -> ThompsonSelector:
    return ThompsonSelector.load(weights_folder("selector"), seed=1)


def user(seed: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).normal(size=16)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_the_same_seeds_make_the_same_choices(selector: ThompsonSelector) -> None:
    twin = ThompsonSelector.load(weights_folder("selector"), seed=1)
    mine, its = random.Random(5), random.Random(5)
    for number in range(20):
        offered = random.Random(number).sample(SAMPLES, 6)
        expected = twin.choose(user(number), offered, its)
        assert selector.choose(user(number), offered, mine) == expected


def test_propensities_are_the_frequencies_of_choices(selector: ThompsonSelector) -> None:
    offered, vector, rng = SAMPLES[:5], user(3), random.Random(8)
    choices = [selector.choose(vector, offered, rng) for _ in range(4000)]
    stated = {choice.index: choice.propensity for choice in choices}
    for index, propensity in stated.items():
        share = sum(choice.index == index for choice in choices) / len(choices)
        assert abs(share - propensity) < 4 * np.sqrt(propensity * (1 - propensity) / 4000) + 1e-9
    assert sum(stated.values()) <= 1.0 + 1e-9


def test_no_propensity_is_below_the_even_share(selector: ThompsonSelector) -> None:
    rng = random.Random(2)
    for number in range(200):
        choice = selector.choose(user(number), SAMPLES[:8], rng)
        assert EVEN_CHANCE / 8 <= choice.propensity <= 1.0
        assert 0.0 < choice.predicted_ctr < 0.5


def test_a_single_candidate_is_chosen_for_sure(selector: ThompsonSelector) -> None:
    choice = selector.choose(user(1), SAMPLES[:1], random.Random(1))
    assert (choice.index, choice.propensity) == (0, 1.0)


def test_the_chance_of_a_click_agrees_with_the_slow_prediction(selector: ThompsonSelector) -> None:
    for number in range(20):
        choice = selector.choose(user(number), SAMPLES[:8], random.Random(number))
        slow = selector.predict(user(number)[None].astype(np.float64), [SAMPLES[choice.index]])
        assert choice.predicted_ctr == pytest.approx(float(slow[0]), rel=0.05)


def test_the_best_candidate_has_the_highest_value_for_a_typical_user(
    selector: ThompsonSelector,
) -> None:
    rich = Candidate(
        campaign(SAMPLES[0].creative, value_per_conversion_micros=10**12),
        SAMPLES[0].creative,
        SAMPLES[0].slot,
    )
    choice = selector.best([SAMPLES[1], rich, SAMPLES[2]])
    assert (choice.index, choice.propensity) == (1, 1.0)


def test_an_unknown_ad_is_taken_in_and_explored(selector: ThompsonSelector) -> None:
    stranger = one_candidate(campaign(creative(id="never-seen")))
    rng = random.Random(3)
    picks = [selector.choose(user(n), [SAMPLES[0], stranger], rng).index for n in range(100)]
    assert 0 < sum(picks) < 100
    assert selector.best([stranger]).predicted_ctr > 0.0


def test_clicks_raise_and_their_absence_lowers_the_chance(selector: ThompsonSelector) -> None:
    vector, ad = user(4), SAMPLES[0]
    start = selector.best([ad]).predicted_ctr
    selector.update([Observation(vector, ad, clicked=True)] * 30)
    raised = selector.best([ad]).predicted_ctr
    selector.update([Observation(vector, ad, clicked=False)] * 3000)
    lowered = selector.best([ad]).predicted_ctr
    assert raised > start
    assert lowered < raised


def test_nothing_to_choose_from_is_an_error(selector: ThompsonSelector) -> None:
    with pytest.raises(FeatureError, match="no candidate"):
        selector.choose(user(1), [], random.Random(1))


def test_a_vector_of_another_length_is_an_error(selector: ThompsonSelector) -> None:
    with pytest.raises(FeatureError, match="shape"):
        selector.choose(np.ones(4, np.float32), SAMPLES[:2], random.Random(1))


def belief(seed: int) -> Belief:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(FEATURE_COUNT, FEATURE_COUNT)) * 0.1
    covariance = root @ root.T + 0.05 * np.eye(FEATURE_COUNT)
    return Belief(rng.normal(size=FEATURE_COUNT) * 0.1, covariance, np.zeros(2), np.ones(2))


@given(seed=st.integers(0, 50), clicked=st.booleans())
def test_an_update_is_the_precision_form_of_the_laplace_step(seed: int, *, clicked: bool) -> None:
    before, after = belief(seed), belief(seed)
    x = np.random.default_rng(seed + 1).normal(size=FEATURE_COUNT)
    observe(after, x, 1, clicked=clicked)
    chance = 1.0 / (1.0 + np.exp(-(x @ before.mean)))
    precision = np.linalg.inv(before.covariance) + chance * (1 - chance) * np.outer(x, x)
    covariance = np.linalg.inv(precision)
    np.testing.assert_allclose(after.covariance, covariance, atol=1e-9)
    mean = before.mean + covariance @ x * (float(clicked) - chance)
    np.testing.assert_allclose(after.mean, mean, atol=1e-9)
    variance = 1.0 / (1.0 + chance * (1 - chance))
    assert after.variances.tolist() == pytest.approx([1.0, variance])
    assert after.intercepts[1] == pytest.approx(variance * (float(clicked) - chance))


def test_drawn_weights_have_the_mean_and_covariance_of_the_belief() -> None:
    known = belief(1)
    drawn = draw_weights(known, 40_000, np.random.default_rng(2))
    np.testing.assert_allclose(drawn.mean(axis=0), known.mean, atol=0.02)
    np.testing.assert_allclose(np.cov(drawn.T), known.covariance, atol=0.03)


def test_a_cold_ad_is_the_mean_of_its_categories() -> None:
    categories = np.arange(26 * 16, dtype=np.float64).reshape(26, 16)
    expected = (categories[0] + categories[8]) / 2
    np.testing.assert_array_equal(cold_embedding(("IAB1", "IAB9-30"), categories), expected)
    assert not cold_embedding(("unknown",), categories).any()
