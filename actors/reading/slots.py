"""The ways to fill an impression: one slot for each banner size and each other format.

Principle: an impression on the wire is up to four formats that share some fields; the models want
each way to fill it by itself, with its own floor. A way whose floor is in a currency without a rate
is no way, because no bid could be proved to reach it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.reading.floors import floor_of
from actors.reading.native_form import native_form_of
from models.opportunity import Floor, Slot

if TYPE_CHECKING:
    from actors.reading.place import Rates
    from transport.openrtb import Banner, Deal, Imp, Native, Timed

_LONGEST_REMEMBERED: Final = 8_192
_NO_NUMBERS: Final[frozenset[int]] = frozenset()


def slots_of(imp: Imp, deal: Deal | None, rates: Rates) -> tuple[Slot, ...]:
    """Return every way to fill an impression for which a floor can be worked out.

    Args:
        imp: The impression.
        deal: The deal on whose terms it is looked at; None = the open auction.
        rates: What currencies are worth.
    """
    slots: list[Slot] = []
    if imp.banner is not None or imp.native is not None:
        floor = floor_of(imp, deal, None, rates)
        if floor is not None:
            slots.extend(_still_slots(imp, floor))
    for name, medium in (("video", imp.video), ("audio", imp.audio)):
        if medium is not None:
            floor = floor_of(imp, deal, medium, rates)
            if floor is not None:
                slots.append(_timed_slot(medium, name, floor))
    return tuple(slots)


def _still_slots(imp: Imp, floor: Floor) -> list[Slot]:
    slots = [] if imp.banner is None else _banner_slots(imp.banner, floor)
    if imp.native is not None:
        slots.append(_native_slot(imp.native, floor))
    return slots


def _banner_slots(banner: Banner, floor: Floor) -> list[Slot]:
    sizes = {(size.w, size.h): None for size in banner.format if size.w and size.h}
    if (banner.w and banner.h) or not sizes:
        sizes[banner.w, banner.h] = None
    blocked, types = _numbers(banner.battr), _numbers(banner.btype)
    return [
        Slot(
            "banner",
            w,
            h,
            banner.mimes,
            apis=banner.api,
            blocked_attributes=blocked,
            blocked_types=types,
            floor=floor,
        )
        for w, h in sizes
    ]


def _native_slot(native: Native, floor: Floor) -> Slot:
    text = native.request
    # What is remembered must be bounded in bytes, too.
    read = native_form_of if len(text) <= _LONGEST_REMEMBERED else native_form_of.__wrapped__
    return Slot(
        "native",
        apis=native.api,
        blocked_attributes=_numbers(native.battr),
        floor=floor,
        native=read(text, native.ver[:8]) if text else None,
    )


def _timed_slot(medium: Timed, name: str, floor: Floor) -> Slot:
    skip: int | None = getattr(medium, "skip", None)
    return Slot(
        name,
        max(0, getattr(medium, "w", 0)),
        max(0, getattr(medium, "h", 0)),
        medium.mimes,
        max(0, medium.minduration),
        max(0, medium.maxduration),
        medium.rqddurs,
        medium.protocols,
        medium.api,
        getattr(medium, "linearity", 0),
        skip,
        max(0, medium.maxbitrate),
        max(0, medium.minbitrate),
        _numbers(medium.battr),
        floor=floor,
    )


def _numbers(listed: tuple[int, ...]) -> frozenset[int]:
    return frozenset(listed) if listed else _NO_NUMBERS
