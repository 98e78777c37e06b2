"""Ads as an advertiser hands them in: ready-made markup, or parts from which markup is made.

Parts are what one should use: image, landing page, media files or native texts; the markup with its
trackers is then made to fit each placement. Ready-made markup (``adm``) is sent as it is, with our
trackers put where its macros ask for them.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

Format = Literal["banner", "video", "native", "audio"]

MACRO_CLICK: Final = "${CLICK_URL}"
"""In ready-made markup: our click tracker; ``&u=ENCODED`` may be added to name a landing page."""
MACRO_VIEW: Final = "${VIEW_URL}"
"""In ready-made markup: the address of our one-pixel image that counts the view."""
MACRO_BILLING: Final = "${BILLING_URL}"
"""In ready-made VAST: the address that books the spend and counts the view."""

BANNER_TYPES: Final = range(5)
"""AdCOM's banner types, OpenRTB's ``btype`` (1 text, 2 image, 3 script, 4 frame); 0 = not said."""

SKIPPABLE: Final = 16
"""AdCOM's creative attribute of an ad that users may skip; publishers may block it."""

_UNSAFE_IN_URL: Final = frozenset(" \t\r\n<>\"'`\\")


class FrequencyCap(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often one user sees something: at most ``impressions`` within ``window_s`` seconds."""

    impressions: Annotated[int, msgspec.Meta(ge=1)]
    window_s: Annotated[int, msgspec.Meta(ge=1)]


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An image of a native ad.

    Attributes:
        url: Where it is. With ``{w}`` and ``{h}`` in it the advertiser's server cuts the image to
            any size.
        w: Width in pixels; of a cut image: the usual one.
        h: Height in pixels, likewise.
        mime: Its content type.
    """

    url: str
    w: int
    h: int
    mime: str = "image/png"


class MediaFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One encoding of a video or audio ad.

    Attributes:
        url: Where it is.
        mime: Its content type.
        w: Width in pixels; 0 for audio.
        h: Height in pixels; 0 for audio.
        bitrate_kbps: In kbit/s; 0 = unknown, and then it fits any limit.
    """

    url: str
    mime: str
    w: int = 0
    h: int = 0
    bitrate_kbps: int = 0


class NativeParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a native ad is put together from (Native Ads 1.2, sections 4.2 and 7).

    Attributes:
        titles: One or more, of which the longest that fits is taken.
        image: The main image.
        icon: A small one, of the brand.
        data: Texts by the number of what they say (1 sponsored by, 2 description, 3 rating, 6
            price, 11 address to show, 12 call to action ...); of each the longest that fits.
    """

    titles: tuple[str, ...]
    image: Image | None = None
    icon: Image | None = None
    data: dict[int, tuple[str, ...]] = {}


class Creative(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One ad as it is delivered.

    Attributes:
        id: Unique in the whole campaign file.
        format: Kind of placement that it fits.
        w: Width in pixels; 0 for audio and native.
        h: Height in pixels; 0 for audio and native.
        mimes: Content types, e.g. ``video/mp4``; a placement must accept at least one of them.
        duration_s: Length of a video or audio ad in seconds, 0 otherwise.
        language: ISO-639-1 code, or ``""`` for an ad without words.
        attributes: Creative attributes (AdCOM list), which publishers may block.
        apis: API frameworks (AdCOM list), of which it needs one; empty = it needs none.
        banner_type: AdCOM's type of a banner, which publishers may block; 0 = what its markup is.
        skip_after_s: A video may be skipped after so many seconds; 0 = never.
        title: What a person calls it.
        landing_url: Where a click leads.
        image_url: The image of a banner; of any other ad an image for those who approve ads.
        media: The files of a video or audio ad, best first.
        native: The parts of a native ad.
        adm: Ready-made markup instead of parts; besides OpenRTB's macros such as
            ``${AUCTION_PRICE}`` it may hold ``${CLICK_URL}``, ``${VIEW_URL}``, ``${BILLING_URL}``.
        protocol: Of ready-made VAST or DAAST: AdCOM's number of it; 0 = what its text says.
        caps: How often one user sees this one; all of them hold.
        refused_by: Exchanges that have not approved it.
    """

    id: str
    format: Format
    w: int = 0
    h: int = 0
    mimes: tuple[str, ...] = ()
    duration_s: int = 0
    language: str = ""
    attributes: tuple[int, ...] = ()
    apis: tuple[int, ...] = ()
    banner_type: int = 0
    skip_after_s: int = 0
    title: str
    landing_url: str = ""
    image_url: str = ""
    media: tuple[MediaFile, ...] = ()
    native: NativeParts | None = None
    adm: str = ""
    protocol: int = 0
    caps: tuple[FrequencyCap, ...] = ()
    refused_by: tuple[str, ...] = ()


def creative_complaint(creative: Creative) -> str | None:
    """Return what is wrong with an ad in words, or ``None``."""
    name = f"{creative.format} {creative.id!r}"
    if creative.format == "banner" and (creative.w <= 0 or creative.h <= 0):
        return f"{name} needs w and h in pixels"
    if creative.format in {"video", "audio"} and not (creative.mimes and creative.duration_s > 0):
        return f"{name} needs mimes and duration_s"
    if creative.banner_type not in BANNER_TYPES:
        return f"{name}: banner_type is 1 (text), 2 (image), 3 (script) or 4 (frame)"
    if not 0 <= creative.skip_after_s < max(creative.duration_s, 1):
        return f"{name}: skip_after_s must lie within the ad"
    if creative.skip_after_s and SKIPPABLE not in creative.attributes:
        return f"{name} may be skipped, so its attributes must name {SKIPPABLE}"
    complaint = _markup_complaint(creative) or _url_complaint(creative)
    return None if complaint is None else f"{name} {complaint}"


def _markup_complaint(creative: Creative) -> str | None:
    """Return what is missing to make markup, or what there is too much of."""
    parts = {
        "banner": creative.image_url,
        "native": creative.native,
        "video": creative.media,
        "audio": creative.media,
    }[creative.format]
    if creative.adm:
        inside = creative.media or creative.native is not None
        return "has both adm and parts; keep one of them" if inside else None
    if parts and creative.landing_url:
        return _parts_complaint(creative)
    wanted = {"banner": "image_url", "native": "native"}.get(creative.format, "media")
    return f"needs {wanted} and landing_url, or else ready-made markup in adm"


def _parts_complaint(creative: Creative) -> str | None:
    if creative.native is not None and not creative.native.titles:
        return "needs at least one of native.titles"
    for file in creative.media:
        if file.mime not in creative.mimes:
            return f"has a file of type {file.mime!r}, which its mimes do not name"
    return None


def _url_complaint(creative: Creative) -> str | None:
    for url in (creative.landing_url, *addresses(creative)):
        if not url:
            continue
        if not url.startswith(("https://", "http://")) or not _UNSAFE_IN_URL.isdisjoint(url):
            return f"has {url!r} where an http or https address without spaces or quotes belongs"
    return None


def addresses(creative: Creative) -> tuple[str, ...]:
    """Return the addresses that a browser or player fetches to show an ad made from parts."""
    native = creative.native
    images = () if native is None else (native.image, native.icon)
    return (
        *((creative.image_url,) if creative.image_url else ()),
        *(file.url for file in creative.media),
        *(image.url for image in images if image is not None),
    )
