"""Hard rules over a finished decision: the last look before a bid leaves.

Eligibility has already left out what breaks these rules. They are checked again here, against the
finished bid and by code that shares no index with it, because a mistake on safety, privacy or price
must need two faults to get out. Every rule is a function that returns a reason code or ``None``;
the first reason is the veto.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from models.eligibility import fits, is_blocked_domain, may_use_personal_data

if TYPE_CHECKING:
    from models.eligibility import Candidate
    from models.opportunity import Opportunity

#: Reason codes of vetoes, in the order in which the rules are tried.
VETOES: Final = (
    "no_price",
    "above_price_cap",
    "below_floor",
    "currency",
    "seat_not_allowed",
    "private_auction",
    "does_not_fit",
    "blocked_category",
    "blocked_advertiser",
    "blocked_attribute",
    "no_secure_markup",
    "no_consent",
    "children",
    "needs_approval",
)

_SCHEMES: Final = ("http://",)


class OversightRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, with what a person can set about them.

    Attributes:
        currency: The currency we bid in.
        seat: Our buyer seat, for requests that name the seats they accept.
        approved: Ids of sensitive campaigns that a person has approved; a sensitive campaign that
            is not in here is vetoed when `require_approval` is set.
        require_approval: Whether sensitive campaigns need approval.
    """

    currency: str = "USD"
    seat: str = "bidwright"
    approved: frozenset[str] = frozenset()
    require_approval: bool = False

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
        cap_micros = min(cap_micros, candidate.campaign.max_bid_micros)
        return (
            _price_veto(opportunity, bid_micros, cap_micros)
            or self._market_veto(opportunity)
            or _brand_veto(opportunity, candidate)
            or _privacy_veto(opportunity, candidate)
            or self._approval_veto(candidate)
        )

    def _market_veto(self, opportunity: Opportunity) -> str | None:
        if opportunity.currency != self.currency:
            return "currency"
        if opportunity.seats is not None and self.seat not in opportunity.seats:
            return "seat_not_allowed"
        return "private_auction" if opportunity.private else None

    def _approval_veto(self, candidate: Candidate) -> str | None:
        campaign = candidate.campaign
        waiting = self.require_approval and campaign.sensitive and campaign.id not in self.approved
        return "needs_approval" if waiting else None


def _price_veto(opportunity: Opportunity, bid_micros: int, cap_micros: int) -> str | None:
    if bid_micros <= 0:
        return "no_price"
    if bid_micros > cap_micros:
        return "above_price_cap"
    return "below_floor" if bid_micros < opportunity.floor_micros else None


def _brand_veto(opportunity: Opportunity, candidate: Candidate) -> str | None:
    """Return what the publisher has forbidden about this ad."""
    campaign, creative = candidate.campaign, candidate.creative
    if candidate.slot not in opportunity.slots or not fits(creative, candidate.slot):
        return "does_not_fit"
    codes, domains = opportunity.blocked_categories, opportunity.blocked_advertisers
    if codes and any(is_blocked_category(code, codes) for code in campaign.categories):
        return "blocked_category"
    if domains and is_blocked_domain(campaign.advertiser_domain, domains):
        return "blocked_advertiser"
    if not opportunity.blocked_attributes.isdisjoint(creative.attributes):
        return "blocked_attribute"
    insecure = opportunity.secure and any(scheme in creative.adm for scheme in _SCHEMES)
    return "no_secure_markup" if insecure else None


def _privacy_veto(opportunity: Opportunity, candidate: Candidate) -> str | None:
    if candidate.campaign.needs_consent and not may_use_personal_data(opportunity):
        return "no_consent"
    return "children" if candidate.campaign.sensitive and opportunity.coppa else None


def is_blocked_category(code: str, blocked: frozenset[str]) -> bool:
    """Tell whether an IAB code is blocked, by itself or by its parent (``IAB8-5`` by ``IAB8``)."""
    return code in blocked or code.partition("-")[0] in blocked
