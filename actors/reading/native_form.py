"""From a native placement's own request to the form that ads are fitted to."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from models.opportunity import NativeAsset, NativeForm
from transport.native_request import IMAGE_ICON, IMAGE_LOGO, read_native_request

if TYPE_CHECKING:
    from transport.native_request import Asset

_DEFAULT_VERSION: Final = "1.2"


@lru_cache(maxsize=4096)
def native_form_of(text: str, version: str = "") -> NativeForm | None:
    """Read ``imp.native.request``; placements repeat their texts, so the answer is kept.

    Args:
        text: The JSON text.
        version: ``imp.native.ver``, for texts that name none themselves.

    Returns:
        The form; ``None`` when the text can't be read or asks for nothing, so that nothing can
        be answered.
    """
    request = read_native_request(text)
    if request is None or not request.assets:
        return None
    return NativeForm(
        assets=tuple(_asset(asset) for asset in request.assets),
        wrapped=request.wrapped,
        version=request.ver or version or _DEFAULT_VERSION,
        event_trackers=request.tracks_impressions,
    )


def _asset(asset: Asset) -> NativeAsset:
    number, required = asset.id, asset.required
    if asset.title is not None:
        return NativeAsset(number, "title", required, max_length=asset.title.len)
    if asset.img is not None:
        image = asset.img
        kind = "icon" if image.type in (IMAGE_ICON, IMAGE_LOGO) else "image"
        # Where a least size is named, the size beside it is only a wish.
        scaled = image.wmin or image.hmin
        return NativeAsset(
            number,
            kind,
            required,
            min_w=image.wmin,
            min_h=image.hmin,
            w=0 if scaled else image.w,
            h=0 if scaled else image.h,
            mimes=image.mimes,
        )
    if asset.data is not None:
        return NativeAsset(number, "data", required, asset.data.type, asset.data.len)
    return NativeAsset(number, "video", required)
