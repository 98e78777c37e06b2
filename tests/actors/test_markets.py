"""Deals, quantities, currencies and tests in a decision; which markets are looked at."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.decision import reasons
from actors.decision.eligible import eligible_of
from actors.decision.machine import Decision
from actors.decision.reasons import is_more_telling
from actors.decision.steps import CLEAR, FUND, PRICE
from actors.messages import Cleared, Funded, Price, Priced, Reserve
from actors.reading.looks import held_deals, looks_of
from models.opportunity import DealTerms, DurationFloor, Floor, Slot
from models.optimizer.pricing import on_terms
from tests.actors.samples import GOOD_ANSWERS, campaign, opportunity, rules
from tests.models.helpers import candidate, video
from transport.openrtb import Banner, Deal, Imp, Pmp

FIXED = DealTerms("d", fixed=True)
OWED = DealTerms("d", guaranteed=True)
PLAIN = DealTerms("d")


def slot(floor_micros: int) -> Slot:
    return Slot("banner", 300, 250, floor=Floor(floor_micros))


def decide(
    priced: int = 3_000, spendable: int = 1_000_000, floor: int = 500, **facts: Any
) -> tuple[Decision, dict[type, Any]]:
    """Run a decision about one ad; return it with the questions that it asked."""
    form = slot(floor)
    look = opportunity(floor_micros=floor, slots=(form,), **facts)
    ads = [candidate(campaign(deals=("d",)), form)]
    made = Decision(rules(), look, eligible_of(ads), "b-1", 0.0, 0.1)
    answers = GOOD_ANSWERS | {
        PRICE: Priced(priced, 3_500.0),
        FUND: Funded({"shoes": spendable}),
        CLEAR: Cleared(),
    }
    asked: dict[type, Any] = {}
    made.begin(0.0)
    while made.outbox:
        step, question = made.outbox.pop(0)
        asked[type(question)] = question
        made.answered(answers[step], 0.0)
    return made, asked


@pytest.mark.parametrize(
    ("deal", "bid", "floor", "cap", "expected"),
    [
        (PLAIN, 3_000, 1_000, 9_000, 3_000),
        (PLAIN, 0, 1_000, 9_000, 0),
        (FIXED, 3_000, 1_000, 9_000, 1_000),
        (FIXED, 1_000, 1_000, 9_000, 1_000),
        (FIXED, 999, 1_000, 9_000, 0),
        (OWED, 0, 1_000, 9_000, 1_000),
        (OWED, 3_000, 1_000, 9_000, 3_000),
        (OWED, 0, 0, 9_000, 1),
        (OWED, 500, 1_000, 900, 500),  # the money does not allow it: below the floor, so no bid
        (DealTerms("d", fixed=True, guaranteed=True), 0, 1_000, 9_000, 1_000),
        (DealTerms("d", fixed=True, guaranteed=True), 5_000, 1_000, 9_000, 1_000),
    ],
)
def test_a_deals_terms_decide_the_price(
    deal: DealTerms, bid: int, floor: int, cap: int, expected: int
) -> None:
    assert on_terms(bid, floor, cap, deal) == expected


def test_a_guaranteed_deal_gets_its_floor_although_it_is_not_worth_it() -> None:
    made, _asked = decide(priced=0, deal=OWED)
    assert made.bid is not None
    assert made.bid.bid_micros == 500


def test_a_guaranteed_deal_without_the_money_gets_none() -> None:
    made, _asked = decide(priced=0, spendable=499, deal=OWED)
    assert made.reason == reasons.NO_BUDGET


def test_an_agreed_price_is_bid_exactly_or_not_at_all() -> None:
    made, _asked = decide(priced=3_000, deal=FIXED)
    assert made.bid is not None
    assert made.bid.bid_micros == 500
    assert decide(priced=400, deal=FIXED)[0].reason == reasons.BELOW_FLOOR


def test_a_deal_at_an_agreed_price_that_names_none_ends_at_once() -> None:
    made, asked = decide(floor=0, deal=FIXED)
    assert (made.reason, asked) == (reasons.NO_AGREED_PRICE, {})


def test_a_play_for_many_reserves_the_price_of_all_and_bids_the_price_of_one() -> None:
    made, asked = decide(quantity=30.3)
    assert made.bid is not None
    assert (made.bid.bid_micros, made.bid.cost_micros) == (3_000, 90_900)
    assert asked[Reserve].amount_micros == 90_900


def test_money_is_enough_only_if_it_covers_all_impressions_of_a_play() -> None:
    made, asked = decide(quantity=10.0, spendable=20_000)
    assert made.bid is not None
    assert asked[Price].spendable_micros == 2_000
    assert made.bid.bid_micros == 2_000
    assert decide(quantity=10.0, spendable=4_999)[0].reason == reasons.NO_BUDGET


def test_what_a_foreign_currency_rounds_up_is_reserved() -> None:
    made, _asked = decide(currency="EUR", currency_micros=1_100_000)
    assert made.bid is not None
    assert made.bid.cost_micros == 3_001


def test_a_test_is_bid_on_and_nothing_is_reserved() -> None:
    made, asked = decide(test=True)
    assert made.bid is not None
    assert made.bid.lease_id == ""
    assert Reserve not in asked
    assert not made.may_hold_money


def test_an_ad_whose_own_floor_is_above_its_cap_is_not_chosen() -> None:
    floor = Floor(0, 0, (DurationFloor(0, 20, 500), DurationFloor(21, 0, 30_000)))
    form = Slot("video", mimes=("video/mp4",), floor=floor)
    short = candidate(campaign("short", creatives=(video(id="s", duration_s=15),)), form)
    long = candidate(campaign("long", creatives=(video(id="l", duration_s=30),)), form)
    look = opportunity(floor_micros=0, slots=(form,))
    made = Decision(rules(), look, eligible_of([long, short]), "b-1", 0.0, 0.1)
    made.begin(0.0)
    while made.outbox and not made.affordable:
        step, _question = made.outbox.pop(0)
        made.answered((GOOD_ANSWERS | {FUND: Funded({"short": 9_000, "long": 9_000})})[step], 0.0)
    assert [each.campaign.id for each in made.affordable] == ["short"]


@given(
    st.integers(0, 60_000),
    st.integers(0, 60_000),
    st.integers(0, 10**6),
    st.sampled_from([None, PLAIN, FIXED, OWED, DealTerms("d", fixed=True, guaranteed=True)]),
    st.sampled_from([1.0, 0.5, 3.7]),
)
def test_no_bid_is_below_its_floor_or_above_the_money(
    priced: int, floor: int, spendable: int, deal: DealTerms | None, quantity: float
) -> None:
    made, _asked = decide(priced, spendable, floor, deal=deal, quantity=quantity)
    assert made.finished
    if made.bid is None:
        assert made.reason
        return
    assert floor <= made.bid.bid_micros <= 20_000
    assert made.bid.cost_micros <= spendable
    if deal is not None and deal.fixed:
        assert made.bid.bid_micros == floor


# --- which markets -------------------------------------------------------------------------------


def imp(*deals: str, private: int = 0) -> Imp:
    return Imp("1", banner=Banner(w=1, h=1), pmp=Pmp(private, tuple(Deal(each) for each in deals)))


@pytest.mark.parametrize(
    ("offered", "looks"),
    [
        (Imp("1"), [None]),
        (imp(), [None]),
        (imp("x"), [None]),
        (imp("a"), [None, "a"]),
        (imp("a", "x", "b"), [None, "a", "b"]),
        (imp("a", "b", "c", "d"), [None, "a", "b"]),
        (imp("a", "a"), [None, "a"]),
        (imp("a", private=1), ["a"]),
        (imp("x", private=1), [None]),
        (imp(private=1), [None]),
    ],
)
def test_the_open_auction_and_each_deal_of_ours_are_looked_at(
    offered: Imp, looks: list[str | None]
) -> None:
    found = looks_of(offered, frozenset("abcd"), 2)
    assert [each if each is None else each.id for each in found] == looks


def test_no_deals_are_looked_at_where_none_may_be() -> None:
    assert looks_of(imp("a"), frozenset("a"), 0) == (None,)


def test_deals_of_paused_campaigns_are_not_ours() -> None:
    ours = [campaign("a", deals=("x", "y")), campaign("b", deals=("z",), active=False)]
    assert held_deals(ours) == {"x", "y"}


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("no_candidate:country", ""),
        ("no_candidate:country", "no_candidate:private_auction"),
        ("no_candidate:country", "no_candidate:not_in_open_auction"),
        ("no_budget", "no_candidate:country"),
        ("below_floor", "no_budget"),
        ("vetoed:children", "below_floor"),
        ("out_of_time", "vetoed:children"),
        ("decider_died", "out_of_time"),
    ],
)
def test_the_look_that_came_further_tells_more(more: str, less: str) -> None:
    assert is_more_telling(more, less)
    assert not is_more_telling(less, more)
    assert not is_more_telling(more, more)
