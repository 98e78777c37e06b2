from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import MalformedEventError
from transport.messages import (
    Billing,
    Click,
    Conversion,
    DecisionRecord,
    Event,
    EventAck,
    Impression,
    InferAnswer,
    InferAnswers,
    InferBatch,
    InferRequest,
    Loss,
    StepTaken,
    Win,
    decode_decision,
    decode_event,
    decode_infer_answers,
    decode_infer_batch,
    encode,
    encode_ack,
    encode_event,
    frame_decoder,
)

GOLDEN = Path(__file__).parent / "golden"

# What the frames of ``golden/v1.json`` say, in today's types. A new field needs no change here; a
# changed or renamed one makes the test fail, as it would make an old node's frames unreadable.
SAMPLES: dict[str, msgspec.Struct] = {
    "infer_batch": InferBatch(
        requests=(
            InferRequest(id=1, model="profiler", deadline_s=12.5, tokens=(3, 4)),
            InferRequest(id=2, model="profiler", deadline_s=13.0),
        )
    ),
    "infer_answers": InferAnswers(
        answers=(
            InferAnswer(id=1, status="ok", vector=b"\0\0\x80?"),
            InferAnswer(id=2, status="late"),
        )
    ),
    "win": Win(
        key="k",
        request_id="r",
        imp_id="1",
        campaign_id="c",
        creative_id="cr",
        lease_id="l",
        price_cpm=1.25,
        ts=1700000000.5,
        token="t",
    ),
    "loss": Loss(key="k", loss_code=102, min_to_win_cpm=2.5),
    "billing": Billing(key="k", price_cpm=1.0),
    "impression": Impression(key="k"),
    "click": Click(key="k", campaign_id="c"),
    "conversion": Conversion(key="k", value_micros=5_000_000),
    "ack": EventAck(ok=False, duplicate=True, error="why"),
    "decision": DecisionRecord(
        request_id="r",
        imp_id="1",
        ts=1700000000.5,
        bidder="bidder-1",
        outcome="bid",
        campaign_id="c",
        creative_id="cr",
        bid_micros=1500,
        floor_micros=500,
        propensity=0.25,
        predicted_ctr=0.01,
        expected_value_micros=1800.0,
        key="k",
        lease_id="l",
        vector=(0.5, -0.5),
        steps=(StepTaken(step="vet", kind="live", ms=0.1),),
        versions={"selector": "1"},
        country="USA",
        device="phone",
        category="IAB1",
        user_hash="u",
    ),
}


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("v*.json")), ids=lambda path: path.stem)
@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_frames_of_old_versions_still_decode(path: Path, name: str) -> None:
    frames: dict[str, str] = json.loads(path.read_text())
    sample = SAMPLES[name]
    assert frame_decoder(type(sample))(bytes.fromhex(frames[name])) == sample


def test_there_is_a_golden_file() -> None:
    assert (GOLDEN / "v1.json").exists()


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("name", ["win", "loss", "billing", "impression", "click", "conversion"])
def test_an_event_is_read_in_either_format(name: str, as_json: bool) -> None:
    event: Any = SAMPLES[name]
    body = encode_event(event, as_json=as_json)
    assert body.startswith(b"{") is as_json
    assert decode_event(body) == event


def test_an_event_may_say_as_little_as_its_type_and_key() -> None:
    assert decode_event(b' {"type": "click", "key": "k", "later": 1}') == Click(key="k")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"{}",
        b'{"type":"win"}',
        b'{"type":"no","key":"k"}',
        b"\x81\xa4type",
        b"\x80",
        b"[1]",
        b'{"type":"win","key":"k","later":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"\x82\xa4type\xa3win\xa5later" + b"\x91" * 100_000 + b"\xc0",
        b"\x82\xa4type\xa3win\xa3key\xa2\xff\xfe",
        b'{"type":"loss","key":"k","loss_code":4294967296}',
        b'{"type":"win","key":"k","version":36893488147419103232}',
        b'{"type":"conversion","key":"k","value_micros":9223372036854775808}',
    ],
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedEventError):
        decode_event(body)


@given(st.binary(max_size=100))
def test_any_bytes_are_an_event_or_refused(body: bytes) -> None:
    try:
        event = decode_event(body)
    except MalformedEventError:
        return
    assert isinstance(event, Event)


@given(st.binary(max_size=4), st.integers(0, 60), st.integers(0, 3))
def test_a_damaged_frame_is_read_or_refused(noise: bytes, place: int, lost: int) -> None:
    for sample, decode in (
        (SAMPLES["infer_batch"], decode_infer_batch),
        (SAMPLES["infer_answers"], decode_infer_answers),
        (SAMPLES["decision"], decode_decision),
        (SAMPLES["win"], decode_event),
    ):
        frame = encode(sample)
        with contextlib.suppress(MalformedEventError):
            decode(frame[:place] + noise + frame[place + lost :])


def test_a_frame_that_is_nested_too_deep_is_refused() -> None:
    for decode in (decode_infer_batch, decode_infer_answers, decode_decision):
        with pytest.raises(MalformedEventError):
            decode(b"\x81\xa5later" + b"\x91" * 100_000 + b"\xc0")


def test_an_acknowledgement_is_written_in_either_format() -> None:
    assert json.loads(encode_ack(EventAck(ok=True), as_json=True)) == {"ok": True}
    assert msgspec.msgpack.decode(encode_ack(EventAck(ok=True))) == {"ok": True}


def test_a_frame_of_another_type_is_refused() -> None:
    with pytest.raises(MalformedEventError):
        decode_infer_batch(encode(SAMPLES["infer_answers"]))
    with pytest.raises(MalformedEventError):
        decode_infer_answers(b"")


FINITE = st.floats(allow_nan=False, allow_infinity=False)
REQUESTS = st.builds(
    InferRequest,
    id=st.integers(0, 2**31),
    model=st.text(max_size=8),
    deadline_s=FINITE,
    tokens=st.lists(st.integers(0, 77), max_size=20).map(tuple),
)
ANSWERS = st.builds(InferAnswer, id=st.integers(0, 2**31), vector=st.binary(max_size=64))
DECISIONS = st.builds(
    DecisionRecord,
    bid_micros=st.integers(0, 2**60),
    nbr=st.none() | st.integers(0, 600),
    ts=FINITE,
    propensity=FINITE,
    predicted_ctr=FINITE,
    expected_value_micros=FINITE,
    vector=st.lists(FINITE, max_size=16).map(tuple),
    steps=st.lists(st.builds(StepTaken, ms=FINITE), max_size=3).map(tuple),
)


@given(st.lists(REQUESTS, max_size=5).map(tuple))
def test_inference_batches_survive_the_round_trip(requests: tuple[InferRequest, ...]) -> None:
    assert decode_infer_batch(encode(InferBatch(requests))).requests == requests


@given(st.lists(ANSWERS, max_size=5).map(tuple))
def test_inference_answers_survive_the_round_trip(answers: tuple[InferAnswer, ...]) -> None:
    assert decode_infer_answers(encode(InferAnswers(answers))).answers == answers


@given(DECISIONS)
def test_decisions_survive_the_round_trip_and_name_every_field(record: DecisionRecord) -> None:
    frame = encode(record)
    assert decode_decision(frame) == record
    assert set(msgspec.msgpack.decode(frame)) == set(DecisionRecord.__struct_fields__)
