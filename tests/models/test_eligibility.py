"""Eligibility: every rule leaves out what it must, and says so when nothing is left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from config.campaigns import Targeting, load_campaigns
from config.creatives import NativeParts
from models.eligibility import CampaignIndex, is_blocked_domain
from models.opportunity import DealTerms, NativeAsset, NativeForm, Slot
from tests.models.helpers import MPU, campaign, creative, opportunity, video

NATIVE = Slot("native", native=NativeForm((NativeAsset(1, "title", required=True),)))
IN_2026 = datetime(2026, 1, 1, tzinfo=UTC)

#: (campaign facts, opportunity facts, the reason why nothing is left)
REFUSALS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"private": True}, "private_auction"),
    ({"active": False}, {}, "no_active_campaign"),
    ({}, {"slots": (Slot("banner", 728, 90),)}, "no_creative_of_size"),
    ({}, {"slots": (Slot("banner"),)}, "no_creative_of_size"),
    ({"targeting": Targeting(countries=("USA",))}, {"country": "FRA"}, "country"),
    ({"targeting": Targeting(device_kinds=("tv",))}, {"device_kind": "phone"}, "device"),
    ({"targeting": Targeting(os=("ios",))}, {"os": "android"}, "os"),
    ({"targeting": Targeting(hours=(9,))}, {"hour": 10}, "hour"),
    ({"targeting": Targeting(categories=("IAB2",))}, {"categories": (0,)}, "content_category"),
    ({"creatives": (creative(language="de"),)}, {"language": "en"}, "language"),
    ({}, {"blocked_categories": frozenset({"IAB8"})}, "blocked_category"),
    ({}, {"blocked_categories": frozenset({"IAB8-5"})}, "blocked_category"),
    ({}, {"blocked_advertisers": frozenset({"a.example"})}, "blocked_advertiser"),
    (
        {"creatives": (creative(attributes=(3,)),)},
        {"blocked_attributes": frozenset({3})},
        "blocked_attribute",
    ),
    ({"creatives": (creative(adm="http://a"),)}, {"secure": True}, "no_secure_markup"),
    ({"needs_consent": True}, {"personal": False}, "no_consent"),
    ({"targeting": Targeting(exchanges=("adx",))}, {"exchange": "pub"}, "exchange"),
    ({"targeting": Targeting(exchanges=("adx",))}, {}, "exchange"),
    ({"creatives": (creative(refused_by=("adx",)),)}, {"exchange": "adx"}, "not_approved"),
    ({"targeting": Targeting(regions=("USA-CA",))}, {"country": "USA", "region": "NY"}, "region"),
    ({"targeting": Targeting(regions=("USA-CA",))}, {"country": "AUS", "region": "CA"}, "region"),
    ({"targeting": Targeting(cities=("DEU-berlin",))}, {"country": "DEU", "city": "bonn"}, "city"),
    ({"targeting": Targeting(languages=("de",))}, {"language": "en"}, "language"),
    ({"targeting": Targeting(languages=("de",))}, {}, "language"),
    ({"targeting": Targeting(days=(6,))}, {"day": 0}, "day"),
    ({"targeting": Targeting(domains=("a.example",))}, {"domain": "aa.example"}, "domain"),
    ({"targeting": Targeting(blocked_domains=("b.example",))}, {"domain": "x.b.example"}, "domain"),
    ({"targeting": Targeting(bundles=("com.a",))}, {"bundle": "com.a.b"}, "bundle"),
    ({"targeting": Targeting(bundles=("com.a",))}, {"domain": "com.a"}, "bundle"),
    ({"targeting": Targeting(domains=("com.a",))}, {"bundle": "com.a"}, "domain"),
    ({"targeting": Targeting(blocked_bundles=("com.a",))}, {"bundle": "com.a"}, "bundle"),
    (
        {"targeting": Targeting(blocked_categories=("IAB25",))},
        {"content": frozenset({(1, "IAB25"), (1, "IAB25-3")})},
        "content_category",
    ),
    (
        {"targeting": Targeting(categories_in={6: ("12",)})},
        {"content": frozenset({(7, "12")})},
        "content_category",
    ),
    ({"targeting": Targeting(segments=("dmp:1",))}, {"segments": frozenset({"2"})}, "segment"),
    ({"targeting": Targeting(blocked_segments=("2",))}, {"segments": frozenset({"2"})}, "segment"),
    ({"deals": ("d1",)}, {"deal": DealTerms("d2")}, "deal"),
    ({}, {"deal": DealTerms("d2")}, "deal"),
    ({"deals": ("d1",), "open_auction": False}, {}, "not_in_open_auction"),
    ({"open_auction": False}, {}, "not_in_open_auction"),
    ({"seat": "s1"}, {"seats": frozenset({"s2"})}, "seat"),
    ({"seat": "s1"}, {"blocked_seats": frozenset({"s1"})}, "seat"),
    ({"deals": ("d",)}, {"deal": DealTerms("d", seats=frozenset({"s2"}))}, "seat"),
    (
        {"deals": ("d",)},
        {"deal": DealTerms("d", advertisers=frozenset({"b.example"}))},
        "advertiser_not_in_deal",
    ),
    ({}, {"allowed_categories": frozenset({"IAB8-6"})}, "category_not_allowed"),
    ({}, {"allowed_categories": frozenset()}, "category_not_allowed"),
    ({}, {"blocked_categories": frozenset({"1"}), "category_taxonomy": 8}, "category_unknown"),
    ({}, {"allowed_categories": frozenset({"1"}), "category_taxonomy": 8}, "category_unknown"),
    ({"categories": ()}, {"blocked_categories": frozenset({"IAB1"})}, "category_unknown"),
    (
        {"categories_in": {8: ("1006", "1002")}},
        {"blocked_categories": frozenset({"1002"}), "category_taxonomy": 8},
        "blocked_category",
    ),
    (
        {"creatives": (creative(landing_url="https://buy.b.example/x"),)},
        {"blocked_advertisers": frozenset({"b.example"})},
        "blocked_advertiser",
    ),
    ({"advertised_bundle": "com.Shop"}, {"blocked_apps": frozenset({"com.shop"})}, "blocked_app"),
    (
        {"creatives": (creative(attributes=(3,)),)},
        {"slots": (Slot("banner", 300, 250, blocked_attributes=frozenset({3})),)},
        "blocked_attribute",
    ),
    (
        {"creatives": (creative(language="de"),)},
        {"allowed_languages": frozenset({"en"})},
        "language_not_allowed",
    ),
    ({"creatives": (video(),)}, {"slots": (Slot("video", max_s=14),)}, "duration"),
    ({"creatives": (video(),)}, {"slots": (Slot("video", linearity=2),)}, "media_not_accepted"),
    ({"sensitive": True}, {"coppa": True}, "children"),
]


@pytest.mark.parametrize(("facts", "request_facts", "reason"), REFUSALS)
def test_a_rule_leaves_an_ad_out_and_gives_its_reason(
    facts: dict[str, Any], request_facts: dict[str, Any], reason: str
) -> None:
    index = CampaignIndex([campaign(**facts)])
    asked = opportunity(**request_facts)
    assert index.candidates(asked) == []
    assert index.why_none(asked) == reason


def test_an_ad_that_meets_all_rules_is_a_candidate() -> None:
    wishes = Targeting(
        countries=("USA",), device_kinds=("phone",), os=("ios",), categories=("IAB3",), hours=(7,)
    )
    asked = opportunity(
        country="USA", device_kind="phone", os="ios", categories=(1, 2), hour=7, language="de-AT"
    )
    index = CampaignIndex([campaign(creative(language="de"), targeting=wishes)])
    (found,) = index.candidates(asked)
    assert (found.campaign.id, found.creative.id, found.slot) == ("c1", "k1", MPU)


@pytest.mark.parametrize(
    ("slot", "fits"),
    [
        (Slot("video"), True),
        (Slot("video", mimes=("video/webm",)), False),
        (Slot("video", mimes=("video/webm", "video/mp4"), min_s=15, max_s=15), True),
        (Slot("video", max_s=14), False),
        (Slot("video", min_s=16), False),
        (Slot("audio"), False),
    ],
)
def test_video_needs_an_accepted_type_and_duration(slot: Slot, *, fits: bool) -> None:
    index = CampaignIndex([campaign(video())])
    asked = opportunity(slots=(slot,))
    assert bool(index.candidates(asked)) is fits
    if not fits:
        whys = {"media_not_accepted", "duration", "no_creative_of_size"}
        assert index.why_none(asked) in whys


def test_the_reason_is_that_of_the_ad_which_came_furthest() -> None:
    near = campaign(creative(id="k2"), id="c2", sensitive=True)
    far = campaign(targeting=Targeting(countries=("USA",)))
    asked = opportunity(coppa=True, country="FRA")
    assert CampaignIndex([far, near]).why_none(asked) == "children"


def test_a_creative_that_fits_two_slots_is_one_candidate() -> None:
    slots = (NATIVE, NATIVE, MPU)
    parts = NativeParts(titles=("t",))
    native = creative(id="n1", format="native", w=0, h=0, adm="", native=parts)
    found = CampaignIndex([campaign(native, creative())]).candidates(opportunity(slots=slots))
    assert [one.creative.id for one in found] == ["n1", "k1"]


def test_targeted_formats_leave_other_creatives_out() -> None:
    index = CampaignIndex([campaign(creative(), video(), targeting=Targeting(formats=("video",)))])
    found = index.candidates(opportunity(slots=(MPU, Slot("video"))))
    assert [one.creative.id for one in found] == ["v1"]


@pytest.mark.parametrize(("second", "inside"), [(-1.0, False), (0.0, True), (86400.0, False)])
def test_a_flight_includes_its_start_and_excludes_its_end(second: float, *, inside: bool) -> None:
    flight = {"starts_at": IN_2026, "ends_at": datetime(2026, 1, 2, tzinfo=UTC)}
    index = CampaignIndex([campaign(**flight)])
    now_s = IN_2026.timestamp() + second
    assert bool(index.candidates(opportunity(), now_s)) is inside
    assert index.candidates(opportunity()) != []


@pytest.mark.parametrize(
    ("domain", "blocked"),
    [("a.com", True), ("shop.A.com", True), ("aa.com", False), ("com", False), ("", False)],
)
def test_a_block_of_a_domain_covers_its_subdomains(domain: str, *, blocked: bool) -> None:
    assert is_blocked_domain(domain, frozenset({"a.com"})) is blocked


def test_samples_have_something_for_every_format() -> None:
    index = CampaignIndex(load_campaigns())
    for slot in (MPU, Slot("video", max_s=30), NATIVE, Slot("audio", max_s=60)):
        asked = opportunity(slots=(slot,), country="USA", device_kind="phone")
        assert len(index.candidates(asked)) >= 2


#: (campaign facts, opportunity facts) that go together
MEETINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"targeting": Targeting(domains=("A.example",))}, {"domain": "shop.a.example"}),
    ({"targeting": Targeting(domains=("b.example",), bundles=("com.a",))}, {"bundle": "com.a"}),
    (
        {"targeting": Targeting(domains=("b.example",), bundles=("com.a",))},
        {"domain": "b.example"},
    ),
    ({"targeting": Targeting(blocked_domains=("b.example",))}, {"bundle": "b.example"}),
    ({"targeting": Targeting(categories=("IAB9",))}, {"content": frozenset({(1, "IAB9")})}),
    ({"targeting": Targeting(categories_in={6: ("1",)})}, {"content": frozenset({(6, "1")})}),
    ({"targeting": Targeting(segments=("a", "b"))}, {"segments": frozenset({"b", "c"})}),
    ({"creatives": (creative(language="de"),)}, {"language": ""}),
    ({"creatives": (creative(language=""),)}, {"allowed_languages": frozenset({"en"})}),
    ({"deals": ("d1",), "open_auction": False}, {"deal": DealTerms("d1"), "private": False}),
    ({"deals": ("d1",)}, {}),
    (
        {"deals": ("d",), "seat": "s"},
        {
            "deal": DealTerms("d", seats=frozenset({"s"}), advertisers=frozenset({"a.example"})),
            "seats": frozenset({"s", "t"}),
            "blocked_seats": frozenset({"t"}),
        },
    ),
    ({}, {"allowed_categories": frozenset({"IAB8"})}),
    ({"categories": ("IAB8",)}, {"blocked_categories": frozenset({"IAB8-5"})}),
    (
        {"categories_in": {8: ("1006",)}},
        {"blocked_categories": frozenset({"1007"}), "category_taxonomy": 8},
    ),
    ({"categories": ()}, {"category_taxonomy": 8}),
    ({"creatives": (creative(refused_by=("adx",)),)}, {"exchange": "other"}),
    ({"creatives": (creative(refused_by=("adx",)),)}, {}),
    ({"sensitive": True, "needs_consent": True}, {}),
    ({"creatives": (creative(attributes=(3,)),)}, {"blocked_attributes": frozenset({4})}),
]


@pytest.mark.parametrize(("facts", "request_facts"), MEETINGS)
def test_what_meets_the_rules_is_let_in(
    facts: dict[str, Any], request_facts: dict[str, Any]
) -> None:
    index = CampaignIndex([campaign(**facts)])
    assert len(index.candidates(opportunity(**request_facts))) == 1
    assert index.why(opportunity(**request_facts)) == {}


def test_every_refused_campaign_has_a_reason_and_no_other() -> None:
    asleep, big = creative(id="k2"), creative(id="k3", w=728, h=90)
    several = campaign(big, creative(id="k4", language="fr"), id="several")
    abroad = campaign(creative(id="k5"), id="abroad", targeting=Targeting(countries=("USA",)))
    index = CampaignIndex([campaign(), campaign(asleep, id="off", active=False), several, abroad])
    assert index.why(opportunity(country="DEU", language="de")) == {
        "off": "no_active_campaign",
        "several": "language",
        "abroad": "country",
    }
    private = index.why(opportunity(private=True))
    assert set(private.values()) == {"private_auction"}
    assert len(private) == 4
