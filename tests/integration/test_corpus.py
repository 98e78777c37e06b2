"""Real bid requests of many origins through both doors of a node: each gets one sound answer.

Answers are judged by the schema of answers and by a checker that shares no code with the bidder.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.doors import ask_http, ask_nng
from tests.integration.node import Node, running_node
from tests.openrtb.checker import facts_of, faults_of
from tests.schemas.validators import violations

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT.parent / "shared" / "data" / "openrtb"
FACTS = facts_of(ROOT / "config" / "campaigns.toml", ROOT / "config" / "rates.json")
LEAST_BIDS = {"requests": 200, "captured": 2000}

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of bid requests is not here"),
]

Judged = list[tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with running_node() as made:
        yield made
        assert all(each["restarts"] == 0 for each in made.nodes().values()), "something crashed"


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(CORPUS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def requests_of(name: str, door: str) -> list[dict[str, Any]]:
    """Return the requests of a file, each by an id of its own: repeated ones are remembered."""
    return [
        {**line["request"], "id": f"{door}-{name}-{number}"}
        for number, line in enumerate(lines(name))
    ]


def wrong_answers(judged: Judged) -> dict[str, list[str]]:
    """Return what the schema and the checker have to say, by the request's id."""
    told = {
        request["id"]: violations("bid_response", answer) + faults_of(request, answer, FACTS)
        for request, answer in judged
    }
    return {name: found for name, found in told.items() if found}


def with_bids(judged: Judged) -> int:
    return sum(bool(answer.get("seatbid")) for _, answer in judged)


@pytest.mark.parametrize("name", LEAST_BIDS)
def test_every_valid_request_over_nng_gets_a_sound_bid_or_a_reason(node: Node, name: str) -> None:
    requests = requests_of(name, "nng")
    answers = ask_nng(node.port, [json.dumps(request).encode() for request in requests])
    judged = list(zip(requests, map(json.loads, answers), strict=True))
    wrong = wrong_answers(judged)
    assert not wrong, (len(wrong), dict(list(wrong.items())[:10]))
    assert with_bids(judged) >= LEAST_BIDS[name]


@pytest.mark.parametrize("name", LEAST_BIDS)
def test_every_valid_request_over_http_gets_a_sound_bid_or_no_content(
    node: Node, name: str
) -> None:
    requests = requests_of(name, "http")
    answers = ask_http(node.http_port, [json.dumps(request).encode() for request in requests])
    assert {status for status, _ in answers} <= {200, 204}
    assert all(not body for status, body in answers if status == 204)
    judged = [
        (request, json.loads(body))
        for request, (status, body) in zip(requests, answers, strict=True)
        if status == 200
    ]
    wrong = wrong_answers(judged)
    assert not wrong, (len(wrong), dict(list(wrong.items())[:10]))
    assert with_bids(judged) >= LEAST_BIDS[name]


def test_every_lenient_request_gets_a_clear_answer_at_both_doors(node: Node) -> None:
    bodies = [json.dumps(line["request"]).encode() for line in lines("lenient")]
    for body in ask_nng(node.port, bodies):
        assert not violations("bid_response", json.loads(body)), body
    statuses = [status for status, _ in ask_http(node.http_port, bodies)]
    assert set(statuses) <= {200, 204, 400}


def test_every_invalid_body_over_nng_gets_a_clear_answer(node: Node) -> None:
    cases = lines("invalid")
    answers = ask_nng(node.port, [case["raw"].encode() for case in cases])
    for case, body in zip(cases, answers, strict=True):
        answer = json.loads(body)
        assert not violations("bid_response", answer), case["why"]
        if case["class"] == "json":
            assert answer["nbr"] == 2
            assert answer["ext"]["error"]


def test_what_is_no_json_gets_400_over_http_and_nothing_gets_more(node: Node) -> None:
    cases = lines("invalid")
    answers = ask_http(node.http_port, [case["raw"].encode() for case in cases])
    statuses = {
        kind: {
            status
            for case, (status, _) in zip(cases, answers, strict=True)
            if case["class"] == kind
        }
        for kind in ("json", "spec", "prebid-policy")
    }
    assert statuses["json"] == {400}
    assert statuses["spec"] <= {200, 204, 400}
    assert statuses["prebid-policy"] <= {200, 204, 400}
    assert all(not body for status, body in answers if status == 400), "a 400 has no content"


def test_a_refused_body_does_not_cost_the_connection(node: Node) -> None:
    bodies: Sequence[bytes] = [b"{", b"", b"[1]", b'{"imp": []}', b"\x00" * 64] * 4
    statuses = [status for status, _ in ask_http(node.http_port, bodies)]
    assert set(statuses) == {400}
