"""The rules of eligibility, as data: what an ad asks for, and what a request forbids.

Principle: nearly every rule compares two sets, one of the ad's and one of the impression's, and
wants them to meet or to be apart. Written so, one short loop tries them all, an index can file ads
by the same sets, and no rule exists twice. There are two lists:

* `WISHES`, of the advertiser: country, hour, sites, segments, deals ... An ad has those that its
  campaign states. They come first.
* `FACTS`, about the ad, which publisher or law may have something against (`terms` of a question):
  buyer seat, categories, domain, attributes, language of the words, markup, consent.

Whether a creative fits a slot, and flights, are compared by size and time and so stand apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from models import taxonomy
from models.fitting import is_insecure
from models.opportunity import category_code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from config.campaigns import Campaign, Creative
    from models.opportunity import Opportunity

#: Reason codes, from the first rule to the last.
REASONS: Final = (
    "private_auction",
    "no_active_campaign",
    "no_creative_of_size",
    "media_not_accepted",
    "duration",
    "outside_flight",
    "exchange",
    "not_approved",
    "country",
    "region",
    "city",
    "device",
    "os",
    "language",
    "hour",
    "day",
    "domain",
    "bundle",
    "content_category",
    "segment",
    "deal",
    "not_in_open_auction",
    "seat",
    "advertiser_not_in_deal",
    "category_unknown",
    "blocked_category",
    "category_not_allowed",
    "blocked_advertiser",
    "blocked_app",
    "blocked_attribute",
    "language_not_allowed",
    "no_secure_markup",
    "no_consent",
    "children",
)

RANKS: Final = {reason: rank for rank, reason in enumerate(REASONS)}

#: The "deal" of the open auction.
OPEN: Final = ""

#: Among languages: unknown, or no words at all.
_ANY_LANGUAGE: Final = ""

_APP: Final = "app:"
_NO_STRINGS: Final[frozenset[str]] = frozenset()

Offered = Sequence[object] | frozenset[object]


class Wish(NamedTuple):
    """One rule of the advertiser.

    Attributes:
        reason: Code of a refusal.
        wanted: The sets must meet (otherwise: they must be apart).
        of_ad: Returns the ad's set; an empty one is no wish.
        of_impression: Returns the impression's set.
    """

    reason: str
    wanted: bool
    of_ad: Callable[[Campaign, Creative], Iterable[object]]
    of_impression: Callable[[Opportunity], Collection[object]]


class Term(NamedTuple):
    """One rule of publisher or law that a request brings along.

    Attributes:
        fact: Which of `FACTS` it is about.
        wanted: The ad's set must meet ``named`` (otherwise: be apart from it).
        named: What the request names.
        reason: Code of a refusal.
    """

    fact: int
    wanted: bool
    named: frozenset[object]
    reason: str


@lru_cache(maxsize=8192)
def domain_and_parents(domain: str) -> tuple[str, ...]:
    """Return a domain and all that it belongs to (``a.b.c``, ``b.c``, ``c``), lower case."""
    name = domain.lower()
    if not name:
        return ()
    parts = name.split(".")
    return tuple([".".join(parts[at:]) for at in range(len(parts))])


@lru_cache(maxsize=8192)
def host_of(url: str) -> str:
    """Return the host of a web address in lower case, ``""`` for what is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_blocked_domain(domain: str, blocked: frozenset[str]) -> bool:
    """Tell whether a domain or a parent of it is in a block list (``shop.a.com`` by ``a.com``)."""
    return not blocked.isdisjoint(domain_and_parents(domain))


def place_names(domains: Iterable[str], bundles: Iterable[str]) -> frozenset[object]:
    """Return the names of sites and apps of a list, as `_places` writes them."""
    sites = {name.lower() for name in domains}
    return frozenset(sites | {_APP + name.lower() for name in bundles})


