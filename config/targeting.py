"""Where a campaign may run, and what is wrong with it.

Principle: a wish that no request can meet would silently stop a campaign, so what cannot be a
country, an hour or a site is refused when the file is read, with what it should look like.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from config.creatives import Format

DeviceKind = Literal["phone", "tablet", "desktop", "tv", "other"]

#: What texts look like in each field, and how to say so.
_SHAPES: Final = {
    "countries": (r"[A-Z]{3}", "three capital letters, e.g. 'DEU'"),
    "regions": (r"[A-Z]{3}-[A-Z0-9]{1,3}", "COUNTRY-REGION, e.g. 'USA-CA'"),
    "cities": (r"[A-Z]{3}-[^A-Z]+", "COUNTRY-city in small letters, e.g. 'DEU-berlin'"),
    "os": (r"[^A-Z]+", "small letters, e.g. 'ios'"),
    "languages": (r"[a-z]{2}", "two small letters, e.g. 'de'"),
    "categories": (r"IAB([1-9]|1[0-9]|2[0-6])(-[0-9]+)?", "Content Taxonomy 1.0, e.g. 'IAB9-30'"),
    "blocked_categories": (
        r"IAB([1-9]|1[0-9]|2[0-6])(-[0-9]+)?",
        "Content Taxonomy 1.0, e.g. 'IAB25'",
    ),
    "domains": (r"[^\s/:@]+\.[^\s/:@]+", "a domain without scheme and path, e.g. 'news.example'"),
    "blocked_domains": (
        r"[^\s/:@]+\.[^\s/:@]+",
        "a domain without scheme and path, e.g. 'news.example'",
    ),
    "bundles": (r"\S+", "an app's bundle or store id, e.g. 'com.example.app'"),
    "blocked_bundles": (r"\S+", "an app's bundle or store id, e.g. 'com.example.app'"),
    "segments": (r".+", "'SEGMENT' or 'PROVIDER:SEGMENT'"),
    "blocked_segments": (r".+", "'SEGMENT' or 'PROVIDER:SEGMENT'"),
    "exchanges": (r"[a-z0-9_-]{1,32}", "a name of small letters, digits, '_' and '-'"),
}
_HOURS: Final = range(24)
_DAYS: Final = range(7)


class Targeting(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a campaign may run. An empty tuple means "everywhere".

    Attributes:
        countries: ISO-3166-1 alpha-3 codes.
        regions: ``COUNTRY-REGION``, e.g. ``USA-CA``.
        cities: ``COUNTRY-city``, e.g. ``DEU-berlin``.
        device_kinds: ``phone``, ``tablet``, ``desktop``, ``tv``, ``other``.
        os: Operating systems, lower case.
        languages: ISO-639-1 codes of the device's language.
        categories: IAB content categories of the page or app (Content Taxonomy 1.0; ``IAB9`` takes
            ``IAB9-30`` as well).
        categories_in: The same in other taxonomies: AdCOM's number of the taxonomy to its codes.
        blocked_categories: Content that the advertiser will not stand beside (Content Taxonomy
            1.0).
        domains: Sites, with all that belongs to them (``a.example`` takes ``shop.a.example``).
        blocked_domains: Sites that the advertiser avoids.
        bundles: Apps. A campaign that lists sites and apps runs on either.
        blocked_bundles: Apps that the advertiser avoids.
        segments: Audience segments, of which a user must be in one.
        blocked_segments: Audience segments that the advertiser leaves out.
        formats: Placement formats.
        hours: Hours of the day, 0-23, in the user's time where the request tells it.
        days: Days of the week, 0 = Monday.
        exchanges: Who may ask.
    """

    countries: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    cities: tuple[str, ...] = ()
    device_kinds: tuple[DeviceKind, ...] = ()
    os: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    categories_in: dict[int, tuple[str, ...]] = {}
    blocked_categories: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    bundles: tuple[str, ...] = ()
    blocked_bundles: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    blocked_segments: tuple[str, ...] = ()
    formats: tuple[Format, ...] = ()
    hours: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    exchanges: tuple[str, ...] = ()


def targeting_complaint(targeting: Targeting) -> str | None:
    """Return what is wrong with a campaign's targeting in words, or ``None``."""
    for name, (pattern, should_be) in _SHAPES.items():
        for value in getattr(targeting, name):
            if not re.fullmatch(pattern, value):
                return f"targeting.{name} has {value!r}; write {should_be}"
    if any(hour not in _HOURS for hour in targeting.hours):
        return "targeting.hours are 0 to 23"
    if any(day not in _DAYS for day in targeting.days):
        return "targeting.days are 0 (Monday) to 6"
    if 1 in targeting.categories_in:
        return "targeting.categories_in is for taxonomies other than 1; see targeting.categories"
    return None
