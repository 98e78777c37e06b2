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


@given(st.binary(min_size=16, max_size=200), st.binary(max_size=200))
def test_a_token_is_the_beginning_of_the_standard_hmac(secret: bytes, payload: bytes) -> None:
    assert _token(secret, payload) == _to_text(hmac.digest(secret, payload, "sha256")[:16])
