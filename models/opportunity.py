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

_MOST_CODES: Final = 64
_LONGEST_CODE: Final = 32

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


class DurationFloor(msgspec.Struct, frozen=True, gc=False):
    """The floor of ads that last from ``min_s`` to ``max_s`` seconds (0 = no end)."""

    min_s: int
    max_s: int
    floor_micros: int


class Floor(msgspec.Struct, frozen=True, gc=False):
    """The lowest price of one way to fill an impression, in micros of USD per impression.

    OpenRTB 2.6, section 7.11: whoever reads the wire has already chosen whose guidance counts
    (deal, then video or audio, then impression).

    Attributes:
        base_micros: For any ad, where the others say nothing.
        per_s_micros: For each second of an ad (``mincpmpersec``); 0 = not given.
        by_duration: Floors of ads by length (``durfloors``); of several that cover a length the
            highest counts.
    """

    base_micros: int = 0
    per_s_micros: int = 0
    by_duration: tuple[DurationFloor, ...] = ()

    def micros(self, duration_s: int) -> int:
        """Return the lowest price of an ad of this length (0 = no video or audio)."""
        if not (self.by_duration or self.per_s_micros):
            return self.base_micros
        covered = [
            each.floor_micros
            for each in self.by_duration
            if each.min_s <= duration_s and (not each.max_s or duration_s <= each.max_s)
        ]
        return max(max(covered, default=self.base_micros), self.per_s_micros * duration_s)

    @property
    def least_micros(self) -> int:
        """No ad of any length may be cheaper."""
        floors = [each.floor_micros for each in self.by_duration]
        return max(min([self.base_micros, *floors]), self.per_s_micros)


class NativeAsset(msgspec.Struct, frozen=True, gc=False):
    """One part that a native placement asks for (Native Ads 1.2, section 4.2).

    Attributes:
        id: The exchange's number of it, repeated in the answer.
        kind: ``title``, ``icon``, ``image``, ``data`` or ``video``.
        required: Without it the ad is refused.
        data_type: Of ``data``: the number of what it holds (1 sponsored, 2 desc, 12 cta ...).
        max_length: Characters of a title or of data at most; 0 = no limit.
        min_w: Least width of an image, 0 = any.
        min_h: Least height of an image, 0 = any.
        w: The width that an image must have, 0 = any.
        h: The height that an image must have, 0 = any.
        mimes: Content types of images that are accepted; empty = any.
    """

    id: int
    kind: str
    required: bool = False
    data_type: int = 0
    max_length: int = 0
    min_w: int = 0
    min_h: int = 0
    w: int = 0
    h: int = 0
    mimes: tuple[str, ...] = ()


class NativeForm(msgspec.Struct, frozen=True, gc=False):
    """What a native placement asks for, and how it wants the answer.

    Attributes:
        assets: In the order of the request.
        wrapped: The answer goes into an object ``{"native": ...}``, as the request did.
        version: Of the Native specification, e.g. ``1.2``.
        event_trackers: It takes ``eventtrackers`` (otherwise ``imptrackers``).
    """

    assets: tuple[NativeAsset, ...] = ()
    wrapped: bool = False
    version: str = "1.2"
    event_trackers: bool = True


