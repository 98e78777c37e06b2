"""Ads as the rules see them: all that the rules ask of a creative, worked out once.

Principle: creatives of one campaign that no rule tells apart are one ad to the rules, so they are
tried together. Sets that are equal are one object, because thousands of campaigns say the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from config.campaigns import Campaign, Creative
from models.eligibility.rules import FACTS, WISHES
from models.fitting import banner_type_of, protocol_for, ready_made_assets
from models.opportunity import Slot

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from config.creatives import NativeParts

_ALWAYS: Final = float("inf")
_NOTHING: Final[frozenset[object]] = frozenset()

SizeKey = tuple[str, int, int]


class Form:
    """All that decides whether a creative fits a slot; equal ones are one object.

    Attributes:
        creative: One that has this form.
    """

    __slots__ = ("creative",)

    def __init__(self, creative: Creative) -> None:
        self.creative = creative


class Ad(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Creatives of one campaign that no rule tells apart.

    Attributes:
        number: Its place in the order of all ads.
        campaign: Whose it is.
        creatives: At least one.
        form: Decides which slots its creatives fit.
        wishes: The wishes that it has, as number in `WISHES` and set, in that order.
        facts: Sets in the order of `FACTS`.
        starts_s: Start of the flight, seconds since 1970; -inf = has none.
        ends_s: End of the flight; inf = has none.
    """

    number: int
    campaign: Campaign
    creatives: tuple[Creative, ...]
    form: Form
    wishes: tuple[tuple[int, frozenset[object]], ...]
    facts: tuple[frozenset[object], ...]
    starts_s: float
    ends_s: float

    def wish(self, number: int) -> frozenset[object]:
        """Return the set of one wish, empty when it has no such wish."""
        for each, values in self.wishes:
            if each == number:
                return values
        return _NOTHING


class _Likeness(NamedTuple):
    """What the rules see of a creative; see `Ad`."""

    form: Form
    wishes: tuple[tuple[int, frozenset[object]], ...]
    facts: tuple[frozenset[object], ...]


class AdMaker:
    """Makes ads of campaigns; equal sets and forms of all of them are shared."""

    def __init__(self) -> None:
        self._sets: dict[frozenset[object], frozenset[object]] = {}
        self._forms: dict[Hashable, Form] = {}
        self._made = 0

    def ads_of(self, campaign: Campaign) -> Iterable[tuple[SizeKey, Ad]]:
        """Return a campaign's ads, each with the key of the slots that it could fill."""
        groups: dict[_Likeness, list[Creative]] = {}
        allowed = campaign.targeting.formats
        for creative in campaign.creatives:
            if not allowed or creative.format in allowed:
                groups.setdefault(self._likeness(campaign, creative), []).append(creative)
        flight = _flight(campaign)
        for like, creatives in groups.items():
            ad = Ad(self._made, campaign, tuple(creatives), *like, *flight)
            self._made += 1
            first = creatives[0]
            yield size_key(first.format, first.w, first.h), ad

    def _likeness(self, campaign: Campaign, creative: Creative) -> _Likeness:
        """Return what creatives share exactly if no rule tells them apart."""
        wishes = []
        for number, wish in enumerate(WISHES):
            values = wish.of_ad(campaign, creative)
            if values:
                wishes.append((number, self._shared(values)))
        facts = tuple([self._shared(read(campaign, creative)) for read in FACTS])
        return _Likeness(self._form(creative), tuple(wishes), facts)

    def _shared(self, values: Iterable[object]) -> frozenset[object]:
        made = frozenset(values)
        return self._sets.setdefault(made, made)

    def _form(self, creative: Creative) -> Form:
        key = form_key(creative)
        form = self._forms.get(key)
        if form is None:
            form = self._forms[key] = Form(creative)
        return form


def form_key(creative: Creative) -> Hashable:
    """Return all that `models.fitting.why_unfit` looks at: equal keys fit the same slots."""
    common = (creative.format, creative.w, creative.h, creative.mimes, creative.apis)
    if creative.format == "banner":
        return (*common, banner_type_of(creative))
    if creative.format == "native":
        parts = creative.native
        return (*common, ready_made_assets(creative.adm) if parts is None else _native_key(parts))
    files = tuple([(each.mime, each.bitrate_kbps) for each in creative.media])
    protocol = 0 if files else protocol_for(creative, Slot(creative.format))
    return (*common, creative.duration_s, creative.skip_after_s > 0, files, protocol)


def _native_key(parts: NativeParts) -> Hashable:
    """Return lengths of texts and sizes of images: what is written there does not matter."""
    images = [
        image and (image.w, image.h, image.mime, "{w}" in image.url and "{h}" in image.url)
        for image in (parts.image, parts.icon)
    ]
    texts = [(kind, tuple(map(len, each))) for kind, each in sorted(parts.data.items())]
    return (tuple(map(len, parts.titles)), *images, *texts)


def size_key(media: str, w: int, h: int) -> SizeKey:
    """Return under which key creatives and slots meet: only banners must fit to the pixel."""
    return (media, w, h) if media == "banner" else (media, 0, 0)


def _flight(campaign: Campaign) -> tuple[float, float]:
    return (
        campaign.starts_at.timestamp() if campaign.starts_at else -_ALWAYS,
        campaign.ends_at.timestamp() if campaign.ends_at else _ALWAYS,
    )


def values_of(ads: Sequence[Ad]) -> tuple[list[frozenset[object]], list[frozenset[object]]]:
    """Return all that ads name in each wish, and all that they are in each fact."""
    wishes: list[set[object]] = [set() for _ in WISHES]
    facts: list[set[object]] = [set() for _ in FACTS]
    for ad in ads:
        for number, values in ad.wishes:
            wishes[number] |= values
        for place, values in enumerate(ad.facts):
            facts[place] |= values
    return [frozenset(each) for each in wishes], [frozenset(each) for each in facts]
