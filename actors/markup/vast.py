"""Video and audio ads as XML: VAST 2.0 to 4.3, and DAAST 1.0 for older audio players.

The versions differ in the order of elements and in what an ad must say of itself: from 4.0 on a
creative has a universal id, from 4.1 on each serving has one and an ad says whether it is audio.
What bills is the ``Impression`` (OpenRTB 2.6, section 7.8), so a bid with such markup needs no
``burl``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from actors.markup.trackers import MARK, NOWHERE
from config.creatives import MACRO_BILLING
from models.fitting import DAAST_1, VAST_2, VAST_3, VAST_4_0, VAST_4_1, VAST_4_2, VAST_4_3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.markup.trackers import Trackers
    from config.creatives import Creative, MediaFile

VERSIONS: Final = {
    VAST_2: "2.0",
    VAST_3: "3.0",
    VAST_4_0: "4.0",
    VAST_4_1: "4.1",
    VAST_4_2: "4.2",
    VAST_4_3: "4.3",
}
"""The version of VAST that a protocol of AdCOM's list is."""

_SYSTEM: Final = "<AdSystem>Bidwright</AdSystem>"
_FOURTH: Final = (VAST_4_0, VAST_4_1, VAST_4_2, VAST_4_3)
_NAMES_SERVING: Final = (VAST_4_1, VAST_4_2, VAST_4_3)
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REGISTRY: Final = "unknown"
"""What a universal id's registry is called where there is none (VAST 4.2, section 3.7.1)."""


def stream_xml(
    creative: Creative, files: Sequence[MediaFile], protocol: int, trackers: Trackers
) -> str:
    """Return the document of a video or audio ad.

    Args:
        creative: The ad.
        files: Those of its files that the placement takes.
        protocol: AdCOM's number; one of `VERSIONS` or DAAST 1.0.
        trackers: Our addresses.
    """
    head = f"{_SYSTEM}<AdTitle>{_text(creative.title)}</AdTitle>"
    billing = _impression(trackers)
    if protocol in _FOURTH:
        serving = f"<AdServingId>{MARK}</AdServingId>" if protocol in _NAMES_SERVING else ""
        head = f"{_SYSTEM}{billing}{serving}<AdTitle>{_text(creative.title)}</AdTitle>"
        linear = _linear_of_fourth(creative, files, trackers) + _universal_id(creative, protocol)
    else:
        head += billing
        linear = _linear(creative, files, protocol, trackers)
    kind = ' adType="audio"' if _says_audio(creative, protocol) else ""
    name = quoteattr(creative.id)
    body = (
        f"<Ad id={name}{kind}><InLine>{head}"
        f"<Creatives><Creative id={name}>{linear}</Creative></Creatives></InLine></Ad>"
    )
    if protocol == DAAST_1:
        return f'<DAAST version="1.0">{body}</DAAST>'
    return f'<VAST version="{VERSIONS[protocol]}">{body}</VAST>'


def with_impression(adm: str, trackers: Trackers) -> str | None:
    """Add the billing address to ready-made markup that does not place it itself.

    Returns:
        The markup; ``None`` where there is no place for it, or it must not be there.
    """
    if MACRO_BILLING in adm:
        return adm if trackers.in_markup else None
    place = adm.find("<Impression")
    if place < 0 or not trackers.in_markup:
        return None
    return f"{adm[:place]}{_impression(trackers)}{adm[place:]}"


def _impression(trackers: Trackers) -> str:
    return f"<Impression>{_cdata(trackers.billing if trackers.in_markup else NOWHERE)}</Impression>"


def _linear_of_fourth(creative: Creative, files: Sequence[MediaFile], trackers: Trackers) -> str:
    return (
        f"<Linear{_skip(creative)}>{_duration(creative)}{_media(files)}"
        f"<VideoClicks>{_click(creative, trackers)}</VideoClicks></Linear>"
    )


def _linear(
    creative: Creative, files: Sequence[MediaFile], protocol: int, trackers: Trackers
) -> str:
    """Return the linear part as it was before version 4; version 2 knew no skipping."""
    clicks = "AdInteractions" if protocol == DAAST_1 else "VideoClicks"
    skip = _skip(creative) if protocol == VAST_3 else ""
    return (
        f"<Linear{skip}>{_duration(creative)}<{clicks}>{_click(creative, trackers)}</{clicks}>"
        f"{_media(files, sized=protocol != DAAST_1)}</Linear>"
    )


def _universal_id(creative: Creative, protocol: int) -> str:
    value = f" idValue={quoteattr(creative.id)}" if protocol == VAST_4_0 else ""
    return f'<UniversalAdId idRegistry="{_REGISTRY}"{value}>{_text(creative.id)}</UniversalAdId>'


def _says_audio(creative: Creative, protocol: int) -> bool:
    return creative.format == "audio" and protocol in _NAMES_SERVING


def _click(creative: Creative, trackers: Trackers) -> str:
    return f"<ClickThrough>{_cdata(trackers.link(creative.landing_url))}</ClickThrough>"


def _media(files: Sequence[MediaFile], *, sized: bool = True) -> str:
    written = []
    for file in files:
        size = f' width="{file.w}" height="{file.h}"' if sized else ""
        rate = f' bitrate="{file.bitrate_kbps}"' if file.bitrate_kbps else ""
        written.append(
            f'<MediaFile delivery="progressive" type={quoteattr(file.mime)}{size}{rate}>'
            f"{_cdata(file.url)}</MediaFile>"
        )
    return f"<MediaFiles>{''.join(written)}</MediaFiles>"


def _duration(creative: Creative) -> str:
    return f"<Duration>{_clock(creative.duration_s)}</Duration>"


def _skip(creative: Creative) -> str:
    return f' skipoffset="{_clock(creative.skip_after_s)}"' if creative.skip_after_s else ""


def _clock(seconds: int) -> str:
    """Return a length as ``HH:MM:SS``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest:02}"


def _text(text: str) -> str:
    """Escape a text; control characters, which XML can't hold at all, are left out."""
    return escape(_UNWRITABLE.sub("", text))


def _cdata(url: str) -> str:
    return f"<![CDATA[{url.replace(']]>', ']]%3E')}]]>"
