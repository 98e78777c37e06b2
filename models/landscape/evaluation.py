"""Measures models of the price to beat, and first-price bids that are shaded by them.

Every rule bids for the same test auctions, at a constant value each time (60, 100 and 150 in the
logs' own money, as the published comparisons do); the winner pays its bid. The surplus is summed
over wins and told as a share of what a bidder would get who knows every price. Differences are
paired by auction, with bootstrap intervals.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import torch

from models.evaluation import Interval
from models.landscape.learner import LandscapeSettings, density_loss, fit_landscape
from models.landscape.logs import Log, Split, read_log
from models.landscape.survival import (
    Floats,
    Ints,
    best_bids,
    kaplan_meier,
    win_log_loss,
)

if TYPE_CHECKING:
    from pathlib import Path

VALUES: Final = (60, 100, 150)
FACTORS: Final = (0.9, 0.7, 0.5, 0.3)
RESAMPLES: Final = 1_000


class Fit(msgspec.Struct, frozen=True):
    """How well a model foretells held-back auctions.

    Attributes:
        model: Its name.
        log_loss: Of winning with the bids that were made.
        beats_kaplan_meier: By how much its log-loss is below that of Kaplan-Meier.
        anlp: Mean negative log-probability of the true price.
        seconds: Wall time of the fit.
    """

    model: str
    log_loss: Interval
    beats_kaplan_meier: Interval
    anlp: float
    seconds: float


class Shading(msgspec.Struct, frozen=True):
    """What a rule of first-price bids earns.

    Attributes:
        rule: Its name.
        share: Surplus as a share of the oracle's, by value.
        mean: Of these shares.
        model_is_better_by: Mean share of the contextual model above this rule's.
    """

    rule: str
    share: Mapping[str, float]
    mean: float
    model_is_better_by: Interval


class Report(msgspec.Struct, frozen=True):
    """All that was measured on one log."""

    log: str
    train: int
    test: int
    fits: tuple[Fit, ...]
    shading: tuple[Shading, ...]


def evaluate_shading(folder: Path, seed: int) -> Report:
    """Fit on one half of a log and measure on the other.

    Args:
        folder: See `models.landscape.logs`.
        seed: Of the first weights, and of the bootstrap.

    Raises:
        EvaluationError: The log can't be read.
    """
    log = read_log(folder)
    torch.set_num_threads(1)  # small matrices: threads that wait for each other take longer
    settings = LandscapeSettings()
    rng = np.random.default_rng((seed, 50))
    begin_s = time.perf_counter()
    plain = kaplan_meier(log.train.seen, settings.highest)
    plain_s = time.perf_counter() - begin_s
    model = fit_landscape(log.train.facts, log.train.seen, log.facts, settings, seed)
    model_s = time.perf_counter() - begin_s - plain_s
    chances = {
        "Kaplan-Meier": np.broadcast_to(plain, (len(log.test.price), len(plain))),
        "contextual survival": model.win_chances(log.test.facts),
    }
    fits = _fits(chances, log.test, (plain_s, model_s), rng)
    return Report(
        log=folder.name,
        train=len(log.train.price),
        test=len(log.test.price),
        fits=fits,
        shading=_shading(_rules(chances, log), log.test, rng),
    )


def _fits(
    chances: Mapping[str, Floats], test: Split, seconds: tuple[float, ...], rng: np.random.Generator
) -> tuple[Fit, ...]:
    rows = np.arange(len(test.price))
    losses = {
        name: win_log_loss(table[rows, test.seen.bid], test.seen.won)
        for name, table in chances.items()
    }
    plain = losses["Kaplan-Meier"]
    return tuple(
        Fit(
            model=name,
            log_loss=_bootstrap(losses[name], rng),
            beats_kaplan_meier=_bootstrap(plain - losses[name], rng),
            anlp=float(density_loss(table, test.price).mean()),
            seconds=spent_s,
        )
        for (name, table), spent_s in zip(chances.items(), seconds, strict=True)
    )


def _rules(chances: Mapping[str, Floats], log: Log) -> dict[str, dict[int, Ints]]:
    """Return the bids of every rule, by value, each of shape ``(N,)``."""
    count = len(log.test.price)
    rules: dict[str, dict[int, Ints]] = {"unshaded": {v: np.full(count, v) for v in VALUES}}
    for factor in FACTORS:
        bids = {value: np.full(count, round(factor * value)) for value in VALUES}
        rules[f"value x {factor}"] = bids
    for name, table in chances.items():
        rules[name] = {value: best_bids(table, value) for value in VALUES}
    return rules


def _shading(
    rules: Mapping[str, Mapping[int, Ints]], test: Split, rng: np.random.Generator
) -> tuple[Shading, ...]:
    shares = {rule: _shares(bids, test.price) for rule, bids in rules.items()}
    model = shares["contextual survival"]
    found = []
    for rule, by_value in shares.items():
        mean = {value: float(each.sum()) for value, each in by_value.items()}
        better = np.mean([model[value] - by_value[value] for value in VALUES], axis=0)
        found.append(
            Shading(
                rule=rule,
                share={str(value): share for value, share in mean.items()},
                mean=float(np.mean(list(mean.values()))),
                model_is_better_by=_bootstrap(better * len(test.price), rng),
            )
        )
    return tuple(found)


def _shares(bids: Mapping[int, Ints], price: Ints) -> dict[int, Floats]:
    """Return each auction's surplus, as a share of the oracle's over all; shape ``(N,)``."""
    shares = {}
    for value, offered in bids.items():
        oracle = np.maximum(value - price - 1, 0).sum()  # it bids one above the price
        shares[value] = np.where(offered > price, value - offered, 0) / max(oracle, 1)
    return shares


def _bootstrap(values: Floats, rng: np.random.Generator) -> Interval:
    """Return the mean with its 95 % bootstrap interval."""
    draws = rng.integers(0, len(values), (RESAMPLES, len(values)), dtype=np.int32)
    means = values[draws].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Interval(float(values.mean()), float(low), float(high))
