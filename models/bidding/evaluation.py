"""Bidding rules beside each other on recorded prices, with what one wins over another.

Every rule meets the same auctions under the same budgets, so what it gains is a paired difference,
with an interval by bootstrap over episodes. The free number of a rule (the base of Lin, the price
of budget of ORTB) is tuned for clicks on the training log; where there is none it is the best in
hindsight, which favours that rule over the ones that are not tuned. RLB takes the mean prediction
of the training log for the usual chance, or its rate of clicks where there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from models.bidding import ortb, rlb
from models.evaluation import Interval
from models.pacing.controllers import DualDescent
from models.pacing.evaluation import LOG_HORIZON, LOG_SHARES, read_logs
from models.pacing.logs import EPISODE, budget_of, constant_bid, fixed, linear, paced, value

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from models.pacing.logs import Log, Played

Rows = list[dict[str, Any]]

#: Rules that the others are compared with.
BASELINES: Final = ("lin", "rlb")
_BASES: Final = np.geomspace(5.0, 250.0, 16)
#: Prices of budget, in usual clicks per usual price.
_PRICES: Final = np.geomspace(0.01, 30.0, 24)
_DRAWS: Final = 1_000


def evaluate_bidding(folder: Path, seed: int) -> Rows:
    """Return what each rule makes of each log, a row for each of them over all budgets.

    Args:
        folder: With the logs, as in `models.pacing.evaluation.read_logs`.
        seed: Of the bootstrap.

    Raises:
        EvaluationError: A log is missing or is not one.
    """
    rows: Rows = []
    for test, train in read_logs(folder):
        shares = LOG_SHARES if train is not None else LOG_SHARES[1:]
        rng = np.random.default_rng(seed)
        played = play_all(test, train, shares)
        rows += [_row(test, rule, shares, played, rng) for rule in played]
    return rows


def play_all(test: Log, train: Log | None, shares: tuple[float, ...]) -> dict[str, list[Played]]:
    """Return what each rule makes of each budget of a log.

    Args:
        test: The auctions.
        train: Where free numbers are tuned; None tunes them on the test log itself.
        shares: Budgets, as shares of the average cost.
    """
    known = train or test
    blind = msgspec.structs.replace(test, pctr=np.full(len(test.pctr), test.click_rate))
    widest = int(max(budget_of(test, share) for share in shares))
    usual = test.click_rate if train is None else float(train.pctr.mean())
    table = rlb.values(test.histogram, usual, EPISODE, widest)
    pacing = DualDescent()
    rules: dict[str, Callable[[float], Played]] = {
        "constant": lambda share: _constant(test, share),
        "constant, dual pacing": lambda share: paced(blind, share, pacing, LOG_HORIZON),
        "mcpc": lambda share: value(test, share),
        "lin": lambda share: linear(test, share, _best(linear, known, share, _BASES)),
        "ortb": lambda share: play_ortb(test, share, _best(play_ortb, known, share, _PRICES)),
        "rlb": lambda share: rlb.play(test, share, table),
        "dual pacing": lambda share: paced(test, share, pacing, LOG_HORIZON),
    }
    return {name: [rule(share) for share in shares] for name, rule in rules.items()}


def _constant(log: Log, share: float) -> Played:
    return fixed(log, share, np.full(len(log.price), constant_bid(log, share)))


def play_ortb(log: Log, share: float, relative_price: float) -> Played:
    """Bid by ORTB until an episode's budget is gone.

    Args:
        log: The auctions.
        share: Budget as a share of the average cost, c0.
        relative_price: Price of budget, as a multiple of usual chance / usual market price.
    """
    usual = log.click_rate / log.mean_price
    c = ortb.fitted_c(log.histogram)
    return fixed(log, share, ortb.ortb_bids(log.pctr, c, relative_price * usual))


def _best(
    rule: Callable[[Log, float, float], Played], log: Log, share: float, numbers: Any
) -> float:
    """Return the number with which a rule wins most clicks; of equals the cheapest."""
    results = [rule(log, share, float(number)) for number in numbers]
    keys = [(int(each.clicks.sum()), -float(each.cost.sum())) for each in results]
    return float(numbers[keys.index(max(keys))])


def _row(
    log: Log,
    rule: str,
    shares: tuple[float, ...],
    played: dict[str, list[Played]],
    rng: np.random.Generator,
) -> dict[str, Any]:
    results = played[rule]
    budgets = sum(each.budget * log.episodes for each in results)
    row: dict[str, Any] = {
        "log": log.name,
        "rule": rule,
        "clicks": sum(int(each.clicks.sum()) for each in results),
        "by_budget": {
            f"1/{round(1 / share)}": int(each.clicks.sum())
            for share, each in zip(shares, results, strict=True)
        },
        "spent": sum(float(each.cost.sum()) for each in results) / budgets,
        "most_of_an_episode": max(float((each.cost / each.budget).max()) for each in results),
    }
    for other in BASELINES:
        row[f"more_than_{other}"] = gain(results, played[other], rng)
    return row


def gain(ours: list[Played], theirs: list[Played], rng: np.random.Generator) -> Interval:
    """Return the clicks won more, with a 95 % interval by paired bootstrap over episodes.

    Args:
        ours: By budget.
        theirs: By the same budgets, of the same log.
        rng: Draws the episodes.
    """
    pairs = zip(ours, theirs, strict=True)
    by_episode = np.array([mine.clicks - other.clicks for mine, other in pairs]).sum(axis=0)  # (E,)
    drawn = rng.integers(0, len(by_episode), (_DRAWS, len(by_episode)))  # (draws, E)
    low, high = np.quantile(by_episode[drawn].sum(axis=1), (0.025, 0.975))
    return Interval(float(by_episode.sum()), float(low), float(high))
