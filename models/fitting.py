"""Whether an ad technically fits a slot: size, type, length, protocol, frameworks, native assets.

Pure functions of creative and slot. They also say how a fit is done (which files, in which
protocol) to whoever writes the markup, so that what was promised and what is sent are one thing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from config.creatives import addresses
from models.mimes import accepts, as_asked
from models.native_fill import fill

if TYPE_CHECKING:
    from config.creatives import Creative, MediaFile
    from models.opportunity import NativeForm, Slot

# AdCOM 1.0, list "Creative Subtypes - Audio/Video": inline documents.
VAST_2: Final = 2
VAST_3: Final = 3
VAST_4_0: Final = 7
DAAST_1: Final = 9
VAST_4_1: Final = 11
VAST_4_2: Final = 13
VAST_4_3: Final = 15

#: Protocols in which a video ad can be written, the dearest to us first.
VIDEO_PROTOCOLS: Final = (VAST_4_2, VAST_4_1, VAST_4_3, VAST_4_0, VAST_3, VAST_2)
#: The same for audio: from 4.1 on VAST is for audio, too, before there was DAAST.
AUDIO_PROTOCOLS: Final = (VAST_4_2, VAST_4_1, VAST_4_3, DAAST_1, VAST_4_0, VAST_3, VAST_2)

_LINEAR: Final = 1
_IMAGE: Final = 2
_SCRIPT: Final = 3
_FRAME: Final = 4
_HTML: Final = "text/html"
_PROTOCOL_OF_TEXT: Final = (
    ('<VAST version="2', VAST_2),
    ('<VAST version="3', VAST_3),
    ('<VAST version="4.0', VAST_4_0),
    ('<VAST version="4.1', VAST_4_1),
    ('<VAST version="4.2', VAST_4_2),
    ('<VAST version="4.3', VAST_4_3),
    ("<DAAST", DAAST_1),
)
#: A wrapper has the number after that of its version's inline document, but for the old ones.
_WRAPPER_OF: Final = {VAST_2: 5, VAST_3: 6}
#: Names of XML schemas begin like addresses, but nobody fetches them.
_SCHEMA_PLACES: Final = ("http://www.w3.org/", "http://www.iab.com/", "http://www.iab.net/")


def why_unfit(creative: Creative, slot: Slot) -> str | None:
    """Return why an ad can't fill a slot, or ``None`` when it can.

    Args:
        creative: The ad.
        slot: The placement.

    Returns:
        ``no_creative_of_size``, ``media_not_accepted`` or ``duration``.
    """
    if creative.format != slot.format:
        return "no_creative_of_size"
    if creative.apis and not any(api in slot.apis for api in creative.apis):
        return "media_not_accepted"
    if creative.format == "banner":
        return _banner_unfit(creative, slot)
    if creative.format == "native":
        return None if _native_fits(creative, slot.native) else "media_not_accepted"
    return _stream_unfit(creative, slot)


def _banner_unfit(creative: Creative, slot: Slot) -> str | None:
    if creative.w != slot.w or creative.h != slot.h:
        return "no_creative_of_size"
    if slot.blocked_types and banner_type_of(creative) in slot.blocked_types:
        return "media_not_accepted"
    types = (*creative.mimes, _HTML)
    return None if not creative.mimes or accepts(slot.mimes, types) else "media_not_accepted"


def banner_type_of(creative: Creative) -> int:
    """Return AdCOM's type of a banner: as it says, else a script or a frame if it holds one."""
    if creative.banner_type:
        return creative.banner_type
    markup = creative.adm.lower()
    if "<script" in markup:
        return _SCRIPT
    return _FRAME if "<iframe" in markup else _IMAGE


def _native_fits(creative: Creative, form: NativeForm | None) -> bool:
    if form is None:
        return False
    if creative.native is not None:
        return fill(creative.native, form) is not None
    numbers = ready_made_assets(creative.adm)
    return numbers is not None and all(
        asset.id in numbers for asset in form.assets if asset.required
    )


@lru_cache(maxsize=4096)
def ready_made_assets(adm: str) -> frozenset[int] | None:
    """Return the numbers of the assets in ready-made native markup; ``None`` if it isn't any."""
    try:
        document = msgspec.json.decode(adm, type=dict)
        native = document.get("native", document)
        return frozenset(int(asset["id"]) for asset in native["assets"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _stream_unfit(creative: Creative, slot: Slot) -> str | None:
    """Return why a video or audio ad doesn't fit."""
    if slot.linearity not in (0, _LINEAR):
        return "media_not_accepted"
    if creative.skip_after_s and slot.skippable == 0:
        return "media_not_accepted"
    if not protocol_for(creative, slot):
        return "media_not_accepted"
    if creative.media:
        if not files_for(creative, slot):
            return "media_not_accepted"
    elif not accepts(slot.mimes, creative.mimes):
        return "media_not_accepted"
    return None if _lasts_well(creative.duration_s, slot) else "duration"


def _lasts_well(duration_s: int, slot: Slot) -> bool:
    """Tell whether an ad's length is allowed: one of those required, else within the bounds."""
    if slot.exact_s:
        return duration_s in slot.exact_s
    return slot.min_s <= duration_s and (slot.max_s <= 0 or duration_s <= slot.max_s)


def protocol_for(creative: Creative, slot: Slot) -> int:
    """Return the protocol in which a video or audio ad is sent; 0 when none is accepted.

    Args:
        creative: The ad.
        slot: The placement; naming no protocol it takes any.
    """
    if creative.media:
        ours = AUDIO_PROTOCOLS if creative.format == "audio" else VIDEO_PROTOCOLS
        accepted = (number for number in ours if not slot.protocols or number in slot.protocols)
        return next(accepted, 0)
    written = creative.protocol or ready_made_protocol(creative.adm)
    return written if not slot.protocols or written in slot.protocols else 0


@lru_cache(maxsize=4096)
def ready_made_protocol(adm: str) -> int:
    """Return AdCOM's number for what ready-made VAST or DAAST says of itself; VAST 4.2 if nothing.

    A wrapper, which sends the player on, has a number of its own.
    """
    text = adm.replace("'", '"')
    number = next((number for start, number in _PROTOCOL_OF_TEXT if start in text), VAST_4_2)
    return _WRAPPER_OF.get(number, number + 1) if "<Wrapper" in text else number


def files_for(creative: Creative, slot: Slot) -> tuple[MediaFile, ...]:
    """Return the files of an ad that a placement takes, best first.

    Their types have the names that the placement gives them: players compare letter by letter.
    """
    return tuple(
        replace(file, mime=as_asked(file.mime, slot.mimes))
        for file in creative.media
        if accepts(slot.mimes, (file.mime,))
        and (
            not file.bitrate_kbps
            or slot.min_bitrate
            <= file.bitrate_kbps
            <= (slot.max_bitrate if slot.max_bitrate > 0 else file.bitrate_kbps)
        )
    )


def is_insecure(creative: Creative) -> bool:
    """Tell whether showing an ad fetches anything without TLS (``imp.secure``, 2.6 sec. 3.2.4)."""
    markup = creative.adm
    for place in _SCHEMA_PLACES:
        markup = markup.replace(place, "")
    return "http://" in markup or any(url.startswith("http://") for url in addresses(creative))
