"""Calibration: honest chances, the order of scores kept, and the curve equal to a slow twin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import fit_isotonic, fit_platt, logit, reliability
from models.errors import EvaluationError
from models.evaluation import calibration_error, log_loss
from models.fraud_evaluation import evaluate_fraud

if TYPE_CHECKING:
    from pathlib import Path

    from models.calibration import Floats


def scored(seed: int, count: int = 20_000) -> tuple[Floats, Floats]:
    """Scores that are twice too sure, and what happened."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(-2.0, 1.0, count)
    happened = (rng.random(count) < 1.0 / (1.0 + np.exp(-odds))).astype(np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-2.0 * odds))), happened


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic], ids=lambda fit: fit.__name__)
def test_calibrated_chances_are_honest_on_data_that_was_held_back(fit: object) -> None:
    curve = fit(*scored(1))  # type: ignore[operator]
    scores, happened = scored(2)
    chances = curve(scores)
    assert calibration_error(chances, happened) < 0.2 * calibration_error(scores, happened)
    assert log_loss(chances, happened) < log_loss(scores, happened)


def test_platt_finds_the_scale() -> None:
    curve = fit_platt(*scored(3))
    assert (curve.offset, curve.slope) == pytest.approx((0.0, 0.5), abs=0.1)


def test_scores_that_mislead_become_the_common_rate() -> None:
    scores, happened = scored(4)
    curve = fit_platt(scores, 1.0 - happened)
    assert np.ptp(curve(scores)) == 0.0


@given(seed=st.integers(0, 200), count=st.integers(1, 30))
def test_the_rising_curve_is_the_best_of_all_rising_ones(seed: int, count: int) -> None:
    """The slow twin: level k is the least over ends of the greatest over starts of mean rates."""
    rng = np.random.default_rng(seed)
    scores = rng.permutation(count) / count
    happened = (rng.random(count) < 0.5).astype(np.float64)
    ranked = happened[scores.argsort()]
    slow = [
        max(min(ranked[i : j + 1].mean() for j in range(k, count)) for i in range(k + 1))
        for k in range(count)
    ]
    curve = fit_isotonic(scores, happened)
    assert (np.diff(curve.chances) >= 0.0).all()
    assert len(curve.chances) == len(np.unique(np.round(slow, 9)))
    assert curve.chances[0] > 0.0
    assert curve.chances[-1] < 1.0


def test_bins_hold_all_scores_in_their_order() -> None:
    bins = reliability(*scored(5, 1_000))
    assert sum(each.count for each in bins) == 1_000
    assert [each.predicted for each in bins] == sorted(each.predicted for each in bins)


def test_certain_scores_have_finite_log_odds() -> None:
    assert np.isfinite(logit(np.array([0.0, 1.0]))).all()


def test_the_score_of_fraud_becomes_a_chance() -> None:
    report = evaluate_fraud(None, 1)
    rows = {row.model: row for row in report.rows}
    for name in ("Platt", "isotonic"):
        assert rows[name].log_loss < rows["score as it is"].log_loss
    assert rows["isotonic"].calibration_error < 0.02
    assert report.refused > 20 * report.refused_wrongly


def test_requests_of_a_file_are_judged(tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    lines = ["user_agent,ip,device_kind,recent,invalid"]
    lines += ["curl/8.0,198.51.100.1,desktop,1,1", "Mozilla/5.0,198.51.100.2,desktop,1,0"] * 40
    path.write_text("\n".join(lines), encoding="utf-8")
    report = evaluate_fraud(path, 1)
    assert (report.refused, report.refused_wrongly) == (1.0, 0.0)
    path.write_text("user_agent,ip\nx,y\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="invalid"):
        evaluate_fraud(path, 1)
