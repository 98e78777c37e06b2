"""Requests by chance against a whole bidder: sound ones get sound answers, spoilt ones any at all.

The bidder is a real cell in virtual time with the sample campaigns. No request may crash anything,
go unanswered or hold up the next one.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings

from tests.actors.nodes import Node, bids_of
from tests.openrtb.checker import facts_of, faults_of
from tests.schemas.strategies import requests, spoilt
from tests.schemas.validators import violations

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = Path(__file__).resolve().parents[2] / "config"
FACTS = facts_of(CONFIG / "campaigns.toml", CONFIG / "rates.json")
DEALS = tuple(
    deal
    for campaign in tomllib.loads((CONFIG / "campaigns.toml").read_text())["campaigns"]
    for deal in campaign.get("deals", ())
)
EXAMPLES = 3_000 if os.environ.get("BIDWRIGHT_SOAK") else 60
ANSWER_S = 12.0
"""Virtual time after which an answer must be there, whatever `tmax` claims."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900 if EXAMPLES > 60 else 60)]
by_chance = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    made = Node(tmp_path_factory.mktemp("generated") / "node")
    before = made.light_actors()
    yield made
    after = made.light_actors()
    made.close()
    lost = [path for path, ref in before.items() if after.get(path) is not ref]
    assert not lost, f"these did not live through it: {lost}"


def ask(node: Node, body: bytes) -> bytes:
    """Send a body and return the one answer."""
    number = next(node.numbers)
    assert node.bids.send(number, body)
    node.world.run(0.02)
    answers = node.bids.drain(10)
    if not answers:
        node.world.run(ANSWER_S)
        answers = node.bids.drain(10)
    assert [reply.request_id for reply in answers] == [number], "not just one answer"
    return bytes(answers[0].body)


def reason_of(answer: dict[str, Any]) -> str:
    return str((answer.get("ext") or {}).get("reason", ""))


@by_chance
@given(request_=requests(DEALS))
def test_a_request_that_conforms_gets_an_answer_that_keeps_every_rule(
    node: Node, request_: dict[str, Any]
) -> None:
    assert violations("bid_request", request_) == []
    answer = json.loads(ask(node, json.dumps(request_).encode()))
    event(f"{len(bids_of(answer))} bids {reason_of(answer).partition(':')[0]}")
    assert violations("bid_response", answer) == []
    assert faults_of(request_, answer, FACTS) == []
    assert reason_of(answer) != "decider_died"


@by_chance
@given(document=spoilt(requests(DEALS)))
def test_a_spoilt_request_gets_an_answer_and_harms_nobody(node: Node, document: Any) -> None:
    body = json.dumps(document).encode("utf-8", "surrogatepass")
    answer = json.loads(ask(node, body))
    event(reason_of(answer).partition(":")[0] or f"{len(bids_of(answer))} bids")
    assert violations("bid_response", answer) == []
    assert reason_of(answer) != "decider_died"


@by_chance
@given(document=spoilt(requests()))
def test_messagepack_is_answered_in_messagepack(node: Node, document: Any) -> None:
    try:
        body = msgspec.msgpack.encode(document)
    except (OverflowError, UnicodeEncodeError):
        return
    if body[:1] in b"{[":  # looks like JSON, so it is answered as JSON
        return
    answer = msgspec.msgpack.decode(ask(node, body))
    assert violations("bid_response", answer) == []
    assert reason_of(answer) != "decider_died"
