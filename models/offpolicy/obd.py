"""Open Bandit data: what Bernoulli Thompson sampling earns, told from the log of chance alone.

Two policies ran on the same traffic (Saito et al., NeurIPS datasets 2021). The policy to be valued
is known by its own log: how often it showed each item in each of the three places. Both logs are
samples, so both are drawn again for an interval. The published truth is the click rate of the whole
log of that policy (up to 12 million rows), of which the small files hold ten thousand.

Letters: N decisions, K items, P places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import EvaluationError
from models.evaluation import Interval
from models.offpolicy import estimators
from models.offpolicy.columns import numbers_of, read_table
from models.offpolicy.estimators import Evidence, importance_weights
from models.offpolicy.intervals import Gate, bernstein, effective_sample
from models.offpolicy.reward import cross_fitted
from models.offpolicy.tuning import (
    SHRINKAGES,
    THRESHOLDS,
    best_by_bound,
    best_by_slope,
    shrunk_weights,
    switched_weights,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Click rates of Bernoulli Thompson sampling over its whole log, as published.
PUBLISHED: Final = {"all": 0.0050, "men": 0.0067, "women": 0.0064}
RESAMPLES: Final = 1_000
#: Decisions that the prior of an item's share is worth, spread evenly: no share is 0.
_PRIOR: Final = 1.0


class Shown(msgspec.Struct, frozen=True):
    """A log: which item was shown where, with which chance, and whether it was clicked.

    Attributes:
        item: Shape ``(N,)``.
        place: From 0 on, shape ``(N,)``.
        click: Shape ``(N,)``.
        propensity: Shape ``(N,)``.
    """

    item: Ints
    place: Ints
    click: Floats
    propensity: Floats


class Estimate(msgspec.Struct, frozen=True):
    """What one estimator says of one campaign.

    Attributes:
        estimator: Its name.
        value: Clicks a decision, with the bootstrap interval over both logs.
        bernstein: The interval that needs no large sample, given the policy.
        setting: Shrinkage or threshold; none where it has none, or changes no weight.
        relative_error: ``|value - truth| / truth``; none where no truth is published.
        covers: The bootstrap interval holds the truth.
    """

    estimator: str
    value: Interval
    bernstein: Interval
    setting: float | None
    relative_error: float | None
    covers: bool | None


class Campaign(msgspec.Struct, frozen=True):
    """All estimates of one campaign.

    Attributes:
        campaign: Its name.
        decisions: In the log of chance.
        random: Click rate of chance.
        policy: Click rate in the policy's own small log.
        published: Over its whole log; none where unknown.
        gate: Whether the log of chance knows enough of the policy.
        estimates: One for each estimator.
    """

    campaign: str
    decisions: int
    random: float
    policy: float
    published: float | None
    gate: Gate
    estimates: tuple[Estimate, ...]


def campaigns_of(folder: Path) -> tuple[str, ...]:
    """Return the campaigns of which a folder has both logs."""
    names = sorted(path.stem.removeprefix("random_") for path in folder.glob("random_*.parquet"))
    return tuple(name for name in names if (folder / f"bts_{name}.parquet").exists())


def evaluate_obd(folder: Path, seed: int) -> tuple[Campaign, ...]:
    """Estimate the policy's value on each campaign.

    Args:
        folder: With ``random_NAME.parquet`` and ``bts_NAME.parquet``.
        seed: Of folds and resamples.

    Raises:
        EvaluationError: A log can't be read.
    """
    return tuple(
        _campaign(folder, name, np.random.default_rng((seed, 60, number)))
        for number, name in enumerate(campaigns_of(folder))
    )


def read_shown(path: Path) -> Shown:
    """Read one log.

    Args:
        path: With ``item_id``, ``position``, ``click`` and ``propensity_score``.

    Raises:
        EvaluationError: It can't be read or lacks a column.
    """
    table = read_table(path)
    columns = ("item_id", "position", "click", "propensity_score")
    for name in columns:
        if name not in table.column_names:
            raise EvaluationError(f"{path}: no column {name!r}; it must have {', '.join(columns)}")
    item, place, click, propensity = (numbers_of(path, table, name) for name in columns)
    return Shown(item.astype(np.int64), place.astype(np.int64) - 1, click, propensity)


def shares(shown: Shown, places: int, items: int) -> Floats:
    """Return how often a policy shows each item in each place, shape ``(P, K)``."""
    counts = np.full((places, items), _PRIOR / items)
    np.add.at(counts, (shown.place, shown.item), 1.0)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _campaign(folder: Path, name: str, rng: np.random.Generator) -> Campaign:
    chance = read_shown(folder / f"random_{name}.parquet")
    policy = read_shown(folder / f"bts_{name}.parquet")
    items = 1 + int(max(chance.item.max(), policy.item.max()))
    places = 1 + int(max(chance.place.max(), policy.place.max()))
    contexts = np.eye(places)[chance.place]
    q = cross_fitted(contexts, chance.item, chance.click, items, rng)  # (N, K)
    seen = evidence(chance, shares(policy, places, items), q)
    ways = _ways(seen)
    drawn = _resampled((chance, policy), (places, items), q, ways, rng)
    truth = PUBLISHED.get(name)
    return Campaign(
        campaign=name,
        decisions=len(chance.click),
        random=float(chance.click.mean()),
        policy=float(policy.click.mean()),
        published=truth,
        gate=effective_sample(seen.weights),
        estimates=tuple(_estimate(way, seen, drawn[way], ways[way], truth) for way in ways),
    )


def evidence(chance: Shown, policy: Floats, q: Floats) -> Evidence:
    """Return what the log of chance says about a policy.

    Args:
        chance: The log.
        policy: Share of each item in each place, shape ``(P, K)``.
        q: Expected clicks of every item, shape ``(N, K)``.
    """
    rows = np.arange(len(chance.item))
    return Evidence(
        weights=importance_weights(policy[chance.place, chance.item], chance.propensity),
        rewards=chance.click,
        q_logged=q[rows, chance.item],
        q_policy=np.einsum("nk,nk->n", policy[chance.place], q),
    )


def _ways(seen: Evidence) -> dict[str, float | None]:
    """Return the estimators with their settings, chosen on the log of chance alone."""
    return {
        "IPS": None,
        "SNIPS": None,
        "DM": None,
        "DR": None,
        "DRos": best_by_bound(seen, shrunk_weights, SHRINKAGES),
        "Switch-DR": best_by_bound(seen, switched_weights, THRESHOLDS),
        "DRos (SLOPE)": best_by_slope(seen, shrunk_weights, SHRINKAGES),
    }


def terms_of(way: str, seen: Evidence, setting: float | None) -> Floats:
    """Return the terms of an estimator by its name, shape ``(N,)``."""
    plain = {
        "IPS": estimators.ips,
        "SNIPS": estimators.snips,
        "DM": estimators.direct,
        "DR": estimators.doubly_robust,
    }
    if way in plain:
        return plain[way](seen)
    assert setting is not None
    if way == "Switch-DR":
        return estimators.switch_doubly_robust(seen, setting)
    return estimators.shrunk_doubly_robust(seen, setting)


def _resampled(
    logs: tuple[Shown, Shown],
    shape: tuple[int, int],
    q: Floats,
    ways: Mapping[str, float | None],
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return each estimator's values with both logs drawn anew, shape ``(R,)`` each."""
    chance, policy = logs
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(RESAMPLES):
        mine, its = _drawn(chance, rng), _drawn(policy, rng)
        share = shares(rows_of(policy, its), *shape)
        seen = evidence(rows_of(chance, mine), share, q[mine])
        for way, setting in ways.items():
            found[way].append(float(terms_of(way, seen, setting).mean()))
    return {way: np.array(values) for way, values in found.items()}


def _drawn(shown: Shown, rng: np.random.Generator) -> Ints:
    return rng.integers(0, len(shown.item), len(shown.item))


def rows_of(shown: Shown, rows: Ints) -> Shown:
    """Return some rows of a log."""
    return Shown(shown.item[rows], shown.place[rows], shown.click[rows], shown.propensity[rows])


def _estimate(
    way: str, seen: Evidence, drawn: Floats, setting: float | None, truth: float | None
) -> Estimate:
    terms = terms_of(way, seen, setting)
    value = float(terms.mean())
    low, high = (float(bound) for bound in np.quantile(drawn, (0.025, 0.975)))
    span = max(float(np.ptp(terms)), float(seen.weights.max()))
    return Estimate(
        estimator=way,
        value=Interval(value, low, high),
        bernstein=bernstein(terms, span),
        setting=None if setting is None or np.isinf(setting) else setting,
        relative_error=None if truth is None else abs(value - truth) / truth,
        covers=None if truth is None else low <= truth <= high,
    )
