"""Eligibility as anybody would write it who has time: every ad against every rule, no index.

It is written from the words of the rules alone and shares no code with `models.eligibility`, apart
from what decides whether a creative technically fits (`models.fitting`, tested by itself).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.fitting import is_insecure, why_unfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from config.campaigns import Campaign, Creative, Targeting
    from models.opportunity import Opportunity, Slot


def eligible_ids(
    campaigns: Sequence[Campaign], asked: Opportunity, now_s: float | None
) -> set[str]:
    """Return the ids of all creatives that may be shown."""
    if asked.private:
        return set()
    return {
        creative.id
        for campaign in campaigns
        for creative in campaign.creatives
        for slot in asked.slots
        if campaign.active and may_show(campaign, creative, slot, asked, now_s)
    }


def may_show(
    campaign: Campaign, creative: Creative, slot: Slot, asked: Opportunity, now_s: float | None
) -> bool:
    if campaign.targeting.formats and creative.format not in campaign.targeting.formats:
        return False
    if why_unfit(creative, slot) is not None or not flies(campaign, now_s):
        return False
    if set(creative.attributes) & (asked.blocked_attributes | slot.blocked_attributes):
        return False
    return (
        wants(campaign.targeting, asked)
        and trades(campaign, asked)
        and speaks(creative, asked)
        and is_safe(campaign, creative, asked)
    )


def flies(campaign: Campaign, now_s: float | None) -> bool:
    if now_s is None:
        return True
    if campaign.starts_at is not None and now_s < campaign.starts_at.timestamp():
        return False
    return campaign.ends_at is None or now_s < campaign.ends_at.timestamp()


def wants(wish: Targeting, asked: Opportunity) -> bool:
    named: list[tuple[Sequence[object], object]] = [
        (wish.exchanges, asked.exchange),
        (wish.countries, asked.country),
        (wish.regions, asked.country + "-" + asked.region),
        (wish.cities, asked.country + "-" + asked.city),
        (wish.device_kinds, asked.device_kind),
        (wish.os, asked.os),
        (wish.languages, asked.language),
        (wish.hours, asked.hour),
        (wish.days, asked.day),
    ]
    if any(wanted and actual not in wanted for wanted, actual in named):
        return False
    if wish.segments and not set(wish.segments) & asked.segments:
        return False
    return not set(wish.blocked_segments) & asked.segments and stands_well(wish, asked)


def stands_well(wish: Targeting, asked: Opportunity) -> bool:
    if asked.bundle:
        here = asked.bundle in wish.bundles
        avoided = asked.bundle in wish.blocked_bundles
    else:
        here = within(asked.domain, wish.domains)
        avoided = within(asked.domain, wish.blocked_domains)
    if avoided or ((wish.domains or wish.bundles) and not here):
        return False
    about = {(1, code) for code in wish.categories}
    about |= {(number, code) for number, codes in wish.categories_in.items() for code in codes}
    if about and not about & asked.content:
        return False
    return not {(1, code) for code in wish.blocked_categories} & asked.content


def trades(campaign: Campaign, asked: Opportunity) -> bool:
    deal = asked.deal
    if asked.seats is not None and campaign.seat not in asked.seats:
        return False
    if campaign.seat in asked.blocked_seats:
        return False
    if deal is None:
        return campaign.open_auction
    if deal.id not in campaign.deals:
        return False
    if deal.seats is not None and campaign.seat not in deal.seats:
        return False
    return deal.advertisers is None or within(campaign.advertiser_domain, deal.advertisers)


def speaks(creative: Creative, asked: Opportunity) -> bool:
    if creative.language and asked.language and creative.language != asked.language:
        return False
    if asked.allowed_languages is None or not creative.language:
        return True
    return creative.language in asked.allowed_languages


def is_safe(campaign: Campaign, creative: Creative, asked: Opportunity) -> bool:
    if asked.exchange in creative.refused_by or not categories_pass(campaign, asked):
        return False
    landing = creative.landing_url.partition("://")[2].partition("/")[0]
    domains = (campaign.advertiser_domain, landing)
    if any(within(domain, asked.blocked_advertisers) for domain in domains):
        return False
    if campaign.advertised_bundle and campaign.advertised_bundle in asked.blocked_apps:
        return False
    if asked.secure and is_insecure(creative):
        return False
    if campaign.needs_consent and not asked.personal:
        return False
    return not (campaign.sensitive and asked.coppa)


def categories_pass(campaign: Campaign, asked: Opportunity) -> bool:
    blocked, allowed = asked.blocked_categories, asked.allowed_categories
    if not blocked and allowed is None:
        return True
    if asked.category_taxonomy == 1:
        codes = set(campaign.categories)
    else:
        codes = set(campaign.categories_in.get(asked.category_taxonomy, ()))
    if not codes:
        return False
    codes |= {code.split("-")[0] for code in codes}
    if codes & blocked:
        return False
    return allowed is None or bool(codes & allowed)


def within(domain: str, listed: Iterable[str]) -> bool:
    return any(domain == each or domain.endswith("." + each) for each in listed)
