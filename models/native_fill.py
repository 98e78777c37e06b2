"""Which parts of a native ad go where a placement asks for something.

Native Ads 1.2, sections 4.2 to 4.7 and 7.4: a bid that lacks a required asset is refused, an asset
that is not required may be left out. What is decided here is used twice, to find out whether an ad
fits and to write its markup, so the two cannot disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.mimes import accepts
from models.opportunity import NativeAsset

if TYPE_CHECKING:
    from config.creatives import Image, NativeParts
    from models.opportunity import NativeForm


class Filled(msgspec.Struct, frozen=True, gc=False):
    """One asset of the answer.

    Attributes:
        asset: What was asked for.
        text: The title or the data; ``""`` for images.
        url: Of an image; ``""`` for texts.
        w: Width of the image in pixels.
        h: Height of the image in pixels.
    """

    asset: NativeAsset
    text: str = ""
    url: str = ""
    w: int = 0
    h: int = 0


def fill(parts: NativeParts, form: NativeForm) -> tuple[Filled, ...] | None:
    """Return what to put into each asset, or ``None`` when a required one stays empty.

    Args:
        parts: Of the ad.
        form: What the placement asks for. Without any asset nothing fits: an answer has to name
            the assets by their numbers.
    """
    filled: list[Filled] = []
    for asset in form.assets:
        one = _filled(parts, asset)
        if one is not None:
            filled.append(one)
        elif asset.required:
            return None
    return tuple(filled) or None


def _filled(parts: NativeParts, asset: NativeAsset) -> Filled | None:
    if asset.kind == "title":
        return _text(parts.titles, asset)
    if asset.kind == "data":
        return _text(parts.data.get(asset.data_type, ()), asset)
    if asset.kind == "image":
        return _image(parts.image, asset)
    return _image(parts.icon, asset) if asset.kind == "icon" else None


def _text(texts: tuple[str, ...], asset: NativeAsset) -> Filled | None:
    """Take the longest text that is not too long."""
    longest = asset.max_length
    fitting = [text for text in texts if not longest or len(text) <= longest]
    return Filled(asset, text=max(fitting, key=len)) if fitting else None


def _image(image: Image | None, asset: NativeAsset) -> Filled | None:
    if image is None or not accepts(asset.mimes, (image.mime,)):
        return None
    w, h = image.w, image.h
    if "{w}" in image.url and "{h}" in image.url:
        w, h = _cut(image, asset)
    elif (asset.w and w != asset.w) or (asset.h and h != asset.h):
        return None
    if w < asset.min_w or h < asset.min_h:
        return None
    return Filled(asset, url=image.url.replace("{w}", str(w)).replace("{h}", str(h)), w=w, h=h)


def _cut(image: Image, asset: NativeAsset) -> tuple[int, int]:
    """Return the size to have an image cut to: as asked, else its own, made as large as needed."""
    if asset.w or asset.h:
        w = asset.w or round(image.w * asset.h / image.h)
        h = asset.h or round(image.h * asset.w / image.w)
        return max(w, 1), max(h, 1)
    return max(image.w, asset.min_w), max(image.h, asset.min_h)
