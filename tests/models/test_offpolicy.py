"""Estimators equal to slow twins, intervals that hold the truth, and logs of any make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from models.bandits.linear import LinearThompson
from models.errors import EvaluationError, FeatureError
from models.offpolicy import estimators
from models.offpolicy.columns import Names
from models.offpolicy.estimators import Evidence, importance_weights
from models.offpolicy.evaluation import evaluate_selector
from models.offpolicy.intervals import bernstein, bootstrap, effective_sample, lower_bound
from models.offpolicy.logs import read_decisions
from models.offpolicy.obd import evaluate_obd
from models.offpolicy.replay import evaluate_log
from models.offpolicy.reward import cross_fitted
from models.offpolicy.tuning import (
    SHRINKAGES,
    best_by_bound,
    best_by_slope,
    error_bound,
    shrunk_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

    from models.offpolicy.estimators import Floats

ARMS = 4
RATES = np.array([0.1, 0.2, 0.3, 0.4])
POLICY = np.array([0.1, 0.1, 0.2, 0.6])


def evidence(seed: int, count: int = 400, q: float = 0.2) -> Evidence:
    rng = np.random.default_rng(seed)
    arm = rng.integers(0, ARMS, count)
    rewards = (rng.random(count) < RATES[arm]).astype(np.float64)
    weights = importance_weights(POLICY[arm], np.full(count, 1.0 / ARMS))
    return Evidence(weights, rewards, np.full(count, q), np.full(count, q))


def test_estimators_are_sums_over_decisions() -> None:
    seen = evidence(1)
    rows = list(zip(seen.weights, seen.rewards, seen.q_logged, seen.q_policy, strict=True))
    slow = {
        "ips": sum(w * r for w, r, _, _ in rows) / len(rows),
        "snips": sum(w * r for w, r, _, _ in rows) / sum(w for w, _, _, _ in rows),
        "dr": sum(m + w * (r - q) for w, r, q, m in rows) / len(rows),
        "dros": sum(m + 3 * w / (w * w + 3) * (r - q) for w, r, q, m in rows) / len(rows),
        "switch": sum(m + (w * (r - q) if w <= 1 else 0) for w, r, q, m in rows) / len(rows),
    }
    fast = {
        "ips": estimators.ips(seen),
        "snips": estimators.snips(seen),
        "dr": estimators.doubly_robust(seen),
        "dros": estimators.shrunk_doubly_robust(seen, 3.0),
        "switch": estimators.switch_doubly_robust(seen, 1.0),
    }
    assert {name: terms.mean() for name, terms in fast.items()} == pytest.approx(slow)


def test_shrinkage_goes_from_the_model_to_doubly_robust() -> None:
    seen = evidence(2)
    least = estimators.shrunk_doubly_robust(seen, 0.0)
    most = estimators.shrunk_doubly_robust(seen, np.inf)
    np.testing.assert_array_equal(least, estimators.direct(seen))
    np.testing.assert_array_equal(most, estimators.doubly_robust(seen))


def test_a_decision_without_a_chance_is_an_error() -> None:
    with pytest.raises(FeatureError, match="propensities"):
        importance_weights(np.ones(2), np.array([0.5, 0.0]))


@pytest.mark.parametrize(
    "way",
    [estimators.ips, estimators.snips, estimators.doubly_robust],
    ids=lambda way: way.__name__,
)
def test_intervals_hold_the_truth_nearly_always(way: object) -> None:
    truth = float(POLICY @ RATES)
    held = 0
    for seed in range(60):
        found = bootstrap(way(evidence(seed)), np.random.default_rng(seed), 300)  # type: ignore[operator]
        held += found.low <= truth <= found.high
    assert held >= 51  # 95 % of 60 are 57


def test_bernsteins_bound_is_below_the_truth_and_inside_its_interval() -> None:
    truth = float(POLICY @ RATES)
    for seed in range(20):
        terms = estimators.ips(evidence(seed))
        assert bernstein(terms, 2.4).low < lower_bound(terms, 2.4) < truth


def test_the_effective_sample_of_even_weights_is_the_sample() -> None:
    assert effective_sample(np.full(800, 0.3)).sample == pytest.approx(800.0)
    lonely = effective_sample(np.eye(1, 800)[0])
    assert (lonely.sample, lonely.passed) == (1.0, False)


def test_the_bound_on_the_error_is_the_variance_where_nothing_is_cut() -> None:
    seen = evidence(3)
    variance = estimators.doubly_robust(seen).var(ddof=1) / len(seen.rewards)
    assert error_bound(seen, seen.weights) == pytest.approx(variance)
    assert best_by_bound(seen, shrunk_weights, SHRINKAGES) in SHRINKAGES


def test_slope_leaves_bias_out_that_the_log_can_see() -> None:
    seen = evidence(4, count=20_000, q=0.9)  # a model that is far off
    assert best_by_slope(seen, shrunk_weights, SHRINKAGES) >= 10.0
    assert best_by_slope(evidence(5, count=300), shrunk_weights, SHRINKAGES) <= 10.0


def test_no_decision_is_foretold_by_a_model_that_saw_it() -> None:
    rng = np.random.default_rng(6)
    contexts, arm = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
    rewards = (rng.random(60) < 0.4).astype(np.float64)
    first = cross_fitted(contexts, arm, rewards, 3, np.random.default_rng(1))
    rewards[7] = 1.0 - rewards[7]
    second = cross_fitted(contexts, arm, rewards, 3, np.random.default_rng(1))
    np.testing.assert_array_equal(first[7], second[7])
    assert (first != second).any()


def decisions(seed: int, count: int, gain: float) -> dict[str, object]:
    """Four arms; half of the users like the even arms more by `gain`, the others less."""
    rng = np.random.default_rng(seed)
    device = rng.choice(["phone", "desktop"], count)
    arm = rng.integers(0, ARMS, count)
    likes = np.where((device == "phone") == (arm % 2 == 0), gain, -gain)
    click = rng.random(count) < 0.3 + likes
    return {
        "user": [f"u{number}" for number in range(count)],
        "Device": device,
        "Creative ID": [f"ad{each}" for each in arm],
        "propensity_score": np.full(count, 1.0 / ARMS),
        "Click": click.astype(np.int64),
        "age": rng.normal(40.0, 10.0, count),
    }


def written(folder: Path, columns: dict[str, object], name: str = "log.csv") -> Path:
    path = folder / name
    table = pa.table(columns)
    if name.endswith(".csv"):
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_columns_are_known_by_their_usual_names(tmp_path: Path, name: str) -> None:
    log = read_decisions(written(tmp_path, decisions(1, 300, 0.1), name))
    assert (log.roles.action, log.roles.reward) == ("Creative ID", "Click")
    assert log.arms == ("ad0", "ad1", "ad2", "ad3")
    assert log.left_out == ("user",)
    assert set(log.places) == {"age", "Device=desktop"} or set(log.places) == {
        "age",
        "Device=phone",
    }
    np.testing.assert_allclose(log.contexts.mean(axis=0), 0.0, atol=1e-9)


def test_columns_can_be_named_by_hand_and_chances_left_out(tmp_path: Path) -> None:
    columns = decisions(2, 200, 0.1)
    renamed = {"what": columns["Creative ID"], "paid": columns["Click"], "age": columns["age"]}
    path = written(tmp_path, renamed)
    with pytest.raises(EvaluationError, match="--action"):
        read_decisions(path)
    log = read_decisions(path, Names(action="what", reward="paid"))
    assert log.propensities.tolist() == [0.25] * 200


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("propensity_score", np.zeros(50), "chances"),
        ("Click", ["much"] * 50, "numbers"),
        ("Creative ID", ["one"] * 50, "one action only"),
    ],
)
def test_what_can_not_be_is_an_error_that_names_the_column(
    tmp_path: Path, column: str, values: object, words: str
) -> None:
    path = written(tmp_path, {**decisions(3, 50, 0.1), column: values})
    with pytest.raises(EvaluationError, match=words):
        read_decisions(path)


FEW = {"linear thompson": LinearThompson}


def value_of(path: Path) -> tuple[dict[str, float], float]:
    report = evaluate_log("log", read_decisions(path), 1, FEW)
    return {row.policy: row.over_fixed.low for row in report.policies}, report.followed


def test_context_that_matters_is_found_and_followed(tmp_path: Path) -> None:
    gains, followed = value_of(written(tmp_path, decisions(4, 3_000, 0.15)))
    assert gains["linear thompson, greedy"] > 0.0
    assert gains["gate"] > 0.0
    assert followed > 0.5


def test_context_that_says_nothing_is_not_followed(tmp_path: Path) -> None:
    _, followed = value_of(written(tmp_path, decisions(5, 3_000, 0.0)))
    assert followed < 0.2


def test_rewards_of_any_unit_are_told_in_that_unit(tmp_path: Path) -> None:
    columns = decisions(6, 1_000, 0.1)
    plain = evaluate_log("log", read_decisions(written(tmp_path, columns)), 1, FEW)
    columns["Click"] = 100.0 * np.asarray(columns["Click"]) - 20.0
    paid = evaluate_log("log", read_decisions(written(tmp_path, columns)), 1, FEW)
    for one, other in zip(plain.policies, paid.policies, strict=True):
        assert other.doubly_robust.mean == pytest.approx(100.0 * one.doubly_robust.mean - 20.0)


def shown(seed: int, count: int, shares: Floats) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    item = rng.choice(ARMS, count, p=shares)
    return {
        "item_id": item,
        "position": rng.integers(1, 4, count),
        "click": (rng.random(count) < RATES[item]).astype(np.int64),
        "propensity_score": shares[item],
    }


def test_the_value_of_one_policy_is_told_from_the_log_of_chance(tmp_path: Path) -> None:
    written(tmp_path, shown(1, 2_000, np.full(ARMS, 0.25)), "random_made.parquet")
    written(tmp_path, shown(2, 2_000, POLICY), "bts_made.parquet")
    campaign = evaluate_obd(tmp_path, 1)[0]
    truth = float(POLICY @ RATES)
    for estimate in campaign.estimates:
        if estimate.estimator in {"IPS", "SNIPS", "DR", "DRos"}:
            assert estimate.value.low < truth < estimate.value.high
    assert evaluate_selector(tmp_path, 1).campaigns[0].gate.passed


def test_a_folder_without_a_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no log"):
        evaluate_selector(tmp_path, 1)
