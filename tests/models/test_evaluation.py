"""Measures and regression against answers worked out by hand or by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation import area_under_curve, calibration_error, log_loss, mean_interval
from models.regression import fit_logistic

RNG = np.random.default_rng(0)


def test_an_interval_is_centred_on_the_mean_and_shrinks_with_the_root_of_n() -> None:
    values = RNG.normal(3.0, 2.0, 4000)
    wide, narrow = mean_interval(values[:1000]), mean_interval(values)
    assert wide.low < wide.mean < wide.high
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(2.0, rel=0.1)
    assert narrow.low < 3.0 < narrow.high
    assert "[" in str(narrow)


def test_honest_chances_have_a_small_calibration_error_and_doubled_ones_do_not() -> None:
    chances = RNG.uniform(0.0, 0.4, 40_000)
    happened = (RNG.random(40_000) < chances).astype(np.float64)
    assert calibration_error(chances, happened) < 0.01
    assert calibration_error(2.0 * chances, happened) == pytest.approx(0.2, abs=0.01)


def test_log_loss_of_a_coin_is_log_two() -> None:
    assert log_loss(np.full(4, 0.5), np.array([0.0, 1.0, 1.0, 0.0])) == pytest.approx(np.log(2))


def test_area_under_curve_is_the_share_of_right_pairs() -> None:
    scores, happened = RNG.normal(size=200), (RNG.random(200) < 0.3).astype(np.float64)
    up, down = scores[happened > 0], scores[happened == 0]
    assert area_under_curve(scores, happened) == pytest.approx((up[:, None] > down).mean())


def test_logistic_regression_finds_the_weights_that_made_the_data() -> None:
    x = np.hstack([RNG.normal(size=(60_000, 2)), np.ones((60_000, 1))])
    truth = np.array([1.5, -0.7, -1.0])
    happened = (RNG.random(60_000) < 1.0 / (1.0 + np.exp(-x @ truth))).astype(np.float64)
    np.testing.assert_allclose(fit_logistic(x, happened, np.full(3, 1e-3)), truth, atol=0.06)


def test_a_ridge_makes_collinear_features_solvable() -> None:
    x = np.ones((100, 2))
    happened = np.array([1.0] * 75 + [0.0] * 25)
    weights = fit_logistic(x, happened, np.full(2, 1e-3))
    assert weights[0] == pytest.approx(weights[1])
    assert 1.0 / (1.0 + np.exp(-weights.sum())) == pytest.approx(0.75, abs=0.01)
