"""Native ads as JSON (Native Ads 1.0 to 1.2, section 5), in the shape that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from config.creatives import MACRO_CLICK, MACRO_VIEW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.markup.trackers import Trackers
    from config.creatives import Creative
    from models.native_fill import Filled
    from models.opportunity import NativeForm

_IMPRESSION: Final = 1
_BY_IMAGE: Final = 1
_IMAGE_TYPES: Final = {"icon": 1, "image": 3}
_SINCE_TYPES: Final = "1.2"


def native_json(
    creative: Creative, filled: Sequence[Filled], form: NativeForm, trackers: Trackers
) -> str:
    """Return the markup of a native ad.

    Args:
        creative: The ad.
        filled: What goes into the assets.
        form: What was asked for, and how.
        trackers: Our addresses.
    """
    native: dict[str, Any] = {
        "ver": form.version,
        "assets": [_asset(each, says_type=form.version >= _SINCE_TYPES) for each in filled],
        "link": {"url": trackers.link(creative.landing_url)},
        **_view_tracker(form, trackers),
    }
    return _encoded({"native": native} if form.wrapped else native)


def with_trackers(adm: str, creative: Creative, form: NativeForm, trackers: Trackers) -> str:
    """Add our addresses to ready-made markup that does not place them itself.

    Args:
        adm: The markup, a JSON object.
        creative: The ad; with a landing page of its own its link becomes our click tracker.
        form: What was asked for, and how.
        trackers: Our addresses.
    """
    document = msgspec.json.decode(adm, type=dict[str, Any])
    native: dict[str, Any] = document.get("native", document)
    if MACRO_CLICK not in adm and creative.landing_url:
        native["link"] = {**native.get("link", {}), "url": trackers.link(creative.landing_url)}
    if MACRO_VIEW not in adm:
        for name, ours in _view_tracker(form, trackers).items():
            native[name] = [*native.get(name, ()), *ours]
    return _encoded({"native": native} if form.wrapped else native)


def _view_tracker(form: NativeForm, trackers: Trackers) -> dict[str, list[Any]]:
    if not trackers.in_markup:
        return {}
    if form.event_trackers:
        return {
            "eventtrackers": [{"event": _IMPRESSION, "method": _BY_IMAGE, "url": trackers.view}]
        }
    return {"imptrackers": [trackers.view]}


def _asset(filled: Filled, *, says_type: bool) -> dict[str, Any]:
    asset = filled.asset
    written: dict[str, Any] = {"id": asset.id}
    if asset.required:
        written["required"] = 1
    if asset.kind == "title":
        written["title"] = {"text": filled.text}
    elif asset.kind == "data":
        kind = {"type": asset.data_type} if says_type and asset.data_type else {}
        written["data"] = {**kind, "value": filled.text}
    else:
        image = {"type": _IMAGE_TYPES[asset.kind]} if says_type else {}
        written["img"] = {**image, "url": filled.url, "w": filled.w, "h": filled.h}
    return written


def _encoded(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()
