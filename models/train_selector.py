"""Trains the selector on ads shown by chance: embeddings first, then the belief over them.

Neural-linear: gradient descent finds the embeddings (each ad's categories plus a correction of its
own, pulled to zero); then they stay fixed and a Laplace approximation gives the belief about the
last layer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import torch
from torch.nn import functional

from config.campaigns import load_campaigns
from models.evaluation import (
    Interval,
    area_under_curve,
    calibration_error,
    log_loss,
    mean_interval,
)
from models.market.logs import Impressions, impressions
from models.market.world import Ads, Floats, Ints, World
from models.opportunity import CATEGORY_COUNT, FORMATS, category_indexes
from models.profiler.events import VECTOR_DIM
from models.registry import Trained
from models.sample_ads import sample_candidates
from models.selector.posterior import FEATURE_COUNT, Belief, shared_features
from models.selector.thompson import NAME, SCHEMA, Catalogue, ThompsonSelector
from models.train_data import KnownUsers, known_users

if TYPE_CHECKING:
    from pathlib import Path

_CHOICES: Final = 8


class SelectorSettings(msgspec.Struct, frozen=True):
    """How training runs.

    Attributes:
        impressions: Shown ads to learn from.
        users: To whom they were shown.
        epochs: Passes over the impressions.
        batch: Impressions per step.
        rate: Learning rate of Adam.
        own_pull: Strength that pulls an ad's own correction to zero.
        weight_pull: Prior precision of the shared weights.
        intercept_pull: Prior precision of the ads' intercepts.
        test_users: People to measure on.
        test_impressions: Shown ads to measure predictions on.
        contexts: Choices to measure policies on.
    """

    impressions: int = 1_500_000
    users: int = 20_000
    epochs: int = 3
    batch: int = 8192
    rate: float = 0.02
    own_pull: float = 40.0
    weight_pull: float = 1.0
    intercept_pull: float = 5.0
    test_users: int = 6_000
    test_impressions: int = 400_000
    contexts: int = 6_000


class SelectorResult(msgspec.Struct, frozen=True):
    """What training made: weights for the registry, and metrics beside baselines."""

    trained: Trained
    table: Mapping[str, Mapping[str, Interval]]


class ScoreNetwork(torch.nn.Module):
    """The model whose last layer becomes the bandit: log-odds of a click.

    Args:
        topics: Share of each category in each ad, shape ``(A, C)``.
        formats: Indexes into `FORMATS`, shape ``(A,)``.
        start: Embedding of each category to start from, shape ``(C, D)``.
    """

    def __init__(self, topics: Floats, formats: Ints, start: Floats) -> None:
        super().__init__()
        self.topics = torch.tensor(topics, dtype=torch.float32)
        self.formats = torch.tensor(formats)
        self.categories = torch.nn.Parameter(torch.tensor(start, dtype=torch.float32))
        self.own = torch.nn.Parameter(torch.zeros(len(topics), VECTOR_DIM))
        first = torch.zeros(FEATURE_COUNT)
        first[:VECTOR_DIM] = 1.0
        first[-1] = -5.0
        self.weights = torch.nn.Parameter(first)
        self.intercepts = torch.nn.Parameter(torch.zeros(len(topics)))

    def embeddings(self) -> torch.Tensor:
        """Return the embedding of each ad, shape ``(A, D)``."""
        return self.topics @ self.categories + self.own

    def forward(self, vectors: torch.Tensor, ads: torch.Tensor) -> torch.Tensor:
        """Return log-odds of a click.

        Args:
            vectors: Of users, shape ``(N, D)``.
            ads: Rows of ads, shape ``(N,)``.

        Returns:
            Shape ``(N,)``.
        """
        embedding = self.embeddings()[ads]  # (N, D)
        one_hot = functional.one_hot(self.formats[ads], len(FORMATS))
        constant = torch.ones(len(ads), 1)
        x = torch.cat([vectors * embedding, embedding, one_hot, constant], dim=1)  # (N, F)
        return x @ self.weights + self.intercepts[ads]


def train_selector(
    seed: int, profiler: Path, settings: SelectorSettings | None = None
) -> SelectorResult:
    """Train and measure a selector for the sample campaigns.

    Args:
        seed: Of users, impressions and order.
        profiler: Folder of the profiler whose vectors it will get.
        settings: How long; by default some ten seconds.
    """
    how = settings or SelectorSettings()
    rng = np.random.default_rng((seed, 20))
    world, campaigns = World(), load_campaigns()
    ads = world.ads(campaigns)
    users = known_users(profiler, world, how.users, rng)
    log = impressions(world, users.people, ads, how.impressions, rng)
    network = _fit(users, log, ads, how, rng)
    belief, catalogue = _posterior(network, users, log, ads, how)
    trained = Trained(
        name=NAME,
        schema=SCHEMA,
        seed=seed,
        tensors=_tensors(belief, catalogue),
        metrics={},
        labels={"creatives": list(ads.ids)},
    )
    selector = ThompsonSelector(belief, catalogue, np.random.default_rng(seed), "training")
    users = known_users(profiler, world, how.test_users, rng)
    table = _measure(selector, users, log, (world, ads, rng), how)
    metrics = {
        f"{row}_{name}": cell.mean for row, cells in table.items() for name, cell in cells.items()
    }
    return SelectorResult(replace(trained, metrics=metrics), table)


def _topics() -> Floats:
    """Return the share of each category in each sample ad, shape ``(A, C)``."""
    rows = []
    for campaign in load_campaigns():
        row = np.zeros(CATEGORY_COUNT)
        topics = list(category_indexes(campaign.categories))
        row[topics] = 1.0 / max(len(topics), 1)
        rows += [row] * len(campaign.creatives)
    return np.array(rows)


def _fit(
    users: KnownUsers, log: Impressions, ads: Ads, how: SelectorSettings, rng: np.random.Generator
) -> ScoreNetwork:
    """Return a network fitted to a log."""
    start = rng.normal(0.0, 0.3, (CATEGORY_COUNT, VECTOR_DIM))
    network = ScoreNetwork(_topics(), ads.format, start)
    optimizer = torch.optim.Adam(network.parameters(), lr=how.rate)
    steps = max(1, how.epochs * len(log.ad) // how.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    vectors = torch.tensor(users.vectors[log.user], dtype=torch.float32)
    shown, clicked = torch.tensor(log.ad), torch.tensor(log.clicked, dtype=torch.float32)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(log.ad), how.batch))
        loss = functional.binary_cross_entropy_with_logits(
            network(vectors[rows], shown[rows]), clicked[rows]
        )
        pull = how.own_pull * network.own.square().sum() + how.intercept_pull * (
            network.intercepts.square().sum()
        )
        pull = pull + how.weight_pull * (network.weights[:-1].square().sum())
        optimizer.zero_grad()
        (loss + 0.5 * pull / len(log.ad)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network


def _posterior(
    network: ScoreNetwork, users: KnownUsers, log: Impressions, ads: Ads, how: SelectorSettings
) -> tuple[Belief, Catalogue]:
    """Return the Laplace approximation of the last layer around the fitted weights."""
    with torch.inference_mode():
        embeddings = network.embeddings().numpy().astype(np.float64)
        mean = network.weights.numpy().astype(np.float64)
        intercepts = network.intercepts.numpy().astype(np.float64)
        categories = network.categories.numpy().astype(np.float64)
    precision = how.weight_pull * np.eye(FEATURE_COUNT)
    evidence = np.full(len(ads.ids), how.intercept_pull)
    for part in np.array_split(np.arange(len(log.ad)), max(1, len(log.ad) // 100_000)):
        ad = log.ad[part]
        x = shared_features(users.vectors[log.user[part]], embeddings[ad], ads.format[ad])
        chance = 1.0 / (1.0 + np.exp(-(x @ mean + intercepts[ad])))
        curvature = chance * (1.0 - chance)
        precision += x.T @ (x * curvature[:, None])
        np.add.at(evidence, ad, curvature)
    belief = Belief(
        mean, np.asarray(np.linalg.inv(precision), np.float64), intercepts, 1.0 / evidence
    )
    catalogue = Catalogue(
        rows={creative: row for row, creative in enumerate(ads.ids)},
        embeddings=embeddings,
        formats=ads.format,
        categories=categories,
        typical=users.vectors.mean(axis=0),
        cold=np.array([intercepts.mean(), intercepts.var() + (1.0 / evidence).mean()]),
    )
    return belief, catalogue


def _tensors(
    belief: Belief, catalogue: Catalogue
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """Return belief and catalogue as they are written, in single precision."""
    wide = {
        "mean": belief.mean,
        "covariance": belief.covariance,
        "intercepts": belief.intercepts,
        "variances": belief.variances,
        "embeddings": catalogue.embeddings,
        "categories": catalogue.categories,
        "typical": catalogue.typical,
        "cold": catalogue.cold,
    }
    narrow = {name: array.astype(np.float32) for name, array in wide.items()}
    return {**narrow, "formats": catalogue.formats.astype(np.int64)}


def _measure(
    selector: ThompsonSelector,
    users: KnownUsers,
    log: Impressions,
    truth: tuple[World, Ads, np.random.Generator],
    how: SelectorSettings,
) -> dict[str, dict[str, Interval]]:
    """Return how well clicks are predicted and how good the choices are, on users never seen."""
    world, ads, rng = truth
    everything = sample_candidates()
    shown = impressions(world, users.people, ads, how.test_impressions, rng)
    overall = (np.bincount(log.ad, weights=log.clicked, minlength=len(ads.ids)) + 1.0) / (
        np.bincount(log.ad, minlength=len(ads.ids)) + 100.0
    )
    happened = shown.clicked.astype(np.float64)
    predicted = selector.predict(users.vectors[shown.user], [everything[row] for row in shown.ad])
    table = {
        "ad_average": _prediction(overall[shown.ad], happened),
        "thompson": _prediction(predicted, happened),
    }
    policies = _policies(selector, users, overall, truth, how.contexts)
    for name, values in policies.items():
        table.setdefault(name, {})["value_of_clicks"] = mean_interval(values)
    gain = policies["thompson"] - policies["ad_average"]
    table["thompson"]["gain_over_ad_average"] = mean_interval(gain)
    return table


def _prediction(predicted: Floats, happened: Floats) -> dict[str, Interval]:
    """Return how well chances fit outcomes; point values have no interval of their own."""
    point = {
        "auc": area_under_curve(predicted, happened),
        "log_loss": log_loss(predicted, happened),
        "calibration_error": calibration_error(predicted, happened),
    }
    return {name: Interval(value, value, value) for name, value in point.items()}


def _policies(
    selector: ThompsonSelector,
    users: KnownUsers,
    overall: Floats,
    world_of: tuple[World, Ads, np.random.Generator],
    contexts: int,
) -> dict[str, Floats]:
    """Return the true value of a click (micros) times its chance for the ad each policy picks.

    All policies meet the same users with the same eight ads.
    """
    world, ads, rng = world_of
    everything = sample_candidates()
    value = np.array([c.campaign.value_per_conversion_micros for c in everything], dtype=np.float64)
    user = rng.integers(0, len(users.vectors), contexts)
    offered = np.array([rng.choice(len(ads.ids), _CHOICES, replace=False) for _ in user])
    match = np.einsum("nd,nkd->nk", users.people.interests[user], ads.places[offered])
    device = users.people.device[user][:, None]
    clicks = world.click_chance(match, ads.format[offered], device, ads.appeal[offered])
    truth = (
        clicks * value[offered]
    )  # (N, K) micros of conversion value per impression, before its chance
    luck = random.Random(int(rng.integers(2**32)))
    picks = {
        "chance": rng.integers(0, _CHOICES, contexts),
        "ad_average": (overall[offered] * value[offered]).argmax(axis=1),
        "typical_user": _picks(
            lambda n: selector.best([everything[k] for k in offered[n]]).index, contexts
        ),
        "thompson": _picks(
            lambda n: (
                selector.choose(
                    users.vectors[user[n]].astype(np.float32),
                    [everything[k] for k in offered[n]],
                    luck,
                ).index
            ),
            contexts,
        ),
        "knows_the_truth": truth.argmax(axis=1),
    }
    rows = np.arange(contexts)
    return {name: truth[rows, pick] for name, pick in picks.items()}


def _picks(pick: Callable[[int], int], contexts: int) -> Ints:
    """Return what a policy picks in every context."""
    return np.array([pick(number) for number in range(contexts)])
