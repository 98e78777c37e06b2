from __future__ import annotations

import contextlib
import hmac
import string

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transport.errors import NoticeError
from transport.notices import NoticeKey, _to_text, _token, sign, verify

SECRET = b"0123456789abcdef"
URL_SAFE = set(string.ascii_letters + string.digits + "-_.")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.builds(
    NoticeKey,
    key=TEXT,
    campaign_id=TEXT,
    lease_id=TEXT,
    bid_micros=st.integers(0, 2**53),
    creative_id=TEXT,
    version=st.just(1),
    issued_s=st.integers(0, 2**40),
    uptime_s=st.integers(0, 2**40),
    user=st.just("") | TEXT,
    quantity=st.just(1.0) | st.floats(0.0, 1e6),
    currency_micros=st.just(1_000_000) | st.integers(1, 10**9),
    test=st.booleans(),
)


def token_of(secret: bytes, notice: NoticeKey) -> str:
    return sign(secret, notice.key, notice.campaign_id, notice.lease_id, notice.bid_micros)


@given(KEYS)
def test_our_own_token_verifies(notice: NoticeKey) -> None:
    assert verify(SECRET, token_of(SECRET, notice), notice)


@given(KEYS, KEYS)
def test_the_token_of_another_bid_does_not_verify(notice: NoticeKey, other: NoticeKey) -> None:
    fields = ("key", "campaign_id", "lease_id", "bid_micros")
    assume(any(getattr(notice, name) != getattr(other, name) for name in fields))
    assert not verify(SECRET, token_of(SECRET, notice), other)


@given(KEYS, st.text(max_size=30))
def test_any_other_text_does_not_verify(notice: NoticeKey, text: str) -> None:
    assume(text != token_of(SECRET, notice))
    assert not verify(SECRET, text, notice)


@given(KEYS, st.binary(min_size=16, max_size=32))
def test_the_token_of_another_secret_does_not_verify(notice: NoticeKey, secret: bytes) -> None:
    assume(secret != SECRET)
    assert not verify(SECRET, token_of(secret, notice), notice)


def test_moving_a_character_between_fields_changes_the_token() -> None:
    assert sign(SECRET, "ab", "c", "l", 1) != sign(SECRET, "a", "bc", "l", 1)


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        sign(b"short", "k", "c", "l", 1)


@given(KEYS)
def test_a_notice_key_survives_a_url(notice: NoticeKey) -> None:
    text = notice.encode(SECRET)
    assert set(text) <= URL_SAFE
    assert NoticeKey.decode(SECRET, text) == notice


@given(KEYS, st.data())
def test_a_notice_key_with_any_character_changed_is_refused(
    notice: NoticeKey, data: st.DataObject
) -> None:
    text = notice.encode(SECRET)
    at = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from(sorted(URL_SAFE - {text[at]})) | st.just("é"))
    altered = text[:at] + character + text[at + 1 :]
    with contextlib.suppress(NoticeError):
        assert NoticeKey.decode(SECRET, altered) == notice  # only base64's spare bits differ


@given(st.text(max_size=60))
def test_any_text_is_refused_as_a_notice_key(text: str) -> None:
    with pytest.raises(NoticeError):
        NoticeKey.decode(SECRET, text)


def test_a_notice_key_of_another_form_is_refused_though_signed() -> None:
    payload = msgspec.msgpack.encode({"not": "ours"})
    with pytest.raises(NoticeError, match="unknown form"):
        NoticeKey.decode(SECRET, f"{_to_text(payload)}.{_token(SECRET, payload)}")


def test_a_notice_key_is_short_enough_for_a_url() -> None:
    notice = NoticeKey(
        "0123456789abcdef01234567", "campaign-12", "lease-1234567", 12_345_678, "cr-9"
    )
    assert len(notice.encode(SECRET)) < 150


def test_a_bid_as_usual_is_named_in_few_characters() -> None:
    usual = NoticeKey(
        "bidder-1-66517643b1c10-1a2b",
        "autohaus-volta",
        "id2-6",
        1_284,
        "autohaus-volta-mpu",
        issued_s=1_800_000_000,
        uptime_s=86_400,
    )
    counted = msgspec.structs.replace(usual, user="0123456789abcdef")
    assert len(usual.encode(SECRET)) <= 140
    assert len(counted.encode(SECRET)) <= 165
    assert NoticeKey.decode(SECRET, counted.encode(SECRET)) == counted


@pytest.mark.parametrize(
    ("unix_s", "uptime_s", "age_s"),
    [
        (1_000_010.0, 510.0, 10.0),
        (1_090_000.0, 510.0, 10.0),  # the wall clock was set ahead
        (900_000.0, 510.0, 0.0),  # it was set back
        (1_000_010.0, 7.0, 10.0),  # the machine was started anew
    ],
)
def test_the_age_of_a_bid_does_not_rest_on_one_clock(
    unix_s: float, uptime_s: float, age_s: float
) -> None:
    notice = NoticeKey("k", "c", "l", 1, issued_s=1_000_000, uptime_s=500)
    assert notice.age_s(unix_s, uptime_s) == age_s


def test_a_bid_of_an_unknown_time_is_of_no_age() -> None:
    assert NoticeKey("k", "c", "l", 1).age_s(2e9, 1e6) == 0.0


@given(st.binary(min_size=16, max_size=200), st.binary(max_size=200))
def test_a_token_is_the_beginning_of_the_standard_hmac(secret: bytes, payload: bytes) -> None:
    assert _token(secret, payload) == _to_text(hmac.digest(secret, payload, "sha256")[:16])
