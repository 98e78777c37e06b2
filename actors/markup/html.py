"""Banners as HTML: an image that is a link, and the pixel that counts the view."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from config.creatives import MACRO_VIEW

if TYPE_CHECKING:
    from actors.markup.trackers import Trackers
    from config.creatives import Creative

_PIXEL: Final = '<img src="{url}" width="1" height="1" alt="" style="position:absolute;border:0">'


def banner_html(creative: Creative, trackers: Trackers) -> str:
    """Return the markup of a banner that is made from its image."""
    click, image, text = (
        escape(part)
        for part in (trackers.link(creative.landing_url), creative.image_url, creative.title)
    )
    return (
        f'<a href="{click}" target="_blank" rel="noopener">'
        f'<img src="{image}" width="{creative.w}" height="{creative.h}" alt="{text}" '
        f'style="border:0;display:block"></a>{_pixel(trackers)}'
    )


def with_pixel(adm: str, trackers: Trackers) -> str:
    """Add the pixel to ready-made markup that does not place it itself."""
    return adm if MACRO_VIEW in adm else adm + _pixel(trackers)


def _pixel(trackers: Trackers) -> str:
    return _PIXEL.format(url=escape(trackers.view)) if trackers.in_markup else ""
