"""The price to beat as a time to live: a bid that grows from 0 "dies" at the price, and wins there.

A lost auction says only that the price was at least the bid: it is censored, as a patient is who
leaves a study alive. What is learnt from wins alone is therefore too cheap (Wu, Yeh and Chen, KDD
2015); estimators of survival use both. Prices are whole numbers 0..H; a bid wins above the price,
so ``W(b) = P(price < b)`` and ``S(b) = 1 - W(b)``.

Letters: N auctions, H highest price, K bins of prices.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SMALLEST: Final = 1e-6


class Auctions(msgspec.Struct, frozen=True):
    """Censored outcomes of auctions; all of shape ``(N,)``.

    Attributes:
        bid: What was offered.
        won: 1 where the bid was above the price.
        price: The price where it was revealed, -1 elsewhere.
    """

    bid: Ints
    won: Ints
    price: Ints


def censored(bid: Ints, price: Ints) -> Auctions:
    """Return what a bidder sees of auctions: prices only where it won.

    Args:
        bid: Shape ``(N,)``.
        price: The true price to beat, shape ``(N,)``.
    """
    won = (bid > price).astype(np.int64)
    return Auctions(bid, won, np.where(won == 1, price, -1))


def kaplan_meier(auctions: Auctions, highest: int) -> Floats:
    """Return the chance to win by bid, of all auctions alike.

    The product-limit estimator (Kaplan and Meier, 1958, eq. 2b): at each price the share of those
    still in the running that it stops. Above the highest bid nothing is known: the curve stays.

    Args:
        auctions: What was seen; every win with its price.
        highest: H.

    Returns:
        ``W(b)`` for b = 0..H, shape ``(H + 1,)``.
    """
    last = np.where(auctions.won == 1, auctions.price, auctions.bid - 1)
    ended = np.bincount(np.clip(last, 0, highest), minlength=highest + 1)
    at_risk = ended[::-1].cumsum()[::-1]
    deaths = np.bincount(auctions.price[auctions.won == 1], minlength=highest + 1)[: highest + 1]
    stays = 1.0 - deaths / np.maximum(at_risk, 1)
    survival = np.concatenate([[1.0], np.cumprod(stays)])  # S(b) needs prices below b only
    chance: Floats = 1.0 - survival[: highest + 1]
    return chance


def win_chances(hazards: Floats, width: int, highest: int) -> Floats:
    """Return the chance to win by bid, from the hazards of bins of prices.

    Within a bin the price is taken to be spread evenly.

    Args:
        hazards: Chance that the price is in a bin if it is in none below, shape ``(N, K)``.
        width: Prices in a bin.
        highest: H, at most ``K * width``.

    Returns:
        ``W(b)`` for b = 0..H, shape ``(N, H + 1)``.
    """
    rows, bins = hazards.shape
    survival = np.concatenate([np.ones((rows, 1)), np.cumprod(1.0 - hazards, axis=1)], axis=1)
    bids = np.arange(highest + 1)
    low = np.minimum(bids // width, bins - 1)
    share = (bids - low * width) / width
    chances: Floats = 1.0 - (survival[:, low] * (1.0 - share) + survival[:, low + 1] * share)
    return chances


def best_bids(chances: Floats, value: float) -> Ints:
    """Return the first-price bids of highest expected surplus, ``(value - b) W(b)``.

    Args:
        chances: ``W(b)``, shape ``(N, H + 1)`` or ``(H + 1,)``.
        value: What winning is worth.

    Returns:
        The lowest such bid for each row, shape ``(N,)`` or ``()``.
    """
    bids = np.arange(chances.shape[-1])
    surplus = np.where(bids <= value, (value - bids) * chances, -1.0)
    best: Ints = surplus.argmax(axis=-1)
    return best


def win_log_loss(chance: Floats, won: Ints) -> Floats:
    """Return the log-loss of each auction's outcome, shape ``(N,)``.

    Args:
        chance: To win with the bid that was made, shape ``(N,)``.
        won: Shape ``(N,)``.
    """
    safe = np.clip(chance, _SMALLEST, 1.0 - _SMALLEST)
    loss: Floats = -np.where(won == 1, np.log(safe), np.log1p(-safe))
    return loss
