"""Which ads may be shown at all: cheap, static rules before anything that learns.

An inverted index maps (format, width, height) to the creatives of active campaigns, so most
requests are answered by one dictionary look-up. Rules are then tried from the cheapest to the
dearest, and each has a reason code, because "why was there no bid?" is what operators ask most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from config.campaigns import Campaign, Creative
from models.opportunity import Opportunity, Slot, category_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Reason codes, from the first rule to the last. `CampaignIndex.why_none` returns the furthest one
#: reached.
REASONS: Final = (
    "private_auction",
    "no_active_campaign",
    "no_creative_of_size",
    "media_not_accepted",
    "outside_flight",
    "country",
    "device",
    "os",
    "hour",
    "content_category",
    "language",
    "blocked_category",
    "blocked_advertiser",
    "blocked_attribute",
    "no_secure_markup",
    "no_consent",
    "children",
)

_INSECURE: Final = "http://"

#: Answers that an index remembers; most traffic repeats a few hundred questions.
_KEPT_ANSWERS: Final = 2048


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An ad that may fill a slot."""

    campaign: Campaign
    creative: Creative
    slot: Slot


class _Entry(msgspec.Struct, frozen=True):
    """A creative with all that the rules ask of it worked out once."""

    campaign: Campaign
    creative: Creative
    countries: frozenset[str]
    device_kinds: frozenset[str]
    os: frozenset[str]
    hours: frozenset[int]
    content: frozenset[int]
    ad_codes: frozenset[str]
    attributes: frozenset[int]
    insecure: bool
    starts_s: float
    ends_s: float


class CampaignIndex:
    """Finds the ads that may be shown for an opportunity.

    Args:
        campaigns: All campaigns; those that are not active are left out.
    """

    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._by_size: dict[tuple[str, int, int], list[_Entry]] = {}
        self._answers: dict[tuple[object, ...], list[Candidate]] = {}
        for campaign in campaigns:
            if campaign.active:
                self._add(campaign)
        entries = [entry for found in self._by_size.values() for entry in found]
        # Facts that no campaign asks for would only make equal questions look different.
        self._by_hour = any(entry.hours for entry in entries)
        self._by_content = any(entry.content for entry in entries)
        self._by_flight = any(
            entry.campaign.starts_at or entry.campaign.ends_at for entry in entries
        )

    def _add(self, campaign: Campaign) -> None:
        for creative in campaign.creatives:
            allowed = campaign.targeting.formats
            if allowed and creative.format not in allowed:
                continue
            key = _size_key(creative.format, creative.w, creative.h)
            self._by_size.setdefault(key, []).append(_entry(campaign, creative))

    def candidates(self, opportunity: Opportunity, now_s: float | None = None) -> list[Candidate]:
        """Return every ad that may fill one of the slots, in a stable order.

        Args:
            opportunity: The impression.
            now_s: Seconds since 1970 (UTC); ``None`` leaves flights out of the question.
        """
        if opportunity.private:
            return []
        if self._by_flight and now_s is not None:
            return self._search(opportunity, now_s)
        question = self._question(opportunity)
        answer = self._answers.get(question)
        if answer is None:
            answer = self._search(opportunity, None)
            if len(self._answers) >= _KEPT_ANSWERS:
                self._answers.clear()
            self._answers[question] = answer
        return list(answer)

    def _search(self, opportunity: Opportunity, now_s: float | None) -> list[Candidate]:
        """Try all rules on every creative of a fitting size."""
        return [
            Candidate(entry.campaign, entry.creative, slot)
            for entry, slot in self._sized(opportunity)
            if _refusal(entry, slot, opportunity, now_s) is None
        ]

    def _question(self, opportunity: Opportunity) -> tuple[object, ...]:
        """Return all that the rules look at; equal questions have equal answers."""
        return (
            opportunity.slots,
            opportunity.country,
            opportunity.device_kind,
            opportunity.os,
            opportunity.language,
            opportunity.hour if self._by_hour else None,
            opportunity.categories if self._by_content else None,
            opportunity.blocked_categories,
            opportunity.blocked_advertisers,
            opportunity.blocked_attributes,
            opportunity.secure,
            opportunity.coppa,
            may_use_personal_data(opportunity),
        )

    def why_none(self, opportunity: Opportunity, now_s: float | None = None) -> str:
        """Return the reason code of the ad that came closest, when there are no candidates.

        Args:
            opportunity: The impression, for which `candidates` returned nothing.
            now_s: As for `candidates`.
        """
        if opportunity.private:
            return "private_auction"
        if not self._by_size:
            return "no_active_campaign"
        refusals = (
            _refusal(entry, slot, opportunity, now_s) for entry, slot in self._sized(opportunity)
        )
        reached = [REASONS.index(refusal) for refusal in refusals if refusal is not None]
        return REASONS[max(reached)] if reached else "no_creative_of_size"

    def _sized(self, opportunity: Opportunity) -> Iterator[tuple[_Entry, Slot]]:
        """Yield each creative of a fitting size once, with the first slot that it fits."""
        seen: set[str] = set()
        for slot in opportunity.slots:
            for entry in self._by_size.get(_size_key(slot.format, slot.w, slot.h), ()):
                if entry.creative.id not in seen:
                    if len(opportunity.slots) > 1:
                        seen.add(entry.creative.id)
                    yield entry, slot


