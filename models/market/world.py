"""The hidden truth of the sample world, as plain arrays and pure functions of them.

Letters used for shapes: C categories (26), D latent interests (16), U users, A ads. Everything that
a bidder could only estimate is here; a bidder never imports this, only training, evaluation and the
simulator do.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.opportunity import CATEGORY_COUNT, DEVICE_KINDS, FORMATS, category_indexes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.campaigns import Campaign, Creative

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SomeFloats = Floats | np.float64
SomeInts = Ints | np.int64

#: Seed of the truth that all runs share.
WORLD_SEED: Final = 2026

#: Size of a user's or an ad's place in the space of interests.
LATENT_DIM: Final = 16

#: Where users live, with their share of the population.
COUNTRIES: Final = ("USA", "GBR", "DEU", "FRA", "CAN", "AUS", "BRA", "IND", "JPN", "ESP")
_COUNTRY_SHARES: Final = (0.40, 0.12, 0.12, 0.08, 0.07, 0.04, 0.06, 0.06, 0.03, 0.02)
_DEVICE_SHARES: Final = (0.52, 0.08, 0.32, 0.06, 0.02)

# Categories that people reach for together; the rest of the structure is noise.
_THEMES: Final = (
    (0, 8, 18, 24),  # entertainment, hobbies, technology
    (1, 16, 6, 22),  # cars, sports, health
    (2, 3, 12, 4),  # business, careers, finance, education
    (5, 7, 9, 15),  # family, food, home, pets
    (10, 11, 13, 23),  # law, news, society
    (17, 19, 21, 20),  # fashion, travel, shopping, property
    (14, 25),  # science and the rest
)

# Median of the highest competing bid, CPM in USD, by format in the order of FORMATS.
_PRICE_CPM: Final = (2.2, 9.0, 3.2, 6.0)
_PRICE_SIGMA: Final = 0.55
_CLICK_BASE: Final = (-5.7, -5.2, -5.3, -5.6)
_CONVERSION_BASE: Final = -3.7
_CLICK_MATCH: Final = 2.6
_CONVERSION_MATCH: Final = 1.6


class Users(msgspec.Struct, frozen=True):
    """A population.

    Attributes:
        interests: Places in the space of interests, unit length, shape ``(U, D)``.
        tastes: Chance of each category for a page view, rows sum to 1, shape ``(U, C)``.
        country: Index into `COUNTRIES`, shape ``(U,)``.
        device: Index into `DEVICE_KINDS`, shape ``(U,)``.
    """

    interests: Floats
    tastes: Floats
    country: Ints
    device: Ints


class Ads(msgspec.Struct, frozen=True):
    """The truth about the ads of some campaigns.

    Attributes:
        ids: Creative ids, in the order of the rows below.
        campaign: Row of the ad's campaign in the sequence they were made from, shape ``(A,)``.
        format: Index into `FORMATS`, shape ``(A,)``.
        places: Places in the space of interests, unit length, shape ``(A, D)``.
        appeal: Added to the log-odds of a click, shape ``(A,)``.
        closing: Added to the log-odds of a conversion, shape ``(A,)``.
    """

    ids: tuple[str, ...]
    campaign: Ints
    format: Ints
    places: Floats
    appeal: Floats
    closing: Floats


class World:
    """The truth behind all traffic.

    Args:
        world_seed: Another seed is another truth, in which the shipped models know nothing.
    """

    def __init__(self, world_seed: int = WORLD_SEED) -> None:
        rng = np.random.default_rng(world_seed)
        self._seed = world_seed
        self.category_places = _category_places(rng)  # (C, D)
        self._popularity = rng.normal(0.0, 0.6, CATEGORY_COUNT)  # (C,) log-odds
        self._country_tilt = rng.normal(0.0, 0.7, (len(COUNTRIES), CATEGORY_COUNT))
        self._device_tilt = rng.normal(0.0, 0.8, (len(DEVICE_KINDS), CATEGORY_COUNT))
        self._price_format = np.log(1000.0 * np.array(_PRICE_CPM))  # log micros
        self._price_country = np.log(rng.uniform(0.5, 1.1, len(COUNTRIES)))
        self._price_device = np.array([0.0, -0.1, 0.1, 0.3, -0.3])
        self._price_category = rng.normal(0.0, 0.25, CATEGORY_COUNT)
        self._price_taste = rng.normal(0.0, 0.35, LATENT_DIM)
        self._click_device = np.array([0.15, 0.1, 0.0, -0.6, -0.3])
        self._conversion_device = np.array([-0.25, 0.0, 0.2, -0.5, -0.3])

    def people(self, count: int, rng: np.random.Generator) -> Users:
        """Draw a population.

        Args:
            count: How many people, U.
            rng: Source of chance.
        """
        country = rng.choice(len(COUNTRIES), count, p=_COUNTRY_SHARES)
        device = rng.choice(len(DEVICE_KINDS), count, p=_DEVICE_SHARES)
        lean = self._popularity + self._country_tilt[country] + self._device_tilt[device]  # (U, C)
        # The three strongest of Gumbel-perturbed leanings are three draws without replacement.
        ranked = np.argsort(-(lean + rng.gumbel(size=lean.shape)), axis=1)[:, :3]  # (U, 3)
        weights = np.array([1.0, 0.6, 0.35])
        places = np.einsum("k,ukd->ud", weights, self.category_places[ranked])
        interests = _unit(places + rng.normal(0.0, 0.12, places.shape))  # (U, D)
        logits = 5.0 * interests @ self.category_places.T + 0.5 * self._popularity  # (U, C)
        return Users(interests, _softmax(logits), country, device)

    def ads(self, campaigns: Sequence[Campaign]) -> Ads:
        """Return the truth about all ads of some campaigns, one row per creative in file order.

        The truth about an ad depends on its id and categories only, so adding a campaign changes no
        other.
        """
        pairs = [
            (row, creative)
            for row, campaign in enumerate(campaigns)
            for creative in campaign.creatives
        ]
        truths = [self._ad(campaigns[row], ad) for row, ad in pairs]
        return Ads(
            ids=tuple(ad.id for _, ad in pairs),
            campaign=np.array([row for row, _ in pairs], dtype=np.int64),
            format=np.array(
                [FORMATS.index(creative.format) for _, creative in pairs], dtype=np.int64
            ),
            places=np.array([place for place, _, _ in truths]).reshape(-1, LATENT_DIM),
            appeal=np.array([appeal for _, appeal, _ in truths]),
            closing=np.array([closing for _, _, closing in truths]),
        )

    def _ad(self, campaign: Campaign, creative: Creative) -> tuple[Floats, float, float]:
        """Return place, appeal and closing power of one ad."""
        of_campaign = self._named_rng(campaign.id)
        of_creative = self._named_rng(creative.id)
        topics = category_indexes(campaign.categories)
        centre = self.category_places[list(topics)].mean(axis=0) if topics else np.zeros(LATENT_DIM)
        place = _unit(centre + of_creative.normal(0.0, 0.13, LATENT_DIM))
        closing = of_campaign.normal(0.0, 0.35)
        return place, float(of_creative.normal(0.0, 0.45)), float(closing)

    def _named_rng(self, name: str) -> np.random.Generator:
        digest = hashlib.blake2b(f"{self._seed}/{name}".encode(), digest_size=8).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def click_chance(
        self, match: SomeFloats, media: SomeInts, device: SomeInts, appeal: SomeFloats
    ) -> Floats:
        """Return the chance that a shown ad is clicked.

        Args:
            match: Cosine of the user's and the ad's place, shape ``(N,)`` (like all others, or a
                scalar).
            media: Index into `FORMATS`.
            device: Index into `DEVICE_KINDS`.
            appeal: The ad's appeal.
        """
        base = np.asarray(_CLICK_BASE)[media]
        return _sigmoid(base + _CLICK_MATCH * match + self._click_device[device] + appeal)

    def conversion_chance(self, match: SomeFloats, device: SomeInts, closing: SomeFloats) -> Floats:
        """Return the chance that a click becomes a conversion; arguments as for `click_chance`."""
        effect = self._conversion_device[device]
        return _sigmoid(_CONVERSION_BASE + _CONVERSION_MATCH * match + effect + closing)

    def log_price(
        self,
        media: SomeInts,
        country: SomeInts,
        device: SomeInts,
        category: SomeInts,
        interests: Floats,
    ) -> Floats:
        """Return the mean of the log of the highest competing bid, in log micros per impression.

        Args:
            media: Index into `FORMATS`, shape ``(N,)`` (like all others, or a scalar).
            country: Index into `COUNTRIES`.
            device: Index into `DEVICE_KINDS`.
            category: Index of the page's category.
            interests: Places of the users, shape ``(N, D)``: competitors know them a little, too.
        """
        place = self._price_format[media] + self._price_country[country]
        context = self._price_device[device] + self._price_category[category]
        return np.asarray(place + context + interests @ self._price_taste)

    @property
    def price_sigma(self) -> float:
        """Standard deviation of the log of the highest competing bid."""
        return _PRICE_SIGMA


def _category_places(rng: np.random.Generator) -> Floats:
    """Return a unit vector for each category; those of one theme lie close together."""
    themes = _unit(rng.normal(size=(len(_THEMES), LATENT_DIM)))
    places = rng.normal(size=(CATEGORY_COUNT, LATENT_DIM)) * (0.85 / np.sqrt(LATENT_DIM))
    for theme, members in zip(themes, _THEMES, strict=True):
        places[list(members)] += theme
    return _unit(places)


def _unit(rows: Floats) -> Floats:
    """Return rows scaled to length 1."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12))


def _softmax(logits: Floats) -> Floats:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _sigmoid(logits: SomeFloats) -> Floats:
    """Return the logistic function of log-odds."""
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))
