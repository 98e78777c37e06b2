"""The creative selector that serves: Thompson sampling with exact propensities.

A pool of draws from the posterior is kept ready. To choose, one draw of the pool is picked by
chance and its best ad is shown. Because every draw of the pool is equally likely, the propensity of
an ad is the share of draws that prefer
it: exact, not estimated. With a small chance an ad is picked evenly, so that no propensity is too
small to learn from.

"Best" is the highest value of clicks: sampled chance of a click times what the campaign pays for a
conversion. Clicks are rare, so the log of the chance is nearly its log-odds, and value is one
number to add.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.eligibility import Candidate
from models.errors import FeatureError
from models.opportunity import CATEGORY_COUNT, FORMATS, category_indexes
from models.profiler.events import VECTOR_DIM
from models.registry import recall_tensors
from models.selector.offers import Offers
from models.selector.posterior import (
    Belief,
    Floats,
    draw_weights,
    observe,
    shared_features,
    static_logits,
)

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path


#: Name in the registry, and version of what the tensors mean.
NAME: Final = "selector"
SCHEMA: Final = 1

#: Draws of the posterior that are kept ready.
POOL: Final = 256

#: Chance of choosing evenly among all candidates.
EVEN_CHANCE: Final = 0.02

_HIGHEST: Final = np.maximum.reduce


class Choice(msgspec.Struct, frozen=True, gc=False):
    """A chosen ad.

    Attributes:
        index: Place among the candidates.
        propensity: Chance with which it was chosen, in (0, 1].
        predicted_ctr: Expected chance of a click.
    """

    index: int
    propensity: float
    predicted_ctr: float


class Observation(msgspec.Struct, frozen=True):
    """What became of a shown ad.

    Attributes:
        vector: Of the user at the time of the decision, shape ``(16,)``.
        candidate: The ad.
        clicked: Whether it was clicked.
    """

    vector: NDArray[np.float32]
    candidate: Candidate
    clicked: bool


class Catalogue(msgspec.Struct):
    """What is known about ads apart from the belief; rows as in the belief.

    Attributes:
        rows: Row of each creative id.
        embeddings: Shape ``(A, D)``.
        formats: Indexes into `FORMATS`, shape ``(A,)``.
        categories: Embedding of each category, for ads that were never seen, shape ``(C, D)``.
        typical: Mean vector of users, shape ``(D,)``.
        cold: Mean and variance of the intercept of an ad that was never seen, shape ``(2,)``.
    """

    rows: dict[str, int]
    embeddings: NDArray[np.float64]
    formats: NDArray[np.int64]
    categories: NDArray[np.float64]
    typical: NDArray[np.float64]
    cold: NDArray[np.float64]


class ThompsonSelector:
    """Chooses ads, and learns from what becomes of them.

    Args:
        belief: What is believed about weights and ads; owned by the selector from now on.
        catalogue: The ads; owned by the selector from now on.
        rng: Source of the pool of draws.
        version: Of the weights.
    """

    def __init__(
        self, belief: Belief, catalogue: Catalogue, rng: np.random.Generator, version: str
    ) -> None:
        self._belief = belief
        self._catalogue = catalogue
        self._rng = rng
        self.version = version
        self._pool = 0
        self._offers = Offers(self._rows_of)
        self._refresh()

    @classmethod
    def load(cls, folder: Path, seed: int = 0) -> ThompsonSelector:
        """Load weights from a folder of the registry.

        Args:
            folder: With weights and manifest.
            seed: Of the pool of draws.

        Raises:
            ModelError: The folder holds no whole selector of this schema.
        """
        manifest, tensors = recall_tensors(folder, NAME, SCHEMA)
        wide = {name: array.astype(np.float64) for name, array in tensors.items()}
        belief = Belief(wide["mean"], wide["covariance"], wide["intercepts"], wide["variances"])
        catalogue = Catalogue(
            rows={creative: row for row, creative in enumerate(manifest.labels["creatives"])},
            embeddings=wide["embeddings"],
            formats=tensors["formats"].astype(np.int64),
            categories=wide["categories"],
            typical=wide["typical"],
            cold=wide["cold"],
        )
        return cls(belief, catalogue, np.random.default_rng(seed), manifest.version)

    def choose(
        self, vector: NDArray[np.float32], candidates: Sequence[Candidate], rng: random.Random
    ) -> Choice:
        """Choose one of the candidates.

        Args:
            vector: Of the user, shape ``(16,)``.
            candidates: At least one.
            rng: Source of chance of this decision.

        Raises:
            FeatureError: There is no candidate, or the vector has another shape.
        """
        if vector.shape != (VECTOR_DIM,):
            raise FeatureError(f"vector must have shape ({VECTOR_DIM},), not {vector.shape}")
        offer = self._offers.find(candidates)
        if offer.pool != self._pool:
            offer.work_out(self._pool, self._embeddings, self._static)
        taste = offer.embeddings * vector  # (n, D)
        worth = taste.dot(self._user_draws)  # (n, S)
        worth += offer.worth
        count = len(worth)
        if rng.random() < EVEN_CHANCE:
            index = min(int(rng.random() * count), count - 1)
        else:
            index = int(worth[:, int(rng.random() * POOL)].argmax())
        propensity = (1.0 - EVEN_CHANCE) * _share_won(worth, index) + EVEN_CHANCE / count
        row = offer.rows[index]
        logit = float(taste[index].dot(self._user_mean)) + self._static_logit[row]
        return Choice(index, propensity, _chance(logit * self._certainty[row]))

    def best(self, candidates: Sequence[Candidate]) -> Choice:
        """Return the best candidate for a typical user; needs no vector and draws nothing.

        Args:
            candidates: At least one.

        Raises:
            FeatureError: There is no candidate.
        """
        rows = self._rows_of(candidates)
        worth = [
            self._typical_logit[row] + math.log(candidate.campaign.value_per_conversion_micros)
            for row, candidate in zip(rows, candidates, strict=True)
        ]
        index = max(range(len(worth)), key=worth.__getitem__)
        row = rows[index]
        return Choice(index, 1.0, _chance(self._typical_logit[row] * self._certainty[row]))

    def predict(
        self, vectors: NDArray[np.float64], candidates: Sequence[Candidate]
    ) -> NDArray[np.float64]:
        """Return the expected chance of a click for pairs of user and ad.

        Args:
            vectors: Of users, shape ``(N, 16)``.
            candidates: Ads, length N.

        Returns:
            Shape ``(N,)``.
        """
        rows = np.array(self._rows_of(candidates))
        belief, catalogue = self._belief, self._catalogue
        x = shared_features(vectors, catalogue.embeddings[rows], catalogue.formats[rows])
        logit = x @ belief.mean + belief.intercepts[rows]
        return np.asarray(1.0 / (1.0 + np.exp(-logit * _certainty(x, belief, rows))))

    def update(self, observations: Sequence[Observation]) -> None:
        """Learn from shown ads and draw a new pool.

        Args:
            observations: In any order; one call for many is much cheaper than many calls.
        """
        for seen in observations:
            row = self._rows_of((seen.candidate,))[0]
            catalogue = self._catalogue
            x = shared_features(
                np.asarray(seen.vector, dtype=np.float64)[None],
                catalogue.embeddings[row : row + 1],
                catalogue.formats[row : row + 1],
            )[0]
            observe(self._belief, x, row, clicked=seen.clicked)
        self._refresh()

    def _rows_of(self, candidates: Sequence[Candidate]) -> list[int]:
        """Return the rows of ads; ads that were never seen get one."""
        known = self._catalogue.rows
        rows = [known.get(candidate.creative.id, -1) for candidate in candidates]
        if not rows:
            raise FeatureError("there is no candidate to choose from; ask only when there is one")
        if -1 in rows:
            for candidate in candidates:
                self._adopt(candidate)
            self._refresh()
            rows = [known[candidate.creative.id] for candidate in candidates]
        return rows

    def _adopt(self, candidate: Candidate) -> None:
        """Give an ad a row: it starts from its categories and from what ads are usually like."""
        catalogue, belief = self._catalogue, self._belief
        if candidate.creative.id in catalogue.rows:
            return
        embedding = cold_embedding(candidate.campaign.categories, catalogue.categories)
        media = FORMATS.index(candidate.creative.format)
        catalogue.rows[candidate.creative.id] = len(catalogue.rows)
        catalogue.embeddings = np.vstack([catalogue.embeddings, embedding])
        catalogue.formats = np.append(catalogue.formats, media)
        belief.intercepts = np.append(belief.intercepts, catalogue.cold[0])
        belief.variances = np.append(belief.variances, catalogue.cold[1])

    def _refresh(self) -> None:
        """Draw a new pool and work out all that does not depend on a user."""
        belief, catalogue = self._belief, self._catalogue
        self._pool += 1
        weights = draw_weights(belief, POOL, self._rng)  # (S, F)
        noise = self._rng.normal(size=(len(belief.intercepts), POOL))
        own = belief.intercepts[:, None] + np.sqrt(belief.variances)[:, None] * noise
        static = static_logits(weights, catalogue.embeddings, catalogue.formats) + own
        self._static = static.astype(np.float32)  # (A, S)
        self._user_draws = np.ascontiguousarray(weights[:, :VECTOR_DIM].T, dtype=np.float32)
        self._embeddings = catalogue.embeddings.astype(np.float32)  # (A, D)
        self._refresh_means()

    def _refresh_means(self) -> None:
        """Work out expected log-odds, and how much doubt pulls each ad's chance towards a half."""
        belief, catalogue = self._belief, self._catalogue
        embeddings, media = catalogue.embeddings, catalogue.formats
        self._user_mean = belief.mean[:VECTOR_DIM].astype(np.float32)
        nobody = static_logits(belief.mean[None], embeddings, media)[:, 0] + belief.intercepts
        self._static_logit: list[float] = nobody.tolist()
        everyone = np.broadcast_to(catalogue.typical, embeddings.shape)
        x = shared_features(everyone, embeddings, media)
        self._typical_logit: list[float] = (x @ belief.mean + belief.intercepts).tolist()
        self._certainty: list[float] = _certainty(x, belief, np.arange(len(x))).tolist()


