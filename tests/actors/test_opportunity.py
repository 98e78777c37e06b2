"""From OpenRTB to an opportunity: each fact found where it stands, or left out where it must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.reading.floors import floor_of
from actors.reading.opportunity import opportunity_of, refusal
from actors.reading.place import Reading
from actors.reading.slots import slots_of
from models.opportunity import Opportunity, Slot
from tests.transport.consents import tc_string
from transport.codec import decode_request

NOON = 1_800_014_400.0  # 12:00 UTC


HELD = Reading(vendor_id=7)
AGREED = tc_string()


def read(**changes: Any) -> Opportunity:
    request = parse(**changes)
    return opportunity_of(request, request.imp[0], NOON, HELD)


def parse(**changes: Any) -> Any:
    facts = {"id": "r1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]} | changes
    return decode_request(json.dumps(facts).encode())[0]


def imp(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": "1", "banner": {"w": 300, "h": 250}} | changes]


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"user": {"id": "u", "buyeruid": "b"}}, "user_id", "b"),
        ({"user": {"id": "u"}}, "user_id", "u"),
        ({"device": {"ifa": "i"}}, "user_id", "i"),
        ({}, "user_id", ""),
        ({"device": {"geo": {"country": "deu"}}}, "country", "DEU"),
        ({"user": {"geo": {"country": "FRA"}}}, "country", "FRA"),
        ({"device": {"devicetype": 2}}, "device_kind", "desktop"),
        ({"device": {"os": "iOS"}}, "os", "ios"),
        ({"device": {"language": "de-DE"}}, "language", "de"),
        ({"device": {"ip": "1.2.3.4"}}, "ip", "1.2.3.4"),
        ({"device": {"ipv6": "::2"}}, "ip", "::2"),
        ({"site": {"domain": "A.example"}}, "domain", "a.example"),
        ({"site": {"publisher": {"domain": "p.example"}}}, "domain", "p.example"),
        ({"app": {"bundle": "com.a", "domain": "a.example"}}, "domain", "com.a"),
        ({"dooh": {"domain": "screens.example"}}, "domain", "screens.example"),
        ({"app": {"bundle": "com.a"}}, "app", True),
        ({"site": {"cat": ["IAB2"], "pagecat": ["IAB9-30"]}}, "categories", (8, 1)),
        ({"site": {"content": {"cat": ["IAB3"]}}}, "categories", (2,)),
        ({"dooh": {"content": {"cat": ["IAB3"]}}}, "categories", (2,)),
        ({"badv": ["Shoes.Example"]}, "blocked_advertisers", frozenset({"shoes.example"})),
        ({"bcat": ["IAB1"]}, "blocked_categories", frozenset({"IAB1"})),
        ({"imp": imp(secure=1)}, "secure", True),
        ({"at": 1}, "first_price", True),
        ({"at": 2}, "first_price", False),
        ({"at": 501}, "first_price", True),
        ({}, "first_price", False),
        ({"imp": imp(pmp={"private_auction": 1})}, "private", True),
        ({"regs": {"gdpr": 1}}, "gdpr", True),
        ({"regs": {"ext": {"gdpr": 1}}}, "gdpr", True),
        ({"user": {"consent": AGREED}}, "consent", True),
        ({"user": {"ext": {"consent": AGREED}}}, "consent", True),
        ({"user": {"consent": "C"}}, "consent", False),
        ({"regs": {"coppa": 1}}, "coppa", True),
        ({"device": {"lmt": 1}}, "limit_tracking", True),
        ({"device": {"dnt": 1}}, "limit_tracking", True),
        ({"regs": {"us_privacy": "1NYN"}}, "limit_tracking", True),
        ({"regs": {"us_privacy": "1NNN"}}, "limit_tracking", False),
        ({"wseat": ["bidwright"]}, "seats", frozenset({"bidwright"})),
        ({"test": 1}, "test", True),
        ({}, "hour", 12),
        ({"device": {"geo": {"utcoffset": -90}}}, "hour", 10),
        ({"device": {"geo": {"utcoffset": 780}}}, "hour", 1),
    ],
)
def test_each_fact_is_found_where_the_request_has_it(
    changes: dict[str, Any], field: str, expected: object
) -> None:
    assert getattr(read(**changes), field) == expected


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"device": {"lmt": 1}}, False),
        ({"regs": {"coppa": 1}}, False),
        ({"regs": {"gdpr": 1}}, False),
        ({"regs": {"us_privacy": "1YYN"}}, False),
        ({"regs": {"gdpr": 0}}, True),
    ],
)
def test_a_user_who_may_not_be_known_is_not_known_further_in(
    changes: dict[str, Any], known: bool
) -> None:
    assert read(user={"id": "u"}, **changes).user_id == ("u" if known else "")


def test_with_consent_a_user_under_gdpr_may_be_known() -> None:
    assert read(user={"id": "u", "consent": AGREED}, regs={"gdpr": 1}).user_id == "u"


@pytest.mark.parametrize(
    ("media", "slots"),
    [
        ({"banner": {"w": 300, "h": 250}}, (Slot("banner", 300, 250),)),
        (
            {"banner": {"w": 300, "h": 250, "format": [{"w": 728, "h": 90}, {"w": 300, "h": 250}]}},
            (Slot("banner", 728, 90), Slot("banner", 300, 250)),
        ),
        ({"banner": {}}, (Slot("banner", 0, 0),)),
        ({"native": {"request": "{}"}}, (Slot("native"),)),
        (
            {"video": {"mimes": ["video/mp4"], "minduration": 5, "maxduration": 30}},
            (Slot("video", 0, 0, ("video/mp4",), 5, 30),),
        ),
        (
            {"audio": {"mimes": ["audio/mp4"]}, "banner": {"w": 1, "h": 2}},
            (Slot("banner", 1, 2), Slot("audio", 0, 0, ("audio/mp4",))),
        ),
    ],
)
def test_every_way_to_fill_an_impression_is_a_slot(
    media: dict[str, Any], slots: tuple[Slot, ...]
) -> None:
    assert slots_of(parse(imp=[{"id": "1"} | media]).imp[0], None, HELD.rates) == slots


def test_attributes_are_blocked_in_their_medium_and_for_all_if_every_medium_blocks_them() -> None:
    media = {
        "banner": {"w": 1, "h": 2, "battr": [3, 5]},
        "native": {"request": "{}", "battr": [5, 8]},
    }
    found = read(imp=[{"id": "1"} | media])
    assert found.blocked_attributes == {5}
    assert [set(slot.blocked_attributes) for slot in found.slots] == [{3, 5}, {5, 8}]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, None),
        ({"cur": ["EUR", "USD"]}, None),
        ({"cur": ["EUR"]}, "currency"),
        ({"imp": imp(bidfloor=1.0, bidfloorcur="EUR")}, "floor_currency"),
        ({"imp": imp(bidfloor=0.0, bidfloorcur="EUR")}, None),
    ],
)
def test_what_we_cannot_bid_on_at_all_is_refused_with_its_code(
    changes: dict[str, Any], code: str | None
) -> None:
    request = parse(**changes)
    assert refusal(request, read(**changes), HELD) == code


@given(st.floats(0.0, 1e6, allow_nan=False))
def test_a_bid_at_the_floor_in_micros_is_never_below_the_floor_on_the_wire(cpm: float) -> None:
    floor = floor_of(parse(imp=imp(bidfloor=cpm)).imp[0], None, None, HELD.rates)
    assert floor is not None
    micros = floor.base_micros
    assert micros / 1000 >= cpm - 1e-11
    assert micros <= cpm * 1000 + 1
