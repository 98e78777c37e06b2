"""Small builders that tests of rules share."""

from __future__ import annotations

from typing import Any

from config.campaigns import Campaign, Creative, Targeting
from models.eligibility import Candidate
from models.opportunity import Opportunity, Slot

MPU = Slot("banner", 300, 250)


def creative(**changes: Any) -> Creative:
    facts: dict[str, Any] = {
        "id": "k1",
        "format": "banner",
        "w": 300,
        "h": 250,
        "adm": '<a href="https://a.example">',
        "title": "t",
    }
    return Creative(**{**facts, **changes})


def video(**changes: Any) -> Creative:
    facts = {"id": "v1", "format": "video", "mimes": ("video/mp4",), "duration_s": 15, **changes}
    return creative(**facts)


def campaign(*creatives: Creative, **changes: Any) -> Campaign:
    facts: dict[str, Any] = {
        "id": "c1",
        "advertiser_domain": "shop.a.example",
        "name": "A",
        "categories": ("IAB8-5",),
        "budget_micros": 1_000_000_000,
        "default_bid_micros": 1_000,
        "max_bid_micros": 20_000,
        "value_per_conversion_micros": 5_000_000,
        "creatives": creatives or (creative(),),
        "targeting": Targeting(),
    }
    return Campaign(**{**facts, **changes})


def opportunity(**changes: Any) -> Opportunity:
    facts: dict[str, Any] = {"request_id": "r", "imp_id": "1", "slots": (MPU,)}
    return Opportunity(**{**facts, **changes})


def candidate(whose: Campaign | None = None, slot: Slot = MPU) -> Candidate:
    owner = whose or campaign()
    return Candidate(owner, owner.creatives[0], slot)
