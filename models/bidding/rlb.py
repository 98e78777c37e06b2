"""Bidding as a Markov decision process, solved exactly (RLB; Cai et al., WSDM 2017).

The state is how many auctions are left and how much budget. ``V(t, b)`` is the number of clicks
that ``t`` auctions and budget ``b`` are worth, where each click has the usual chance ``r`` and
``m(d)`` is how often the market price is ``d``. A price is worth paying while the click is worth
more than the budget it takes, so

    V(t, b) = V(t-1, b) + sum over d <= b of m(d) * max(0, r + V(t-1, b-d) - V(t-1, b)).

The bid for an impression of chance ``p`` is the highest price still worth paying with ``p`` for
``r``. One table serves all budgets up to its widest. Letters: T auctions of an episode, B budget,
P prices, E episodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.pacing.logs import EPISODE, HIGHEST_BID, Played, budget_of

if TYPE_CHECKING:
    from models.pacing.logs import Floats, Ints, Log

Table = NDArray[np.float32]

_Scalar = TypeVar("_Scalar", np.int64, np.float64)

_NO_PRICE: Final = np.inf


def values(histogram: Floats, chance: float, auctions: int, budget: int) -> Table:
    """Return the table of values, shape ``(auctions, budget + 1)``; row t has t auctions left.

    Args:
        histogram: Impressions by market price 0..P-1, shape ``(P,)``.
        chance: Of a click of a usual impression.
        auctions: Of an episode.
        budget: The most there may be, in units of price.
    """
    often = histogram / histogram.sum()  # (P,)
    table = np.zeros((auctions, budget + 1), dtype=np.float32)  # (T, B+1)
    now = np.zeros(budget + 1)  # (B+1,)
    for left in range(1, auctions):
        now = now + _gain(now, often, chance)
        table[left] = now
    return table


def _gain(value: Floats, often: Floats, chance: float) -> Floats:
    """Return what one more auction is worth at each budget, shape ``(B+1,)``."""
    gain = np.zeros_like(value)
    worth = np.empty_like(value)
    for price in np.flatnonzero(often[: len(value)]).tolist():
        part = worth[price:]
        np.subtract(value[: len(value) - price], value[price:], out=part)
        part += chance
        np.maximum(part, 0.0, out=part)
        part *= often[price]
        gain[price:] += part
    return gain


def bids(row: Table, left: Ints, chance: Floats) -> Ints:
    """Return the highest price worth paying, shape ``(E,)``.

    Args:
        row: Value of each budget with the auctions that remain after this one, shape ``(B+1,)``.
        left: Budget that is left, shape ``(E,)``.
        chance: Of a click, shape ``(E,)``.
    """
    prices = np.arange(HIGHEST_BID + 1)  # (P,)
    after = left[:, None] - prices  # (E, P)
    kept = np.where(after >= 0, row[np.maximum(after, 0)], -_NO_PRICE)  # (E, P)
    worth = chance[:, None] + kept >= row[left][:, None]  # (E, P), true first and then false
    highest: Ints = worth.sum(axis=1) - 1  # (E,)
    return highest


def play(log: Log, share: float, table: Table) -> Played:
    """Bid by the table; the log's episodes are played side by side.

    Args:
        log: The auctions.
        share: Budget as a share of the average cost, c0.
        table: Of `values`, for episodes of 1,000 auctions and at least this budget.
    """
    budget = int(budget_of(log, share))
    price, click = _by_episode(log.price, HIGHEST_BID + 1), _by_episode(log.click, 0)  # (E, T)
    pctr = _by_episode(log.pctr, 0.0)  # (E, T)
    lengths = np.minimum(len(log.price) - EPISODE * np.arange(log.episodes), EPISODE)  # (E,)
    left = np.full(log.episodes, budget, dtype=np.int64)  # (E,)
    clicks = np.zeros(log.episodes, dtype=np.int64)  # (E,)
    for number in range(EPISODE):
        for length in np.unique(lengths).tolist():
            if number >= length:
                continue
            at = np.flatnonzero(lengths == length)
            bid = bids(table[length - number - 1], left[at], pctr[at, number])
            won = at[price[at, number] <= bid]
            left[won] -= price[won, number]
            clicks[won] += click[won, number]
    return Played(clicks, (budget - left).astype(np.float64), float(budget))


def _by_episode(column: NDArray[_Scalar], fill: float) -> NDArray[_Scalar]:
    """Return the column with a row for each episode, the last one filled up."""
    missing = -len(column) % EPISODE
    padded = np.concatenate([column, np.full(missing, fill, dtype=column.dtype)])
    return padded.reshape(-1, EPISODE)
