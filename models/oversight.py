"""Hard rules over a finished decision: the last look before a bid leaves.

Eligibility has already left out what breaks these rules. They are checked again here, against the
finished bid and by code that shares no index with it, because a mistake on safety, privacy or price
must need two faults to get out. Every rule is a function that returns a reason code or ``None``;
the first reason is the veto.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from config.creatives import Creative
from models.fitting import is_insecure, why_unfit
from models.opportunity import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from config.campaigns import Campaign
    from models.eligibility import Candidate
    from models.opportunity import DealTerms, Opportunity

#: Reason codes of vetoes, in the order in which the rules are tried.
VETOES: Final = (
    "no_price",
    "above_price_cap",
    "below_floor",
    "not_agreed_price",
    "currency",
    "seat_not_allowed",
    "private_auction",
    "not_in_open_auction",
    "deal_not_ours",
    "seat_not_in_deal",
    "advertiser_not_in_deal",
    "does_not_fit",
    "not_approved",
    "blocked_category",
    "category_not_allowed",
    "category_unknown",
    "blocked_advertiser",
    "blocked_app",
    "blocked_attribute",
    "language_not_allowed",
    "no_secure_markup",
    "no_consent",
    "children",
    "needs_approval",
)

_IAB_CONTENT_1: Final = 1
_MOST_REMEMBERED: Final = 8_192


class _Fit(msgspec.Struct, frozen=True, gc=False):
    """What never changes about a creative in slots of one shape."""

    creative: Creative
    fits: bool
    secure: bool


#: All of a slot that decides which ads fit; its floor, the most fickle part, does not.
_shape: Final = attrgetter(*[name for name in Slot.__struct_fields__ if name != "floor"])


class OversightRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, with what a person can set about them.

    Attributes:
        approved: Ids of sensitive campaigns that a person has approved; a sensitive campaign that
            is not in here is vetoed when `require_approval` is set.
        require_approval: Whether sensitive campaigns need approval.
        known: What was found out about creatives in slots; only a memory.
    """

    approved: frozenset[str] = frozenset()
    require_approval: bool = False
    known: dict[Hashable, _Fit] = msgspec.field(default_factory=dict)

    def check(
        self, opportunity: Opportunity, candidate: Candidate, bid_micros: int, cap_micros: int
    ) -> str | None:
        """Return the reason code of the veto, or ``None`` when the bid is cleared.

        Args:
            opportunity: The impression.
            candidate: The ad that was chosen for it.
            bid_micros: The bid per impression, in micros of USD.
            cap_micros: The highest bid that is allowed here (lower for traffic that was not
                vetted).
        """
        campaign = candidate.campaign
        return (
            _price_veto(opportunity, candidate, bid_micros, min(cap_micros, campaign.limit_micros))
            or _market_veto(opportunity, campaign)
            or self._fit_veto(opportunity, candidate)
            or _category_veto(opportunity, campaign)
            or _brand_veto(opportunity, candidate)
            or _privacy_veto(opportunity, campaign)
            or self._approval_veto(campaign)
        )

    def _fit_veto(self, opportunity: Opportunity, candidate: Candidate) -> str | None:
        creative, slot = candidate.creative, candidate.slot
        key = (id(creative), _shape(slot))
        found = self.known.get(key)
        if found is None or found.creative is not creative:
            found = _Fit(creative, why_unfit(creative, slot) is None, not is_insecure(creative))
            if len(self.known) >= _MOST_REMEMBERED:
                self.known.clear()
            self.known[key] = found
        if not found.fits or slot not in opportunity.slots:
            return "does_not_fit"
        if opportunity.exchange and opportunity.exchange in creative.refused_by:
            return "not_approved"
        return "no_secure_markup" if opportunity.secure and not found.secure else None

    def _approval_veto(self, campaign: Campaign) -> str | None:
        waiting = self.require_approval and campaign.sensitive and campaign.id not in self.approved
        return "needs_approval" if waiting else None


