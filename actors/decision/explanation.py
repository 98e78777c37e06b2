"""Why there was a bid or none, campaign by campaign: what users of every bidder ask for most.

Principle: every campaign of ours has exactly one word in the story of a look. What the rules said
of it comes from the index, what became of the rest is read off the finished decision; nothing is
kept for explanations, so they cost nothing unless somebody asks.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from actors.decision import reasons
from actors.decision.quotes import cost_micros
from actors.reading.floors import floor_of_ad
from models.eligibility.rules import RANKS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actors.decision.machine import Decision

MOST_NAMED: Final = 200
"""Campaigns and ads that a story names; of campaigns the rest are counted by reason."""

BID: Final = "bid"
NOT_SELECTED: Final = "not_selected"
FREQUENCY_CAP: Final = "frequency_cap"


def story_of(decision: Decision, refused: Mapping[str, str]) -> dict[str, Any]:
    """Return how the decision about one look came about, for people.

    Args:
        decision: With an outcome.
        refused: The campaigns without an ad that may be shown, each with its reason.
    """
    opportunity, candidate = decision.opportunity, decision.candidate
    return {
        "imp_id": opportunity.imp_id,
        "deal": None if opportunity.deal is None else opportunity.deal.id,
        "outcome": BID if decision.bid is not None else "no_bid",
        "reason": decision.reason,
        "steps": [
            {"step": taken.step, "kind": taken.kind, "ms": round(taken.ms, 3)}
            for taken in decision.reports
        ],
        "candidates": [
            {"campaign": each.campaign.id, "creative": each.creative.id}
            for each in decision.eligible.ads[:MOST_NAMED]
        ],
        "affordable": len(decision.affordable),
        "vetted": decision.vetted,
        "fraud_reasons": list(decision.fraud_reasons),
        "profile": decision.profile_source,
        **_offer(decision),
        "floor_micros": (
            opportunity.floor_micros if candidate is None else floor_of_ad(opportunity, candidate)
        ),
        "versions": decision.versions,
        **shortened(words_of(decision, refused)),
    }


def _offer(decision: Decision) -> dict[str, Any]:
    """What was chosen, and what for."""
    opportunity, candidate = decision.opportunity, decision.candidate
    return {
        "campaign": None if candidate is None else candidate.campaign.id,
        "creative": None if candidate is None else candidate.creative.id,
        "propensity": round(decision.propensity, 6),
        "predicted_ctr": round(decision.predicted_ctr, 6),
        "expected_value_micros": round(decision.expected_value_micros, 3),
        "pace": round(decision.pace, 4),
        "bid_micros": decision.bid_micros,
        "cost_micros": 0 if decision.bid is None else decision.bid.cost_micros,
        "currency": opportunity.currency,
        "first_price": opportunity.first_price,
        "personal": opportunity.personal,
        "test": opportunity.test,
    }


def words_of(decision: Decision, refused: Mapping[str, str]) -> dict[str, str]:
    """Return what became of each campaign, those that came furthest first.

    Args:
        decision: With an outcome.
        refused: The campaigns without an ad that may be shown, each with its reason.

    Returns:
        ``bid``, ``not_selected`` (another ad was chosen), ``frequency_cap``, ``no_budget``,
        ``below_floor``, the reason of the whole decision, or that of the rules.
    """
    words = {each: _word(decision, each) for each in decision.eligible.campaign_ids}
    ours = sorted(words.items(), key=lambda said: said[1] != BID)
    others = sorted(refused.items(), key=lambda said: -RANKS.get(said[1], 0))
    return dict(ours) | {each: why for each, why in others if each not in words}


def _word(decision: Decision, campaign_id: str) -> str:
    if decision.spendable is None:
        return decision.reason
    chosen = decision.candidate
    if chosen is not None and chosen.campaign.id == campaign_id:
        return BID if decision.bid is not None else decision.reason
    if _is_capped(decision, campaign_id):
        return FREQUENCY_CAP
    opportunity = decision.opportunity
    least_micros = cost_micros(opportunity.floor_micros or 1, opportunity)
    if decision.spendable.get(campaign_id, 0) < least_micros:
        return decision.reason if decision.reason in reasons.NO_MONEY else reasons.NO_BUDGET
    if all(each.campaign.id != campaign_id for each in decision.affordable):
        return reasons.BELOW_FLOOR
    return decision.reason if chosen is None else NOT_SELECTED


def _is_capped(decision: Decision, campaign_id: str) -> bool:
    capped = decision.capped
    return bool(capped) and all(
        campaign_id in capped or each.creative.id in capped
        for each in decision.eligible.ads
        if each.campaign.id == campaign_id
    )


def shortened(words: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of a story about campaigns, of bounded size.

    Returns:
        ``campaigns`` by id, and where there are too many of them ``more``: how many others there
        are by reason.
    """
    named = list(words.items())
    if len(named) <= MOST_NAMED:
        return {"campaigns": dict(named)}
    rest = Counter(reason for _, reason in named[MOST_NAMED:])
    return {"campaigns": dict(named[:MOST_NAMED]), "more": dict(rest)}
