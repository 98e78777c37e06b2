"""What a native placement asks for: the JSON text in ``imp.native.request`` as types.

Native Ads 1.0 to 1.2. The text is an object with ``assets``, or, as the older versions have it,
that object inside of ``{"native": ...}``. Numbers come as texts now and then; what can't be read is
left out, because one odd asset that isn't required must not cost the bid.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

IMAGE_ICON: Final = 1
IMAGE_LOGO: Final = 2
IMAGE_MAIN: Final = 3
"""Types of images (Native Ads 1.2, section 7.4); 2 was withdrawn and is an icon for us."""

_EVENT_IMPRESSION: Final = 1
_METHOD_IMAGE: Final = 1
_LARGEST: Final = 2**31 - 1
_MOST_DIGITS: Final = 9
MAX_ASSETS: Final = 64
"""More than these a placement can't mean; the rest is not read."""


class Title(msgspec.Struct, frozen=True, gc=False):
    """Asks for a title of at most ``len`` characters; 0 = no limit."""

    len: int = 0


class Picture(msgspec.Struct, frozen=True, gc=False):
    """Asks for an image; ``w``/``h`` are exact, ``wmin``/``hmin`` least pixels, 0 = any."""

    type: int = 0
    w: int = 0
    h: int = 0
    wmin: int = 0
    hmin: int = 0
    mimes: tuple[str, ...] = ()


class Data(msgspec.Struct, frozen=True, gc=False):
    """Asks for a text of a kind, of at most ``len`` characters; 0 = no limit."""

    type: int = 0
    len: int = 0


class Asset(msgspec.Struct, frozen=True, gc=False):
    """One thing that is asked for: exactly one of the kinds is there, or else ``video``."""

    id: int
    required: bool = False
    title: Title | None = None
    img: Picture | None = None
    data: Data | None = None
    video: bool = False


class NativeRequest(msgspec.Struct, frozen=True, gc=False):
    """A native placement's wishes.

    Attributes:
        ver: Version of the specification; ``""`` = not said.
        assets: In the order of the request.
        wrapped: The text had the outer object ``native``.
        tracks_impressions: It takes an image as event tracker for impressions
            (``eventtrackers``).
    """

    ver: str = ""
    assets: tuple[Asset, ...] = ()
    wrapped: bool = False
    tracks_impressions: bool = False


def read_native_request(text: str) -> NativeRequest | None:
    """Read the text of ``imp.native.request``; ``None`` when it is no native request at all."""
    try:
        document = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    inner = document.get("native")
    body = inner if isinstance(inner, dict) else document
    listed = body.get("assets")
    if not isinstance(listed, list):
        return None
    assets = tuple(asset for asset in map(_asset, listed[:MAX_ASSETS]) if asset is not None)
    version = body.get("ver", "")
    return NativeRequest(
        ver=str(version) if isinstance(version, (str, int, float)) else "",
        assets=assets,
        wrapped=body is inner,
        tracks_impressions=_takes_image_tracker(body.get("eventtrackers")),
    )


def _asset(raw: object) -> Asset | None:
    """Read one asset; one without a number can't be answered."""
    if not isinstance(raw, dict):
        return None
    number = raw.get("id")
    if isinstance(number, str) and number.strip().isdecimal():
        number = _whole(number)
    if type(number) is not int:
        return None
    return Asset(
        id=number,
        required=_whole(raw.get("required")) == 1,
        title=_title(raw.get("title")),
        img=_picture(raw.get("img")),
        data=_data(raw.get("data")),
        video=isinstance(raw.get("video"), dict),
    )


def _title(raw: object) -> Title | None:
    return Title(_whole(raw.get("len"))) if isinstance(raw, dict) else None


def _picture(raw: object) -> Picture | None:
    if not isinstance(raw, dict):
        return None
    mimes = raw.get("mimes")
    return Picture(
        type=_whole(raw.get("type")),
        w=_whole(raw.get("w")),
        h=_whole(raw.get("h")),
        wmin=_whole(raw.get("wmin")),
        hmin=_whole(raw.get("hmin")),
        mimes=tuple(each for each in _list(mimes) if isinstance(each, str)),
    )


def _data(raw: object) -> Data | None:
    if not isinstance(raw, dict):
        return None
    return Data(_whole(raw.get("type")), _whole(raw.get("len")))


def _takes_image_tracker(raw: object) -> bool:
    """Tell whether impressions may be tracked by an image (Native Ads 1.2, section 4.7)."""
    return any(
        _whole(each.get("event")) == _EVENT_IMPRESSION
        and any(_whole(method) == _METHOD_IMAGE for method in _list(each.get("methods")))
        for each in _list(raw)
        if isinstance(each, dict)
    )


def _list(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _whole(raw: object) -> int:
    """Return a number that is not below 0; 0 for anything else."""
    if isinstance(raw, str):
        digits = raw.strip()
        readable = digits.isascii() and digits.isdecimal() and len(digits) <= _MOST_DIGITS
        raw = int(digits) if readable else 0
    if isinstance(raw, float):
        raw = int(raw) if 0 <= raw <= _LARGEST else 0
    return raw if isinstance(raw, int) and 0 < raw <= _LARGEST else 0
