"""Trains the optimizer: calibration of clicks, chance of conversions, and the market's prices.

* Calibration: ads are *chosen by the selector* for users, then clicks decide (two parameters on
  log-odds).
* Conversions: all clicks of a random log; match of user and ad, device, and one intercept per
  campaign.
* Market: random bids against competitors; only won or lost is seen, as in a first-price auction.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from config.campaigns import load_campaigns
from models.calibration import fit_isotonic, fit_platt
from models.evaluation import Interval, calibration_error, log_loss, mean_interval
from models.market.logs import impressions
from models.market.world import COUNTRIES, Ads, Floats, Ints, World
from models.market_segments import SEGMENT_COUNT, segment_columns
from models.opportunity import CATEGORY_COUNT, DEVICE_KINDS, FORMATS
from models.optimizer.curves import MarketCurve, shaded_bid
from models.optimizer.value import CONVERSION_FEATURES, NAME, SCHEMA, ValueModel
from models.registry import Trained, load_tensors
from models.regression import fit_logistic
from models.sample_ads import sample_candidates
from models.selector.thompson import NAME as SELECTOR
from models.selector.thompson import SCHEMA as SELECTOR_SCHEMA
from models.selector.thompson import ThompsonSelector, cold_embedding
from models.train_data import KnownUsers, known_users

if TYPE_CHECKING:
    from pathlib import Path

_CHOICES: Final = 8
_LOG_BID_MEAN: Final = 7.6
_LOG_BID_SPREAD: Final = 1.1


class OptimizerSettings(msgspec.Struct, frozen=True):
    """How training runs.

    Attributes:
        impressions: Shown ads, for conversions.
        users: To whom they were shown.
        choices: Decisions of the selector, for calibration.
        auctions: Random bids, for the market.
        test_auctions: Auctions to measure on.
    """

    impressions: int = 3_000_000
    users: int = 20_000
    choices: int = 150_000
    auctions: int = 150_000
    test_auctions: int = 20_000


class OptimizerResult(msgspec.Struct, frozen=True):
    """What training made: weights for the registry, and metrics beside baselines."""

    trained: Trained
    table: Mapping[str, Mapping[str, Interval]]


class Scene(msgspec.Struct, frozen=True):
    """The world with the people and ads of one training run."""

    world: World
    ads: Ads
    users: KnownUsers
    embeddings: Floats
    selector: ThompsonSelector


class Decisions(msgspec.Struct, frozen=True):
    """What the selector chose for users, and what came of it; all of shape ``(N,)``."""

    user: Ints
    ad: Ints
    predicted: Floats
    clicked: Floats
    true_click: Floats
    true_conversion: Floats


def train_optimizer(
    seed: int, folders: tuple[Path, Path], settings: OptimizerSettings | None = None
) -> OptimizerResult:
    """Train and measure an optimizer for the sample campaigns.

    Args:
        seed: Of users, impressions and auctions.
        folders: Of the profiler and of the selector that it will work with.
        settings: How much; by default some ten seconds.
    """
    how = settings or OptimizerSettings()
    rng = np.random.default_rng((seed, 30))
    scene = _scene(folders, how.users, rng, seed)
    learnt = decisions(scene, how.choices, rng)
    tensors = {
        "calibration": _calibrate(learnt),
        **_conversions(scene, how.impressions, rng),
        "market": _market(scene, how.auctions, rng),
        "embeddings": scene.embeddings,
    }
    labels = {
        "campaigns": [campaign.id for campaign in load_campaigns()],
        "creatives": list(scene.ads.ids),
    }
    value = ValueModel(tensors, labels, "training")
    unseen = _scene(folders, how.users // 2, rng, seed)
    made = decisions(unseen, how.test_auctions, rng)
    table = _measure(value, tensors["market"], (unseen, made), rng)
    rising = fit_isotonic(learnt.predicted, learnt.clicked)
    table["isotonic"] = _fit_quality(rising(made.predicted), made)
    metrics = {
        f"{row}_{name}": cell.mean for row, cells in table.items() for name, cell in cells.items()
    }
    narrow = {name: array.astype(np.float32) for name, array in tensors.items()}
    trained = Trained(
        name=NAME, schema=SCHEMA, seed=seed, tensors=dict(narrow), metrics=metrics, labels=labels
    )
    return OptimizerResult(trained, table)


def _scene(folders: tuple[Path, Path], users: int, rng: np.random.Generator, seed: int) -> Scene:
    profiler, selector = folders
    world = World()
    ads = world.ads(load_campaigns())
    return Scene(
        world,
        ads,
        known_users(profiler, world, users, rng),
        embeddings_of(selector, ads.ids),
        ThompsonSelector.load(selector, seed),
    )


def embeddings_of(selector: Path, creatives: Sequence[str]) -> Floats:
    """Return the selector's embeddings of creatives, shape ``(A, D)``.

    Sample campaigns may be newer than a selector: an ad that it does not know gets what it would
    give to it, the mean of the ad's categories.

    Args:
        selector: Folder of its weights.
        creatives: Names, length A.
    """
    manifest, tensors = load_tensors(selector, SELECTOR, SELECTOR_SCHEMA)
    wide = {name: tensors[name].astype(np.float64) for name in ("embeddings", "categories")}
    known = dict(zip(manifest.labels["creatives"], wide["embeddings"], strict=True))
    topics = {ad.id: each.categories for each in load_campaigns() for ad in each.creatives}
    rows = [
        known[name] if name in known else cold_embedding(topics[name], wide["categories"])
        for name in creatives
    ]
    return np.array(rows)


def decisions(scene: Scene, count: int, rng: np.random.Generator) -> Decisions:
    """Let the selector choose among some ads for users, and let the world react.

    Args:
        scene: World, users, ads and selector.
        count: How many decisions, N.
        rng: Source of chance.
    """
    everything = sample_candidates()
    luck = random.Random(int(rng.integers(2**32)))
    user = rng.integers(0, len(scene.users.vectors), count)
    vectors = scene.users.vectors.astype(np.float32)
    offered = rng.integers(0, len(everything), (count, _CHOICES))
    ad = np.empty(count, dtype=np.int64)
    predicted = np.empty(count)
    for row, (who, options) in enumerate(zip(user, offered.tolist(), strict=True)):
        choice = scene.selector.choose(vectors[who], [everything[k] for k in options], luck)
        ad[row], predicted[row] = options[choice.index], choice.predicted_ctr
    return _react(scene, user, ad, predicted, rng)


def _react(
    scene: Scene, user: Ints, ad: Ints, predicted: Floats, rng: np.random.Generator
) -> Decisions:
    people, ads = scene.users.people, scene.ads
    match = np.einsum("nd,nd->n", people.interests[user], ads.places[ad])
    device = people.device[user]
    click = scene.world.click_chance(match, ads.format[ad], device, ads.appeal[ad])
    conversion = scene.world.conversion_chance(match, device, ads.closing[ad])
    clicked = (rng.random(len(user)) < click).astype(np.float64)
    return Decisions(user, ad, predicted, clicked, click, conversion)


def _calibrate(learnt: Decisions) -> Floats:
    """Return offset and slope that make the selector's log-odds honest on ads that it chose."""
    curve = fit_platt(learnt.predicted, learnt.clicked)
    return np.array([curve.offset, curve.slope])


