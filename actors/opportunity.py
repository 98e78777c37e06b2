"""From the wire to the models: one ``Opportunity`` for each impression of an OpenRTB request.

Principle: OpenRTB's many places for one fact are looked through here and nowhere else, and what the
law or the user forbids us to use is left out here, so that nothing further in can use it by
mistake.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from models.opportunity import Opportunity, Slot, category_indexes, device_kind
from transport.openrtb import (
    SECOND_PRICE,
    Device,
    Dooh,
    Geo,
    consent_of,
    gdpr_applies,
    us_privacy_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from models.eligibility import Candidate
    from transport.openrtb import App, Banner, BidRequest, Imp, Site, User

SEAT: Final = "bidwright"
CURRENCY: Final = "USD"
MICROS_PER_CPM: Final = 1000
_NO_GEO: Final = Geo()
_NO_DEVICE: Final = Device()
_NO_STRINGS: Final[frozenset[str]] = frozenset()
_NO_NUMBERS: Final[frozenset[int]] = frozenset()
_OPTED_OUT_PLACE: Final = 2  # of a US privacy string: version, notice, opt-out, agreement
_SECONDS_PER_HOUR: Final = 3600
_MINUTES_PER_HOUR: Final = 60


def refusal(request: BidRequest, imp: Imp) -> str | None:
    """Return why we may not bid on this impression whatever the ad, or None.

    Codes: ``currency`` (US dollars are not taken), ``floor_currency`` (a floor in another one),
    ``seat`` (we are not among the buyers asked).
    """
    if request.cur and CURRENCY not in request.cur:
        return "currency"
    if imp.bidfloor > 0 and imp.bidfloorcur not in ("", CURRENCY):
        return "floor_currency"
    if (request.wseat and SEAT not in request.wseat) or SEAT in request.bseat:
        return "seat"
    return None


def permitted(request: BidRequest, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    """Leave out the ads that the request's list of allowed categories (``acat``) does not name."""
    allowed = request.acat
    if not allowed:
        return candidates
    return [
        candidate
        for candidate in candidates
        if any(_is_within(code, allowed) for code in candidate.campaign.categories)
    ]


def _is_within(code: str, allowed: Iterable[str]) -> bool:
    return any(code == listed or code.startswith(f"{listed}-") for listed in allowed)


def opportunity_of(request: BidRequest, imp: Imp, unix_s: float) -> Opportunity:
    """Read one impression.

    Args:
        request: The whole request.
        imp: One of its impressions.
        unix_s: The present moment, seconds since 1970 (UTC), for the user's hour of the day.

    Returns:
        The impression; ``user_id`` is empty where it may not be used.
    """
    device, user, regs = request.device or _NO_DEVICE, request.user, request.regs
    inventory = request.site or request.app or request.dooh
    geo = _geo(device, user)
    gdpr = gdpr_applies(request)
    consent = bool(consent_of(request))
    coppa = regs is not None and regs.coppa == 1
    limited = _tracking_limited(request)
    return Opportunity(
        request_id=request.id,
        imp_id=imp.id,
        slots=slots_of(imp),
        user_id="" if coppa or limited or (gdpr and not consent) else _user_id(user, device),
        country=geo.country.upper(),
        device_kind=device_kind(device.devicetype, device.ua),
        os=device.os.lower(),
        language=device.language[:2].lower(),
        categories=_categories(inventory),
        domain=_domain(inventory),
        hour=_hour(unix_s, geo),
        floor_micros=floor_micros(imp),
        blocked_categories=frozenset(request.bcat) if request.bcat else _NO_STRINGS,
        blocked_advertisers=(
            frozenset(map(str.lower, request.badv)) if request.badv else _NO_STRINGS
        ),
        blocked_attributes=_blocked_attributes(imp),
        secure=imp.secure == 1,
        # An unknown kind of auction is priced as if we paid our bid: the careful side.
        first_price=request.at != SECOND_PRICE,
        private=imp.pmp is not None and imp.pmp.private_auction == 1,
        gdpr=gdpr,
        consent=consent,
        coppa=coppa,
        limit_tracking=limited,
        ip=device.ip or device.ipv6,
        user_agent=device.ua,
        test=request.test == 1,
        app=request.app is not None,
        seats=frozenset(request.wseat) if request.wseat else None,
    )


def floor_micros(imp: Imp) -> int:
    """Return the impression's floor in micros, rounded up: a bid at it is never below the floor."""
    return math.ceil(imp.bidfloor * MICROS_PER_CPM - 1e-9) if imp.bidfloor > 0 else 0


def slots_of(imp: Imp) -> tuple[Slot, ...]:
    """Return every way to fill an impression: one slot a banner size, one for each other format."""
    banner, video, audio = imp.banner, imp.video, imp.audio
    slots: list[Slot] = []
    if banner is not None:
        slots.extend(_banner_slots(banner))
    if video is not None:
        shortest, longest = video.minduration, video.maxduration
        slots.append(Slot("video", video.w, video.h, video.mimes, shortest, longest))
    if imp.native is not None:
        slots.append(Slot("native"))
    if audio is not None:
        shortest, longest = audio.minduration, audio.maxduration
        slots.append(Slot("audio", 0, 0, audio.mimes, shortest, longest))
    return tuple(slots)


def _banner_slots(banner: Banner) -> list[Slot]:
    sizes = {(size.w, size.h): None for size in banner.format if size.w and size.h}
    if (banner.w and banner.h) or not sizes:
        sizes[banner.w, banner.h] = None
    return [Slot("banner", w, h, banner.mimes) for w, h in sizes]


def _blocked_attributes(imp: Imp) -> frozenset[int]:
    blocked: frozenset[int] = _NO_NUMBERS
    for medium in (imp.banner, imp.video, imp.audio, imp.native):
        if medium is not None and medium.battr:
            blocked = blocked.union(medium.battr)
    return blocked


def _geo(device: Device, user: User | None) -> Geo:
    if device.geo is not None:
        return device.geo
    return user.geo if user is not None and user.geo is not None else _NO_GEO


def _tracking_limited(request: BidRequest) -> bool:
    device = request.device
    if device is not None and (device.lmt == 1 or device.dnt == 1):
        return True
    privacy = us_privacy_of(request)
    return len(privacy) > _OPTED_OUT_PLACE and privacy[_OPTED_OUT_PLACE] in "Yy"


def _user_id(user: User | None, device: Device) -> str:
    if user is not None and (user.buyeruid or user.id):
        return user.buyeruid or user.id
    return device.ifa


def _hour(unix_s: float, geo: Geo) -> int:
    offset_h = (geo.utcoffset or 0) / _MINUTES_PER_HOUR
    return int(unix_s / _SECONDS_PER_HOUR + offset_h) % 24


def _categories(inventory: Site | App | Dooh | None) -> tuple[int, ...]:
    """Return category indexes, the page's own before its section's and its site's."""
    if inventory is None:
        return ()
    codes: tuple[str, ...] = () if inventory.content is None else inventory.content.cat
    if not isinstance(inventory, Dooh):
        codes = (*inventory.pagecat, *inventory.sectioncat, *inventory.cat, *codes)
    return category_indexes(codes) if codes else ()


def _domain(inventory: Site | App | Dooh | None) -> str:
    if inventory is None:
        return ""
    name: str = getattr(inventory, "bundle", "") or inventory.domain
    if not name and inventory.publisher is not None:
        name = inventory.publisher.domain
    return name.lower()
