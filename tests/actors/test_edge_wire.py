"""From bytes to HTTP: what the edge reads of requests, and what it makes of answers."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.edge.bidders import NoAnswer
from actors.edge.wire import (
    Head,
    answer_time_s,
    head_of,
    inflate,
    packed,
    reply_to_bid,
    wishes_of,
)
from transport.codec import MAX_TMAX_MS, WireFormat, no_bid, refusal
from transport.errors import InvalidRequestError, MalformedRequestError


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("encode", [as_json, msgspec.msgpack.encode])
def test_the_head_of_a_request_is_its_time_and_its_wish_for_a_story(encode: Any) -> None:
    request = {"id": "1", "imp": [{"ext": {"tmax": 7}}], "tmax": 120}
    assert head_of(encode(request)) == Head(120, explain=False)
    for asked in ({"bidwright": {"explain": 1}}, {"explain": 1}):
        assert head_of(encode({**request, "ext": asked})) == Head(120, explain=True)


@pytest.mark.parametrize(
    ("tmax", "expected"),
    [("80", 80), ("soon", 0), (-5, 0), (True, 0), (None, 0), ([1], 0), (1e400, 0), (10**400, 0)],
)
def test_a_tmax_that_is_no_time_counts_as_none(tmax: object, expected: float) -> None:
    assert head_of(as_json({"tmax": tmax})).tmax_ms == expected


@pytest.mark.parametrize("ext", [[], 1, "x", {"bidwright": 1}, {"bidwright": {"explain": 0}}])
def test_an_ext_of_another_form_wants_no_story(ext: object) -> None:
    assert head_of(as_json({"tmax": 50, "ext": ext})) == Head(50, explain=False)


@given(st.binary(max_size=200))
def test_no_body_is_too_strange_to_be_looked_at(body: bytes) -> None:
    assert head_of(body).tmax_ms >= 0
    assert reply_to_bid(body, explain=False).status in (200, 204, 400)


def test_a_deeply_nested_body_is_only_unread() -> None:
    assert head_of(b'{"ext":' + b"[" * 100_000) == Head(0, explain=False)


def test_the_answer_leaves_before_the_requests_time_is_over() -> None:
    assert answer_time_s(100, 300, 0.004) == pytest.approx(0.096)
    assert answer_time_s(0, 300, 0.004) == pytest.approx(0.296)
    assert answer_time_s(1, 300, 0.004) == 0
    assert answer_time_s(1e12, 300, 0.0) <= MAX_TMAX_MS / 1000


@pytest.mark.parametrize(
    ("encode", "content_type"),
    [(as_json, b"application/json"), (msgspec.msgpack.encode, b"application/msgpack")],
)
def test_a_bid_passes_through_untouched(encode: Any, content_type: bytes) -> None:
    body = encode({"id": "1", "seatbid": [{"bid": [{"id": "b"}]}], "unknown": 1})
    reply = reply_to_bid(body, explain=False)
    assert (reply.status, reply.body, reply.nbr) == (200, body, None)
    headers = dict(reply.headers)
    assert headers[b"content-type"] == content_type
    assert headers[b"content-length"] == b"%d" % len(body)
    assert headers[b"x-openrtb-version"] == b"2.6"


@pytest.mark.parametrize("form", list(WireFormat))
def test_no_bid_is_204_with_its_reason_in_a_header(form: WireFormat) -> None:
    reply = reply_to_bid(no_bid("1", 8, form, "why"), explain=False)
    assert (reply.status, reply.body, reply.nbr) == (204, b"", 8)
    assert dict(reply.headers)[b"x-openrtb-nbr"] == b"8"


def test_no_bid_keeps_its_body_for_who_wants_the_story() -> None:
    body = no_bid("1", 8, WireFormat.JSON, "why")
    reply = reply_to_bid(body, explain=True)
    assert (reply.status, reply.body, reply.nbr) == (200, body, 8)


def test_an_empty_seatbid_is_no_bid() -> None:
    assert reply_to_bid(b'{"id":"1","seatbid":[]}', explain=False).status == 204


@pytest.mark.parametrize("explain", [False, True])
def test_what_could_not_be_read_is_400_without_content(*, explain: bool) -> None:
    answer = refusal(MalformedRequestError("not json"), WireFormat.JSON)
    reply = reply_to_bid(answer, explain=explain)
    assert (reply.status, reply.body) == (400, b"")


def test_what_could_be_read_but_breaks_a_rule_is_204() -> None:
    answer = refusal(InvalidRequestError("1", "imp: none"), WireFormat.JSON)
    reply = reply_to_bid(answer, explain=False)
    assert (reply.status, reply.nbr) == (204, 2)


@pytest.mark.parametrize(
    ("answer", "nbr"), [(NoAnswer.LATE, 15), (NoAnswer.UNREACHABLE, 1), (b"?", 1)]
)
def test_without_a_usable_answer_there_is_no_bid(answer: bytes | NoAnswer, nbr: int) -> None:
    reply = reply_to_bid(answer, explain=True)
    assert (reply.status, reply.nbr) == (204, nbr)


def test_every_reason_for_no_answer_has_a_number() -> None:
    assert {reply_to_bid(each, explain=False).status for each in NoAnswer} == {204}


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_compressed_body_is_uncompressed_within_the_limit(compress: Any) -> None:
    packed = compress(b"x" * 1000)
    assert inflate(packed, 1000) == b"x" * 1000
    assert inflate(packed, 999) is None
    assert inflate(packed[:-1], 1000) is None
    assert inflate(b"not compressed", 1000) is None


def test_the_encoding_is_read_whatever_its_case() -> None:
    assert wishes_of([(b"content-encoding", b" GZIP ")]).encoding == b"gzip"
    assert wishes_of([(b"content-encoding", b"identity")]).encoding == b""
    assert wishes_of([(b"content-type", b"gzip")]).encoding == b""


@pytest.mark.parametrize(
    ("accepted", "is_taken"),
    [
        (b"gzip", True),
        (b"br, GZIP;q=0.5", True),
        (b"x-gzip", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0", False),
        (b"br, deflate", False),
        (b"", False),
    ],
)
def test_an_answer_is_compressed_for_those_who_say_so(accepted: bytes, *, is_taken: bool) -> None:
    assert wishes_of([(b"accept-encoding", accepted)]).takes_gzip is is_taken


def test_a_large_answer_is_compressed_and_says_so() -> None:
    body = as_json({"id": "1", "seatbid": [{"bid": [{"adm": "x" * 2_000}]}]})
    reply = packed(reply_to_bid(body, explain=False))
    headers = dict(reply.headers)
    assert gzip.decompress(reply.body) == body
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"vary"] == b"accept-encoding"
    assert [value for name, value in reply.headers if name == b"content-length"] == [
        b"%d" % len(reply.body)
    ]
    assert headers[b"content-type"] == b"application/json"


def test_a_small_answer_is_not_worth_compressing() -> None:
    reply = reply_to_bid(b'{"id":"1","seatbid":[{"bid":[{"id":"b"}]}]}', explain=False)
    assert packed(reply) is reply
