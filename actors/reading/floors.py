"""The lowest price of each way to fill an impression, by the rule of OpenRTB 2.6, section 7.11.

Principle: a bid for a deal goes by what the deal says; where it says nothing, and in the open
auction, video and audio go by what their own object says; all else goes by the impression. The
first that gives any guidance counts alone. Where a seller gives more than one kind of guidance in
one place, which the specification forbids, the highest counts: nobody may call such a bid too low.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from config.rates import DOLLAR
from models.opportunity import DurationFloor, Floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.reading.place import Rates
    from models.eligibility import Candidate
    from models.opportunity import Opportunity
    from transport.openrtb import Deal, DurationFloors, Imp, Timed

UNREACHABLE_MICROS: Final = 1 << 62
"""The floor that is too large for any arithmetic, and that no bid reaches."""

_NO_FLOOR: Final = Floor()
_MICROS_OF_PRICE: Final = 1000
_NOISE: Final = 1e-9  # what binary fractions add to an exact price, in micros


def floor_of(imp: Imp, deal: Deal | None, medium: Timed | None, rates: Rates) -> Floor | None:
    """Return the lowest price of one way to fill an impression.

    Args:
        imp: The impression.
        deal: The deal on whose terms it is looked at; None = the open auction.
        medium: The video or audio object; None for banners and native ads, for which prices by
            length say nothing.
        rates: What currencies are worth.

    Returns:
        The floor in micros of USD per impression, rounded up; None if it is in a currency without
        a rate.
    """
    if deal is not None:
        if medium is not None and (deal.durfloors or _is_given(deal.mincpmpersec)):
            return _timed(deal, deal.bidfloor, deal.bidfloorcur, rates)
        if _is_given(deal.bidfloor):
            return _plain(deal.bidfloor, deal.bidfloorcur, rates)
    if medium is not None and (medium.durfloors or _is_given(medium.mincpmpersec)):
        # The impression's own floor is for lengths of which the list says nothing.
        base = imp.bidfloor if medium.durfloors else 0.0
        return _timed(medium, base, imp.bidfloorcur, rates)
    return _plain(imp.bidfloor, imp.bidfloorcur, rates)


def floor_of_ad(opportunity: Opportunity, candidate: Candidate) -> int:
    """Return what a bid with this ad must reach, in micros of USD per impression."""
    own_micros = candidate.slot.floor.micros(candidate.creative.duration_s)
    return max(own_micros, opportunity.floor_micros)


def floor_micros(cpm: float, unit_micros: float) -> int:
    """Return a floor in micros of USD per impression, rounded up.

    Args:
        cpm: As on the wire: the price of a thousand.
        unit_micros: What one unit of its currency is worth.
    """
    if not _is_given(cpm):
        return 0
    micros = cpm * unit_micros / _MICROS_OF_PRICE
    # Also what is no number at all: a floor that can't be read is never reached.
    if not micros < UNREACHABLE_MICROS:
        return UNREACHABLE_MICROS
    return math.ceil(micros - _NOISE)


def _is_given(cpm: float) -> bool:
    return not cpm <= 0.0  # true of NaN, too


def _plain(cpm: float, currency: str, rates: Rates) -> Floor | None:
    if not _is_given(cpm):
        return _NO_FLOOR
    unit_micros = rates.micros_of(currency or DOLLAR)
    return None if unit_micros is None else Floor(floor_micros(cpm, unit_micros))


def _timed(source: Deal | Timed, base: float, currency: str, rates: Rates) -> Floor | None:
    unit_micros = rates.micros_of(currency or DOLLAR)
    if unit_micros is None:
        return None
    return Floor(
        floor_micros(base, unit_micros),
        floor_micros(source.mincpmpersec, unit_micros),
        _by_duration(source.durfloors, unit_micros),
    )


def _by_duration(floors: Sequence[DurationFloors], unit_micros: float) -> tuple[DurationFloor, ...]:
    return tuple(
        DurationFloor(max(0, each.mindur), max(0, each.maxdur), micros)
        for each in floors
        if (micros := floor_micros(each.bidfloor, unit_micros))
    )
