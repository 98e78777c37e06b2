"""Optimal real-time bidding (Zhang et al., KDD 2014): a bid that is concave in the chance.

Where a bid ``b`` wins with chance ``b / (c + b)``, the bid that buys most clicks for a budget is
``sqrt(c * chance / price_of_budget + c^2) - c`` (equation 12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from models.pacing.logs import Floats

_CANDIDATES: Final = np.geomspace(1.0, 1_000.0, 301)


def fitted_c(histogram: Floats) -> float:
    """Return the price at which half is won, by least squares on the share of auctions won.

    Args:
        histogram: Impressions by market price 0..P-1, shape ``(P,)``.
    """
    won = np.cumsum(histogram) / histogram.sum()  # (P,)
    prices = np.arange(len(histogram))  # (P,)
    errors = [float(((prices / (c + prices) - won) ** 2).sum()) for c in _CANDIDATES]
    return float(_CANDIDATES[int(np.argmin(errors))])


def ortb_bids(pctr: Floats, c: float, price_of_budget: float) -> Floats:
    """Return the bids.

    Args:
        pctr: Chance of a click, shape ``(N,)``.
        c: Price at which half is won.
        price_of_budget: Clicks that a unit of money must buy, the equation's lambda, above 0.
    """
    bids: Floats = np.sqrt(c * pctr / price_of_budget + c * c) - c  # (N,)
    return bids
