"""Oversight: each hard rule vetoes by itself, whatever else is right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.opportunity import Slot
from models.oversight import VETOES, OversightRules
from tests.models.helpers import campaign, candidate, creative, opportunity

RULES = OversightRules()

#: (rules, campaign facts, opportunity facts, bid, the veto)
CASES: list[tuple[OversightRules, dict[str, Any], dict[str, Any], int, str | None]] = [
    (RULES, {}, {}, 1_000, None),
    (RULES, {}, {}, 0, "no_price"),
    (RULES, {}, {}, 9_001, "above_price_cap"),
    (RULES, {"max_bid_micros": 1_000}, {}, 1_001, "above_price_cap"),
    (RULES, {}, {"floor_micros": 1_001}, 1_000, "below_floor"),
    (RULES, {}, {"currency": "EUR"}, 1_000, "currency"),
    (RULES, {}, {"seats": frozenset({"other"})}, 1_000, "seat_not_allowed"),
    (RULES, {}, {"seats": frozenset({"bidwright"})}, 1_000, None),
    (RULES, {}, {"private": True}, 1_000, "private_auction"),
    (RULES, {}, {"slots": (Slot("banner", 728, 90),)}, 1_000, "does_not_fit"),
    (RULES, {}, {"blocked_categories": frozenset({"IAB8"})}, 1_000, "blocked_category"),
    (RULES, {}, {"blocked_advertisers": frozenset({"a.example"})}, 1_000, "blocked_advertiser"),
    (
        RULES,
        {"creatives": (creative(attributes=(8,)),)},
        {"blocked_attributes": frozenset({8})},
        1_000,
        "blocked_attribute",
    ),
    (
        RULES,
        {"creatives": (creative(adm="http://x"),)},
        {"secure": True},
        1_000,
        "no_secure_markup",
    ),
    (RULES, {"needs_consent": True}, {"gdpr": True}, 1_000, "no_consent"),
    (RULES, {"sensitive": True}, {"coppa": True}, 1_000, "children"),
    (RULES, {"sensitive": True}, {}, 1_000, None),
    (OversightRules(require_approval=True), {"sensitive": True}, {}, 1_000, "needs_approval"),
    (
        OversightRules(require_approval=True, approved=frozenset({"c1"})),
        {"sensitive": True},
        {},
        1_000,
        None,
    ),
]


@pytest.mark.parametrize(("rules", "facts", "request_facts", "bid", "veto"), CASES)
def test_a_broken_rule_is_a_veto(
    rules: OversightRules,
    facts: dict[str, Any],
    request_facts: dict[str, Any],
    bid: int,
    veto: str | None,
) -> None:
    ad = candidate(campaign(**facts))
    assert rules.check(opportunity(**request_facts), ad, bid, 9_000) == veto


def test_every_veto_has_a_case() -> None:
    assert {case[-1] for case in CASES} - {None} == set(VETOES)


@given(bid=st.integers(-10, 100_000), cap=st.integers(0, 50_000), floor=st.integers(0, 50_000))
def test_no_bid_outside_of_floor_and_cap_is_ever_cleared(bid: int, cap: int, floor: int) -> None:
    veto = RULES.check(opportunity(floor_micros=floor), candidate(), bid, cap)
    assert (veto is None) == (bid > 0 and floor <= bid <= min(cap, 20_000))
