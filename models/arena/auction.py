"""A batch of auctions with hard budgets.

Auctions come one after another, and each bid is cut to what its advertiser has left at that moment:
no advertiser can pay more than its budget. That makes the auctions of a batch depend on each other,
but only near the end of a budget. So a whole batch is held at once, up to the first auction in
which some cut bid is more than its advertiser would have left by then, and goes on from there.

Amounts are multiples of `GRAIN`, a power of 2, so that sums of them are exact.

Letters: N auctions, A advertisers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from models.market.world import Floats, Ints

#: Nobody of the advertisers wins: the rest of the market does.
NOBODY: Final = -1

#: The smallest amount.
GRAIN: Final = 2.0**-10


def grains(amounts: Floats) -> Floats:
    """Return amounts cut to multiples of `GRAIN`."""
    return np.asarray(np.floor(amounts / GRAIN) * GRAIN)


class Cleared(NamedTuple):
    """Outcome of a batch.

    Attributes:
        winner: Advertiser, or `NOBODY`, shape ``(N,)``.
        paid: By the winner, 0 for `NOBODY`, shape ``(N,)``.
        left: Budgets after the batch, shape ``(A,)``.
    """

    winner: Ints
    paid: Floats
    left: Floats


def clear(bids: Floats, market: Floats, left: Floats, *, first_price: bool) -> Cleared:
    """Hold auctions in their order.

    The highest bid wins if it is above 0 and at least the market's price; of equal bids that of the
    first advertiser. It pays itself (first price) or the highest of the other bids and the market.

    Args:
        bids: Not below 0; 0 is no bid; in grains, as all amounts; shape ``(N, A)``.
        market: Highest price of all who are not in the arena, shape ``(N,)``.
        left: Budgets, shape ``(A,)``.
        first_price: The winner pays its bid.
    """
    count = len(market)
    winner = np.full(count, NOBODY, dtype=np.int64)
    paid = np.zeros(count)
    left, at = left.astype(np.float64), 0
    while at < count:
        cut = np.minimum(bids[at:], left)  # (n, A)
        won, price = _hold(cut, market[at:], first_price=first_price)
        spent = _running(won, price, len(left))  # (n, A): before each auction
        broken = (cut > left - spent).any(axis=1)
        stop = int(broken.argmax()) if broken.any() else count - at
        stop = max(stop, 1)
        winner[at : at + stop], paid[at : at + stop] = won[:stop], price[:stop]
        np.subtract.at(left, won[:stop][won[:stop] >= 0], price[:stop][won[:stop] >= 0])
        at += stop
    return Cleared(winner, paid, left)


def _hold(bids: Floats, market: Floats, *, first_price: bool) -> tuple[Ints, Floats]:
    """Return winners and what they pay, as if budgets had no end."""
    rows = np.arange(len(market))
    best = bids.argmax(axis=1)
    highest = bids[rows, best]
    wins = (highest > 0.0) & (highest >= market)
    if first_price:
        price = highest
    else:
        others = bids.copy()
        others[rows, best] = 0.0
        price = np.maximum(others.max(axis=1), market)
    return np.where(wins, best, NOBODY), np.where(wins, price, 0.0)


def _running(winner: Ints, paid: Floats, advertisers: int) -> Floats:
    """Return what each advertiser has paid before each auction, shape ``(n, A)``."""
    each = np.zeros((len(winner) + 1, advertisers))
    sold = winner >= 0
    each[1:][sold, winner[sold]] = paid[sold]
    return np.asarray(np.cumsum(each[:-1], axis=0))