def _places(opportunity: Opportunity) -> tuple[str, ...]:
    """Return where the impression is: the site with its parents, or the app."""
    bundle = opportunity.bundle
    if not bundle:
        return domain_and_parents(opportunity.domain)
    if opportunity.domain in ("", bundle):
        return (_APP + bundle,)
    return (_APP + bundle, *domain_and_parents(opportunity.domain))


def _content(opportunity: Opportunity) -> Collection[object]:
    if opportunity.content:
        return opportunity.content
    return [(taxonomy.CONTENT_1_0, category_code(index)) for index in opportunity.categories]


def _allowed_content(campaign: Campaign, _creative: Creative) -> frozenset[object]:
    wanted = campaign.targeting
    return frozenset(taxonomy.content_of(wanted.categories, wanted.categories_in))


def _avoided_content(campaign: Campaign, _creative: Creative) -> frozenset[object]:
    return frozenset(taxonomy.content_of(campaign.targeting.blocked_categories, {}))


def _spoken(_campaign: Campaign, creative: Creative) -> tuple[str, ...]:
    """A user whose language nobody knows may see an ad in any."""
    return (creative.language, _ANY_LANGUAGE) if creative.language else ()


def _deals(campaign: Campaign, _creative: Creative) -> tuple[str, ...]:
    return (OPEN, *campaign.deals) if campaign.open_auction else campaign.deals or ("\0",)


#: What advertisers may wish for, in the order of `REASONS`. A campaign that lists sites and apps
#: runs on either.
WISHES: Final = (
    Wish("exchange", True, lambda c, _: c.targeting.exchanges, lambda o: (o.exchange,)),
    Wish("not_approved", False, lambda _, k: k.refused_by, lambda o: (o.exchange,)),
    Wish("country", True, lambda c, _: c.targeting.countries, lambda o: (o.country,)),
    Wish("region", True, lambda c, _: c.targeting.regions, lambda o: (f"{o.country}-{o.region}",)),
    Wish("city", True, lambda c, _: c.targeting.cities, lambda o: (f"{o.country}-{o.city}",)),
    Wish("device", True, lambda c, _: c.targeting.device_kinds, lambda o: (o.device_kind,)),
    Wish("os", True, lambda c, _: c.targeting.os, lambda o: (o.os,)),
    Wish("language", True, lambda c, _: c.targeting.languages, lambda o: (o.language[:2],)),
    Wish("language", True, _spoken, lambda o: (o.language[:2],)),
    Wish("hour", True, lambda c, _: c.targeting.hours, lambda o: (o.hour,)),
    Wish("day", True, lambda c, _: c.targeting.days, lambda o: (o.day,)),
    Wish(
        "domain",
        True,
        lambda c, _: place_names(c.targeting.domains, c.targeting.bundles),
        _places,
    ),
    Wish(
        "domain",
        False,
        lambda c, _: place_names(c.targeting.blocked_domains, c.targeting.blocked_bundles),
        _places,
    ),
    Wish("content_category", True, _allowed_content, _content),
    Wish("content_category", False, _avoided_content, _content),
    Wish("segment", True, lambda c, _: c.targeting.segments, lambda o: o.segments),
    Wish("segment", False, lambda c, _: c.targeting.blocked_segments, lambda o: o.segments),
    Wish("deal", True, _deals, lambda o: (OPEN if o.deal is None else o.deal.id,)),
)


def _domains(campaign: Campaign, creative: Creative) -> list[str]:
    """Return whose ad it is and where a click leads: both can be blocked."""
    landing = host_of(creative.landing_url)
    return [*domain_and_parents(campaign.advertiser_domain), *domain_and_parents(landing)]


def _care(campaign: Campaign, creative: Creative) -> list[str]:
    """Return what law or publisher may mind about an ad, as reason codes."""
    found = []
    if is_insecure(creative):
        found.append("no_secure_markup")
    if campaign.needs_consent:
        found.append("no_consent")
    if campaign.sensitive:
        found.append("children")
    return found


