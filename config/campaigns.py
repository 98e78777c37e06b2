"""Sample campaigns: what an advertiser buys, as frozen data read once from TOML.

A campaign file is data, not code: it is decoded strictly (unknown keys and wrong types are refused
with the path to the bad value) and checked for the few rules that a type cannot say, before
anything starts. All money is integer micros of USD; bids and prices are micros *per impression*
(CPM in USD x 1000).
"""

from __future__ import annotations

import math
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from config.creatives import Creative, Format, FrequencyCap, creative_complaint
from config.errors import ConfigError
from config.once import read_once
from config.targeting import Targeting, targeting_complaint

__all__ = [
    "SAMPLE_CAMPAIGNS",
    "Campaign",
    "Creative",
    "Format",
    "FrequencyCap",
    "Targeting",
    "load_campaigns",
]

#: A CPM is the price of so many impressions.
IMPRESSIONS_OF_A_CPM = 1_000
HOURS = 24

#: The sample campaigns that ship with the project.
SAMPLE_CAMPAIGNS = Path(__file__).with_name("campaigns.toml")


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One advertiser's order.

    Attributes:
        id: Unique in the file.
        advertiser_domain: What publishers block by (``badv``).
        name: What a person calls it.
        categories: IAB codes of the ad itself, which publishers block by (``bcat``).
        budget_micros: All that may ever be spent, in micros of USD.
        daily_budget_micros: All that may be spent on one day; None is no limit but the budget.
        default_bid_micros: Bid per impression when the optimizer cannot answer.
        max_bid_micros: No bid per impression is ever higher.
        value_per_conversion_micros: What one conversion is worth to the advertiser.
        targeting: Where it may run.
        seat: Buyer seat that it bids under.
        deals: Private deals that it may use.
        open_auction: It also bids without a deal.
        categories_in: `categories` in other taxonomies: AdCOM's number of the taxonomy to codes.
        advertised_bundle: The app that it advertises, which publishers block by (``bapp``).
        caps: How often one user sees any of its ads; all of them hold.
        when_uncounted: What to do where a user can't be counted: ``bid`` or ``skip``.
        creatives: The ads to choose from.
        sensitive: Alcohol, gambling, health and the like: needs a person's approval, never shown to
            children.
        needs_consent: Rests on personal data: without consent under GDPR it may not run.
        active: Paused campaigns stay in the file.
        starts_at: First instant of the flight; ``None`` is "already running".
        ends_at: End of the flight; ``None`` is "until the budget is spent".
        hour_weights: How the money of a day is spread over its hours (UTC): 24 numbers; empty is as
            the settings say.
        goal_cpa_micros: What a conversion may cost on average.
        goal_roas: What must come back for each unit spent, in the worth of conversions.
        max_cpm_micros: What a thousand impressions may cost at most, each by itself.
    """

    id: str
    advertiser_domain: str
    name: str
    categories: tuple[str, ...]
    budget_micros: int
    default_bid_micros: int
    max_bid_micros: int
    value_per_conversion_micros: int
    creatives: tuple[Creative, ...]
    targeting: Targeting = Targeting()
    seat: str = "bidwright"
    deals: tuple[str, ...] = ()
    open_auction: bool = True
    categories_in: dict[int, tuple[str, ...]] = {}
    advertised_bundle: str = ""
    caps: tuple[FrequencyCap, ...] = ()
    when_uncounted: Literal["bid", "skip"] = "bid"
    sensitive: bool = False
    needs_consent: bool = False
    active: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    daily_budget_micros: int | None = None
    hour_weights: tuple[float, ...] = ()
    goal_cpa_micros: int | None = None
    goal_roas: float | None = None
    max_cpm_micros: int | None = None

    @property
    def limit_micros(self) -> int:
        """No bid per impression is ever higher, in micros."""
        if self.max_cpm_micros is None:
            return self.max_bid_micros
        return min(self.max_bid_micros, self.max_cpm_micros // IMPRESSIONS_OF_A_CPM)


class _CampaignFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of the whole file: ``[[campaigns]]`` tables."""

    campaigns: tuple[Campaign, ...]


def load_campaigns(path: Path | None = None) -> tuple[Campaign, ...]:
    """Read and check a campaign file.

    Args:
        path: A TOML file; ``None`` is the samples that ship with the project.

    Returns:
        The campaigns in the order of the file, inactive ones included.

    Raises:
        ConfigError: The file cannot be read, or breaks a rule; the message names file and place.
    """
    return _read(path or SAMPLE_CAMPAIGNS)


