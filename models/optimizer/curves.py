"""How likely a bid wins, and the best bid below a value: pure functions.

The highest competing price is taken to be log-logistic: a bid ``b`` wins with chance
``1 / (1 + (b / scale) ** -shape)``. `scale` is the median price in micros per impression, `shape`
how sharply the chance rises around it. Both can be learnt from (bid, won) alone, because the
log-odds are linear in ``log b``.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

_STEPS: Final = 40
_PRECISION: Final = 1e-4
_LOWEST_LOG_ODDS: Final = -700.0


class MarketCurve(msgspec.Struct, frozen=True, gc=False):
    """Chance of winning as a function of the bid.

    Attributes:
        scale_micros: Bid that wins half of the time, > 0.
        shape: Steepness, > 0.
    """

    scale_micros: float
    shape: float

    def win_chance(self, bid_micros: float) -> float:
        """Return the chance that a bid wins; 0 for no bid."""
        if bid_micros <= 0.0:
            return 0.0
        # Over log-odds, because the power itself overflows for tiny bids.
        log_odds = self.shape * (math.log(bid_micros) - math.log(self.scale_micros))
        return 1.0 / (1.0 + math.exp(-max(log_odds, _LOWEST_LOG_ODDS)))


def shaded_bid(value_micros: float, curve: MarketCurve) -> float:
    """Return the first-price bid of highest expected surplus.

    Surplus is ``(value - bid) * win_chance(bid)``. With ``x = bid / scale`` and
    ``r = value / scale`` its derivative vanishes where ``x + x ** (k + 1) + k x = k r``. The left
    side grows and is convex, so Newton's method from above never overshoots.

    Args:
        value_micros: What winning is worth.
        curve: Of the market.

    Returns:
        Between 0 and the value.
    """
    if value_micros <= 0.0:
        return 0.0
    power = curve.shape
    goal = power * value_micros / curve.scale_micros
    # Both roots of the two dominant balances lie above the solution; start from the smaller one.
    x = min(goal / (power + 1.0), goal ** (1.0 / (power + 1.0)))
    for _ in range(_STEPS):
        raised = x**power
        excess = x * (1.0 + power + raised) - goal
        step = excess / ((1.0 + power) * (1.0 + raised))
        x -= step
        if step <= _PRECISION * x:
            break
    return float(min(max(x, 0.0) * curve.scale_micros, value_micros))