#: Numbers of the facts about an ad.
SEAT, ADVERTISER, TAXONOMIES, CODES, DOMAINS, APP, ATTRIBUTES, LANGUAGE, CARE = range(9)

#: How each fact is read off an ad.
FACTS: Final[tuple[Callable[[Campaign, Creative], Iterable[object]], ...]] = (
    lambda c, _: (c.seat,),
    lambda c, _: domain_and_parents(c.advertiser_domain),
    lambda c, _: taxonomy.taxonomies_of(c),
    lambda c, _: taxonomy.codes_of(c),
    _domains,
    lambda c, _: (c.advertised_bundle.lower(),) if c.advertised_bundle else (),
    lambda _, k: k.attributes,
    lambda _, k: (k.language or _ANY_LANGUAGE,),
    _care,
)

_SECURE_ONLY: Final = Term(CARE, False, frozenset({"no_secure_markup"}), "no_secure_markup")
_NOBODY_IN_PERSON: Final = Term(CARE, False, frozenset({"no_consent"}), "no_consent")
_CHILDREN: Final = Term(CARE, False, frozenset({"children"}), "children")


def terms_of(opportunity: Opportunity) -> list[Term]:
    """Return the rules that publisher and law have for an impression, in the order of `REASONS`."""
    return [
        *_seat_terms(opportunity),
        *_category_terms(opportunity),
        *_brand_terms(opportunity),
        *_care_terms(opportunity),
    ]


def _seat_terms(asked: Opportunity) -> list[Term]:
    """Who may buy: seats of the request and of the deal (sections 3.2.1 and 3.2.12)."""
    found = []
    deal = asked.deal
    if asked.seats is not None:
        found.append(Term(SEAT, True, asked.seats, "seat"))
    if asked.blocked_seats:
        found.append(Term(SEAT, False, asked.blocked_seats, "seat"))
    if deal is not None and deal.seats is not None:
        found.append(Term(SEAT, True, deal.seats, "seat"))
    if deal is not None and deal.advertisers is not None:
        found.append(Term(ADVERTISER, True, deal.advertisers, "advertiser_not_in_deal"))
    return found


def _category_terms(asked: Opportunity) -> list[Term]:
    """What an ad may be about; one that does not say it in the request's words is refused."""
    blocked, allowed = asked.blocked_categories, asked.allowed_categories
    if not blocked and allowed is None:
        return []
    number = asked.category_taxonomy
    found = [Term(TAXONOMIES, True, frozenset((number,)), "category_unknown")]
    if blocked:
        found.append(Term(CODES, False, taxonomy.labels(number, blocked), "blocked_category"))
    if allowed is not None:
        found.append(Term(CODES, True, taxonomy.labels(number, allowed), "category_not_allowed"))
    return found


def _brand_terms(asked: Opportunity) -> list[Term]:
    """Whose ads, of which kind and in which words (sections 3.2.1, 3.2.6 to 3.2.9)."""
    found = []
    if asked.blocked_advertisers:
        found.append(Term(DOMAINS, False, asked.blocked_advertisers, "blocked_advertiser"))
    if asked.blocked_apps:
        found.append(Term(APP, False, asked.blocked_apps, "blocked_app"))
    if asked.blocked_attributes:
        found.append(Term(ATTRIBUTES, False, asked.blocked_attributes, "blocked_attribute"))
    if asked.allowed_languages is not None:
        spoken = asked.allowed_languages | {_ANY_LANGUAGE}
        found.append(Term(LANGUAGE, True, spoken, "language_not_allowed"))
    return found


def _care_terms(asked: Opportunity) -> list[Term]:
    """What markup may load, whom one may know, and whom one must protect."""
    found = []
    if asked.secure:
        found.append(_SECURE_ONLY)
    if not asked.personal:
        found.append(_NOBODY_IN_PERSON)
    if asked.coppa:
        found.append(_CHILDREN)
    return found
