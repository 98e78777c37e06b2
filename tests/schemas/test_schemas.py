"""The schemas of request and answer agree with the specification's own words and with the world."""

from __future__ import annotations

import gzip
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.schemas.validators import schema_of, violations

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "openrtb"

BID = {
    "id": "b",
    "impid": "1",
    "price": 1.5,
    "nurl": "http://127.0.0.1:8080/notice/win?b=x&p=${AUCTION_PRICE}",
    "burl": "http://127.0.0.1:8080/notice/billing?b=x",
    "lurl": "http://127.0.0.1:8080/notice/loss?b=x",
    "adm": "<b></b>",
    "adomain": ["shop.example"],
    "cid": "c",
    "crid": "c-1",
    "cat": ["IAB1"],
    "w": 300,
    "h": 250,
    "exp": 30,
    "mtype": 1,
}
ANSWER: dict[str, Any] = {"id": "r", "cur": "EUR", "seatbid": [{"seat": "s", "bid": [BID]}]}


def with_bid(**change: Any) -> dict[str, Any]:
    answer = deepcopy(ANSWER)
    bid = answer["seatbid"][0]["bid"][0]
    bid.update(change)
    for name in [name for name, value in change.items() if value is None]:
        del bid[name]
    return answer


@pytest.mark.parametrize("name", ["bid_request", "bid_response"])
def test_a_schema_is_one(name: str) -> None:
    assert jsonschema_rs.meta.is_valid(schema_of(name))


@pytest.mark.parametrize("name", ["requests", "captured"])
def test_every_valid_request_of_the_corpus_conforms(name: str) -> None:
    path = CORPUS / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip("the corpus of bid requests is not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        wrong = {
            number: found
            for number, line in enumerate(lines)
            if (found := violations("bid_request", json.loads(line)["request"]))
        }
    assert not wrong


@pytest.mark.parametrize(
    "request_",
    [
        {"imp": [{"id": "1", "banner": {}}]},
        {"id": "r", "imp": []},
        {"id": "r", "imp": [{"id": "1"}]},
        {"id": "r", "imp": [{"banner": {}}]},
        {"id": "r", "imp": [{"id": "1", "video": {}}]},
        {"id": "r", "imp": [{"id": "1", "native": {}}]},
        {"id": "r", "imp": [{"id": "1", "banner": {}}], "site": {}, "app": {}},
        {"id": "r", "imp": [{"id": "1", "banner": {}, "pmp": {"deals": [{}]}}]},
        {"id": "r", "imp": [{"id": "1", "banner": {}, "bidfloor": "1"}]},
        {"id": "r", "imp": [{"id": "1", "banner": {}}], "user": {"eids": {}}},
    ],
)
def test_a_request_that_breaks_the_specification_does_not_conform(request_: dict[str, Any]) -> None:
    assert violations("bid_request", request_)


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        with_bid(mtype=2, w=None, h=None, dur=15, burl=None),
        with_bid(mtype=4, w=None, h=None),
        {"id": "r", "nbr": 500, "ext": {"reason": "no_candidate"}},
        {"nbr": 2, "ext": {"error": "not JSON"}},
    ],
)
def test_sound_answers_conform(answer: dict[str, Any]) -> None:
    assert violations("bid_response", answer) == []


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"id": "r"},
        {"id": "r", "seatbid": []},
        {"id": "r", "nbr": 99},
        {**ANSWER, "nbr": 0},
        {**ANSWER, "currency": "EUR"},
        {"id": "r", "seatbid": [{"seat": "s", "bid": []}]},
        {"id": "r", "seatbid": [{"bid": [BID]}]},
        with_bid(price=0),
        with_bid(price="1.5"),
        with_bid(adm=None),
        with_bid(burl=None),
        with_bid(nurl="ftp://x.example/"),
        with_bid(w=0),
        with_bid(w=None),
        with_bid(cat=[]),
        with_bid(adomain=["https://shop.example"]),
        with_bid(mtype=5),
        with_bid(mtype=2),
        with_bid(colour="red"),
    ],
)
def test_unsound_answers_do_not_conform(answer: dict[str, Any]) -> None:
    assert violations("bid_response", answer)
