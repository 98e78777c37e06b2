from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.codec import (
    MAX_BODY_BYTES,
    MAX_IMPRESSIONS,
    WireFormat,
    decode_request,
    encode_response,
    no_bid,
    refusal,
    sniff_format,
)
from transport.errors import InvalidRequestError, MalformedRequestError
from transport.openrtb import (
    NBR_INVALID_REQUEST,
    SECOND_PRICE,
    Banner,
    Bid,
    BidRequest,
    BidResponse,
    Deal,
    Device,
    Format,
    Geo,
    Imp,
    Native,
    Pmp,
    Regs,
    SeatBid,
    Site,
    User,
    Video,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BANNER_IMP = {"id": "1", "banner": {"w": 300, "h": 250}}
MINIMAL: dict[str, Any] = {"id": "a", "imp": [BANNER_IMP]}


DECODE: dict[WireFormat, Callable[[bytes], Any]] = {
    WireFormat.JSON: msgspec.json.decode,
    WireFormat.MSGPACK: msgspec.msgpack.decode,
}


def body_of(request: object) -> bytes:
    return json.dumps(request).encode()


def invalid_because(request: object) -> str:
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(body_of(request))
    return caught.value.why


def test_a_minimal_request_gets_the_defaults_of_the_specification() -> None:
    request, wire_format = decode_request(body_of(MINIMAL))
    assert wire_format is WireFormat.JSON
    assert (request.at, request.test, request.tmax, request.cur) == (SECOND_PRICE, 0, 0, ())
    assert (request.imp[0].bidfloor, request.imp[0].bidfloorcur) == (0.0, "USD")


def test_messagepack_says_the_same_as_json() -> None:
    from_json, _ = decode_request(body_of(MINIMAL))
    from_msgpack, wire_format = decode_request(msgspec.msgpack.encode(MINIMAL))
    assert wire_format is WireFormat.MSGPACK
    assert from_msgpack == from_json


def test_unknown_fields_and_codes_are_tolerated() -> None:
    request = {**MINIMAL, "at": 777, "future": {"a": [1]}, "ext": {"x": 1}}
    assert decode_request(body_of(request))[0].at == 777


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xef\xbb\xbf{}",
        b'{"id": "\xff"}',
        b"\x81",
        b"\xdf\xff\xff\xff\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\x81\xa1a" * 100_000,
        b" " * (MAX_BODY_BYTES + 1),
    ],
)
def test_what_cannot_be_read_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        decode_request(body)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": None}, "id: required field missing"),
        ({"id": ""}, "id: empty"),
        ({"imp": None}, "imp: required field missing"),
        ({"imp": []}, "imp: no impression"),
        ({"imp": "x"}, "imp: no impression"),
        ({"imp": [BANNER_IMP, BANNER_IMP]}, "imp: two impressions have one id"),
        ({"site": {}, "app": {}}, "more than one of site, app and dooh"),
        ({"imp": [{"id": "1"}]}, "imp[0]: none of banner, video, audio and native"),
        ({"imp": [{**BANNER_IMP, "id": ""}]}, "imp[0].id: empty"),
        ({"imp": [{"banner": {}}]}, "imp[0].id: required field missing"),
        ({"imp": [{"id": "1", "video": {}}]}, "imp[0].video.mimes: required field missing"),
        ({"imp": [{"id": "1", "audio": {}}]}, "imp[0].audio.mimes: required field missing"),
        ({"imp": [{**BANNER_IMP, "bidfloor": -1}]}, "imp[0].bidfloor: not a price"),
        ({"imp": [{**BANNER_IMP, "pmp": {"deals": [{}]}}]}, "imp[0].pmp.deals[0].id: required"),
        (
            {"imp": [{**BANNER_IMP, "pmp": {"deals": [{"id": "d", "bidfloor": -1}]}}]},
            "imp[0].pmp.deals[0].bidfloor: not a price",
        ),
    ],
)
def test_a_broken_rule_is_named_with_its_path(change: dict[str, object], why: str) -> None:
    assert invalid_because({**MINIMAL, **change}).startswith(why)


