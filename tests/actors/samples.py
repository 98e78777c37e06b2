"""Small made-up facts that the tests of the agents share."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.decision.eligible import eligible_of
from actors.decision.fallbacks import Fallbacks
from actors.decision.machine import Decision, DecisionRules
from actors.messages import (
    BudgetView,
    Cleared,
    Funded,
    Priced,
    Profiled,
    Reserved,
    Selected,
    Vetted,
)
from config.campaigns import Campaign, Creative
from models.eligibility import Candidate
from models.opportunity import Opportunity, Slot

SLOT = Slot("banner", 300, 250)
VECTOR = np.full(16, 0.25, dtype=np.float32)
DEFAULT_VECTOR = np.zeros(16, dtype=np.float32)
SHARES = (0.1, 0.35, 0.35, 0.2, 0.15, 0.1, 0.1)


def campaign(name: str = "shoes", **changes: Any) -> Campaign:
    facts: dict[str, Any] = {
        "id": name,
        "advertiser_domain": f"{name}.example",
        "name": name,
        "categories": ("IAB18",),
        "budget_micros": 1_000_000_000,
        "default_bid_micros": 1_500,
        "max_bid_micros": 20_000,
        "value_per_conversion_micros": 10_000_000,
        "creatives": (
            Creative(id=f"{name}-1", format="banner", w=300, h=250, adm="<b>ad</b>", title="Ad"),
        ),
    }
    return Campaign(**(facts | changes))


def candidate(name: str = "shoes", **changes: Any) -> Candidate:
    made = campaign(name, **changes)
    return Candidate(made, made.creatives[0], SLOT)


def opportunity(**changes: Any) -> Opportunity:
    facts: dict[str, Any] = {
        "request_id": "r1",
        "imp_id": "1",
        "slots": (SLOT,),
        "user_id": "u1",
        "country": "DEU",
        "device_kind": "phone",
        "categories": (17,),
        "floor_micros": 500,
        "user_agent": "Mozilla/5.0 (iPhone)",
        "ip": "198.18.1.1",
    }
    return Opportunity(**(facts | changes))


def fallbacks() -> Fallbacks:
    return Fallbacks(lambda _opportunity: DEFAULT_VECTOR, lambda _candidates: (0, 0.001))


def rules(**changes: Any) -> DecisionRules:
    facts: dict[str, Any] = {
        "shares": SHARES,
        "retry_pause_s": 0.001,
        "price_cap_micros": 50_000,
        "unvetted_cap_micros": 2_000,
        "fallbacks": fallbacks(),
    }
    return DecisionRules(**(facts | changes))


def decision(**changes: Any) -> Decision:
    """A decision with 100 ms, begun at second 0, that has asked its first question."""
    facts: dict[str, Any] = {
        "rules": rules(),
        "opportunity": opportunity(),
        "eligible": eligible_of([candidate("shoes"), candidate("hats")]),
        "key": "b-1",
        "started_s": 0.0,
        "deadline_s": 0.1,
    }
    made = Decision(**(facts | changes))
    made.begin(0.0)
    return made


GOOD_ANSWERS = {
    0: Vetted(valid=True),
    1: Profiled(VECTOR, "model", "p1"),
    2: Funded({"shoes": 10_000, "hats": 10_000}, {"shoes": BudgetView(0.5)}),
    3: Selected(0, 0.7, 0.01, "s1"),
    4: Priced(3_000, 3_300.0, "o1"),
    5: Cleared(),
    6: Reserved("b-1", ok=True, lease_id="lease-1"),
}