@read_once
def _read(source: Path) -> tuple[Campaign, ...]:
    try:
        document = tomllib.loads(source.read_text(encoding="utf-8"))
        campaigns = msgspec.convert(document, _CampaignFile, str_keys=True).campaigns
    except OSError as error:
        raise ConfigError(f"cannot read campaigns from {source}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{source}: {error}; correct the file and start again") from error
    complaint = _first_complaint(campaigns)
    if complaint is not None:
        raise ConfigError(f"{source}: {complaint}")
    return campaigns


def _first_complaint(campaigns: tuple[Campaign, ...]) -> str | None:
    """Return the first broken rule in words, or ``None``."""
    if not campaigns:
        return "there is no [[campaigns]] table; a bidder needs at least one"
    seen: set[str] = set()
    for campaign in campaigns:
        ids = (campaign.id, *(creative.id for creative in campaign.creatives))
        for identifier in ids:
            if identifier in seen:
                return f"id {identifier!r} is used twice; ids must be unique in the file"
            seen.add(identifier)
        complaint = (
            _money_complaint(campaign)
            or targeting_complaint(campaign.targeting)
            or _trade_complaint(campaign)
            or _creative_complaint(campaign)
        )
        if complaint is not None:
            return f"campaign {campaign.id!r}: {complaint}"
    return None


def _money_complaint(campaign: Campaign) -> str | None:
    """Return what is wrong with the amounts or the flight of one campaign."""
    if campaign.budget_micros <= 0:
        return "budget_micros must be above 0"
    if campaign.daily_budget_micros is not None and campaign.daily_budget_micros <= 0:
        return "daily_budget_micros must be above 0"
    if not 0 < campaign.default_bid_micros <= campaign.max_bid_micros:
        return "needs 0 < default_bid_micros <= max_bid_micros"
    if campaign.value_per_conversion_micros <= 0:
        return "value_per_conversion_micros must be above 0"
    return _goal_complaint(campaign) or _flight_complaint(campaign.starts_at, campaign.ends_at)


def _goal_complaint(campaign: Campaign) -> str | None:
    """Return what is wrong with what a campaign's impressions and conversions may cost."""
    if campaign.goal_cpa_micros is not None and campaign.goal_roas is not None:
        return "has goal_cpa_micros and goal_roas; give it one goal"
    if campaign.goal_cpa_micros is not None and campaign.goal_cpa_micros <= 0:
        return "goal_cpa_micros must be above 0"
    if campaign.goal_roas is not None and not 0.0 < campaign.goal_roas < math.inf:
        return "goal_roas must be above 0"
    if campaign.limit_micros <= 0:
        return f"max_cpm_micros must be at least {IMPRESSIONS_OF_A_CPM}, which is 1 an impression"
    weights = campaign.hour_weights
    fits = len(weights) == HOURS and all(0.0 <= weight < math.inf for weight in weights)
    if weights and not (fits and any(weights)):
        return f"hour_weights are {HOURS} numbers of at least 0, one of them above 0"
    return None


def _flight_complaint(starts_at: datetime | None, ends_at: datetime | None) -> str | None:
    """Return what is wrong with a flight: no time zone, or an end that is not after the start."""
    if any(moment is not None and moment.tzinfo is None for moment in (starts_at, ends_at)):
        return "starts_at and ends_at need a time zone, e.g. 2026-11-23T00:00:00Z"
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        return "ends_at must be after starts_at"
    return None


def _trade_complaint(campaign: Campaign) -> str | None:
    """Return what is wrong with the terms on which a campaign buys."""
    if not campaign.seat or not all(campaign.deals):
        return "seat and deals need names"
    if not campaign.open_auction and not campaign.deals:
        return "has no deals and open_auction = false, so it would never bid"
    if 1 in campaign.categories_in:
        return "categories_in is for taxonomies other than 1; those codes belong in categories"
    return None


def _creative_complaint(campaign: Campaign) -> str | None:
    """Return what is wrong with the creatives of one campaign."""
    if not campaign.creatives:
        return "has no creatives; give it at least one [[campaigns.creatives]]"
    complaints = map(creative_complaint, campaign.creatives)
    return next((complaint for complaint in complaints if complaint is not None), None)