def test_the_number_of_impressions_is_bounded() -> None:
    imps = [{**BANNER_IMP, "id": str(number)} for number in range(MAX_IMPRESSIONS + 1)]
    assert "the limit is" in invalid_because({"id": "a", "imp": imps})


def test_not_a_number_is_no_floor() -> None:
    request = {"id": "a", "imp": [{**BANNER_IMP, "bidfloor": float("nan")}]}
    with pytest.raises(InvalidRequestError, match="not a price"):
        decode_request(msgspec.msgpack.encode(request))


def test_an_invalid_request_keeps_its_id() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode_request(body_of({"id": "keep-me", "imp": [{"id": 1, "video": "no"}]}))
    assert caught.value.request_id == "keep-me"


@pytest.mark.parametrize(
    ("field", "given", "read"),
    [
        ("tmax", "100", 100),
        ("tmax", 100.0, 100),
        ("at", "1", 1),
        ("id", 5, "5"),
        ("test", True, 1),
        ("cur", "USD", ("USD",)),
        ("bcat", [1, "IAB2"], ("1", "IAB2")),
        ("badv", None, ()),
        ("site", {"id": 7}, Site(id="7")),
        ("site", "not an object", None),
        ("device", {"carrier": 3, "w": "320"}, Device(carrier="3", w=320)),
        ("device", {"h": "tall", "geo": {"lat": "1.5"}}, Device(geo=Geo(lat=1.5))),
        ("device", {"geo": {"lat": "nan", "lon": {}, "utcoffset": 1e300}}, Device(geo=Geo())),
        ("user", {"yob": [], "gender": True}, User()),
        ("ext", [], None),
    ],
)
def test_type_slips_are_mended(field: str, given: object, read: object) -> None:
    request, _ = decode_request(body_of({**MINIMAL, field: given}))
    assert getattr(request, field) == read


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("regs", "x"),
        ("regs", {"gdpr": "perhaps"}),
        ("regs", {"coppa": {}}),
        ("regs", {"ext": "x"}),
        ("badv", [{"domain": "a.com"}]),
        ("bcat", {"a": 1}),
        ("test", "no"),
        ("tmax", "soon"),
        ("device", {"lmt": "x"}),
        ("imp", [{**BANNER_IMP, "bidfloor": "cheap"}]),
        ("imp", [{**BANNER_IMP, "bidfloor": 10**400}]),
        ("imp", [{**BANNER_IMP, "pmp": 3}]),
        ("imp", [{"id": "1", "banner": {"battr": ["x"]}}]),
    ],
)
def test_what_guards_something_is_never_guessed(field: str, given: object) -> None:
    assert "cannot use" in invalid_because({**MINIMAL, field: given})


@pytest.mark.parametrize("wire_format", WireFormat)
def test_a_no_bid_carries_id_reason_code_and_reason(wire_format: WireFormat) -> None:
    decode = DECODE[wire_format]
    answer = decode(no_bid("a", 0, wire_format, "no_campaign"))
    assert answer == {"id": "a", "nbr": 0, "ext": {"reason": "no_campaign"}}
    assert decode(no_bid("a", 15, wire_format)) == {"id": "a", "nbr": 15}


def test_a_malformed_body_is_answered_without_id_and_with_the_error() -> None:
    answer = json.loads(refusal(MalformedRequestError("not json: end"), WireFormat.JSON))
    assert answer == {
        "nbr": NBR_INVALID_REQUEST,
        "ext": {"error": "not json: end", "reason": "malformed"},
    }


def test_an_invalid_request_is_answered_with_its_id_and_the_rule() -> None:
    answer = json.loads(refusal(InvalidRequestError("a", "imp: no impression"), WireFormat.JSON))
    assert answer == {
        "id": "a",
        "nbr": 2,
        "ext": {"error": "imp: no impression", "reason": "invalid_request"},
    }


