"""Does the arena behave like a recorded log? The same advertiser in the log's auctions and in ours.

A log is *recorded* traffic: its prices, predictions and clicks in their order. A simulator is
*fitted* to a log and draws traffic like it, each auction by itself: as many clicks; of clicked
auctions the predictions and prices of the log's; of the others the prediction by parts of its
distribution and the price by that part's landscape. (Clicks drawn by the prediction alone give
bargains too many: of equal predictions, dear impressions are clicked more often.) One advertiser
plays both, second price, and what it wins and pays is compared: at a level of bids without a
budget, and paced with one.

Letters: N auctions, K parts, Q quantiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from models.arena.arena import Arena
from models.arena.landscapes import Landscapes, from_histogram
from models.arena.settings import TICKS, ArenaSettings
from models.arena.traffic import Traffic
from models.market.world import LATENT_DIM, Floats
from models.pacing.logs import constant_bid

if TYPE_CHECKING:
    from models.arena.settings import Kind
    from models.pacing.logs import Log

Rows = list[dict[str, Any]]

PARTS: Final = 50
SHARES: Final = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
_PRICES: Final = 301
_LEVELS: Final = 1_000
_UNLIMITED: Final = 1e12


class Fitted(NamedTuple):
    """A simulator of a log.

    Attributes:
        landscapes: Of prices, one for each of K parts of the predictions.
        predictions: Those of each part, rising, shape ``(K, Q)``.
        click_rate: Clicks / auctions.
        clicked: Prediction and price of each clicked auction, shape ``(clicks, 2)``.
    """

    landscapes: Landscapes
    predictions: Floats
    click_rate: float
    clicked: Floats


def fit(log: Log) -> Fitted:
    """Return a simulator of a log.

    Args:
        log: The auctions.
    """
    rest = np.flatnonzero(log.click == 0)
    order = rest[np.argsort(log.pctr[rest], kind="stable")]
    groups = np.array_split(order, PARTS)
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    prices = [np.bincount(log.price[group], minlength=_PRICES) for group in groups]
    tables = np.array([from_histogram(counts.astype(np.float64)) for counts in prices])
    landscapes = Landscapes(tuple(f"part {number}" for number in range(PARTS)), tables)
    predictions = np.array([np.quantile(log.pctr[group], levels) for group in groups])
    clicked = np.stack([log.pctr, log.price], axis=1)[log.click > 0]
    return Fitted(landscapes, predictions, float((log.click > 0).mean()), clicked)


def recorded(log: Log, worth: float) -> Traffic:
    """Return a log as traffic; its clicks are certain.

    Args:
        log: The auctions.
        worth: Of a click.
    """
    clicks = (log.click > 0).astype(np.float64)
    return _traffic(log.price.astype(np.float64), log.pctr, clicks, worth)


def drawn(fitted: Fitted, count: int, worth: float, seed: int) -> Traffic:
    """Return traffic like that of the log of a simulator.

    Args:
        fitted: The simulator.
        count: How many auctions, N.
        worth: Of a click.
        seed: Of chance.
    """
    rng = np.random.default_rng((seed, 17))
    parts, quantiles = fitted.predictions.shape
    part = rng.integers(0, parts, count)
    pctr = fitted.predictions[part, rng.integers(0, quantiles, count)]
    price = fitted.landscapes.prices(part, rng.random(count))
    clicks = np.zeros(count)
    clicked = rng.choice(count, round(count * fitted.click_rate), replace=False)
    # Each click of the log equally often, so that few clicks are no matter of luck.
    alike = np.resize(rng.permutation(len(fitted.clicked)), len(clicked))
    pctr[clicked], price[clicked] = fitted.clicked[alike].T
    clicks[clicked] = 1.0
    return _traffic(price, pctr, clicks, worth)


def _traffic(price: Floats, pctr: Floats, click: Floats, worth: float) -> Traffic:
    """Return traffic of one advertiser with one creative; all of shape ``(N,)``."""
    count = len(price)
    return Traffic(
        begins=np.linspace(0, count, TICKS + 1).astype(np.int64),
        planned=np.full(TICKS, 1.0 / TICKS),
        market=price,
        state=np.zeros((count, LATENT_DIM)),
        match=np.zeros((count, 1)),
        click=click[:, None, None],
        predicted=pctr[:, None],
        conversion=np.ones((count, 1)),
        worth=np.array([worth]),
        luck=np.zeros((count, 2)),
        delay=np.zeros((count, 2), dtype=np.int64),
        taste=np.zeros((count, 1, 1)),
    )


class Bought(NamedTuple):
    """What an advertiser made of its traffic.

    Attributes:
        wins: Auctions won.
        clicks: Of them.
        spend: Paid.
    """

    wins: float
    clicks: float
    spend: float


def play(traffic: Traffic, kind: Kind, landscapes: Landscapes, budget: float) -> Bought:
    """Let one advertiser play all of the traffic, second price.

    Args:
        traffic: Of one advertiser.
        kind: How it bids.
        landscapes: Of the arena.
        budget: Of the whole traffic.
    """
    settings = ArenaSettings(
        kinds=(kind,),
        first_price=False,
        auctions=len(traffic.market),
        creatives=1,
        prior_clicks=1e9,  # predictions are taken as they are
    )
    arena = Arena(settings, traffic, landscapes, np.array([budget]))
    while not arena.done:
        arena.step(np.zeros(1))
    totals = arena.totals()
    return Bought(float(totals.wins[0]), float(totals.clicks[0]), float(totals.cost[0]))


def compare(log: Log, known: Log, shares: tuple[float, ...], seeds: int) -> Rows:
    """Return a row for each rule and share: what the log gave, and what the simulator gives.

    Args:
        log: The auctions that are replayed.
        known: The simulator is fitted to them; may be the same log.
        shares: What the level of bids is chosen for, and the budget of the paced rule: parts of
            the mean price of each auction.
        seeds: How many times the simulator is played.
    """
    fitted = fit(known)
    rows: Rows = []
    rules: tuple[tuple[str, Kind], ...] = (("unlimited", "truthful"), ("paced", "paced"))
    for name, kind in rules:
        for share in shares:
            worth = constant_bid(log, share) / log.click_rate
            budget = log.mean_price * share * len(log.price)
            limit = _UNLIMITED if kind == "truthful" else budget
            real = play(recorded(log, worth), kind, fitted.landscapes, limit)
            simulated = [
                play(drawn(fitted, len(log.price), worth, seed), kind, fitted.landscapes, limit)
                for seed in range(1, seeds + 1)
            ]
            mean = Bought(*np.mean(simulated, axis=0).tolist())
            rows.append(_row(log.name, name, share, real, mean))
    return rows


def _row(log: str, rule: str, share: float, real: Bought, mean: Bought) -> dict[str, Any]:
    return {
        "log": log,
        "rule": rule,
        "share": f"1/{round(1 / share)}",
        "real": real._asdict(),
        "simulated": mean._asdict(),
    }