def _size_key(media: str, w: int, h: int) -> tuple[str, int, int]:
    """Return the index key: only banners must fit to the pixel, the others scale."""
    return (media, w, h) if media == "banner" else (media, 0, 0)


def _entry(campaign: Campaign, creative: Creative) -> _Entry:
    targeting = campaign.targeting
    content = (category_index(code) for code in targeting.categories)
    return _Entry(
        campaign=campaign,
        creative=creative,
        countries=frozenset(targeting.countries),
        device_kinds=frozenset(targeting.device_kinds),
        os=frozenset(targeting.os),
        hours=frozenset(targeting.hours),
        content=frozenset(index for index in content if index is not None),
        ad_codes=frozenset(campaign.categories)
        | {code.partition("-")[0] for code in campaign.categories},
        attributes=frozenset(creative.attributes),
        insecure=_INSECURE in creative.adm,
        starts_s=campaign.starts_at.timestamp() if campaign.starts_at else float("-inf"),
        ends_s=campaign.ends_at.timestamp() if campaign.ends_at else float("inf"),
    )


def _refusal(
    entry: _Entry, slot: Slot, opportunity: Opportunity, now_s: float | None
) -> str | None:
    """Return the first reason against an ad, or ``None``."""
    if not fits(entry.creative, slot):
        return "media_not_accepted"
    if now_s is not None and not entry.starts_s <= now_s < entry.ends_s:
        return "outside_flight"
    return _targeting_refusal(entry, opportunity) or _publisher_refusal(entry, opportunity)


def fits(creative: Creative, slot: Slot) -> bool:
    """Tell whether a creative may technically fill a slot: size, content type, duration.

    Args:
        creative: The ad.
        slot: The placement.
    """
    if creative.format != slot.format:
        return False
    if creative.format == "banner":
        return creative.w == slot.w and creative.h == slot.h
    if creative.format == "native":
        return True
    if slot.mimes and not any(mime in slot.mimes for mime in creative.mimes):
        return False
    return slot.min_s <= creative.duration_s and (
        slot.max_s <= 0 or creative.duration_s <= slot.max_s
    )


def _targeting_refusal(entry: _Entry, opportunity: Opportunity) -> str | None:
    """Return the first wish of the advertiser that the opportunity does not meet."""
    wishes = (
        (entry.countries, opportunity.country, "country"),
        (entry.device_kinds, opportunity.device_kind, "device"),
        (entry.os, opportunity.os, "os"),
        (entry.hours, opportunity.hour, "hour"),
    )
    for wanted, actual, reason in wishes:
        if wanted and actual not in wanted:
            return reason
    if entry.content and entry.content.isdisjoint(opportunity.categories):
        return "content_category"
    language = entry.creative.language
    if language and opportunity.language and language != opportunity.language[:2]:
        return "language"
    return None


def _publisher_refusal(entry: _Entry, opportunity: Opportunity) -> str | None:
    """Return the first rule of publisher or law that the ad would break."""
    campaign = entry.campaign
    if opportunity.blocked_categories and not entry.ad_codes.isdisjoint(
        opportunity.blocked_categories
    ):
        return "blocked_category"
    if opportunity.blocked_advertisers and is_blocked_domain(
        campaign.advertiser_domain, opportunity.blocked_advertisers
    ):
        return "blocked_advertiser"
    if not entry.attributes.isdisjoint(opportunity.blocked_attributes):
        return "blocked_attribute"
    if opportunity.secure and entry.insecure:
        return "no_secure_markup"
    if campaign.needs_consent and not may_use_personal_data(opportunity):
        return "no_consent"
    return "children" if campaign.sensitive and opportunity.coppa else None


def may_use_personal_data(opportunity: Opportunity) -> bool:
    """Tell whether a decision may rest on who the user is.

    Not for children, not for who limits tracking, and under GDPR only with consent.
    """
    if opportunity.coppa or opportunity.limit_tracking:
        return False
    return opportunity.consent or not opportunity.gdpr


def is_blocked_domain(domain: str, blocked: frozenset[str]) -> bool:
    """Tell whether a domain or a parent of it is in a block list (``shop.a.com`` by ``a.com``)."""
    name = domain.lower()
    while name:
        if name in blocked:
            return True
        name = name.partition(".")[2]
    return False