class DealTerms(msgspec.Struct, frozen=True, gc=False):
    """A private deal on whose terms this impression is looked at.

    Attributes:
        id: The exchange's name of it.
        fixed: Its floor is the agreed price (``at`` 3).
        guaranteed: A bid is owed (``guar`` 1).
        seats: Buyer seats that may use it; ``None`` = all.
        advertisers: Domains that may use it; ``None`` = all.
    """

    id: str
    fixed: bool = False
    guaranteed: bool = False
    seats: frozenset[str] | None = None
    advertisers: frozenset[str] | None = None


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One way to fill an impression; an impression with several formats has several slots.

    Attributes:
        format: ``banner``, ``video``, ``native`` or ``audio``.
        w: Width in pixels, 0 = unknown or meaningless.
        h: Height in pixels, 0 = unknown or meaningless.
        mimes: Content types that are accepted; empty = any.
        min_s: Shortest video or audio, in seconds.
        max_s: Longest video or audio, in seconds; 0 = no limit.
        exact_s: Lengths of which an ad must have one (``rqddurs``); empty = any within the bounds.
        protocols: Video or audio protocols (AdCOM list) that are accepted; empty = any.
        apis: API frameworks that are there; empty = unknown.
        linearity: 1 linear, 2 not; 0 = any.
        skippable: Whether the publisher lets users skip (``skip``); ``None`` = unknown.
        max_bitrate: In kbit/s; 0 = no limit.
        min_bitrate: In kbit/s.
        blocked_attributes: Creative attributes that may not be shown here (``battr``).
        blocked_types: Banner types that may not be shown (``btype``).
        floor: Lowest price here.
        native: What a native placement asks for.
    """

    format: str
    w: int = 0
    h: int = 0
    mimes: tuple[str, ...] = ()
    min_s: int = 0
    max_s: int = 0
    exact_s: tuple[int, ...] = ()
    protocols: tuple[int, ...] = ()
    apis: tuple[int, ...] = ()
    linearity: int = 0
    skippable: int | None = None
    max_bitrate: int = 0
    min_bitrate: int = 0
    blocked_attributes: frozenset[int] = _NO_NUMBERS
    blocked_types: frozenset[int] = _NO_NUMBERS
    floor: Floor = Floor()
    native: NativeForm | None = None


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """One impression that is for sale.

    Attributes:
        request_id: The exchange's id of the request.
        imp_id: The id of the impression within it.
        user_id: The exchange's id of the user, ``""`` = unknown.
        country: ISO-3166-1 alpha-3, ``""`` = unknown.
        region: ISO-3166-2 without the country, upper case, ``""`` = unknown.
        city: Lower case, ``""`` = unknown or not to be used.
        zip_code: ``""`` = unknown or not to be used.
        device_kind: One of `DEVICE_KINDS`.
        os: Operating system in lower case, ``""`` = unknown.
        language: ISO-639-1 code of the device, ``""`` = unknown.
        categories: Indexes 0..25 of the IAB categories of the page or app, most important first.
        content: The page's or app's categories as (taxonomy, code), parents included; the taxonomy
            is AdCOM's number (1 = IAB Content 1.0).
        domain: Domain of the site, or bundle of the app.
        bundle: Bundle of the app, lower case, ``""`` for sites.
        segments: Audience segments as ``provider:segment`` and as bare ids; empty where personal
            data may not be used.
        hour: Hour of the day, 0..23, in the user's time where it is known.
        day: Day of the week in the same time, 0 = Monday.
        slots: Ways to fill it; at least one.
        floor_micros: The least that any ad in any slot must reach, in micros of USD per
            impression; what one ad must reach is its slot's `Floor`.
        deal: The deal that this look is about; ``None`` = the open auction.
        category_taxonomy: Taxonomy of the codes in the next two (``cattax``).
        blocked_categories: IAB codes of ads that may not be shown (``bcat``).
        allowed_categories: Codes of which an ad must have one (``acat``); ``None`` = any.
        blocked_advertisers: Domains that may not be shown (``badv``).
        blocked_apps: Bundles of advertised apps that may not be shown (``bapp``).
        blocked_attributes: Creative attributes that no slot takes; what only some of them block
            stands in those.
        allowed_languages: Languages that an ad may have (``wlang``), two letters; ``None`` = any.
        secure: Markup must use https only.
        first_price: The winner pays its bid (otherwise the second price).
        private: Only deals are accepted (``private_auction``), and this look is about none.
        currency: The currency that the answer uses.
        currency_micros: What one unit of it is worth, in micros of USD.
        quantity: How many impressions one play is (``qty.multiplier``); a bid costs its price so
            many times.
        life_s: How long the exchange waits from bid to show (``exp``); 0 = it does not say.
        interstitial: Full screen.
        rewarded: The user gets something for watching.
        exchange: Who asks; ``""`` = unknown.
        gdpr: The request falls under GDPR.
        consent: The user agreed to what we do (meaningful under GDPR only).
        coppa: The audience is children.
        limit_tracking: The user asked not to be tracked.
        ip: Address as sent, possibly cut off, ``""`` = not sent.
        user_agent: As sent, ``""`` = not sent.
        test: Not billable.
        app: An app rather than a site.
        personal: Personal data may be used (consent, no opt-out, no child); where it may not, none
            is in here.
        seats: Buyer seats that may bid; ``None`` = all.
        blocked_seats: Buyer seats that may not bid.
    """

    request_id: str
    imp_id: str
    slots: tuple[Slot, ...]
    user_id: str = ""
    country: str = ""
    region: str = ""
    city: str = ""
    zip_code: str = ""
    device_kind: str = "other"
    os: str = ""
    language: str = ""
    categories: tuple[int, ...] = ()
    content: frozenset[tuple[int, str]] = frozenset()
    domain: str = ""
    bundle: str = ""
    segments: frozenset[str] = _NO_STRINGS
    hour: int = 0
    day: int = 0
    floor_micros: int = 0
    deal: DealTerms | None = None
    category_taxonomy: int = 1
    blocked_categories: frozenset[str] = _NO_STRINGS
    allowed_categories: frozenset[str] | None = None
    blocked_advertisers: frozenset[str] = _NO_STRINGS
    blocked_apps: frozenset[str] = _NO_STRINGS
    blocked_attributes: frozenset[int] = _NO_NUMBERS
    allowed_languages: frozenset[str] | None = None
    secure: bool = False
    first_price: bool = False
    private: bool = False
    currency: str = "USD"
    currency_micros: float = 1_000_000
    quantity: float = 1.0
    life_s: int = 0
    interstitial: bool = False
    rewarded: bool = False
    exchange: str = ""
    gdpr: bool = False
    consent: bool = False
    coppa: bool = False
    limit_tracking: bool = False
    ip: str = ""
    user_agent: str = ""
    test: bool = False
    app: bool = False
    personal: bool = True
    seats: frozenset[str] | None = None
    blocked_seats: frozenset[str] = _NO_STRINGS

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
    if not codes:
        return ()
    is_usual = are_usual(codes)
    return _indexes_of(tuple(codes)) if is_usual else _indexes_of.__wrapped__(tuple(codes))


def are_usual(codes: tuple[str, ...] | list[str]) -> bool:
    """Tell whether what follows from some codes may be remembered: it must be bounded in bytes."""
    return not codes or (len(codes) <= _MOST_CODES and max(map(len, codes)) <= _LONGEST_CODE)


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
