"""Everything in a run that does not depend on what advertisers do, drawn at once from a seed.

Users come in waves (`models.market.day.traffic`; fewer at weekends). Each leaves a trail of events,
and the recent ones give a state: the mean of their categories' places, old ones fading. Who visits
is drawn by activity; how well the state and an ad agree decides the chance of a click.

The truth about ads is that of one fixed world; people, traffic and luck depend on the seed.

Letters: N auctions, T ticks, U users, A advertisers, C creatives of each, D interests.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from models.arena.settings import TICKS
from models.market.day import traffic as day_wave
from models.market.logs import FOLLOWS_INTENT, INTENT_CHANGES, draw
from models.market.world import LATENT_DIM, WORLD_SEED, Floats, Ints, World

if TYPE_CHECKING:
    from models.arena.landscapes import Landscapes
    from models.arena.settings import ArenaSettings

#: Traffic by day of the week from Monday on, mean about 1.
WEEK: Final = (1.05, 1.06, 1.05, 1.04, 1.00, 0.88, 0.92)

_FADING: Final = 0.8
_ZIPF_POWER: Final = 0.3
_CLICK_BASE: Final = -4.5
_CLICK_MATCH: Final = 2.6
_CONVERSION_BASE: Final = -2.2
_CONVERSION_MATCH: Final = 1.0
_APPEAL: Final = 0.35


class Truth(NamedTuple):
    """What is true of the advertisers in every run.

    Attributes:
        places: In the space of interests, unit length, shape ``(A, D)``.
        appeal: Of each creative, added to the log-odds of a click, shape ``(A, C)``.
        worth: Of a conversion, in units of price, shape ``(A,)``.
    """

    places: Floats
    appeal: Floats
    worth: Floats


class Traffic(msgspec.Struct, frozen=True):
    """A run's auctions in order of time, and the luck in them.

    Attributes:
        begins: First auction of each tick, and N, shape ``(T + 1,)``.
        planned: Part of the traffic that was to be expected in each tick, sums to 1, ``(T,)``.
        market: Highest price of all who are not in the arena, shape ``(N,)``.
        state: Of the user: unit vector of the recent events, shape ``(N, D)``.
        match: Cosine of state and advertiser, shape ``(N, A)``.
        click: True chance that a creative is clicked, shape ``(N, A, C)``.
        predicted: What the advertiser takes for the chance of a click; it knows nothing of its
            creatives' appeal; shape ``(N, A)``.
        conversion: Chance that a click becomes a conversion, shape ``(N, A)``.
        worth: Of a conversion, shape ``(A,)``.
        luck: Uniform in [0, 1): of the click and of the conversion, shape ``(N, 2)``.
        delay: Ticks until the click and until the conversion are heard of, shape ``(N, 2)``.
        taste: Gumbel noise for the choice of creatives, shape ``(N, A, C)``.
    """

    begins: Ints
    planned: Floats
    market: Floats
    state: Floats
    match: Floats
    click: Floats
    predicted: Floats
    conversion: Floats
    worth: Floats
    luck: Floats
    delay: Ints
    taste: Floats


def draw_traffic(settings: ArenaSettings, seed: int, landscapes: Landscapes) -> Traffic:
    """Return the traffic of a run.

    Args:
        settings: Of the arena.
        seed: Another one is another run: other people, waves, prices and luck.
        landscapes: Each user's impressions are sold at the prices of one of them.
    """
    world = World(WORLD_SEED)
    truth = make_truth(settings, world, landscapes.mean_price)
    begins, planned = _waves(settings, np.random.default_rng((seed, 1)))
    user, state = _visits(settings.users, begins, world, np.random.default_rng((seed, 2)))
    rng, count = np.random.default_rng((seed, 3)), len(user)
    match = state @ truth.places.T  # (N, A)
    chances = _CLICK_BASE + _CLICK_MATCH * match  # log-odds
    shape = (*match.shape, settings.creatives)
    noise = settings.noise * rng.standard_normal(match.shape) - settings.noise**2 / 2.0
    means = np.array([settings.click_delay_ticks, settings.conversion_delay_ticks])
    return Traffic(
        begins,
        planned,
        landscapes.prices(user % len(landscapes.names), rng.random(count)),
        state,
        match,
        _sigmoid(chances[:, :, None] + truth.appeal),
        _sigmoid(chances) * np.exp(noise),
        _sigmoid(_CONVERSION_BASE + _CONVERSION_MATCH * match),
        truth.worth,
        rng.random((count, 2)),
        (means * rng.exponential(1.0, (count, 2))).astype(np.int64),
        rng.gumbel(size=shape),
    )


def make_truth(settings: ArenaSettings, world: World, mean_price: float) -> Truth:
    """Return the truth about the advertisers; the first ones are the same in arenas of any size.

    Args:
        settings: Of the arena.
        world: Gives the space of interests.
        mean_price: What a conversion is worth is set against it, so that the mean value of an
            impression to a typical user is ``margin`` mean prices.
    """
    places, appeal, worth = [], [], []
    crowd = world.people(2_000, np.random.default_rng((WORLD_SEED, 5)))
    for advertiser in range(settings.advertisers):
        rng = np.random.default_rng((WORLD_SEED, 6, advertiser))
        place = world.category_places[rng.integers(len(world.category_places))]
        places.append(place / np.linalg.norm(place))
        match = crowd.interests @ places[-1]
        value = _sigmoid(_CLICK_BASE + _CLICK_MATCH * match)
        value = value * _sigmoid(_CONVERSION_BASE + _CONVERSION_MATCH * match)
        worth.append(settings.margin * mean_price * rng.uniform(0.8, 1.25) / value.mean())
        appeal.append(rng.normal(0.0, _APPEAL, settings.creatives))
    return Truth(np.array(places), np.array(appeal), np.array(worth))


def _waves(settings: ArenaSettings, rng: np.random.Generator) -> tuple[Ints, Floats]:
    """Return where ticks begin, and the traffic that was to be expected of them."""
    week = [WEEK[day % len(WEEK)] for day in range(settings.days)]
    real = np.concatenate([share * day_wave(rng) for share in week])  # (T,)
    hours = np.mean([day_wave(np.random.default_rng(day)) for day in range(64)], axis=0)
    planned = np.concatenate([share * hours for share in week])
    counts = rng.poisson(settings.auctions * real)
    begins = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    assert len(begins) == TICKS * settings.days + 1
    return begins, planned / planned.sum()


def _visits(
    users: int, begins: Ints, world: World, rng: np.random.Generator
) -> tuple[Ints, Floats]:
    """Return who visits, shape ``(N,)``, and the state it is in, shape ``(N, D)``."""
    people = world.people(users, rng)
    views = np.cumsum(people.tastes, axis=1)  # (U, categories)
    activity = np.arange(1, users + 1, dtype=np.float64) ** -_ZIPF_POWER
    share = np.cumsum(activity / activity.sum())
    luck = rng.random(int(begins[-1]))
    user = np.minimum(np.searchsorted(share, luck), users - 1)  # (N,)
    intent, recent = draw(views, rng), np.zeros((users, LATENT_DIM))
    for _ in range(8):  # what they did before the run
        intent = _event(np.arange(users), intent, recent, (views, world.category_places), rng)
    states = np.empty((len(user), LATENT_DIM))
    for first, end in pairwise(begins.tolist()):
        here = user[first:end]
        states[first:end] = recent[here]
        intent = _event(np.unique(here), intent, recent, (views, world.category_places), rng)
    return user, states / np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-9)


def _event(
    who: Ints,
    intent: Ints,
    recent: Floats,
    truth: tuple[Floats, Floats],
    rng: np.random.Generator,
) -> Ints:
    """Let some users view a page: move their intents, returned, and their states, in place."""
    views, places = truth
    changed = rng.random(len(who)) < INTENT_CHANGES
    intent = intent.copy()
    intent[who] = np.where(changed, draw(views[who], rng), intent[who])
    followed = rng.random(len(who)) < FOLLOWS_INTENT
    seen = np.where(followed, intent[who], draw(views[who], rng))
    recent[who] = _FADING * recent[who] + (1.0 - _FADING) * places[seen]
    return intent


def _sigmoid(logits: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))