def _price_veto(
    opportunity: Opportunity, candidate: Candidate, bid_micros: int, cap_micros: int
) -> str | None:
    if bid_micros <= 0:
        return "no_price"
    if bid_micros > cap_micros:
        return "above_price_cap"
    floor_micros = candidate.slot.floor.micros(candidate.creative.duration_s)
    if bid_micros < floor_micros or bid_micros < opportunity.floor_micros:
        return "below_floor"
    deal = opportunity.deal
    if deal is not None and deal.fixed and bid_micros != floor_micros:
        return "not_agreed_price"
    return "currency" if opportunity.currency_micros <= 0 else None


def _market_veto(opportunity: Opportunity, campaign: Campaign) -> str | None:
    """Return why this campaign may not buy here (OpenRTB 2.6, sections 3.2.1, 3.2.11, 3.2.12)."""
    seats = opportunity.seats
    if seats is not None and campaign.seat not in seats:
        return "seat_not_allowed"
    if campaign.seat in opportunity.blocked_seats:
        return "seat_not_allowed"
    if opportunity.deal is not None:
        return _deal_veto(opportunity.deal, campaign)
    if opportunity.private:
        return "private_auction"
    return None if campaign.open_auction else "not_in_open_auction"


def _deal_veto(deal: DealTerms, campaign: Campaign) -> str | None:
    if deal.id not in campaign.deals:
        return "deal_not_ours"
    if deal.seats is not None and campaign.seat not in deal.seats:
        return "seat_not_in_deal"
    names = deal.advertisers
    if names is not None and not is_within(campaign.advertiser_domain, names):
        return "advertiser_not_in_deal"
    return None


def _category_veto(opportunity: Opportunity, campaign: Campaign) -> str | None:
    """Return what is wrong with the kind of ad, in the taxonomy in which the publisher speaks."""
    blocked, allowed = opportunity.blocked_categories, opportunity.allowed_categories
    if not blocked and allowed is None:
        return None
    taxonomy = opportunity.category_taxonomy
    codes: tuple[str, ...] = campaign.categories
    if taxonomy != _IAB_CONTENT_1:
        codes = campaign.categories_in.get(taxonomy, ())
    if not codes:
        return "category_unknown"
    if blocked and any(is_blocked_category(code, blocked) for code in codes):
        return "blocked_category"
    if allowed is not None and not any(is_blocked_category(code, allowed) for code in codes):
        return "category_not_allowed"
    return None


def _brand_veto(opportunity: Opportunity, candidate: Candidate) -> str | None:
    """Return what the publisher has forbidden about this ad."""
    campaign, creative = candidate.campaign, candidate.creative
    domains = opportunity.blocked_advertisers
    if domains and is_within(campaign.advertiser_domain, domains):
        return "blocked_advertiser"
    app = campaign.advertised_bundle.lower()
    if app and opportunity.blocked_apps and app in opportunity.blocked_apps:
        return "blocked_app"
    if not candidate.slot.blocked_attributes.isdisjoint(creative.attributes):
        return "blocked_attribute"
    languages = opportunity.allowed_languages
    if languages is not None and creative.language and creative.language not in languages:
        return "language_not_allowed"
    return None


def _privacy_veto(opportunity: Opportunity, campaign: Campaign) -> str | None:
    if campaign.needs_consent and not opportunity.personal:
        return "no_consent"
    return "children" if campaign.sensitive and opportunity.coppa else None


def is_blocked_category(code: str, blocked: Iterable[str]) -> bool:
    """Tell whether an IAB code is listed, by itself or by its parent (``IAB8-5`` by ``IAB8``)."""
    return code in blocked or code.partition("-")[0] in blocked


def is_within(domain: str, names: frozenset[str]) -> bool:
    """Tell whether a domain or one that it belongs to is listed (``shop.a.com`` by ``a.com``)."""
    parts = domain.lower().split(".")
    return any(".".join(parts[at:]) in names for at in range(len(parts)))
