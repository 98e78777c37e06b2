"""Which ads may be shown, remembered: most impressions ask what was asked a moment ago.

Principle: eligibility is a pure function of some facts of an impression, so its answers can be kept
under exactly those facts. What no campaign asks about is left out of the name, and flights come in
as the number of those that have begun or ended, so an answer is never older than they are.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from actors import opportunity as mapping
from models.eligibility import Candidate, may_use_personal_data
from models.opportunity import category_indexes

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from config.campaigns import Campaign
    from models.eligibility import CampaignIndex
    from models.opportunity import Opportunity
    from transport.openrtb import BidRequest, Imp


class Eligible(msgspec.Struct, frozen=True):
    """The ads that may be shown for an impression.

    Attributes:
        ads: In a stable order; nobody may change it.
        campaign_ids: Their campaigns, each once.
        why_none: Reason code when there is none.
    """

    ads: tuple[Candidate, ...]
    campaign_ids: tuple[str, ...] = ()
    why_none: str = ""


def eligible_of(ads: Sequence[Candidate], why_none: str = "") -> Eligible:
    """Return these ads with their campaigns, or why there is none."""
    ids = tuple(dict.fromkeys(each.campaign.id for each in ads))
    return Eligible(tuple(ads), ids, "" if ads else why_none)


class EligibleAds:
    """Finds and remembers.

    Args:
        index: The rules.
        campaigns: What the index was made from.
        max_remembered: Answers kept at most; then it begins anew.
    """

    def __init__(
        self, index: CampaignIndex, campaigns: Sequence[Campaign], max_remembered: int = 8_192
    ) -> None:
        self._index = index
        self._max_remembered = max_remembered
        self._known: dict[Hashable, Eligible] = {}
        self._moments = sorted(_moments(campaigns))
        self._facts = _Facts(campaigns)

    def find(
        self, request: BidRequest, imp: Imp, opportunity: Opportunity, unix_s: float
    ) -> Eligible:
        """Return the ads that may be shown.

        Args:
            request: The whole request, for what an opportunity does not hold.
            imp: One of its impressions.
            opportunity: Made of that.
            unix_s: The present moment, seconds since 1970.
        """
        key = (
            request.acat,
            bisect_right(self._moments, unix_s),
            self._facts.name(opportunity),
        )
        found = self._known.get(key)
        if found is None:
            found = self._ask(request, opportunity, unix_s)
            if len(self._known) >= self._max_remembered:
                self._known.clear()
            self._known[key] = found
        return found

    def _ask(self, request: BidRequest, opportunity: Opportunity, unix_s: float) -> Eligible:
        ads = self._index.candidates(opportunity, unix_s)
        if not ads:
            return Eligible((), (), self._index.why_none(opportunity, unix_s))
        return eligible_of(mapping.permitted(request, ads), "allowed_categories")


def _moments(campaigns: Sequence[Campaign]) -> set[float]:
    """Return when flights begin or end, Unix seconds."""
    moments = [campaign.starts_at for campaign in campaigns]
    moments += [campaign.ends_at for campaign in campaigns]
    return {moment.timestamp() for moment in moments if moment is not None}


class _Facts:
    """What the rules of some campaigns look at in an opportunity.

    A fact is reduced to what can make a difference: a country that no campaign names is no country,
    a blocked domain that no advertiser has is not blocked. So few names cover most traffic.
    """

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        targets = [campaign.targeting for campaign in campaigns]
        creatives = [creative for campaign in campaigns for creative in campaign.creatives]
        self._countries = frozenset(name for each in targets for name in each.countries)
        self._systems = frozenset(name for each in targets for name in each.os)
        self._by_hour = any(each.hours for each in targets)
        codes = [code for each in targets for code in each.categories]
        self._content = frozenset(category_indexes(codes))
        self._languages = frozenset(creative.language for creative in creatives)
        self._codes = frozenset(
            name
            for campaign in campaigns
            for code in campaign.categories
            for name in (code, code.partition("-")[0])
        )
        self._domains = frozenset(
            name for campaign in campaigns for name in _with_parents(campaign.advertiser_domain)
        )
        self._attributes = frozenset(name for each in creatives for name in each.attributes)

    def name(self, opportunity: Opportunity) -> Hashable:
        """Return what two opportunities share exactly if the rules cannot tell them apart."""
        language = opportunity.language[:2]
        return (
            opportunity.slots,
            opportunity.private,
            opportunity.secure,
            opportunity.coppa,
            may_use_personal_data(opportunity),
            opportunity.device_kind,
            opportunity.country if opportunity.country in self._countries else "",
            opportunity.os if opportunity.os in self._systems else "",
            opportunity.hour if self._by_hour else 0,
            self._content.intersection(opportunity.categories),
            language if language in self._languages else bool(language),
            opportunity.blocked_categories & self._codes,
            opportunity.blocked_advertisers & self._domains,
            opportunity.blocked_attributes & self._attributes,
        )


def _with_parents(domain: str) -> list[str]:
    """Return a domain and all that it belongs to (``a.b.c``, ``b.c``, ``c``)."""
    parts = domain.lower().split(".")
    return [".".join(parts[at:]) for at in range(len(parts))]
