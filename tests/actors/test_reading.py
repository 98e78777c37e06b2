"""What we are to a request: through whom we buy, in which money, and on which terms."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.reading.opportunity import exchange_name, language_code, opportunity_of, refusal
from actors.reading.place import DollarsOnly, Reading, SupplyRules, answer_currency, reading_of
from config.settings import Settings
from models.opportunity import DealTerms, Opportunity
from transport.codec import decode_request
from transport.openrtb import SupplyChain, SupplyChainNode

NOON = 1_800_014_400.0  # 12:00 UTC on a Friday
SSP, EXCHANGE = SupplyChainNode("ssp.example", "100"), SupplyChainNode("Exchange.example", "Ab7")


class Table:
    """Rates of a few currencies."""

    def micros_of(self, code: str) -> int | None:
        return {"USD": 1_000_000, "EUR": 1_150_000, "JPY": 6_500}.get(code)


HELD = Reading(vendor_id=7, rates=Table())


def parse(**changes: Any) -> Any:
    facts = {"id": "r1", "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}]} | changes
    return decode_request(json.dumps(facts).encode())[0]


def read(reading: Reading = HELD, **changes: Any) -> Opportunity:
    request = parse(**changes)
    imp = request.imp[0]
    deal = imp.pmp.deals[0] if imp.pmp is not None and imp.pmp.deals else None
    return opportunity_of(request, imp, NOON, reading, deal)


def imp(**changes: Any) -> list[dict[str, Any]]:
    return [{"id": "1", "banner": {"w": 300, "h": 250}} | changes]


def dealt(**deal: Any) -> dict[str, Any]:
    return {"imp": imp(pmp={"private_auction": 1, "deals": [{"id": "d1", **deal}]})}


@pytest.mark.parametrize(
    ("chain", "complaint"),
    [
        (SupplyChain(1, (SSP, EXCHANGE)), None),
        (SupplyChain(0, (SSP, EXCHANGE)), "incomplete_schain"),
        (SupplyChain(2, (SSP,)), "incomplete_schain"),
        (SupplyChain(1, ()), "incomplete_schain"),
        (SupplyChain(1, (SupplyChainNode("", "1"),)), "incomplete_schain"),
        (SupplyChain(1, (SupplyChainNode("ssp.example", ""),)), "incomplete_schain"),
    ],
)
def test_a_chain_is_whole_if_it_says_so_and_names_everybody(
    chain: SupplyChain, complaint: str | None
) -> None:
    assert SupplyRules().complaint(chain) == complaint
    assert SupplyRules(refuses_incomplete=False).complaint(chain) is None


@pytest.mark.parametrize(
    ("blocked", "complaint"),
    [
        ("exchange.example", "blocked_seller"),
        ("exchange.example/ab7", "blocked_seller"),
        ("exchange.example/ab", None),
        ("ssp.example/100", "blocked_seller"),
        ("other.example", None),
    ],
)
def test_a_blocked_seller_is_found_wherever_it_stands(blocked: str, complaint: str | None) -> None:
    rules = SupplyRules(blocked=frozenset({blocked}))
    assert rules.complaint(SupplyChain(1, (SSP, EXCHANGE))) == complaint


def test_a_chain_is_found_in_either_place() -> None:
    broken = {"complete": 0, "nodes": [{"asi": "ssp.example", "sid": "1"}]}
    for source in ({"schain": broken}, {"ext": {"schain": broken}}):
        request = parse(source=source)
        assert refusal(request, read(source=source), HELD) == "incomplete_schain"


@pytest.mark.parametrize(
    ("cur", "answer"),
    [
        ((), ("USD", 1_000_000)),
        (("EUR", "USD"), ("USD", 1_000_000)),
        (("XTS", "EUR", "JPY"), ("EUR", 1_150_000)),
        (("JPY",), ("JPY", 6_500)),
        (("XTS",), ("", 0)),
    ],
)
def test_answers_are_in_dollars_if_taken_else_in_the_first_currency_with_a_rate(
    cur: tuple[str, ...], answer: tuple[str, float]
) -> None:
    assert answer_currency(cur, Table()) == answer
    read_of = read(cur=list(cur))
    assert (read_of.currency, read_of.currency_micros) == answer


def test_who_has_no_rates_counts_in_dollars() -> None:
    assert DollarsOnly().micros_of("USD") == 1_000_000
    assert DollarsOnly().micros_of("EUR") is None


def test_the_settings_say_who_we_are() -> None:
    settings = Settings.model_validate(
        {
            "privacy": {"vendor_id": 9, "without_consent": "no_bid", "consent_purposes": [1]},
            "supply": {"incomplete_chain": "bid", "blocked_sellers": ["SSP.example/A"]},
        }
    )
    reading = reading_of(settings, DollarsOnly())
    assert (reading.vendor_id, reading.needs_consent) == (9, True)
    assert (reading.consent_purposes, reading.interest_purposes) == ((1,), (2, 7))
    assert reading.supply == SupplyRules(False, frozenset({"ssp.example/a"}))


def test_a_setting_may_forbid_bids_without_leave() -> None:
    strict = Reading(needs_consent=True)
    for changes, code in (({"regs": {"gdpr": 1}}, "no_consent_no_bid"), ({}, None)):
        assert refusal(parse(**changes), read(strict, **changes), strict) == code


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"device": {"geo": {"region": "ca"}}}, "region", "CA"),
        ({"device": {"geo": {"region": "US-CA"}}}, "region", "CA"),
        ({"device": {"geo": {"city": "Berlin", "zip": "10117"}}}, "city", "berlin"),
        ({"device": {"geo": {"city": "Berlin", "zip": "10117"}}}, "zip_code", "10117"),
        ({"device": {"langb": "de-AT"}}, "language", "de"),
        ({"device": {"language": "fil"}}, "language", ""),
        ({"app": {"bundle": "Com.News"}}, "bundle", "com.news"),
        ({"site": {"page": "https://u@Blog.example:8080/a?b#c"}}, "domain", "blog.example"),
        ({"site": {"page": "about:blank"}}, "domain", ""),
        ({"site": {"cat": ["IAB9-30"]}}, "content", {(1, "IAB9-30"), (1, "IAB9")}),
        ({"site": {"cat": ["53"], "cattax": 2}}, "content", {(2, "53")}),
        (
            {"app": {"cat": ["IAB1"], "content": {"cat": ["5"], "cattax": 6}}},
            "content",
            {(1, "IAB1"), (6, "5")},
        ),
        ({}, "day", 4),
        ({"device": {"geo": {"utcoffset": 780}}}, "day", 5),
        ({"device": {"geo": {"utcoffset": -780}}}, "day", 3),
        ({"cattax": 7}, "category_taxonomy", 7),
        ({"acat": ["IAB1"]}, "allowed_categories", {"IAB1"}),
        ({"acat": []}, "allowed_categories", None),
        ({"bapp": ["Com.Rival"]}, "blocked_apps", {"com.rival"}),
        ({"wlang": ["DE", "en"]}, "allowed_languages", {"de", "en"}),
        ({"wlangb": ["de-AT"]}, "allowed_languages", {"de"}),
        ({"wlang": ["de", "en"], "wlangb": ["en-GB"]}, "allowed_languages", {"en"}),
        ({"wlang": ["german"]}, "allowed_languages", set()),
        ({"wlang": []}, "allowed_languages", None),
        ({"bseat": ["s"]}, "blocked_seats", {"s"}),
        ({"imp": imp(secure=7)}, "secure", True),
        ({"imp": imp(secure=0)}, "secure", False),
        ({"imp": imp(exp=60)}, "life_s", 60),
        ({"imp": imp(exp=-1)}, "life_s", 0),
        ({"imp": imp(instl=1)}, "interstitial", True),
        ({"imp": imp(rwdd=1)}, "rewarded", True),
        ({"imp": imp(qty={"multiplier": 14.2})}, "quantity", 14.2),
        ({"ext": {"bidwright": {"exchange": "AdX"}}}, "exchange", "adx"),
        ({"ext": {"bidwright": {"exchange": "no name!"}}}, "exchange", ""),
        ({"imp": imp(bidfloor=2.0, bidfloorcur="EUR")}, "floor_micros", 2_300),
        (dealt(), "deal", DealTerms("d1")),
        (dealt(at=3, guar=1), "deal", DealTerms("d1", fixed=True, guaranteed=True)),
        (
            dealt(wseat=["s"], wadomain=["Shoes.example"]),
            "deal",
            DealTerms("d1", seats=frozenset({"s"}), advertisers=frozenset({"shoes.example"})),
        ),
        (dealt(), "private", False),
        (dealt(at=1), "first_price", True),
        (dealt(at=2) | {"at": 1}, "first_price", False),
        (dealt(at=3), "first_price", True),
        (dealt() | {"at": 2}, "first_price", False),
        (dealt(bidfloor=3.0), "floor_micros", 3_000),
    ],
)
def test_each_fact_is_read_as_the_specification_means_it(
    changes: dict[str, Any], field: str, expected: object
) -> None:
    assert getattr(read(**changes), field) == expected


def test_the_door_knows_better_than_the_request_who_asks() -> None:
    request = parse(ext={"bidwright": {"exchange": "told"}})
    assert opportunity_of(request, request.imp[0], NOON, HELD, exchange="known").exchange == "known"
    assert exchange_name("x" * 33) == ""


def test_a_slot_has_all_that_its_medium_says() -> None:
    video = {
        "mimes": ["video/mp4"],
        "w": 640,
        "h": 360,
        "minduration": 5,
        "maxduration": 30,
        "rqddurs": [15, 30],
        "protocols": [7],
        "api": [7],
        "linearity": 1,
        "skip": 0,
        "minbitrate": 300,
        "maxbitrate": 1500,
        "battr": [13],
        "durfloors": [{"mindur": 1, "maxdur": 15, "bidfloor": 5.0}],
    }
    banner = {"w": 1, "h": 2, "btype": [4], "battr": [3], "api": [5], "mimes": ["image/png"]}
    media = [{"id": "1", "video": video, "banner": banner, "bidfloor": 1.0}]
    still, moving = read(imp=media).slots
    assert (set(still.blocked_types), set(still.blocked_attributes)) == ({4}, {3})
    assert still.apis == (5,)
    assert still.floor.micros(0) == 1_000
    assert (moving.w, moving.h, moving.min_s, moving.max_s) == (640, 360, 5, 30)
    assert (moving.exact_s, moving.protocols, moving.apis) == ((15, 30), (7,), (7,))
    assert (moving.linearity, moving.skippable) == (1, 0)
    assert (moving.min_bitrate, moving.max_bitrate) == (300, 1500)
    assert moving.floor.micros(15) == 5_000


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_native_slot_has_the_form_that_the_placement_asks_for(wrapped: bool) -> None:
    asked: dict[str, Any] = {
        "ver": "1.2",
        "assets": [{"id": 3, "required": 1, "title": {"len": 25}}],
    }
    text = json.dumps({"native": asked} if wrapped else asked)
    (slot,) = read(imp=[{"id": "1", "native": {"request": text}}]).slots
    assert slot.native is not None
    assert slot.native.wrapped is wrapped
    assert [(each.id, each.kind, each.max_length) for each in slot.native.assets] == [
        (3, "title", 25)
    ]


def test_segments_are_boundedly_many() -> None:
    segments = [{"id": str(number)} for number in range(2_000)]
    found = read(user={"data": [{"id": "p", "segment": segments}]}).segments
    assert {"0", "p:0"} <= found
    assert len(found) < 300


@pytest.mark.parametrize(
    ("tag", "code"),
    [("de-AT", "de"), ("DE", "de"), ("zh_Hant_TW", "zh"), ("eng", ""), ("", ""), ("12", "")],
)
def test_a_language_is_the_first_part_of_its_tag(tag: str, code: str) -> None:
    assert language_code(tag) == code


def test_what_is_read_can_be_written_for_other_processes() -> None:
    made = read(**dealt(wseat=["s"]), user={"id": "u"})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Opportunity) == made
