"""What a bidder would have in its logs after a while in the sample world, drawn all at once.

Letters: U users, T events, N impressions, C categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.market.world import Floats, Ints, Users
from models.opportunity import CATEGORY_COUNT

if TYPE_CHECKING:
    from models.market.world import Ads, World

# Chance that the intent of a session changes before an event, and that an event follows the intent.
INTENT_CHANGES: Final = 0.35
FOLLOWS_INTENT: Final = 0.6
_CLICKS: Final = 0.05
_CONVERSIONS: Final = 0.015


def histories(users: Users, events: int, rng: np.random.Generator) -> Ints:
    """Return what each user did, oldest first.

    Views follow the intent of a session or the user's taste; clicks and conversions are rarer and
    more telling.

    Args:
        users: The population.
        events: Length of each history, T.
        rng: Source of chance.

    Returns:
        Tokens of `models.profiler.events`, shape ``(U, T)``.
    """
    views = np.cumsum(users.tastes, axis=1)
    sharp = users.tastes**2
    deeds = np.cumsum(sharp / sharp.sum(axis=1, keepdims=True), axis=1)
    intent = draw(views, rng)
    tokens = np.empty((len(users.tastes), events), dtype=np.int64)
    for step in range(events):
        changed = rng.random(len(intent)) < INTENT_CHANGES
        intent = np.where(changed, draw(views, rng), intent)
        followed = rng.random(len(intent)) < FOLLOWS_INTENT
        seen = np.where(followed, intent, draw(views, rng))
        kind = np.searchsorted(
            [1.0 - _CLICKS - _CONVERSIONS, 1.0 - _CONVERSIONS], rng.random(len(intent))
        )
        category = np.where(kind == 0, seen, draw(deeds, rng))
        tokens[:, step] = 1 + kind * CATEGORY_COUNT + category
    return tokens


def draw(cumulative: Floats, rng: np.random.Generator) -> Ints:
    """Draw one column of each row.

    Args:
        cumulative: Running sums of chances that end at 1, shape ``(U, C)``.
        rng: Source of chance.

    Returns:
        Indexes, shape ``(U,)``.
    """
    luck = rng.random((len(cumulative), 1))
    drawn: Ints = np.minimum((cumulative < luck).sum(axis=1), cumulative.shape[1] - 1)
    return drawn


class Impressions(msgspec.Struct, frozen=True):
    """Shown ads and what became of them; all of shape ``(N,)``.

    Attributes:
        user: Row of the user.
        ad: Row of the ad.
        clicked: Whether it was clicked.
        converted: Whether the click converted.
    """

    user: Ints
    ad: Ints
    clicked: NDArray[np.bool_]
    converted: NDArray[np.bool_]


def impressions(
    world: World, users: Users, ads: Ads, count: int, rng: np.random.Generator
) -> Impressions:
    """Return what happens when ads are shown by pure chance: a log that favours nobody.

    Args:
        world: The truth.
        users: The population.
        ads: The ads.
        count: How many impressions, N.
        rng: Source of chance.
    """
    user = rng.integers(0, len(users.country), count)
    ad = rng.integers(0, len(ads.ids), count)
    match = np.einsum("nd,nd->n", users.interests[user], ads.places[ad])
    device = users.device[user]
    click = world.click_chance(match, ads.format[ad], device, ads.appeal[ad])
    clicked = rng.random(count) < click
    conversion = world.conversion_chance(match, device, ads.closing[ad])
    return Impressions(user, ad, clicked, clicked & (rng.random(count) < conversion))