def _conversions(scene: Scene, count: int, rng: np.random.Generator) -> dict[str, Floats]:
    """Return the weights of the chance that a click converts."""
    people, ads = scene.users.people, scene.ads
    log = impressions(scene.world, people, ads, count, rng)
    user, ad = log.user[log.clicked], log.ad[log.clicked]
    match = np.einsum("nd,nd->n", scene.users.vectors[user], scene.embeddings[ad])
    devices = np.eye(len(DEVICE_KINDS))[people.device[user]]
    campaigns = np.eye(ads.campaign.max() + 1)[ads.campaign[ad]]
    x = np.hstack([match[:, None], devices, campaigns, np.ones((len(user), 1))])
    ridge = np.concatenate(
        [[1.0], np.full(devices.shape[1], 3.0), np.full(campaigns.shape[1], 8.0)]
    )
    weights = fit_logistic(x, log.converted[log.clicked].astype(np.float64), np.append(ridge, 1e-6))
    shared, own = weights[:CONVERSION_FEATURES], weights[CONVERSION_FEATURES:-1]
    return {
        "conversion": shared,
        "campaigns": own + weights[-1],
        "typical_campaign": weights[-1:],
    }


class Auctions(msgspec.Struct, frozen=True):
    """Impressions for sale with the highest competing bid.

    Attributes:
        rows: One-hot rows of `models.market_segments`, shape ``(N, SEGMENT_COUNT)``.
        price: Highest competing bid in micros, shape ``(N,)``.
    """

    rows: Floats
    price: Floats


def auctions(scene: Scene, user: Ints, media: Ints, rng: np.random.Generator) -> Auctions:
    """Return auctions for impressions of users.

    Args:
        scene: World and users.
        user: Rows of users, shape ``(N,)``.
        media: Indexes into `FORMATS`, shape ``(N,)``.
        rng: Source of chance.
    """
    people = scene.users.people
    category = rng.integers(0, CATEGORY_COUNT, len(user))
    country, device = people.country[user], people.device[user]
    mean = scene.world.log_price(media, country, device, category, people.interests[user])
    price = np.exp(rng.normal(mean, scene.world.price_sigma))
    rows = np.zeros((len(user), SEGMENT_COUNT))
    facts = zip(media, country, device, category, strict=True)
    columns = [
        segment_columns(FORMATS[m], COUNTRIES[c], DEVICE_KINDS[d], int(k)) for m, c, d, k in facts
    ]
    rows[np.arange(len(user))[:, None], np.array(columns)] = 1.0
    return Auctions(rows, price)


