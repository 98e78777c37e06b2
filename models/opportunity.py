"""What an impression offers, as the models see it.

OpenRTB is wide and old; models want a narrow, clean view of it. Whoever reads the wire makes one
`Opportunity` per impression, and nothing below ever looks at a request again. Absent facts are
empty values, never guesses.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

#: Number of top-level IAB content categories, IAB1..IAB26.
CATEGORY_COUNT: Final = 26

#: Kinds of device that models tell apart.
DEVICE_KINDS: Final = ("phone", "tablet", "desktop", "tv", "other")

#: Placement formats, in the order in which models number them.
FORMATS: Final = ("banner", "video", "native", "audio")

#: OpenRTB `device.devicetype` -> our kind. 1 is "mobile or tablet"; phones are far more of those.
_DEVICE_TYPES: Final = {
    1: "phone",
    2: "desktop",
    3: "tv",
    4: "phone",
    5: "tablet",
    6: "other",
    7: "tv",
    8: "other",
}

_NO_STRINGS: Final[frozenset[str]] = frozenset()
_NO_NUMBERS: Final[frozenset[int]] = frozenset()


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One way to fill an impression; an impression with several formats has several slots.

    Attributes:
        format: ``banner``, ``video``, ``native`` or ``audio``.
        w: Width in pixels, 0 = unknown or meaningless.
        h: Height in pixels, 0 = unknown or meaningless.
        mimes: Content types that are accepted; empty = any.
        min_s: Shortest video or audio, in seconds.
        max_s: Longest video or audio, in seconds; 0 = no limit.
    """

    format: str
    w: int = 0
    h: int = 0
    mimes: tuple[str, ...] = ()
    min_s: int = 0
    max_s: int = 0


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """One impression that is for sale.

    Attributes:
        request_id: The exchange's id of the request.
        imp_id: The id of the impression within it.
        user_id: The exchange's id of the user, ``""`` = unknown.
        country: ISO-3166-1 alpha-3, ``""`` = unknown.
        device_kind: One of `DEVICE_KINDS`.
        os: Operating system in lower case, ``""`` = unknown.
        language: ISO-639-1 code of the device, ``""`` = unknown.
        categories: Indexes 0..25 of the IAB categories of the page or app, most important first.
        domain: Domain of the site, or bundle of the app.
        hour: Hour of the day, 0..23, in the user's time where it is known.
        slots: Ways to fill it; at least one.
        floor_micros: Lowest price per impression, in micros of USD.
        blocked_categories: IAB codes of ads that may not be shown (``bcat``).
        blocked_advertisers: Domains that may not be shown (``badv``).
        blocked_attributes: Creative attributes that may not be shown (``battr``).
        secure: Markup must use https only.
        first_price: The winner pays its bid (otherwise the second price).
        private: Only deals are accepted (``private_auction``).
        currency: The currency that a bid may use.
        gdpr: The request falls under GDPR.
        consent: There is a consent string (meaningful under GDPR only).
        coppa: The audience is children.
        limit_tracking: The user asked not to be tracked.
        ip: Address as sent, possibly cut off, ``""`` = not sent.
        user_agent: As sent, ``""`` = not sent.
        test: Not billable.
        app: An app rather than a site.
        seats: Buyer seats that may bid; ``None`` = all.
    """

    request_id: str
    imp_id: str
    slots: tuple[Slot, ...]
    user_id: str = ""
    country: str = ""
    device_kind: str = "other"
    os: str = ""
    language: str = ""
    categories: tuple[int, ...] = ()
    domain: str = ""
    hour: int = 0
    floor_micros: int = 0
    blocked_categories: frozenset[str] = _NO_STRINGS
    blocked_advertisers: frozenset[str] = _NO_STRINGS
    blocked_attributes: frozenset[int] = _NO_NUMBERS
    secure: bool = False
    first_price: bool = False
    private: bool = False
    currency: str = "USD"
    gdpr: bool = False
    consent: bool = False
    coppa: bool = False
    limit_tracking: bool = False
    ip: str = ""
    user_agent: str = ""
    test: bool = False
    app: bool = False
    seats: frozenset[str] | None = None

    @property
    def category(self) -> int | None:
        """Index of the most important content category, ``None`` when the page says nothing."""
        return self.categories[0] if self.categories else None


def category_index(code: str) -> int | None:
    """Return the dense index of an IAB code (``IAB9-30`` -> 8), ``None`` for any other code."""
    if not code.startswith("IAB"):
        return None
    number = code[3:].partition("-")[0]
    if not (number.isascii() and number.isdigit()):
        return None
    index = int(number) - 1
    return index if 0 <= index < CATEGORY_COUNT else None


def category_code(index: int) -> str:
    """Return the IAB code of a dense index (8 -> ``IAB9``)."""
    return f"IAB{index + 1}"


def category_indexes(codes: tuple[str, ...] | list[str] | None) -> tuple[int, ...]:
    """Return the dense indexes of IAB codes, in order, each once, without unknown codes."""
    return _indexes_of(tuple(codes)) if codes else ()


@lru_cache(maxsize=4096)
def _indexes_of(codes: tuple[str, ...]) -> tuple[int, ...]:
    """Work the indexes out; pages of one site repeat their codes, so the answer is kept."""
    found = (category_index(code) for code in codes)
    return tuple(dict.fromkeys(index for index in found if index is not None))


def device_kind(devicetype: int | None, user_agent: str) -> str:
    """Return the kind of device from OpenRTB's number, or else from the user agent.

    Args:
        devicetype: ``device.devicetype`` of the request, ``None`` when absent.
        user_agent: ``device.ua`` of the request, ``""`` when absent.
    """
    kind = _DEVICE_TYPES.get(devicetype or 0)
    if kind is not None:
        return kind
    agent = user_agent.lower()
    if "ipad" in agent or "tablet" in agent:
        return "tablet"
    if "mobile" in agent or "iphone" in agent or "android" in agent:
        return "phone"
    if "smart-tv" in agent or "smarttv" in agent or "appletv" in agent:
        return "tv"
    return "desktop" if "mozilla" in agent else "other"
