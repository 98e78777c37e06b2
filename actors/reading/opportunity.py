"""From the wire to the models: one ``Opportunity`` for each look at an impression.

Principle: OpenRTB's many places for one fact are looked through here and nowhere else, and what the
law or the user forbids us to use is left out here, so that nothing further in can use it by
mistake.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from actors.decision.quotes import quantity_of
from actors.reading.place import answer_currency
from actors.reading.privacy import coarse_address, privacy_of, user_id_of
from actors.reading.slots import slots_of
from models.opportunity import (
    DealTerms,
    Opportunity,
    are_usual,
    category_indexes,
    device_kind,
)
from models.taxonomy import with_parents
from transport.openrtb import SECOND_PRICE, Device, Dooh, Geo, exchange_of, supply_chain_of

if TYPE_CHECKING:
    from actors.reading.place import Reading
    from actors.reading.privacy import Privacy
    from models.opportunity import Slot
    from transport.openrtb import App, BidRequest, Deal, Imp, Site, User

AT_AGREED_PRICE: Final = 3
_NO_GEO: Final = Geo()
_NO_DEVICE: Final = Device()
_NO_STRINGS: Final[frozenset[str]] = frozenset()
_NO_NUMBERS: Final[frozenset[int]] = frozenset()
_SECONDS_PER_HOUR: Final = 3600
_MINUTES_PER_HOUR: Final = 60
_HOURS_PER_DAY: Final = 24
_FIRST_WEEKDAY: Final = 3  # 1970 began on a Thursday
_MAX_SEGMENTS: Final = 256
_LONGEST_TAG: Final = 35  # of a language, RFC 5646 section 4.4.1
_LETTERS_OF_LANGUAGE: Final = 2
_EXCHANGE_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")


def refusal(request: BidRequest, opportunity: Opportunity, reading: Reading) -> str | None:
    """Return why we may not bid on this look at an impression whatever the ad, or None.

    Args:
        request: The whole request.
        opportunity: Made of it.
        reading: What it was read by.

    Returns:
        ``currency`` (no currency that is taken has a rate), ``floor_currency`` (no way to fill
        the impression has a floor in one that has), ``incomplete_schain``,
        ``blocked_seller`` or ``no_consent_no_bid``.
    """
    if not opportunity.currency_micros:
        return "currency"
    if not opportunity.slots:
        return "floor_currency"
    chain = supply_chain_of(request)
    if chain is not None:
        complaint = reading.supply.complaint(chain)
        if complaint is not None:
            return complaint
    return "no_consent_no_bid" if reading.needs_consent and not opportunity.personal else None


def opportunity_of(
    request: BidRequest,
    imp: Imp,
    unix_s: float,
    reading: Reading,
    deal: Deal | None = None,
    exchange: str = "",
) -> Opportunity:
    """Read one look at one impression: the open auction's, or a deal's.

    Args:
        request: The whole request.
        imp: One of its impressions.
        unix_s: The present moment, seconds since 1970 (UTC), for the user's hour of the day.
        reading: Our place in the market.
        deal: The deal of the impression that this look is about; None = the open auction.
        exchange: Who asks, as the door knows it; "" = as the request says, if it does.

    Returns:
        The impression; no personal data is in it where none may be used.
    """
    privacy = privacy_of(request, reading)
    device = request.device or _NO_DEVICE
    name = exchange or exchange_name(exchange_of(request))
    slots = slots_of(imp, deal, reading.rates)
    return Opportunity(
        request_id=request.id,
        imp_id=imp.id,
        slots=slots,
        floor_micros=min((slot.floor.least_micros for slot in slots), default=0),
        exchange=name,
        **_of_user(request.user, device, privacy, name),
        **_of_place(request, device, unix_s),
        **_of_rules(request, imp, slots),
        **_of_market(request, imp, deal, reading),
    )


def _of_user(user: User | None, device: Device, privacy: Privacy, exchange: str) -> dict[str, Any]:
    """What is known of the user, and what is allowed to be."""
    geo = _geo(device, user)
    address = device.ip or device.ipv6
    facts: dict[str, Any] = {
        "country": geo.country.upper(),
        "region": geo.region.upper().rpartition("-")[2],
        "device_kind": device_kind(device.devicetype, device.ua),
        "os": device.os.lower(),
        "language": language_code((device.language or device.langb)[:_LONGEST_TAG]),
        "user_agent": device.ua,
        "personal": privacy.personal,
        "gdpr": privacy.gdpr,
        "consent": privacy.consent,
        "coppa": privacy.coppa,
        "limit_tracking": privacy.limited,
    }
    if not privacy.personal:
        facts["ip"] = coarse_address(address) if address else ""
        return facts
    facts["ip"] = address
    facts["user_id"] = user_id_of(user, device, exchange)
    facts["city"] = geo.city.lower()
    facts["zip_code"] = geo.zip
    if user is not None and user.data:
        facts["segments"] = _segments(user)
    return facts


def _of_place(request: BidRequest, device: Device, unix_s: float) -> dict[str, Any]:
    """Where and when the ad is seen."""
    inventory = request.site or request.app or request.dooh
    hours = int(unix_s / _SECONDS_PER_HOUR + _offset_h(_geo(device, request.user)))
    facts: dict[str, Any] = {
        "hour": hours % _HOURS_PER_DAY,
        "day": (hours // _HOURS_PER_DAY + _FIRST_WEEKDAY) % 7,
        "app": request.app is not None,
    }
    if inventory is None:
        return facts
    facts["domain"] = _domain(inventory)
    if request.app is not None:
        facts["bundle"] = request.app.bundle.lower()
    content = inventory.content
    codes: tuple[str, ...] = ()
    if not isinstance(inventory, Dooh):
        codes = (*inventory.pagecat, *inventory.sectioncat, *inventory.cat)
    inner = () if content is None else content.cat
    if codes or inner:
        facts["categories"] = category_indexes((*codes, *inner))
        families = content_of(getattr(inventory, "cattax", 1), codes)
        if content is not None and inner:
            families |= content_of(content.cattax, inner)
        facts["content"] = families
    return facts


def _of_rules(request: BidRequest, imp: Imp, slots: tuple[Slot, ...]) -> dict[str, Any]:
    """What the publisher lets in (OpenRTB 2.6, section 3.2.1)."""
    facts: dict[str, Any] = {
        "category_taxonomy": request.cattax,
        "blocked_attributes": _blocked_attributes(slots),
        # A value that the specification does not know counts as yes.
        "secure": bool(imp.secure),
    }
    if request.bcat:
        facts["blocked_categories"] = frozenset(request.bcat)
    if request.acat:
        facts["allowed_categories"] = frozenset(request.acat)
    if request.badv:
        facts["blocked_advertisers"] = frozenset(map(str.lower, request.badv))
    if request.bapp:
        facts["blocked_apps"] = frozenset(map(str.lower, request.bapp))
    if request.wlang or request.wlangb:
        facts["allowed_languages"] = allowed_languages(request.wlang, request.wlangb)
    if request.wseat:
        facts["seats"] = frozenset(request.wseat)
    if request.bseat:
        facts["blocked_seats"] = frozenset(request.bseat)
    return facts


def _of_market(
    request: BidRequest, imp: Imp, deal: Deal | None, reading: Reading
) -> dict[str, Any]:
    """On which terms the impression is sold."""
    at = request.at if deal is None or deal.at is None else deal.at
    currency, currency_micros = answer_currency(request.cur, reading.rates)
    facts: dict[str, Any] = {
        # An unknown kind of auction is priced as if we paid our bid: the careful side.
        "first_price": at != SECOND_PRICE,
        "currency": currency,
        "currency_micros": currency_micros,
        "life_s": max(0, imp.exp),
        "interstitial": imp.instl == 1,
        "rewarded": imp.rwdd == 1,
        "test": request.test != 0,
    }
    if imp.qty is not None:
        facts["quantity"] = quantity_of(imp.qty.multiplier)
    if deal is not None:
        facts["deal"] = deal_terms(deal)
    elif imp.pmp is not None:
        facts["private"] = imp.pmp.private_auction != 0
    return facts


def deal_terms(deal: Deal) -> DealTerms:
    """Return the terms of a private deal (OpenRTB 2.6, section 3.2.12)."""
    return DealTerms(
        deal.id,
        deal.at == AT_AGREED_PRICE,
        deal.guar == 1,
        frozenset(deal.wseat) if deal.wseat else None,
        frozenset(map(str.lower, deal.wadomain)) if deal.wadomain else None,
    )


def exchange_name(text: str) -> str:
    """Return the name of an exchange as we write it, "" for what is none."""
    name = text.lower()
    return name if name and _EXCHANGE_NAME.fullmatch(name) else ""


@lru_cache(maxsize=1024)
def language_code(text: str) -> str:
    """Return the ISO-639-1 code that a language tag begins with (``de-AT`` -> ``de``), else ""."""
    code = text.replace("_", "-").partition("-")[0].lower()
    return code if len(code) == _LETTERS_OF_LANGUAGE and code.isalpha() else ""


def allowed_languages(codes: tuple[str, ...], tags: tuple[str, ...]) -> frozenset[str]:
    """Return the languages that ads may have; where both lists are sent, both hold.

    Args:
        codes: ``wlang``, ISO-639-1.
        tags: ``wlangb``, BCP-47.
    """
    lists = [
        frozenset(filter(None, (language_code(text[:_LONGEST_TAG]) for text in each)))
        for each in (codes, tags)
        if each
    ]
    return frozenset.intersection(*lists)


def content_of(taxonomy: int, codes: tuple[str, ...]) -> frozenset[tuple[int, str]]:
    """Return content categories as (taxonomy, code), each with those that it belongs to."""
    return (
        _families(taxonomy, codes) if are_usual(codes) else _families.__wrapped__(taxonomy, codes)
    )


@lru_cache(maxsize=4096)
def _families(taxonomy: int, codes: tuple[str, ...]) -> frozenset[tuple[int, str]]:
    return frozenset((taxonomy, name) for code in codes for name in with_parents(taxonomy, code))


def _blocked_attributes(slots: tuple[Slot, ...]) -> frozenset[int]:
    """Return the attributes that no slot takes; what only some block stands in those."""
    if not slots:
        return _NO_NUMBERS
    blocked = slots[0].blocked_attributes
    for slot in slots:
        blocked &= slot.blocked_attributes
    return blocked


def _segments(user: User) -> frozenset[str]:
    """Return the audiences of a user by their bare ids and with who says so, boundedly many."""
    names: set[str] = set()
    for data in user.data:
        for segment in data.segment:
            if segment.id and len(names) < _MAX_SEGMENTS:
                names.add(segment.id)
                names.update(f"{who}:{segment.id}" for who in (data.id, data.name) if who)
    return frozenset(names)


def _geo(device: Device, user: User | None) -> Geo:
    if device.geo is not None:
        return device.geo
    return user.geo if user is not None and user.geo is not None else _NO_GEO


def _offset_h(geo: Geo) -> float:
    return (geo.utcoffset or 0) / _MINUTES_PER_HOUR


def _domain(inventory: Site | App | Dooh) -> str:
    name: str = getattr(inventory, "bundle", "") or inventory.domain
    if not name:
        name = _host(getattr(inventory, "page", ""))
    if not name and inventory.publisher is not None:
        name = inventory.publisher.domain
    return name.lower()


def _host(url: str) -> str:
    """Return the host of a web address, "" if it has none."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return ""
    return rest.partition("/")[0].partition("?")[0].rpartition("@")[2].partition(":")[0]
