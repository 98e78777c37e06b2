"""Which ads may be shown, remembered: most impressions ask what was asked a moment ago.

Principle: eligibility is a pure function of some facts of an impression, so its answers can be kept
under exactly those facts. Facts that no campaign asks about are left out of the name, and flights
come in as the number of those that have begun or ended, so an answer is never older than they are.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import msgspec

from actors import opportunity as mapping
from models.eligibility import Candidate

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

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
        self._asked_about = _asked_about(campaigns)

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
        why = mapping.refusal(request, imp)
        if why is not None:
            return Eligible((), (), why)
        key = (
            request.acat,
            bisect_right(self._moments, unix_s),
            self._asked_about(opportunity),
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


def _asked_about(campaigns: Sequence[Campaign]) -> Callable[[Opportunity], Hashable]:
    """Return what names all that the rules of these campaigns look at in an opportunity."""
    hours = any(campaign.targeting.hours for campaign in campaigns)
    systems = any(campaign.targeting.os for campaign in campaigns)

    def name(opportunity: Opportunity) -> Hashable:
        return (
            opportunity.slots,
            opportunity.country,
            opportunity.device_kind,
            opportunity.os if systems else "",
            opportunity.hour if hours else 0,
            opportunity.categories,
            opportunity.language,
            opportunity.blocked_categories,
            opportunity.blocked_advertisers,
            opportunity.blocked_attributes,
            opportunity.secure,
            opportunity.private,
            opportunity.gdpr,
            opportunity.consent,
            opportunity.coppa,
            opportunity.limit_tracking,
        )

    return name