def _share_won(worth: NDArray[np.float32], index: int) -> float:
    """Return the share of draws in which one ad is the first of the best, as ``argmax`` has it.

    Args:
        worth: Of each ad in each draw, shape ``(n, S)``.
        index: The ad.
    """
    mine = worth[index]
    wins = _HIGHEST(worth[index:]) == mine
    if index:
        wins &= _HIGHEST(worth[:index]) < mine
    return int(np.count_nonzero(wins)) / len(mine)


def _chance(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _certainty(x: Floats, belief: Belief, rows: NDArray[np.int64]) -> Floats:
    """Return by what MacKay's approximation scales the mean log-odds of rows of features.

    The mean of a logistic function over a normal is nearly the function of ``mean / sqrt(1 + pi
    variance / 8)``.
    """
    variance = np.einsum("nf,fg,ng->n", x, belief.covariance, x) + belief.variances[rows]
    return np.asarray(1.0 / np.sqrt(1.0 + np.pi * variance / 8.0))


def cold_embedding(codes: tuple[str, ...], categories: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the embedding of an ad of which only the categories are known.

    Args:
        codes: IAB codes of the ad.
        categories: Embedding of each category, shape ``(26, D)``.

    Returns:
        Shape ``(D,)``; zeros when no code is known.
    """
    assert categories.shape[0] == CATEGORY_COUNT
    topics = list(category_indexes(codes))
    return categories[topics].mean(axis=0) if topics else np.zeros(categories.shape[1])
