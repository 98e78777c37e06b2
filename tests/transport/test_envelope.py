"""Envelopes: what the edge adds to a request, and nobody else can."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.envelope import MARK, NAME, VERSION, Envelope, enclose, opened, seal_of

SEAL = seal_of(b"a secret")
NAMES = st.just("") | st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True)


@given(NAMES, st.floats(allow_nan=False), st.booleans(), st.binary(max_size=100))
def test_what_is_enclosed_comes_out_as_it_went_in(
    exchange: str, arrived_s: float, may_explain: bool, body: bytes
) -> None:
    envelope = Envelope(exchange, arrived_s, may_explain)
    assert opened(enclose(envelope, body, SEAL), SEAL) == (envelope, body)


def test_the_header_is_messagepack_after_its_mark() -> None:
    frame = enclose(Envelope("adx", 12.5, may_explain=True), b"", SEAL)
    assert frame[:1] == MARK
    assert msgspec.msgpack.decode(frame[1:]) == [VERSION, "adx", 12.5, True, SEAL]


@pytest.mark.parametrize("body", [b"", b"{}", b"\x81\xa2id\xa11", b"\xc1", b"\xc1\x95\x01"])
def test_a_bare_body_has_no_envelope_and_stays_as_it_is(body: bytes) -> None:
    assert opened(body, SEAL) == (None, body)


def test_an_envelope_that_this_node_did_not_seal_is_none() -> None:
    frame = enclose(Envelope("adx", 1.0, may_explain=True), b"{}", seal_of(b"another secret"))
    assert opened(frame, SEAL) == (None, frame)


@given(st.data())
def test_an_envelope_cut_short_is_none(data: st.DataObject) -> None:
    frame = enclose(Envelope("adx", 1.0, may_explain=False), b"", SEAL)
    short = frame[: data.draw(st.integers(0, len(frame) - 1))]
    assert opened(short, SEAL) == (None, short)


@given(st.integers(0, 35), st.integers(0, 255))
def test_a_spoilt_envelope_harms_nobody(place: int, value: int) -> None:
    frame = bytearray(enclose(Envelope("adx", 1.0, may_explain=False), b"{}", SEAL))
    frame[place] = value
    envelope, body = opened(bytes(frame), SEAL)
    assert body == (bytes(frame) if envelope is None else b"{}")


@given(st.binary(max_size=80))
def test_no_bytes_are_too_strange_to_be_opened(frame: bytes) -> None:
    assert opened(MARK + frame, SEAL)[0] is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("adx", True),
        ("a-b_1", True),
        ("", False),
        ("Adx", False),
        ("a" * 33, False),
        ("a\n", False),
    ],
)
def test_names_of_exchanges_are_short_and_plain(name: str, is_one: bool) -> None:
    assert bool(NAME.match(name)) is is_one
