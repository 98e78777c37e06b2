"""What a bid says on the wire."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.gateway.responses import NoticeForm, bid_of, price_cpm, response_of
from actors.messages import Bid as DecidedBid
from config.campaigns import Campaign
from config.creatives import Creative, MediaFile
from models.eligibility import Candidate
from models.opportunity import DealTerms, Opportunity, Slot

FORM = NoticeForm("https://edge.example", 30)
BANNER = Creative(
    id="b1",
    format="banner",
    w=300,
    h=250,
    title="t",
    landing_url="https://shop.example/",
    image_url="https://cdn.example/b.png",
    attributes=(3,),
    apis=(5, 6),
    language="de",
)
VIDEO = Creative(
    id="v1",
    format="video",
    w=1280,
    h=720,
    mimes=("video/mp4",),
    duration_s=15,
    title="t",
    landing_url="https://shop.example/",
    media=(MediaFile(url="https://cdn.example/v.mp4", mime="video/mp4", w=1280, h=720),),
)
CAMPAIGN = Campaign(
    id="c1",
    advertiser_domain="shop.example",
    name="Shop",
    categories=("IAB22",),
    categories_in={7: ("473",)},
    advertised_bundle="example.shop",
    budget_micros=1,
    default_bid_micros=1,
    max_bid_micros=1,
    value_per_conversion_micros=1,
    creatives=(BANNER, VIDEO),
)
SLOTS = {"banner": Slot("banner", 300, 250, apis=(3, 5)), "video": Slot("video", protocols=(2, 3))}


def bid(creative: Creative = BANNER, micros: int = 2_000, **changes: Any) -> Any:
    slot = SLOTS[creative.format]
    opportunity = Opportunity(request_id="r", imp_id="i1", slots=(slot,), **changes)
    decided = DecidedBid("key", "lease", micros, Candidate(CAMPAIGN, creative, slot))
    return bid_of(FORM, opportunity, decided, "TOKEN")


def test_a_banner_bid_names_ad_advertiser_and_addresses() -> None:
    made = bid()
    assert (made.id, made.impid, made.price, made.mtype) == ("TOKEN", "i1", 2.0, 1)
    assert (made.cid, made.crid, made.adid, made.adomain) == ("c1", "b1", "b1", ("shop.example",))
    assert (made.cat, made.cattax, made.attr, made.apis) == (("IAB22",), 1, (3,), (5,))
    assert (made.w, made.h, made.language, made.bundle) == (300, 250, "de", "example.shop")
    assert made.iurl == "https://cdn.example/b.png"
    assert made.dealid == ""
    price = "p=${AUCTION_PRICE}"
    assert made.nurl.startswith(f"https://edge.example/notice/win?b=TOKEN&{price}")
    assert made.burl.startswith(f"https://edge.example/notice/billing?b=TOKEN&{price}")
    assert made.lurl.startswith(f"https://edge.example/notice/loss?b=TOKEN&{price}")
    assert "${AUCTION_LOSS}" in made.lurl
    assert "${AUCTION_MIN_TO_WIN}" in made.lurl
    assert "https://edge.example/view?b=TOKEN" in made.adm


def test_a_video_bid_is_billed_by_its_markup_and_not_by_a_second_address() -> None:
    made = bid(VIDEO)
    assert (made.mtype, made.dur, made.protocol) == (2, 15, 3)
    assert made.burl == ""
    assert "https://edge.example/notice/billing?b=TOKEN&p=${AUCTION_PRICE}" in made.adm


def test_ready_made_video_that_cannot_bill_keeps_the_billing_address() -> None:
    made = bid(replace(VIDEO, id="v2", media=(), adm="<VAST/>"))
    assert "/notice/billing?b=TOKEN" in made.burl


@pytest.mark.parametrize(("life_s", "exp"), [(0, 30), (10, 10), (600, 30)])
def test_a_bid_holds_as_long_as_the_exchange_waits_but_not_beyond_our_window(
    life_s: int, exp: int
) -> None:
    assert bid(life_s=life_s).exp == exp


@pytest.mark.parametrize(
    ("taxonomy", "said"), [(1, (1, ("IAB22",))), (7, (7, ("473",))), (6, (1, ("IAB22",)))]
)
def test_categories_are_in_the_requests_taxonomy_where_the_ad_has_one(
    taxonomy: int, said: tuple[int, tuple[str, ...]]
) -> None:
    made = bid(category_taxonomy=taxonomy)
    assert (made.cattax, made.cat) == said


def test_a_bid_on_a_deal_names_it() -> None:
    assert bid(deal=DealTerms("deal-7")).dealid == "deal-7"


def test_a_price_is_told_in_the_answers_currency() -> None:
    assert bid(micros=2_160, currency="EUR", currency_micros=1_080_000).price == 2.0


@given(
    st.integers(min_value=1, max_value=50_000_000),
    st.integers(min_value=100, max_value=50_000_000),
)
def test_a_converted_price_is_never_below_and_hardly_above_what_was_decided(
    bid_micros: int, currency_micros: int
) -> None:
    cpm = price_cpm(bid_micros, currency_micros)
    back_micros = cpm * currency_micros / 1000
    assert -1e-3 <= back_micros - bid_micros <= 1e-3 + currency_micros / 1e9


@given(
    st.decimals(min_value="0.01", max_value="500", places=2),
    st.integers(min_value=1_000, max_value=5_000_000),
)
def test_a_bid_at_the_floor_is_not_below_the_floor_as_it_was_written(
    floor: Any, currency_micros: int
) -> None:
    import math

    floor_micros = math.ceil(float(floor) * currency_micros / 1000 - 1e-9)
    assert price_cpm(floor_micros, currency_micros) >= float(floor) - 1e-6


def test_bids_are_grouped_by_the_seat_that_makes_them() -> None:
    first, second = bid(), bid(VIDEO)
    answer = response_of("r", {"a": [first], "b": [second, first]}, {}, currency="EUR")
    assert [(seat.seat, len(seat.bid)) for seat in answer.seatbid] == [("a", 1), ("b", 2)]
    assert (answer.cur, answer.bidid, answer.nbr) == ("EUR", "TOKEN", None)


def test_without_a_bid_the_answer_says_why() -> None:
    answer = response_of("r", {}, {"1": "no_candidate:country", "2": "no_budget"})
    assert answer.nbr is not None
    assert answer.ext is not None
    assert answer.ext["reason"] == "no_candidate:country"
    assert answer.ext["reasons"]["2"] == "no_budget"
