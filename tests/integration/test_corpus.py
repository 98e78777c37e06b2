"""Real bid requests of many origins against a real node: each line gets one sound answer."""

from __future__ import annotations

import gzip
import json
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.node import running_node
from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CORPUS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "openrtb"

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of bid requests is not here"),
]

IN_FLIGHT = 32
SILENCE_LIMIT_S = 10.0


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running_node() as node:
        yield node.port
        assert all(each["restarts"] == 0 for each in node.nodes().values()), "something crashed"


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(CORPUS / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ask_all(port: int, bodies: Sequence[bytes]) -> list[bytes]:
    """Send all, a few at a time, and return the answers in order; fail if one does not come."""
    client = NngLinks().client()
    client.dial(f"tcp://127.0.0.1:{port}")
    select.select([client.change_fileno()], [], [], SILENCE_LIMIT_S)
    client.take_changes()
    answers: dict[int, bytes] = {}
    sent = 0
    try:
        while len(answers) < len(bodies):
            while sent < len(bodies) and sent - len(answers) < IN_FLIGHT:
                assert client.send(sent, bodies[sent])
                sent += 1
            ready, _, _ = select.select([client.fileno()], [], [], SILENCE_LIMIT_S)
            assert ready, f"no answer to {sorted(set(range(sent)) - set(answers))[:5]}"
            answers.update(client.drain(256))
    finally:
        client.close()
    return [answers[number] for number in range(len(bodies))]


def faults(request: dict[str, Any], answer: dict[str, Any]) -> list[str]:
    """Return every rule that the answer to a valid request breaks."""
    found = []
    if answer.get("id") != request["id"]:
        found.append(f"id {answer.get('id')!r}")
    bids = [bid for seat in answer.get("seatbid", []) for bid in seat["bid"]]
    if not bids:
        said_why = "nbr" in answer and (answer.get("ext") or {}).get("reason")
        return found if said_why else [*found, "no bid and no reason"]
    currency = answer.get("cur", "USD")
    if currency not in (request.get("cur") or ["USD"]):
        found.append(f"currency {currency}")
    imps = {imp["id"]: imp for imp in request["imp"]}
    for bid in bids:
        imp = imps.get(bid["impid"])
        found += [f"impid {bid['impid']}"] if imp is None else bid_faults(request, imp, bid)
    return found


def bid_faults(request: dict[str, Any], imp: dict[str, Any], bid: dict[str, Any]) -> list[str]:
    found = []
    if imp.get("bidfloorcur", "USD") == "USD" and bid["price"] < imp.get("bidfloor", 0):
        found.append(f"price {bid['price']} below {imp['bidfloor']}")
    if bid["price"] <= 0:
        found.append("no price")
    media = ("banner", "video", "audio", "native")[bid["mtype"] - 1]
    if media not in imp:
        found.append(f"a {media} for {sorted(imp)}")
    elif media == "banner" and not fits(imp["banner"], bid):
        found.append(f"size {bid.get('w')}x{bid.get('h')}")
    if set(bid.get("adomain", [])) & set(request.get("badv") or []):
        found.append("blocked advertiser")
    if set(bid.get("cat", [])) & set(request.get("bcat") or []):
        found.append("blocked category")
    if set(bid.get("attr", [])) & set((imp.get(media) or {}).get("battr") or []):
        found.append("blocked attribute")
    return found


def fits(banner: dict[str, Any], bid: dict[str, Any]) -> bool:
    """A banner of one of the sizes asked for; a request without sizes takes any."""
    sizes = {(size.get("w"), size.get("h")) for size in banner.get("format") or []}
    if banner.get("w") and banner.get("h"):
        sizes.add((banner["w"], banner["h"]))
    sizes = {size for size in sizes if all(size)}
    return not sizes or (bid.get("w"), bid.get("h")) in sizes


@pytest.mark.parametrize(("name", "least_bids"), [("requests", 200), ("captured", 2000)])
def test_every_valid_request_gets_a_sound_bid_or_a_reason(
    port: int, name: str, least_bids: int
) -> None:
    requests = [line["request"] for line in lines(name)]
    answers = ask_all(port, [json.dumps(request).encode() for request in requests])
    wrong = {}
    bids = 0
    for number, (request, body) in enumerate(zip(requests, answers, strict=True)):
        answer = json.loads(body)
        bids += bool(answer.get("seatbid"))
        if broken := faults(request, answer):
            wrong[number] = broken
    assert not wrong, dict(list(wrong.items())[:10])
    assert bids >= least_bids


def test_every_lenient_request_gets_a_clear_answer(port: int) -> None:
    requests = [line["request"] for line in lines("lenient")]
    for body in ask_all(port, [json.dumps(request).encode() for request in requests]):
        answer = json.loads(body)
        assert answer.get("seatbid") or "nbr" in answer


def test_every_invalid_body_gets_a_clear_answer(port: int) -> None:
    cases = lines("invalid")
    answers = ask_all(port, [case["raw"].encode() for case in cases])
    for case, body in zip(cases, answers, strict=True):
        answer = json.loads(body)
        assert answer.get("seatbid") or "nbr" in answer, case["why"]
        if case["class"] == "json":
            assert answer["nbr"] == 2
            assert answer["ext"]["error"]
