"""One day of auctions that a campaign could take part in, drawn all at once.

Traffic comes in waves: few people are awake at four, most are online in the evening, each quarter
of an hour differs from what was expected by chance, and now and then there is a surge. The chances
of clicks and conversions and the prices to beat are those of the sample world (`models.market`).

Letters: N auctions of the day, in order of time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.market.logs import draw
from models.market.world import Floats

if TYPE_CHECKING:
    from models.market.world import Ads, World

Bools = NDArray[np.bool_]

DAY_S: Final = 86_400.0

#: Traffic by hour of the day, mean 1: a night at a third of the mean, two humps.
HOURLY: Final = (
    0.55, 0.42, 0.35, 0.32, 0.34, 0.45, 0.66, 0.90, 1.08, 1.17, 1.21, 1.24,
    1.27, 1.24, 1.18, 1.15, 1.18, 1.27, 1.41, 1.55, 1.60, 1.45, 1.11, 0.80,
)  # fmt: skip
_SLOT_S: Final = 900.0
_SLOTS: Final = int(DAY_S / _SLOT_S)
_NOISE: Final = 0.15
_NOISE_KEPT: Final = 0.8
_SURGE: Final = 2.5
_DEARER: Final = 0.15


class Day(msgspec.Struct, frozen=True):
    """The auctions of one day; all of shape ``(N,)`` and in order of time.

    Attributes:
        at_s: When, seconds since midnight.
        value_micros: What winning is worth to the campaign, in micros per impression.
        needed_micros: The least bid that wins.
        click: Chance of a click.
        conversion: Chance that the impression becomes a conversion.
        first_price: The winner pays its bid.
    """

    at_s: Floats
    value_micros: Floats
    needed_micros: Floats
    click: Floats
    conversion: Floats
    first_price: Bools


def traffic(rng: np.random.Generator) -> Floats:
    """Return how much of the day's traffic comes in each quarter of an hour; sums to 1.

    The expected wave is that of `HOURLY`; the real one wanders about it (an autoregressive process
    of 15 %), and one quarter of an hour has two and a half times its traffic.

    Args:
        rng: Source of chance.

    Returns:
        Shape ``(96,)``.
    """
    hours = (np.arange(_SLOTS) + 0.5) * _SLOT_S / 3600.0
    expected = np.interp(hours, np.arange(24) + 0.5, HOURLY, period=24.0)
    wander = np.zeros(_SLOTS)
    shocks = rng.normal(0.0, _NOISE * np.sqrt(1.0 - _NOISE_KEPT**2), _SLOTS)
    for slot in range(1, _SLOTS):
        wander[slot] = _NOISE_KEPT * wander[slot - 1] + shocks[slot]
    real = expected * np.exp(wander)
    real[rng.integers(8, _SLOTS)] *= _SURGE
    return np.asarray(real / real.sum())


def day(world: World, ads: Ads, value_micros: int, auctions: int, rng: np.random.Generator) -> Day:
    """Return the auctions of a day for one campaign.

    Args:
        world: The truth.
        ads: Of the campaign; each auction is for one of them.
        value_micros: What a conversion is worth.
        auctions: How many, N.
        rng: Source of chance.
    """
    people = world.people(4_000, rng)
    slot = rng.choice(_SLOTS, auctions, p=traffic(rng))
    at_s = np.sort((slot + rng.random(auctions)) * _SLOT_S)
    user = rng.integers(0, len(people.country), auctions)
    ad = rng.integers(0, len(ads.ids), auctions)
    match = np.einsum("nd,nd->n", people.interests[user], ads.places[ad])
    device = people.device[user]
    click = world.click_chance(match, ads.format[ad], device, ads.appeal[ad])
    conversion = click * world.conversion_chance(match, device, ads.closing[ad])
    category = draw(np.cumsum(people.tastes, axis=1)[user], rng)
    mean = world.log_price(
        ads.format[ad], people.country[user], device, category, people.interests[user]
    )
    # Competitors' budgets run out in the evening, and come back at midnight.
    tide = -_DEARER * np.cos(2.0 * np.pi * (at_s / DAY_S - 0.15))
    rival = np.exp(mean + tide + world.price_sigma * rng.normal(size=auctions))
    return Day(
        at_s,
        conversion * value_micros,
        np.ceil(rival),
        click,
        conversion,
        rng.random(auctions) < 0.5,
    )