def _market(scene: Scene, count: int, rng: np.random.Generator) -> Floats:
    """Return weights of the log-odds of winning, learnt from random bids and wins only."""
    user = rng.integers(0, len(scene.users.vectors), count)
    sold = auctions(scene, user, rng.integers(0, len(FORMATS), count), rng)
    log_bid = rng.normal(_LOG_BID_MEAN, _LOG_BID_SPREAD, count)
    won = (np.exp(log_bid) >= sold.price).astype(np.float64)
    ridge = np.full(1 + SEGMENT_COUNT, 1.0)
    ridge[:2] = 1e-6
    return fit_logistic(np.hstack([log_bid[:, None], sold.rows]), won, ridge)


def _measure(
    value: ValueModel,
    market: Floats,
    where: tuple[Scene, Decisions],
    rng: np.random.Generator,
) -> dict[str, dict[str, Interval]]:
    """Return calibration and surplus beside baselines, on users and auctions never seen."""
    scene, made = where
    everything = sample_candidates()
    campaign_value = np.array([c.campaign.value_per_conversion_micros for c in everything])[made.ad]
    click = np.array([value.click_chance(p) for p in made.predicted])
    kinds = [DEVICE_KINDS[d] for d in scene.users.people.device[made.user]]
    vectors = scene.users.vectors[made.user].astype(np.float32)
    conversion = np.array(
        [
            value.conversion_chance(vector, everything[ad], kind)
            for vector, ad, kind in zip(vectors, made.ad, kinds, strict=True)
        ]
    )
    truth = made.true_click * made.true_conversion * campaign_value
    guess = click * conversion * campaign_value
    table: dict[str, dict[str, Interval]] = {
        "uncalibrated": _fit_quality(made.predicted, made),
        "value_model": _fit_quality(click, made),
    }
    table["value_model"]["value_ratio"] = _ratio(guess, truth)
    surpluses = _surpluses(guess, truth, market, where, rng)
    for name, surplus in surpluses.items():
        table.setdefault(name, {})["surplus_micros"] = mean_interval(surplus)
    gain = surpluses["first_shaded"] - surpluses["first_70_percent"]
    table["first_shaded"]["gain_over_70_percent"] = mean_interval(gain)
    gain = surpluses["second_value"] - surpluses["second_constant"]
    table["second_value"]["gain_over_constant"] = mean_interval(gain)
    return table


def _fit_quality(click: Floats, made: Decisions) -> dict[str, Interval]:
    loss, gap = log_loss(click, made.clicked), calibration_error(click, made.true_click)
    seen = calibration_error(click, made.clicked)
    point = {"log_loss": loss, "calibration_error": gap, "calibration_error_of_clicks": seen}
    return {name: Interval(value, value, value) for name, value in point.items()}


def _ratio(guess: Floats, truth: Floats) -> Interval:
    """Return mean guess / mean truth with its interval (delta method); 1 is honest money."""
    ratio = guess.mean() / truth.mean()
    spread = mean_interval((guess - ratio * truth) / truth.mean())
    return Interval(float(ratio), float(ratio) + spread.low, float(ratio) + spread.high)


def _surpluses(
    guess: Floats,
    truth: Floats,
    market: Floats,
    where: tuple[Scene, Decisions],
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return (true value - price) of what each way to bid wins, on the same auctions."""
    scene, made = where
    sold = auctions(scene, made.user, scene.ads.format[made.ad], rng)
    scale = np.exp(-(sold.rows @ market[1:]) / market[0])
    curves = [MarketCurve(float(s), float(market[0])) for s in scale]
    shaded = np.array([shaded_bid(float(v), c) for v, c in zip(guess, curves, strict=True)])
    constant = np.full_like(guess, float(np.median(guess)))
    first = {
        "first_truthful": guess,
        "first_constant": constant,
        "first_70_percent": 0.7 * guess,
        "first_shaded": shaded,
        "first_knows_price": np.where(guess > sold.price, sold.price, 0.0),
    }
    second = {"second_constant": constant, "second_value": guess, "second_true_value": truth}
    return {
        **{name: np.where(bid >= sold.price, truth - bid, 0.0) for name, bid in first.items()},
        **{name: np.where(b >= sold.price, truth - sold.price, 0.0) for name, b in second.items()},
    }
