"""The arena: advertisers bid tick by tick, budgets are hard, clicks and conversions come later.

In each tick every advertiser picks one creative for each auction and bids

    b = shade(value * exp(level)),   value = predicted click * conversion * worth,

where `shade` is the identity but for those that shade in first price. The level of `paced` and
`learning` advertisers moves by dual descent towards the plan (`models.pacing.controllers`); that of
a learning one is moved by its action, too, within the bound. Action 0 is therefore `paced`.

The creative is that of the largest ``log estimate + temperature * taste``, with Gumbel taste: the
softmax of the estimates' logarithms over the temperature. Temperature 0 is the best known creative.
Estimates are the predicted chance times clicks / expected clicks of the creative, kept near 1 by a
prior.

    arena = open_arena(ArenaSettings(), seed=1)
    observed = arena.reset()                                # (A, F)
    while not arena.done:
        tick = arena.step(actions, temperatures)            # (A,), (A,)
        observed, reward = arena.observe(), tick.surplus    # (A, F), (A,)
    arena.totals().surplus                                  # (A,)

Letters: A advertisers, C creatives, F numbers of an observation, n auctions of a tick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from models.arena.auction import clear, grains
from models.arena.landscapes import Landscapes, synthetic_landscapes
from models.arena.traffic import Traffic, draw_traffic
from models.market.world import LATENT_DIM, Floats, Ints

if TYPE_CHECKING:
    from models.arena.settings import ArenaSettings

#: Names of the numbers of an observation, in their order; all about 1 in size.
OBSERVED: Final = (
    "budget_left",  # share of the budget
    "time_left",  # share of the expected traffic
    "spend_rate",  # spend of the last tick / its plan
    "win_rate",  # of the last tick's auctions
    "click_rate",  # clicks heard of / clicks expected, so far
    "cost",  # mean price paid / mean value won, last tick
    "level",  # of the bids, the action left out
    "mean_match",  # of the last tick's users and the advertiser
    "mean_value",  # of the last tick's auctions / mean market price
    *(f"user_{number}" for number in range(LATENT_DIM)),  # mean state of the last tick's users
)

_LEVEL_BOUND: Final = 4.0
_RATE_BOUND: Final = 5.0


class Tick(NamedTuple):
    """What a tick brought each advertiser; all of shape ``(A,)``.

    Attributes:
        auctions: That there were.
        wins: Auctions won.
        cost: Paid for them.
        value: Expected worth of what was won, by the true chances: the reward without its luck.
        clicks: Heard of in this tick.
        conversions: Heard of in this tick.
    """

    auctions: Floats
    wins: Floats
    cost: Floats
    value: Floats
    clicks: Floats
    conversions: Floats

    @property
    def surplus(self) -> Floats:
        """Expected worth less cost, shape ``(A,)``."""
        return self.value - self.cost


class Totals(Tick):
    """The same over a whole run, what is still to be heard of included."""


class _State(msgspec.Struct):
    """Changes with each tick.

    Attributes:
        tick: Number of the next one.
        left: Budget, shape ``(A,)``.
        level: Of the bids, the action left out, shape ``(A,)``.
        sums: Of the ticks so far, what is heard of in later ones included, shape ``(6, A)``.
        heard: Clicks and conversions by the tick in which they are heard of, ``(2, T + 1, A)``.
        expected: Clicks expected of what was shown, shape ``(A, C)``.
        clicked: Clicks heard of, shape ``(A, C)``.
        coming: Clicks by the tick in which they are heard of, shape ``(T + 1, A, C)``.
        last: Of the last tick: wins, cost and value by the advertiser's predictions, ``(3, A)``.
    """

    tick: int
    left: Floats
    level: Floats
    sums: Floats
    heard: Floats
    expected: Floats
    clicked: Floats
    coming: Floats
    last: Floats


def open_arena(settings: ArenaSettings, seed: int, landscapes: Landscapes | None = None) -> Arena:
    """Return an arena with the traffic of a seed.

    Args:
        settings: Of the arena.
        seed: Of people, traffic and luck.
        landscapes: Prices of the rest of the market; None takes made-up ones.
    """
    prices = landscapes or synthetic_landscapes()
    return Arena(settings, draw_traffic(settings, seed, prices), prices)


class Arena:
    """A run of auctions among advertisers. Several arenas may share their traffic.

    Args:
        settings: Of the arena.
        traffic: Drawn with the same settings; never written to.
        landscapes: What shading knows of the rest of the market.
        budgets: Of the advertisers, shape ``(A,)``; None gives each the settings' share.
    """

    def __init__(
        self,
        settings: ArenaSettings,
        traffic: Traffic,
        landscapes: Landscapes,
        budgets: Floats | None = None,
    ) -> None:
        kinds = settings.kinds
        self.settings = settings
        self.traffic = traffic
        self.learning = np.flatnonzero([kind == "learning" for kind in kinds])
        self._shades = np.array([kind != "truthful" for kind in kinds]) & settings.first_price
        self._paces = np.array([kind in {"paced", "learning"} for kind in kinds])
        self._acts = np.array([kind == "learning" for kind in kinds])
        nothing: Floats = np.zeros(1)
        self._best_bids = landscapes.best_bids() if self._shades.any() else (nothing, nothing)
        self._mean_price = landscapes.mean_price
        fair = settings.auctions * settings.days * self._mean_price / settings.advertisers
        equal: Floats = np.full(settings.advertisers, settings.budget_share * fair)
        told = equal if budgets is None else _checked("budgets", budgets, len(kinds))
        self.budgets = grains(told)
        self._state = self._fresh()

    def _fresh(self) -> _State:
        ads, ticks = self.settings.advertisers, self.settings.ticks
        creatives = self.traffic.click.shape[2]
        return _State(
            tick=0,
            left=self.budgets.copy(),
            level=np.zeros(ads),
            sums=np.zeros((6, ads)),
            heard=np.zeros((2, ticks + 1, ads)),
            expected=np.zeros((ads, creatives)),
            clicked=np.zeros((ads, creatives)),
            coming=np.zeros((ticks + 1, ads, creatives)),
            last=np.zeros((3, ads)),
        )

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._state.tick >= self.settings.ticks

    @property
    def tick(self) -> int:
        """Number of the next tick."""
        return self._state.tick

    @property
    def left(self) -> Floats:
        """Budgets that are left, shape ``(A,)``."""
        return self._state.left.copy()

    def reset(self) -> Floats:
        """Begin the same run again; return the first observation, shape ``(A, F)``."""
        self._state = self._fresh()
        return self.observe()

    def step(self, actions: Floats, temperatures: Floats | None = None) -> Tick:
        """Hold the auctions of one tick.

        Args:
            actions: Added to the levels of the learning advertisers, cut to the bound; those of
                others are ignored; shape ``(A,)``.
            temperatures: Of the choice of creatives, not below 0, of all advertisers; None is 0;
                shape ``(A,)``.

        Raises:
            ValueError: The run is over, or an argument has another shape or is not a number.
        """
        if self.done:
            raise ValueError("the run is over; call reset() to begin again")
        state, ads = self._state, self.settings.advertisers
        acted = np.where(self._acts, _checked("actions", actions, ads), 0.0)
        acted = np.clip(acted, -self.settings.bound, self.settings.bound)
        heat = (
            np.zeros(ads) if temperatures is None else _checked("temperatures", temperatures, ads)
        )
        here = slice(*self.traffic.begins[state.tick : state.tick + 2])
        chosen, value = self._choose(here, np.maximum(heat, 0.0))
        bids = grains(self._shade(value * np.exp(state.level + acted)))
        cleared = clear(
            bids, self.traffic.market[here], state.left, first_price=self.settings.first_price
        )
        won = np.flatnonzero(cleared.winner >= 0)
        who = cleared.winner[won]
        state.left = cleared.left
        return self._settle(
            here.start + won, who, chosen[won, who], (cleared.paid[won], value[won, who])
        )

    def _choose(self, here: slice, heat: Floats) -> tuple[Ints, Floats]:
        """Return each advertiser's creative and what showing it is worth to it, ``(n, A)``."""
        state, traffic = self._state, self.traffic
        prior = self.settings.prior_clicks
        appeal = (state.clicked + prior) / (state.expected + prior)  # (A, C)
        score = np.log(appeal) + heat[:, None] * traffic.taste[here]  # (n, A, C)
        chosen = score.argmax(axis=2)
        lift = appeal[np.arange(len(heat)), chosen]  # (n, A)
        return chosen, lift * traffic.predicted[here] * traffic.conversion[here] * traffic.worth

    def _shade(self, bids: Floats) -> Floats:
        """Return the bids, those of shading advertisers cut to what pays best."""
        if not self._shades.any():
            return bids
        shaded = bids.copy()
        shaded[:, self._shades] = np.interp(bids[:, self._shades], *self._best_bids)
        return shaded

    def _settle(
        self, auction: Ints, who: Ints, creative: Ints, amounts: tuple[Floats, Floats]
    ) -> Tick:
        """Book what was won, and when its clicks and conversions will be heard of."""
        state, traffic, ads = self._state, self.traffic, self.settings.advertisers
        paid, predicted = amounts
        chance, conversion = traffic.click[auction, who, creative], traffic.conversion[auction, who]
        clicked = traffic.luck[auction, 0] < chance
        converted = clicked & (traffic.luck[auction, 1] < conversion)
        worth = chance * conversion * traffic.worth[who]
        shown = np.ones(len(who))
        wins, cost, hoped, value = (_summed(who, x, ads) for x in (shown, paid, predicted, worth))
        due = np.minimum(state.tick + traffic.delay[auction], self.settings.ticks)  # (n, 2)
        np.add.at(state.heard[0], (due[clicked, 0], who[clicked]), 1.0)
        np.add.at(state.heard[1], (due[converted, 1], who[converted]), 1.0)
        np.add.at(state.coming, (due[clicked, 0], who[clicked], creative[clicked]), 1.0)
        np.add.at(state.expected, (who, creative), traffic.predicted[auction, who])
        state.clicked += state.coming[state.tick]
        held = float(traffic.begins[state.tick + 1] - traffic.begins[state.tick])
        auctions, heard = np.full(ads, held), state.heard[:, state.tick]
        counts = (_summed(who, flag.astype(np.float64), ads) for flag in (clicked, converted))
        state.sums += np.array([auctions, wins, cost, value, *counts])
        state.last = np.array([wins, cost, hoped])
        self._pace(cost)
        state.tick += 1
        return Tick(auctions, wins, cost, value, heard[0].copy(), heard[1].copy())

    def _pace(self, cost: Floats) -> None:
        """Move the levels by dual descent on what the budget that is left allows."""
        state, planned = self._state, self.traffic.planned
        due = planned[state.tick :].sum()
        allowed = (state.left + cost) * planned[state.tick] / due
        unit = self.budgets * self.settings.horizon_ticks / self.settings.ticks
        moved = state.level + self.settings.rate * (allowed - cost) / unit
        state.level = np.where(self._paces, np.clip(moved, -_LEVEL_BOUND, _LEVEL_BOUND), 0.0)

    def observe(self) -> Floats:
        """Return what each advertiser sees now, in the order of `OBSERVED`, shape ``(A, F)``."""
        state, traffic, ads = self._state, self.traffic, self.settings.advertisers
        past = max(state.tick - 1, 0)
        here = slice(*traffic.begins[past : past + 2])
        seen = max(here.stop - here.start, 1) if state.tick else 1
        (wins, cost, hoped), planned = state.last, traffic.planned[past]
        clicks = (state.clicked.sum(axis=1) + 1.0) / (state.expected.sum(axis=1) + 1.0)
        market, user = np.zeros((2, ads)), np.zeros(LATENT_DIM)
        if state.tick and here.stop > here.start:
            worth = traffic.predicted[here] * traffic.conversion[here] * traffic.worth
            market = np.array(
                [traffic.match[here].mean(axis=0), worth.mean(axis=0) / self._mean_price]
            )
            user = traffic.state[here].mean(axis=0)
        own = np.array(
            [
                state.left / self.budgets,
                np.full(ads, traffic.planned[state.tick :].sum()),
                np.minimum(cost / (self.budgets * planned), _RATE_BOUND),
                wins / seen,
                np.minimum(clicks, _RATE_BOUND),
                np.minimum(cost / np.maximum(hoped, 1e-9), _RATE_BOUND),
                state.level,
                *market,
            ]
        )  # (9, A)
        return np.concatenate([own.T, np.broadcast_to(user, (ads, LATENT_DIM))], axis=1)

    def totals(self) -> Totals:
        """Return the sums so far; clicks and conversions that are still to be heard of count."""
        return Totals(*self._state.sums.copy())


def _checked(name: str, numbers: Floats, advertisers: int) -> Floats:
    """Return the numbers as an array of one for each advertiser."""
    array = np.asarray(numbers, dtype=np.float64)
    if array.shape != (advertisers,) or not np.isfinite(array).all():
        raise ValueError(f"{name} must be {advertisers} finite numbers, not {numbers}")
    return array


def _summed(who: Ints, amounts: Floats, advertisers: int) -> Floats:
    """Return the sum of the amounts of each advertiser, shape ``(A,)``."""
    return np.bincount(who, weights=amounts, minlength=advertisers).astype(np.float64)
