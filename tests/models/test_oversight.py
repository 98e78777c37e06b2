"""Oversight: each hard rule vetoes by itself, whatever else is right."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.opportunity import DealTerms, Floor, Slot
from models.oversight import VETOES, OversightRules
from tests.models.helpers import campaign, candidate, creative, opportunity, video

RULES = OversightRules()


def case(
    veto: str | None,
    ad: dict[str, Any] | None = None,
    bid: int = 1_000,
    rules: OversightRules = RULES,
    **request: Any,
) -> tuple[OversightRules, dict[str, Any], dict[str, Any], int, str | None]:
    """Return (rules, campaign facts, opportunity facts, bid, the veto)."""
    return rules, ad or {}, request, bid, veto


def slot(**changes: Any) -> Slot:
    return Slot("banner", 300, 250, **changes)


SLOT = Slot("banner", 300, 250)
DEAL = DealTerms("d")
OURS = {"deals": ("d",)}
STRICT = OversightRules(require_approval=True)
LENIENT = OversightRules(require_approval=True, approved=frozenset({"c1"}))

CASES = [
    case(None),
    case("no_price", bid=0),
    case("above_price_cap", bid=9_001),
    case("above_price_cap", {"max_bid_micros": 1_000}, bid=1_001),
    case("below_floor", floor_micros=1_001),
    case("currency", currency="XAU", currency_micros=0),
    case(None, currency="EUR", currency_micros=1_100_000),
    case("seat_not_allowed", seats=frozenset({"other"})),
    case("seat_not_allowed", blocked_seats=frozenset({"bidwright"})),
    case(None, seats=frozenset({"bidwright"}), blocked_seats=frozenset({"other"})),
    case(None, {"seat": "other"}, seats=frozenset({"other"})),
    case("private_auction", private=True),
    case("not_in_open_auction", {"open_auction": False}),
    case(None, OURS | {"open_auction": False}, deal=DEAL),
    case("deal_not_ours", deal=DEAL),
    case(None, OURS, deal=DealTerms("d", seats=frozenset({"bidwright"}))),
    case("seat_not_in_deal", OURS, deal=DealTerms("d", seats=frozenset({"other"}))),
    case(None, OURS, deal=DealTerms("d", advertisers=frozenset({"a.example"}))),
    case("advertiser_not_in_deal", OURS, deal=DealTerms("d", advertisers=frozenset({"b.example"}))),
    case("does_not_fit", slots=(Slot("banner", 728, 90),)),
    case("does_not_fit", {"creatives": (creative(apis=(7,)),)}),
    case("not_approved", {"creatives": (creative(refused_by=("adx",)),)}, exchange="adx"),
    case(None, {"creatives": (creative(refused_by=("adx",)),)}, exchange="other"),
    case("blocked_category", blocked_categories=frozenset({"IAB8"})),
    case("blocked_category", blocked_categories=frozenset({"IAB8-5"})),
    case(None, blocked_categories=frozenset({"IAB8-6"})),
    case("category_not_allowed", allowed_categories=frozenset({"IAB9"})),
    case("category_not_allowed", allowed_categories=frozenset()),
    case(None, allowed_categories=frozenset({"IAB8"})),
    case("category_unknown", blocked_categories=frozenset({"210"}), category_taxonomy=6),
    case(
        "blocked_category",
        {"categories_in": {6: ("210",)}},
        blocked_categories=frozenset({"210"}),
        category_taxonomy=6,
    ),
    case(None, category_taxonomy=6),
    case("blocked_advertiser", blocked_advertisers=frozenset({"a.example"})),
    case(None, blocked_advertisers=frozenset({"p.a.example", "ple"})),
    case("blocked_app", {"advertised_bundle": "Com.Game"}, blocked_apps=frozenset({"com.game"})),
    case(
        "language_not_allowed",
        {"creatives": (creative(language="de"),)},
        allowed_languages=frozenset({"en"}),
    ),
    case(None, allowed_languages=frozenset({"en"})),
    case("no_secure_markup", {"creatives": (creative(adm="http://x"),)}, secure=True),
    case("no_consent", {"needs_consent": True}, personal=False),
    case("children", {"sensitive": True}, coppa=True),
    case(None, {"sensitive": True}),
    case("needs_approval", {"sensitive": True}, rules=STRICT),
    case(None, {"sensitive": True}, rules=LENIENT),
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
    in_slots = {"not_agreed_price", "blocked_attribute"}
    assert {each[-1] for each in CASES} - {None} == set(VETOES) - in_slots


def test_a_floor_is_that_of_the_slot_and_the_length() -> None:
    form = Slot("video", mimes=("video/mp4",), floor=Floor(per_s_micros=100))
    ad = candidate(campaign(video()), form)
    assert RULES.check(opportunity(slots=(form,)), ad, 1_499, 9_000) == "below_floor"
    assert RULES.check(opportunity(slots=(form,)), ad, 1_500, 9_000) is None


def test_an_agreed_price_is_neither_more_nor_less() -> None:
    form = slot(floor=Floor(1_000))
    ad = candidate(campaign(deals=("d",)), form)
    look = opportunity(slots=(form,), deal=DealTerms("d", fixed=True))
    assert RULES.check(look, ad, 1_000, 9_000) is None
    assert RULES.check(look, ad, 1_001, 9_000) == "not_agreed_price"


def test_an_attribute_is_blocked_where_its_own_slot_blocks_it() -> None:
    ad = campaign(creative(attributes=(8,)))
    form = slot(blocked_attributes=frozenset({8}))
    assert RULES.check(opportunity(slots=(form,)), candidate(ad, form), 1_000, 9_000) == (
        "blocked_attribute"
    )
    other = Slot("video", blocked_attributes=frozenset({8}))
    assert RULES.check(opportunity(slots=(SLOT, other)), candidate(ad), 1_000, 9_000) is None


@given(bid=st.integers(-10, 100_000), cap=st.integers(0, 50_000), floor=st.integers(0, 50_000))
def test_no_bid_outside_of_floor_and_cap_is_ever_cleared(bid: int, cap: int, floor: int) -> None:
    veto = RULES.check(opportunity(floor_micros=floor), candidate(), bid, cap)
    assert (veto is None) == (bid > 0 and floor <= bid <= min(cap, 20_000))
