"""What is remembered of eligibility is what the rules would say, for any traffic."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.decision.eligible import EligibleAds
from actors.reading.opportunity import opportunity_of
from actors.reading.place import Reading
from config.campaigns import Campaign, Creative, Targeting, load_campaigns
from models.eligibility import CampaignIndex
from models.market import MarketSimulator
from models.opportunity import Floor, Slot
from tests.actors.samples import campaign, opportunity
from transport.codec import decode_request

NOON = 1_800_014_400.0
CREATIVES = (
    Creative(id="de", format="banner", w=300, h=250, adm="x", title="x", language="de"),
    Creative(id="loud", format="banner", w=300, h=250, adm="x", title="x", attributes=(3,)),
    Creative(id="http", format="banner", w=300, h=250, adm="http://x", title="x"),
)
CAMPAIGNS: tuple[Campaign, ...] = (
    campaign("plain"),
    campaign("shop", advertiser_domain="eu.shop.example", categories=("IAB8-5",)),
    campaign(
        "picky",
        targeting=Targeting(
            countries=("DEU",), os=("ios",), categories=("IAB2",), hours=(12,), formats=("banner",)
        ),
    ),
    campaign("personal", needs_consent=True),
    campaign("wine", sensitive=True),
    campaign("many", creatives=CREATIVES),
    campaign(
        "video",
        creatives=(
            Creative(
                id="v",
                format="video",
                mimes=("video/mp4",),
                duration_s=15,
                adm="<VAST/>",
                title="v",
            ),
        ),
    ),
    campaign("future", starts_at=datetime.fromtimestamp(NOON + 50, UTC)),
)

REQUESTS = st.fixed_dictionaries(
    {
        "banner": st.booleans(),
        "video": st.booleans(),
        "country": st.sampled_from(["DEU", "FRA", "USA", ""]),
        "os": st.sampled_from(["iOS", "Android", ""]),
        "language": st.sampled_from(["de", "fr", "en-GB", ""]),
        "cat": st.sampled_from([[], ["IAB2"], ["IAB9", "IAB2-3"], ["IAB9"]]),
        "bcat": st.sampled_from([[], ["IAB8"], ["IAB8-5"], ["IAB18", "IAB1"]]),
        "badv": st.sampled_from([[], ["shop.example"], ["EU.shop.example"], ["op.example"]]),
        "battr": st.sampled_from([[], [3], [9]]),
        "acat": st.sampled_from([[], ["IAB8"], ["IAB18"]]),
        "cur": st.sampled_from([[], ["EUR"]]),
        "flags": st.tuples(*[st.sampled_from([0, 1]) for _ in range(5)]),
        "offset": st.sampled_from([0, 60]),
        "wait_s": st.sampled_from([0.0, 100.0]),
    }
)


def parse(facts: dict[str, Any]) -> Any:
    secure, gdpr, consent, coppa, private = facts["flags"]
    imp: dict[str, Any] = {"id": "1", "secure": secure, "pmp": {"private_auction": private}}
    if facts["banner"] or not facts["video"]:
        imp["banner"] = {"w": 300, "h": 250, "battr": facts["battr"]}
    if facts["video"]:
        imp["video"] = {"mimes": ["video/mp4"], "maxduration": 30}
    request = {
        "id": "r",
        "imp": [imp],
        "site": {"cat": facts["cat"]},
        "device": {
            "os": facts["os"],
            "language": facts["language"],
            "geo": {"country": facts["country"], "utcoffset": facts["offset"]},
        },
        "user": {"consent": "C" if consent else ""},
        "regs": {"gdpr": gdpr, "coppa": coppa},
        **{name: facts[name] for name in ("bcat", "badv", "acat", "cur")},
    }
    return decode_request(json.dumps(request).encode())[0]


@given(st.lists(REQUESTS, min_size=1, max_size=30))
def test_the_remembered_answer_is_the_one_that_the_rules_give(traffic: list[Any]) -> None:
    index = CampaignIndex(CAMPAIGNS)
    ads = EligibleAds(index, CAMPAIGNS, max_remembered=7)
    for facts in [*traffic, *traffic]:
        request = parse(facts)
        imp, unix_s = request.imp[0], NOON + facts["wait_s"]
        opportunity = opportunity_of(request, imp, unix_s, Reading())
        found = ads.find(opportunity, unix_s)
        expected = index.candidates(opportunity, unix_s)
        assert [found.placed(each, opportunity.slots) for each in found.ads] == expected
        assert set(found.campaign_ids) == {each.campaign.id for each in expected}
        assert bool(found.why_none) == (not expected)


@pytest.mark.slow
def test_the_sample_worlds_traffic_is_mostly_remembered() -> None:
    campaigns = load_campaigns()
    index = CampaignIndex(campaigns)
    ads = EligibleAds(index, campaigns)
    requests = MarketSimulator(1, campaigns, users=200).requests()
    for _ in range(2_000):
        request = decode_request(json.dumps(next(requests)).encode())[0]
        for imp in request.imp:
            opportunity = opportunity_of(request, imp, NOON, Reading())
            found = ads.find(opportunity, NOON)
            placed = [found.placed(each, opportunity.slots) for each in found.ads]
            assert placed == index.candidates(opportunity, NOON)
    assert len(ads._known) < 1_600


def test_the_same_ads_are_remembered_for_another_floor_and_stand_in_the_slot_that_was_asked() -> (
    None
):
    index = CampaignIndex(CAMPAIGNS)
    ads = EligibleAds(index, CAMPAIGNS)
    cheap, dear = (
        opportunity(slots=(Slot("banner", 300, 250, floor=Floor(micros)),)) for micros in (10, 990)
    )
    found = ads.find(cheap, NOON)
    assert ads.find(dear, NOON) is found
    for asked in (cheap, dear, cheap):
        placed = [found.placed(each, asked.slots) for each in found.ads]
        assert {id(each.slot) for each in placed} == {id(asked.slots[0])}
        assert [found.placed(each, asked.slots) for each in placed] == placed


def test_nothing_is_remembered_of_a_private_auction_and_no_deal() -> None:
    ads = EligibleAds(CampaignIndex(CAMPAIGNS), CAMPAIGNS)
    assert ads.find(opportunity(private=True), NOON).why_none == "private_auction"
    assert not ads._known


def test_flights_that_begin_are_not_missed_by_what_is_remembered() -> None:
    ads = EligibleAds(CampaignIndex(CAMPAIGNS), CAMPAIGNS)
    before, after = ads.find(opportunity(), NOON), ads.find(opportunity(), NOON + 50.0)
    assert set(after.campaign_ids) - set(before.campaign_ids) == {"future"}
