"""What a bid costs: for all impressions of one play, and with what the wire's rounding adds.

Principle: a price inside is micros of USD for one impression. What is reserved must cover whatever
the exchange may charge for the price that it was told, so it is worked out from that price, rounded
up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from config.rates import DOLLAR

if TYPE_CHECKING:
    from models.opportunity import Opportunity

LEAST_QUANTITY: Final = 1e-6
MOST_QUANTITY: Final = 1e9

_NOISE: Final = 1e-6  # what binary fractions add to an exact amount, in micros


def quantity_of(multiplier: float) -> float:
    """Return how many impressions one play is, within sane bounds.

    Args:
        multiplier: ``qty.multiplier``, may be a fraction (OpenRTB 2.6, sections 3.2.31 and 7.9.4);
            what is not above zero is no quantity and counts as one.
    """
    if not multiplier > 0.0:
        return 1.0
    return min(max(multiplier, LEAST_QUANTITY), MOST_QUANTITY)


def cost_micros(bid_micros: int, opportunity: Opportunity) -> int:
    """Return what a won bid costs at most, in micros of USD.

    Args:
        bid_micros: The bid for one impression.
        opportunity: What it is for. In a currency other than dollars a price is rounded up to a
            millionth of a unit, which is less than a micro of a dollar an impression.
    """
    if opportunity.currency != DOLLAR:
        bid_micros += 1
    quantity = opportunity.quantity
    return bid_micros if quantity == 1.0 else max(1, math.ceil(bid_micros * quantity - _NOISE))


def affordable_micros(money_micros: int, opportunity: Opportunity) -> int:
    """Return the highest bid for one impression whose cost an amount covers, 0 if none does."""
    quantity = opportunity.quantity
    if quantity == 1.0 and opportunity.currency == DOLLAR:
        return money_micros
    bid_micros = int(money_micros / quantity)
    while bid_micros > 0 and cost_micros(bid_micros, opportunity) > money_micros:
        bid_micros -= 1
    return bid_micros
