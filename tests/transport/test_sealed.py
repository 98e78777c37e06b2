"""Seals: what was spoilt is not believed, what has no seal is taken as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import MalformedEventError, SpoiltFrameError
from transport.messages import InferAnswer, InferAnswers, decode_infer_answers, encode
from transport.sealed import check_seals, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def unchecked() -> Iterator[None]:
    check_seals(is_on=False)
    yield
    check_seals(is_on=True)


@given(st.binary(max_size=300))
def test_what_was_sealed_comes_out_again(body: bytes) -> None:
    assert unseal(seal(body)) == body


@given(st.binary(min_size=1, max_size=100), st.data())
def test_one_wrong_bit_behind_the_mark_is_noticed(body: bytes, data: st.DataObject) -> None:
    frame = bytearray(seal(body))
    place = data.draw(st.integers(1, len(frame) - 1))
    frame[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SpoiltFrameError):
        unseal(bytes(frame))


@given(st.binary(max_size=100), st.integers(1, 100))
def test_a_frame_without_its_end_is_noticed(body: bytes, missing: int) -> None:
    frame = seal(body)[:-missing]
    if frame:
        with pytest.raises(SpoiltFrameError):
            unseal(frame)


def test_a_frame_of_an_older_sender_is_taken_as_it_is() -> None:
    assert unseal(b"") == b""
    assert unseal(b"\x81\xa1a\x01") == b"\x81\xa1a\x01"


def test_a_spoilt_vector_is_no_vector() -> None:
    answers = InferAnswers((InferAnswer(1, "ok", b"\0" * 64),))
    frame = seal(encode(answers))
    assert decode_infer_answers(frame) == answers
    spoilt = frame[:-1] + b"\x7f"
    assert decode_infer_answers(spoilt[5:]) != answers  # MessagePack alone believes it
    with pytest.raises(MalformedEventError, match="checksum"):
        decode_infer_answers(spoilt)


@pytest.mark.usefixtures("unchecked")
def test_a_process_that_does_not_look_believes_everything() -> None:
    assert unseal(seal(b"good")[:-1] + b"x") == b"goox"
