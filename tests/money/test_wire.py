from __future__ import annotations

import contextlib
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.money import (
    MAX_MESSAGES,
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    LeaseReturned,
    MoneyFrameError,
    MoneyNotice,
    MoneyRefused,
    MoneyReply,
    MoneyRequest,
    Release,
    ReleaseAck,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
    decode_notices,
    decode_replies,
    decode_requests,
    encode_notices,
    encode_replies,
    encode_requests,
)
from transport.money_operators import Adjust, Adjusted, Refund, Refunded
from transport.sealed import unseal

GOLDEN = Path(__file__).with_name("golden")

REQUESTS: tuple[MoneyRequest, ...] = (
    LeaseRequest("bidder-1:a:1", "bidder-1", "autumn", 2_000_000),
    LeaseReturn("db-1", 1_500_000),
    Settle("key-1", "autumn", "db-1", 1_200, 1_500),
    Release("key-2", "autumn", ""),
    Refund("refund-1", "key-1", 200, "invalid traffic"),
    Adjust("adjust-1", "autumn", -300, "credit note 7"),
)
REPLIES: tuple[MoneyReply, ...] = (
    LeaseGranted("bidder-1:a:1", "db-1", "autumn", 2_000_000, 5.0, 30.0, 9_000_000, 10_000_000),
    LeaseDenied("bidder-1:a:2", "winter", "exhausted", 1.0, 0, 5_000_000),
    LeaseReturned("db-1", 1_500_000),
    SettleAck("key-1", "settled", 1_200),
    ReleaseAck("key-2"),
    MoneyRefused("not a frame"),
    Refunded("refund-1", "key-1", "autumn", 200),
    Adjusted("adjust-1", "autumn", -300),
)
NOTICES: tuple[MoneyNotice, ...] = (
    SettledNotice("key-1", "autumn", "db-1", 1_200),
    ReleasedNotice("key-2", "autumn", ""),
    LeaseClosed("db-1", "autumn", 300),
    BudgetExhausted("winter", 5_000_000, 5_000_000),
    CampaignStanding("autumn", 900, 300, 100, 500, "2026-11-24", 40, None, 1.5, 0.25, 1.0),
)

DECODERS = {"requests": decode_requests, "replies": decode_replies, "notices": decode_notices}
FRAMES = {
    "requests": (REQUESTS, encode_requests(REQUESTS)),
    "replies": (REPLIES, encode_replies(REPLIES)),
    "notices": (NOTICES, encode_notices(NOTICES)),
}


@pytest.mark.parametrize("kind", sorted(FRAMES))
def test_a_frame_decodes_to_what_was_encoded(kind: str) -> None:
    messages, body = FRAMES[kind]
    assert DECODERS[kind](body) == messages


@pytest.mark.parametrize("kind", sorted(FRAMES))
def test_a_frame_of_version_1_decodes_for_ever(kind: str) -> None:
    decoded = DECODERS[kind]((GOLDEN / f"{kind}-1.msgpack").read_bytes())
    # Kinds that came later stand behind those that the first frames held.
    assert len(decoded) >= 4
    assert decoded == FRAMES[kind][0][: len(decoded)]


def test_the_golden_frames_hold_every_kind_of_message() -> None:
    assert {type(message) for message in REQUESTS} == set(get_args(MoneyRequest))
    assert {type(message) for message in REPLIES} == set(get_args(MoneyReply))
    assert {type(message) for message in NOTICES} == set(get_args(MoneyNotice))


@pytest.mark.parametrize("kind", sorted(DECODERS))
@given(body=st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_refused_and_nothing_else_happens(
    kind: str, body: bytes
) -> None:
    with pytest.raises(MoneyFrameError, match="check both sides"):
        DECODERS[kind](body)


@pytest.mark.parametrize("kind", sorted(DECODERS))
@given(noise=st.binary(max_size=4), place=st.integers(0, 400), lost=st.integers(0, 3))
def test_a_damaged_frame_is_refused_unless_nothing_is_changed(
    kind: str, noise: bytes, place: int, lost: int
) -> None:
    messages, body = FRAMES[kind]
    with contextlib.suppress(MoneyFrameError):
        assert DECODERS[kind](body[:place] + noise + body[place + lost :]) == messages


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_no_wrong_bit_of_a_frame_is_ever_believed(kind: str) -> None:
    body = FRAMES[kind][1]
    for place in range(len(body)):
        for bit in range(8):
            wrong = bytes((body[place] ^ (1 << bit),))
            with pytest.raises(MoneyFrameError):
                DECODERS[kind](body[:place] + wrong + body[place + 1 :])


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_a_frame_that_is_nested_too_deep_is_refused(kind: str) -> None:
    with pytest.raises(MoneyFrameError):
        DECODERS[kind](b"\x81\xa5later" + b"\x91" * 100_000 + b"\xc0")


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_a_frame_of_a_later_version_is_refused(kind: str) -> None:
    body = msgspec.msgpack.encode({"messages": [], "version": 2})
    with pytest.raises(MoneyFrameError, match="version 2"):
        DECODERS[kind](body)


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_fields_that_a_newer_peer_adds_are_ignored(kind: str) -> None:
    messages, body = FRAMES[kind]
    frame = msgspec.msgpack.decode(unseal(body))
    frame["added"] = True
    frame["messages"][0]["added"] = 7
    assert DECODERS[kind](msgspec.msgpack.encode(frame)) == messages


def test_more_messages_than_a_frame_may_hold_are_refused_on_both_sides() -> None:
    releases = [Release("key", "autumn", "")] * (MAX_MESSAGES + 1)
    with pytest.raises(MoneyFrameError, match="split the burst"):
        encode_requests(releases)
    body = msgspec.msgpack.encode({"messages": releases, "version": 1})
    with pytest.raises(MoneyFrameError, match="split the burst"):
        decode_requests(body)


@pytest.mark.parametrize(
    "message",
    [
        Settle("key", "autumn", "db-1", -1),
        Settle("", "autumn", "db-1", 1),
        Settle("k" * 513, "autumn", "db-1", 1),
        Settle("a\0b", "autumn", "db-1", 1),
        Settle("key", "autumn", "db\0-1", 1),
        LeaseRequest("r", "bidder-1", "autumn", 0),
        LeaseReturn("db-1", 10**16),
        LeaseReturned("db-1", 1),
    ],
)
def test_an_impossible_message_is_refused_without_its_neighbours(message: MoneyRequest) -> None:
    good = Settle("good", "autumn", "db-1", 1)
    first, refused, last = decode_requests(encode_requests([good, message, good]))
    assert first == last == good
    assert isinstance(refused, MoneyRefused)
