"""The index finds exactly what a search through all ads finds, however it has filed them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.campaigns import Campaign, Creative, Targeting
from models.eligibility import CampaignIndex
from models.eligibility.rules import REASONS
from models.eligibility.view import View
from models.opportunity import DealTerms, Opportunity, Slot
from tests.models.eligibility_twin import eligible_ids
from tests.models.helpers import campaign, creative, opportunity, video

if TYPE_CHECKING:
    from models.eligibility.ads import Ad

T0 = 1_800_000_000
DOMAINS = ("a.example", "shop.a.example", "b.example", "x.b.example")
BUNDLES = ("com.a", "com.b")
CODES = ("IAB1", "IAB1-2", "IAB2-1", "IAB3")
NUMBERS = ("1", "2", "3")


def few(*values: Any, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    """Nothing as often as something, as most campaigns leave most open."""
    some = st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)
    return st.just(()) | some.map(tuple)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


MOMENTS = maybe(st.integers(-3, 6).map(lambda at: datetime.fromtimestamp(T0 + at * 100, UTC)))
TARGETS = st.builds(
    Targeting,
    countries=few("DEU", "FRA", "USA"),
    regions=few("DEU-BE", "USA-CA"),
    cities=few("DEU-berlin"),
    device_kinds=few("phone", "tv"),
    os=few("ios", "android"),
    languages=few("de", "en"),
    categories=few(*CODES),
    categories_in=st.sampled_from([{}, {7: ("1", "2")}, {6: ("1",)}]),
    blocked_categories=few(*CODES),
    domains=few(*DOMAINS),
    blocked_domains=few(*DOMAINS),
    bundles=few(*BUNDLES),
    blocked_bundles=few(*BUNDLES),
    segments=few("s1", "s2", "s3"),
    blocked_segments=few("s4", "s5"),
    formats=few("banner", "video"),
    hours=few(*range(6), most=5),
    days=few(0, 1, 2),
    exchanges=few("adx", "pub"),
)
#: Campaigns that narrow one or two things, of which a good part match.
LIGHT = st.builds(
    lambda name, full: Targeting(**{name: getattr(full, name)}),
    st.sampled_from(Targeting.__struct_fields__),
    TARGETS,
)
BANNERS = st.builds(
    creative,
    w=st.sampled_from([300, 300, 728]),
    language=st.sampled_from(["", "", "de", "en"]),
    attributes=few(1, 2, 3),
    adm=st.sampled_from(["<b>", "http://a"]),
    landing_url=st.sampled_from(["", "https://go.b.example/x"]),
    refused_by=few("adx", "pub"),
)
VIDEOS = st.builds(video, duration_s=st.sampled_from([15, 30]), language=st.just(""))
CAMPAIGNS = st.builds(
    campaign,
    st.one_of(BANNERS, BANNERS, VIDEOS),
    st.one_of(BANNERS, VIDEOS),
    targeting=st.one_of(st.just(Targeting()), LIGHT, LIGHT, TARGETS),
    advertiser_domain=st.sampled_from(DOMAINS),
    categories=few(*CODES),
    categories_in=st.sampled_from([{}, {8: ("1",)}, {8: ("2", "3"), 3: ("1",)}]),
    seat=st.sampled_from(["s1", "s2"]),
    deals=few("d1", "d2"),
    open_auction=st.booleans(),
    advertised_bundle=st.sampled_from(["", "", "com.a"]),
    sensitive=st.booleans(),
    needs_consent=st.booleans(),
    active=st.sampled_from([True, True, True, False]),
    starts_at=MOMENTS,
    ends_at=MOMENTS,
)
SLOTS = st.sampled_from(
    [
        Slot("banner", 300, 250),
        Slot("banner", 300, 250, blocked_attributes=frozenset({1})),
        Slot("banner", 728, 250),
        Slot("video", 640, 360, max_s=20),
        Slot("native"),
    ]
)
DEALS = st.builds(
    DealTerms,
    st.sampled_from(["d1", "d2", "d3"]),
    seats=maybe(st.frozensets(st.sampled_from(["s1", "s2"]))),
    advertisers=maybe(st.frozensets(st.sampled_from(DOMAINS), min_size=1)),
)
CONTENT = st.sampled_from([(1, "IAB1"), (1, "IAB1-2"), (1, "IAB3"), (7, "1"), (6, "1")])
ASKED = st.builds(
    opportunity,
    slots=st.lists(SLOTS, min_size=1, max_size=3).map(tuple),
    country=st.sampled_from(["DEU", "FRA", ""]),
    region=st.sampled_from(["BE", "CA", ""]),
    city=st.sampled_from(["berlin", ""]),
    device_kind=st.sampled_from(["phone", "tv"]),
    os=st.sampled_from(["ios", ""]),
    language=st.sampled_from(["de", "en", ""]),
    content=st.frozensets(CONTENT, max_size=3),
    domain=st.sampled_from([*DOMAINS, "elsewhere.example", ""]),
    segments=st.frozensets(st.sampled_from(["s1", "s2", "s4", "s6"])),
    hour=st.integers(0, 5),
    day=st.integers(0, 2),
    deal=maybe(DEALS),
    category_taxonomy=st.sampled_from([1, 1, 8]),
    blocked_categories=st.frozensets(st.sampled_from([*CODES, *NUMBERS]), max_size=2),
    allowed_categories=maybe(st.frozensets(st.sampled_from([*CODES, *NUMBERS]))),
    blocked_advertisers=st.frozensets(st.sampled_from(DOMAINS), max_size=1),
    blocked_apps=st.frozensets(st.sampled_from(BUNDLES), max_size=1),
    blocked_attributes=st.frozensets(st.sampled_from([2, 3]), max_size=1),
    allowed_languages=maybe(st.frozensets(st.sampled_from(["de", "en"]))),
    secure=st.booleans(),
    private=st.sampled_from([False, False, False, True]),
    exchange=st.sampled_from(["adx", "other", ""]),
    coppa=st.booleans(),
    personal=st.booleans(),
    seats=maybe(st.frozensets(st.sampled_from(["s1", "s2"]))),
    blocked_seats=st.frozensets(st.sampled_from(["s1"])),
)
EASY = st.builds(
    opportunity,
    slots=st.just((Slot("banner", 300, 250), Slot("video", 640, 360))),
    country=st.sampled_from(["DEU", "FRA"]),
    domain=st.sampled_from(DOMAINS),
    hour=st.integers(0, 5),
    exchange=st.just("adx"),
    blocked_categories=st.sampled_from([frozenset(), frozenset({"IAB1"})]),
)


def named(campaigns: list[Campaign]) -> list[Campaign]:
    """Give campaigns and creatives ids of their own."""
    return [
        msgspec.structs.replace(
            each,
            id=f"c{number}",
            creatives=tuple(
                msgspec.structs.replace(ad, id=f"k{number}-{at}")
                for at, ad in enumerate(each.creatives)
            ),
        )
        for number, each in enumerate(campaigns)
    ]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    campaigns=st.lists(CAMPAIGNS, max_size=60).map(named),
    traffic=st.lists(
        st.tuples(st.one_of(ASKED, EASY), maybe(st.integers(-4, 7))), min_size=1, max_size=12
    ),
)
def test_the_index_finds_what_a_search_through_all_ads_finds(
    campaigns: list[Campaign], traffic: list[tuple[Opportunity, int | None]]
) -> None:
    index = CampaignIndex(campaigns)
    for asked, at in traffic:
        now_s = None if at is None else T0 + at * 100.0
        found = index.candidates(asked, now_s)
        expected = eligible_ids(campaigns, asked, now_s)
        ids = [each.creative.id for each in found]
        assert len(ids) == len(set(ids))
        assert set(ids) == expected
        assert all(each.slot in asked.slots for each in found)
        served = {each.campaign.id for each in found}
        why = index.why(asked, now_s)
        assert set(why) == {each.id for each in campaigns} - served
        if campaigns and not found:
            reasons = set(why.values())
            assert index.why_none(asked, now_s) == max(reasons, key=REASONS.index)


def crowd(count: int, **facts: Any) -> list[Campaign]:
    return [
        campaign(creative(id=f"k{number}"), id=f"c{number}", **facts) for number in range(count)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "asked"),
    [
        (lambda at: {"targeting": Targeting(countries=(f"C{at % 90}",))}, {"country": "DEU"}),
        (lambda at: {"targeting": Targeting(domains=(f"s{at}.example",))}, {"domain": "a.b"}),
        (lambda at: {"deals": (f"d{at}",), "open_auction": False}, {}),
        (
            lambda at: {"targeting": Targeting(segments=(f"s{at}", f"s{at + 1}", "x"))},
            {"segments": frozenset(f"t{at}" for at in range(50))},
        ),
        (
            lambda at: {"targeting": Targeting(hours=tuple(range(at % 11, at % 11 + 9)))},
            {"hour": 22},
        ),
        (lambda at: {"targeting": Targeting(blocked_domains=("a.b", f"s{at}"))}, {"domain": "a.b"}),
        (
            lambda at: {"categories": (f"IAB{at % 20 + 1}-{at % 7 + 1}",)},
            {"blocked_categories": frozenset(f"IAB{at}" for at in range(1, 21))},
        ),
        (
            lambda at: {"categories": (f"IAB{at % 20 + 1}-{at % 7 + 1}",)},
            {"allowed_categories": frozenset({"IAB26"})},
        ),
        (lambda at: {"needs_consent": True}, {"personal": False}),
        (
            lambda at: {"ends_at": datetime.fromtimestamp(T0 - 60 * at, UTC)},
            {},
        ),
        (
            lambda at: {"starts_at": datetime.fromtimestamp(T0 + 1 + 60 * at, UTC)},
            {},
        ),
    ],
)
def test_a_search_tries_few_of_many_ads_that_do_not_match(
    other: Any, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    many = named([each for at in range(3_000) for each in crowd(1, **other(at))])
    index = CampaignIndex([*many, campaign(categories=("IAB26",), id="the one")])
    tried = []
    refusal = View.refusal

    def counted(view: View, ad: Ad) -> str | None:
        tried.append(ad)
        return refusal(view, ad)

    monkeypatch.setattr(View, "refusal", counted)
    found = index.candidates(opportunity(**asked), float(T0))
    assert [each.campaign.id for each in found] == ["the one"]
    assert len(tried) <= 24


def test_ads_that_no_rule_tells_apart_are_tried_once() -> None:
    like = [creative(id=f"k{at}", title=str(at)) for at in range(5)]
    index = CampaignIndex([campaign(*like, creative(id="other", language="de"))])
    (ads,) = index._ads.values()
    assert [len(ad.creatives) for ad in ads] == [5, 1]
    assert [each.creative.id for each in index.candidates(opportunity())] == [
        *(ad.id for ad in like),
        "other",
    ]


def test_the_reason_among_many_is_that_of_one_that_came_far() -> None:
    many = [
        *crowd(300, targeting=Targeting(countries=("FRA",))),
        campaign(creative(id="x"), id="x", sensitive=True),
    ]
    index = CampaignIndex(named(many))
    assert index.why_none(opportunity(country="DEU", coppa=True)) == "children"
    assert index.why_none(opportunity(country="DEU", coppa=True, os="ios")) == "children"


def test_creatives_with_unlike_forms_are_unlike() -> None:
    short: Creative = video(id="a", duration_s=15)
    long: Creative = video(id="b", duration_s=30)
    index = CampaignIndex([campaign(short, long)])
    found = index.candidates(opportunity(slots=(Slot("video", max_s=20),)))
    assert [each.creative.id for each in found] == ["a"]
