"""Floors and currencies as the specification says them, for a check of somebody else's prices.

Written from OpenRTB 2.6 (sections 3.2.4, 3.2.12, 3.2.35, 7.11) and sharing nothing with the bidder.
"""

from __future__ import annotations

from typing import Any

Rates = dict[str, float]
"""How many units of a currency one US dollar is worth."""


def rates_of(table: dict[str, Any]) -> Rates:
    """Read a currency file: ``{"conversions": {"USD": {"EUR": 0.9}}}``, in any base."""
    rates = {"USD": 1.0}
    conversions = table["conversions"]
    rates.update(conversions.get("USD", {}))
    for base, units in conversions.items():
        if base not in rates and units.get("USD"):
            rates[base] = 1.0 / units["USD"]
    return rates


def worth(amount: float, currency: str, wanted: str, rates: Rates) -> float | None:
    """Return an amount in another currency, None without a rate."""
    if currency == wanted:
        return amount
    if currency not in rates or wanted not in rates:
        return None
    return amount / rates[currency] * rates[wanted]


def floor_of(
    imp: dict[str, Any], deal: dict[str, Any] | None, medium: str, duration_s: int
) -> tuple[float, str]:
    """Return the floor that a bid must reach, in CPM, and its currency (7.11.2).

    Args:
        imp: The impression.
        deal: The deal that the bid names, if any.
        medium: ``banner``, ``video``, ``audio`` or ``native``.
        duration_s: Length of the ad.
    """
    timed = medium in {"video", "audio"}
    if deal is not None and _guides(deal, timed=timed):
        floor = _timed_floor(deal, duration_s) if timed else None
        return (deal.get("bidfloor") or 0.0) if floor is None else floor, _currency(deal)
    if timed:
        floor = _timed_floor(imp.get(medium) or {}, duration_s)
        if floor is not None:
            return floor, _currency(imp)
    return imp.get("bidfloor") or 0.0, _currency(imp)


def _currency(owner: dict[str, Any]) -> str:
    return str(owner.get("bidfloorcur") or "USD")


def _guides(deal: dict[str, Any], *, timed: bool) -> bool:
    timed_guidance = deal.get("mincpmpersec") or deal.get("durfloors")
    return bool(deal.get("bidfloor") or (timed and timed_guidance))


def _timed_floor(owner: dict[str, Any], duration_s: int) -> float | None:
    """The floor by length, None where the object says nothing of ads of this length."""
    for each in owner.get("durfloors") or ():
        longest = each.get("maxdur") or 10**9
        if (each.get("mindur") or 0) <= duration_s <= longest:
            return float(each.get("bidfloor") or 0.0)
    per_second = owner.get("mincpmpersec") or 0.0
    return per_second * duration_s if per_second else None
