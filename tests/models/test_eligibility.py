"""Eligibility: every rule leaves out what it must, and says so when nothing is left."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.campaigns import Targeting, load_campaigns
from models.eligibility import CampaignIndex, is_blocked_domain, may_use_personal_data
from models.opportunity import Opportunity, Slot
from tests.models.helpers import MPU, campaign, creative, opportunity, video

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
    ({"needs_consent": True}, {"gdpr": True}, "no_consent"),
    ({"needs_consent": True}, {"limit_tracking": True}, "no_consent"),
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
        assert index.why_none(asked) in {"media_not_accepted", "no_creative_of_size"}


def test_the_reason_is_that_of_the_ad_which_came_furthest() -> None:
    near = campaign(creative(id="k2"), id="c2", sensitive=True)
    far = campaign(targeting=Targeting(countries=("USA",)))
    asked = opportunity(coppa=True, country="FRA")
    assert CampaignIndex([far, near]).why_none(asked) == "children"


def test_a_creative_that_fits_two_slots_is_one_candidate() -> None:
    slots = (Slot("native"), Slot("native"), MPU)
    native = creative(id="n1", format="native", w=0, h=0)
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


@pytest.mark.parametrize(
    ("facts", "allowed"),
    [
        ({}, True),
        ({"gdpr": True}, False),
        ({"gdpr": True, "consent": True}, True),
        ({"coppa": True, "consent": True}, False),
        ({"limit_tracking": True, "consent": True}, False),
    ],
)
def test_personal_data_needs_a_right_to_it(facts: dict[str, bool], *, allowed: bool) -> None:
    assert may_use_personal_data(opportunity(**facts)) is allowed


def test_samples_have_something_for_every_format() -> None:
    index = CampaignIndex(load_campaigns())
    for slot in (MPU, Slot("video", max_s=30), Slot("native"), Slot("audio", max_s=60)):
        asked = opportunity(slots=(slot,), country="USA", device_kind="phone")
        assert len(index.candidates(asked)) >= 2


def asked_in_many_ways() -> st.SearchStrategy[Opportunity]:
    return st.builds(
        opportunity,
        slots=st.sampled_from([(MPU,), (Slot("video"),), (MPU, Slot("video", max_s=14))]),
        country=st.sampled_from(["USA", "FRA"]),
        device_kind=st.sampled_from(["phone", "tv"]),
        os=st.sampled_from(["ios", "android"]),
        language=st.sampled_from(["de", "en", ""]),
        hour=st.integers(0, 2),
        categories=st.sampled_from([(), (0,), (1, 0)]),
        blocked_categories=st.sampled_from([frozenset(), frozenset({"IAB8"})]),
        blocked_advertisers=st.sampled_from([frozenset(), frozenset({"a.example"})]),
        blocked_attributes=st.sampled_from([frozenset(), frozenset({3})]),
        **{
            name: st.booleans()
            for name in ("secure", "gdpr", "consent", "coppa", "limit_tracking", "private")
        },
    )


DEMANDING = [
    campaign(creative(id="a", language="de"), id="1", targeting=Targeting(hours=(1,))),
    campaign(creative(id="b", attributes=(3,)), id="2", categories=("IAB1",)),
    campaign(creative(id="c", adm="http://x"), id="3", targeting=Targeting(categories=("IAB1",))),
    campaign(video(id="d"), id="4", needs_consent=True, targeting=Targeting(os=("ios",))),
    campaign(creative(id="e"), id="5", sensitive=True, targeting=Targeting(countries=("USA",))),
]
REMEMBERING = CampaignIndex(DEMANDING)


@given(asked=asked_in_many_ways())
def test_a_remembered_answer_is_what_a_fresh_index_would_say(asked: Opportunity) -> None:
    first, again = REMEMBERING.candidates(asked), REMEMBERING.candidates(asked)
    assert first == again == CampaignIndex(DEMANDING).candidates(asked)
    first.clear()
    assert REMEMBERING.candidates(asked) == again
