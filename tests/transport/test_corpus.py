"""Real bid requests, kept beside the project: each gets a clear outcome."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from transport.codec import WireFormat, decode_request, refusal, sniff_format
from transport.errors import InvalidRequestError, MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "openrtb"

pytestmark = [
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the OpenRTB corpus is not beside the project"),
    pytest.mark.slow,
]


def lines_of(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(CORPUS / f"{name}.jsonl.gz") as lines:
        for line in lines:
            yield json.loads(line)


def outcome_of(body: bytes) -> str:
    """Return "ok", "invalid" or "malformed"; anything else that happens is a bug."""
    try:
        request, wire_format = decode_request(body)
    except (InvalidRequestError, MalformedRequestError) as error:
        answer = refusal(error, sniff_format(body))
        decoder = msgspec.json if sniff_format(body) is WireFormat.JSON else msgspec.msgpack
        answered = decoder.decode(answer)
        assert answered["nbr"] == 2
        assert answered["ext"]["error"]
        return "malformed" if isinstance(error, MalformedRequestError) else "invalid"
    assert wire_format is sniff_format(body)
    assert request.id
    return "ok"


@pytest.mark.parametrize("name", ["requests", "captured"])
def test_every_valid_request_is_read_in_both_formats(name: str) -> None:
    for line in lines_of(name):
        assert outcome_of(msgspec.json.encode(line["request"])) == "ok", line["source"]
        assert outcome_of(msgspec.msgpack.encode(line["request"])) == "ok", line["source"]


def test_most_lenient_requests_are_read_and_the_rest_is_told_why() -> None:
    outcomes = [outcome_of(msgspec.json.encode(line["request"])) for line in lines_of("lenient")]
    assert set(outcomes) <= {"ok", "invalid"}
    assert outcomes.count("ok") > 0.8 * len(outcomes)


def test_every_invalid_body_is_told_why_when_it_cannot_be_used() -> None:
    outcomes = {(line["class"], outcome_of(line["raw"].encode())) for line in lines_of("invalid")}
    assert {outcome for kind, outcome in outcomes if kind == "json"} == {"malformed"}
    assert ("spec", "invalid") in outcomes
