"""Where the markup of a bid comes from: made once for each ad and kind of placement, then filled.

Writing HTML, XML or JSON costs some tens of microseconds, and a bid changes nothing in it but its
own name. So the text is kept cut at the places where the name belongs, and a bid joins the pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from actors.markup.html import banner_html, with_pixel
from actors.markup.native import native_json, with_trackers
from actors.markup.trackers import MARK, NOWHERE
from actors.markup.vast import stream_xml, with_impression
from config.creatives import MACRO_BILLING, MACRO_CLICK, MACRO_VIEW
from models.fitting import files_for, protocol_for
from models.native_fill import fill
from models.opportunity import NativeForm

if TYPE_CHECKING:
    from actors.markup.trackers import Trackers
    from config.creatives import Creative
    from models.opportunity import Slot

MAX_TEMPLATES: Final = 4096
"""Kept at most, some kilobytes each; exchanges repeat their few kinds of placement."""


class Template(msgspec.Struct, frozen=True):
    """Markup without the name of the bid.

    Attributes:
        pieces: The text, cut where the name belongs.
        bills: It calls the billing address itself when it is shown.
        protocol: Of video and audio: AdCOM's number; 0 otherwise.
    """

    pieces: tuple[str, ...]
    bills: bool = False
    protocol: int = 0

    def fill(self, name: str) -> str:
        """Return the markup of the bid with this signed name."""
        return name.join(self.pieces)


class Workshop:
    """Makes markup and keeps it.

    Args:
        trackers: Our addresses.
        max_templates: Kept at most; when there are more it begins anew.
    """

    def __init__(self, trackers: Trackers, max_templates: int = MAX_TEMPLATES) -> None:
        self._trackers = trackers
        self._max_templates = max_templates
        self._templates: dict[object, Template] = {}

    def template(self, creative: Creative, slot: Slot) -> Template:
        """Return the markup of an ad for a placement that it fits.

        Args:
            creative: The ad.
            slot: The placement; `models.fitting.why_unfit` found nothing against it.
        """
        key = _key(creative, slot)
        known = self._templates.get(key)
        if known is not None:
            return known
        if len(self._templates) >= self._max_templates:
            self._templates.clear()
        made = self._templates[key] = self._made(creative, slot)
        return made

    def _made(self, creative: Creative, slot: Slot) -> Template:
        if creative.format == "banner":
            return self._banner(creative)
        if creative.format == "native":
            return self._native(creative, slot.native or NativeForm())
        return self._stream(creative, slot)

    def _banner(self, creative: Creative) -> Template:
        if creative.adm:
            return self._cut(creative, with_pixel(creative.adm, self._trackers))
        return self._cut(creative, banner_html(creative, self._trackers))

    def _native(self, creative: Creative, form: NativeForm) -> Template:
        if creative.native is None:
            text = with_trackers(creative.adm, creative, form, self._trackers)
            return self._cut(creative, text)
        filled = fill(creative.native, form) or ()
        return self._cut(creative, native_json(creative, filled, form, self._trackers))

    def _stream(self, creative: Creative, slot: Slot) -> Template:
        protocol = protocol_for(creative, slot)
        if creative.adm:
            billing = with_impression(creative.adm, self._trackers)
            bills = billing is not None
            return self._cut(creative, billing or creative.adm, bills=bills, protocol=protocol)
        files = files_for(creative, slot)
        text = stream_xml(creative, files, protocol, self._trackers)
        bills = self._trackers.in_markup
        return self._cut(creative, text, bills=bills, protocol=protocol)

    def _cut(
        self, creative: Creative, text: str, *, bills: bool = False, protocol: int = 0
    ) -> Template:
        """Put our addresses in for the macros of ready-made markup and cut at the name's places."""
        trackers = self._trackers
        for macro, address in (
            (MACRO_CLICK, trackers.link(creative.landing_url)),
            (MACRO_VIEW, trackers.view if trackers.in_markup else NOWHERE),
            (MACRO_BILLING, trackers.billing if trackers.in_markup else NOWHERE),
        ):
            text = text.replace(macro, address)
        return Template(tuple(text.split(MARK)), bills, protocol)


def _key(creative: Creative, slot: Slot) -> object:
    """Return what the markup depends on."""
    if creative.format == "banner":
        return creative.id
    if creative.format == "native":
        return creative.id, slot.native
    rates = (slot.min_bitrate, slot.max_bitrate)
    return creative.id, slot.mimes, slot.protocols, rates
