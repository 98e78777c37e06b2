"""Bidding against recorded market prices: what a pacing rule makes of a real log of auctions.

The protocol of the published tables (Cai et al., WSDM 2017): a log is cut into episodes of 1,000
auctions; each gets the budget ``CPM of the training log * c0 * 1,000`` and ends when that is gone
or the auctions are. A bid wins if it is at least the market price, which it then pays (second
price); it never exceeds 300 or the budget that is left. Prices are fen per mille, as in the logs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.pacing.controllers import Reading
from models.pacing.goals import GoalState

if TYPE_CHECKING:
    from models.pacing.controllers import Controller
    from models.pacing.goals import GoalKeeper

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EPISODE: Final = 1_000
HIGHEST_BID: Final = 300
_LEVEL_BOUND: Final = 6.0


class Log(msgspec.Struct, frozen=True):
    """Recorded auctions in their order, and what was known of the campaign before them.

    Attributes:
        name: Of the log.
        price: Market price of each auction, shape ``(N,)``.
        click: 1 where the ad was clicked, shape ``(N,)``.
        pctr: Predicted chance of a click, shape ``(N,)``.
        mean_price: Of an impression of the training log.
        click_rate: Of the training log.
        histogram: Impressions of the training log by market price 0..300, shape ``(301,)``.
    """

    name: str
    price: Ints
    click: Ints
    pctr: Floats
    mean_price: float
    click_rate: float
    histogram: Floats

    @property
    def episodes(self) -> int:
        """How many episodes there are; the last may be short."""
        return -(-len(self.price) // EPISODE)


class Played(msgspec.Struct, frozen=True):
    """What a rule made of a log, by episode; all of shape ``(episodes,)``.

    Attributes:
        clicks: Won.
        cost: Paid.
        budget: Of an episode.
    """

    clicks: Ints
    cost: Floats
    budget: float


def budget_of(log: Log, share: float) -> float:
    """Return the budget of an episode: a share of what all its impressions cost on average."""
    return int(log.mean_price * share * EPISODE)


def fixed(log: Log, share: float, bids: Floats) -> Played:
    """Bid as told until an episode's budget is gone.

    Args:
        log: The auctions.
        share: Budget as a share of the average cost, c0.
        bids: For each auction, shape ``(N,)``.
    """
    budget = budget_of(log, share)
    wished = np.minimum(bids.astype(np.int64), HIGHEST_BID)
    clicks, cost = np.zeros(log.episodes, dtype=np.int64), np.zeros(log.episodes)
    for episode in range(log.episodes):
        part = slice(episode * EPISODE, (episode + 1) * EPISODE)
        left = budget
        for bid, price, click in zip(
            wished[part].tolist(), log.price[part].tolist(), log.click[part].tolist(), strict=True
        ):
            if price <= bid and price <= left:
                left -= price
                clicks[episode] += click
        cost[episode] = budget - left
    return Played(clicks, cost, budget)


def paced(log: Log, share: float, controller: Controller, horizon: int) -> Played:
    """Bid ``base * exp(level) * pctr / mean pctr`` with the level moved after each auction.

    The base is the constant bid that spends the budget on the training log's prices, so level 0 is
    what was known before; each episode begins there.

    Args:
        log: The auctions.
        share: Budget as a share of the average cost, c0.
        controller: Moves the level.
        horizon: Auctions within which a deviation should be made good.
    """
    budget = budget_of(log, share)
    base = constant_bid(log, share)
    scores = base * log.pctr / log.click_rate
    clicks, cost = np.zeros(log.episodes, dtype=np.int64), np.zeros(log.episodes)
    for episode in range(log.episodes):
        part = slice(episode * EPISODE, (episode + 1) * EPISODE)
        clicks[episode], cost[episode] = _episode(
            (scores[part], log.price[part], log.click[part]), budget, controller, horizon
        )
    return Played(clicks, cost, budget)


def _episode(
    auctions: tuple[Floats, Ints, Ints], budget: float, controller: Controller, horizon: int
) -> tuple[int, float]:
    """Return clicks and cost of one episode."""
    unit = budget * horizon / EPISODE
    step = 1.0 / horizon
    level = behind = drift = 0.0
    left, clicks, multiplier = budget, 0, 1.0
    columns = zip(*(column.tolist() for column in auctions), strict=True)
    count = len(auctions[0])
    for number, (score, price, click) in enumerate(columns):
        bid = min(int(score * multiplier), HIGHEST_BID)
        spent = 0.0
        if price <= bid and price <= left:
            left -= price
            clicks += click
            spent = price / unit
        behind_now = behind + step - spent
        drift_now = (step - spent) / step
        due = max(count - number - 1, 1) / EPISODE * budget
        reading = Reading(step, spent, step, behind_now, behind, drift_now, drift, left / due)
        level += controller.step(reading)
        level = min(max(level, -_LEVEL_BOUND), _LEVEL_BOUND)
        multiplier = math.exp(level)
        behind, drift = behind_now, drift_now
    return clicks, budget - left


def constant_bid(log: Log, share: float) -> float:
    """Return the constant bid that would spend this share on the training log's prices."""
    prices = np.arange(len(log.histogram))
    spent = np.cumsum(prices * log.histogram) / log.histogram.sum()
    return float(np.interp(share * log.mean_price, spent, prices))


def linear(log: Log, share: float, base: float) -> Played:
    """Bid ``base * pctr / mean pctr`` (Perlich et al., KDD 2012), without pacing."""
    return fixed(log, share, base * log.pctr / log.click_rate)


def value(log: Log, share: float) -> Played:
    """Bid what a click has cost on the training log, times its chance: the unpaced rule."""
    return fixed(log, share, log.mean_price / log.click_rate * log.pctr)


class Kept(NamedTuple):
    """What a goal bought.

    Attributes:
        clicks: Won.
        cost: Paid.
    """

    clicks: int
    cost: float


def keep(log: Log, goal: float, keeper: GoalKeeper | None) -> Kept:
    """Bid what a click may cost, times its chance, without a budget.

    Args:
        log: The auctions.
        goal: What a click may cost on average.
        keeper: Moves the level of the bids by what clicks cost; None trusts the chances.
    """
    state, cost, clicks = GoalState(), 0, 0
    for chance, price, click in zip(
        log.pctr.tolist(), log.price.tolist(), log.click.tolist(), strict=True
    ):
        if price <= min(int(chance * goal * state.multiplier), HIGHEST_BID):
            cost += price
            clicks += click
            if keeper is not None:
                state = keeper.step(state, goal, goal * clicks, cost)
    return Kept(clicks, cost)