def test_a_bid_is_written_without_defaults() -> None:
    response = BidResponse(id="a", seatbid=(SeatBid(bid=(Bid(id="k", impid="1", price=1.25),)),))
    assert json.loads(encode_response(response, WireFormat.JSON)) == {
        "id": "a",
        "seatbid": [{"bid": [{"id": "k", "impid": "1", "price": 1.25}]}],
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMES = st.tuples() | st.lists(TEXT, max_size=3).map(tuple)
PRICES = st.floats(0, 1e6, allow_nan=False)
SIZES = st.integers(0, 5000)
BANNERS = st.builds(
    Banner,
    format=st.lists(st.builds(Format, w=SIZES, h=SIZES), max_size=3).map(tuple),
    w=SIZES,
    h=SIZES,
    battr=st.lists(st.integers(1, 20), max_size=3).map(tuple),
)
VIDEOS = st.builds(Video, mimes=st.just(("video/mp4",)), maxduration=st.integers(0, 600))
DEALS = st.builds(Deal, id=TEXT.filter(bool), bidfloor=PRICES, wseat=NAMES)
IMPS = st.builds(
    Imp,
    id=TEXT.filter(bool),
    banner=BANNERS,
    video=st.none() | VIDEOS,
    native=st.none() | st.builds(Native, request=TEXT),
    pmp=st.none() | st.builds(Pmp, deals=st.lists(DEALS, max_size=2).map(tuple)),
    bidfloor=PRICES,
    secure=st.sampled_from([None, 0, 1]),
)
REQUESTS = st.builds(
    BidRequest,
    id=TEXT.filter(bool),
    imp=st.lists(IMPS, min_size=1, max_size=4, unique_by=lambda imp: imp.id).map(tuple),
    site=st.none() | st.builds(Site, domain=TEXT, cat=NAMES),
    user=st.none() | st.builds(User, id=TEXT, consent=TEXT),
    regs=st.none() | st.builds(Regs, coppa=st.integers(0, 1), gdpr=st.sampled_from([None, 0, 1])),
    tmax=st.integers(0, 5000),
    at=st.sampled_from([1, 2]),
    badv=NAMES,
)


@given(REQUESTS)
def test_a_request_survives_the_round_trip_in_both_formats(request: BidRequest) -> None:
    assert decode_request(msgspec.json.encode(request)) == (request, WireFormat.JSON)
    assert decode_request(msgspec.msgpack.encode(request)) == (request, WireFormat.MSGPACK)


def _with_slips(value: object) -> object:
    """Write every number as text and every list of one as its value."""
    if isinstance(value, dict):
        return {key: _with_slips(item) for key, item in value.items()}
    if isinstance(value, list):
        return _with_slips(value[0]) if len(value) == 1 else [_with_slips(item) for item in value]
    return repr(value) if isinstance(value, int | float) else value


@given(REQUESTS)
def test_mending_reads_what_was_meant(request: BidRequest) -> None:
    slipped = _with_slips(msgspec.to_builtins(request))
    assert decode_request(body_of(slipped))[0] == request


def outcome_of(body: bytes) -> BidRequest | bytes:
    """Return the request or the refusal; anything else that happens is a bug."""
    try:
        return decode_request(body)[0]
    except (MalformedRequestError, InvalidRequestError) as error:
        return refusal(error, sniff_format(body))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_get_a_clear_outcome(body: bytes) -> None:
    assert outcome_of(body)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from([*BidRequest.__struct_fields__])
IMP_FIELDS = st.sampled_from([*Imp.__struct_fields__])


@given(st.dictionaries(FIELDS, ANY_JSON), st.dictionaries(IMP_FIELDS, ANY_JSON))
def test_any_value_in_any_field_gets_a_clear_outcome(
    fields: dict[str, object], imp_fields: dict[str, object]
) -> None:
    request = {**MINIMAL, "imp": [{**BANNER_IMP, **imp_fields}], **fields}
    assert outcome_of(body_of(request))
