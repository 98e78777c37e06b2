"""The looks at an impression: one for the open auction, one for each deal that is ours.

Principle: deals and the open auction are markets of their own (OpenRTB 2.6, section 7.3). Each gets
its own decision, so that no bid for a deal ever loses to another bid of ours on price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from config.campaigns import Campaign
    from transport.openrtb import Deal, Imp

_OPEN: tuple[Deal | None, ...] = (None,)


def held_deals(campaigns: Iterable[Campaign]) -> frozenset[str]:
    """Return the deals that active campaigns may use."""
    return frozenset(deal for each in campaigns if each.active for deal in each.deals)


def looks_of(imp: Imp, held: frozenset[str], most: int) -> tuple[Deal | None, ...]:
    """Return for which markets an impression is decided on.

    Args:
        imp: The impression.
        held: The deals that are ours.
        most: Deals that are looked at at most, in the order of the request.

    Returns:
        None stands for the open auction. Where only deals are accepted (``private_auction``) it is
        looked at only if no deal of ours is offered, for the reason why there is no bid.
    """
    pmp = imp.pmp
    if pmp is None or not pmp.deals:
        return _OPEN
    ours: dict[str, Deal | None] = {}
    for deal in pmp.deals:
        if len(ours) < most and deal.id in held:
            ours.setdefault(deal.id, deal)
    if pmp.private_auction and ours:
        return tuple(ours.values())
    return (None, *ours.values())
