"""The edge's ASGI application over bidders in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from actors.edge import bid_route, routes
from tests.actors.edges import MAX_BODY_BYTES, UNIX_S, World, in_world
from transport.codec import WireFormat, no_bid
from transport.messages import Click, EventAck, decode_event, encode_ack

if TYPE_CHECKING:
    from collections.abc import Callable

BID = b'{"id":"1","seatbid":[{"bid":[{"id":"b"}]}]}'
REQUEST = json.dumps({"id": "1", "imp": [{"id": "1"}], "tmax": 5_000}).encode()
PATH = "/openrtb2/bid"


def says(answer: bytes) -> Callable[[bytes], bytes]:
    return lambda _body: answer


def test_a_bid_comes_back_and_is_counted() -> None:
    async def story(world: World) -> None:
        world.bidder("g1", says(BID))
        answer = await world.call("POST", PATH, REQUEST)
        assert (answer.status, answer.body) == (200, BID)
        assert b'edge_requests_total{route="bid",status="200"} 1.0' in world.numbers.text()

    in_world(story)


def test_no_bid_is_counted_by_its_reason() -> None:
    async def story(world: World) -> None:
        world.bidder("g1", says(no_bid("1", 8, WireFormat.JSON)))
        answer = await world.call("POST", PATH, REQUEST)
        assert (answer.status, answer.headers["x-openrtb-nbr"]) == (204, "8")
        assert b'edge_no_bids_total{nbr="8"} 1.0' in world.numbers.text()

    in_world(story)


def test_a_body_in_parts_reaches_the_gateway_whole() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        answer = await world.call("POST", PATH, REQUEST[:10], REQUEST[10:20], REQUEST[20:])
        assert answer.status == 200
        assert bidder.asked == [REQUEST]

    in_world(story)


def test_a_compressed_body_reaches_the_gateway_plain() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        headers = ((b"content-encoding", b"gzip"),)
        answer = await world.call("POST", PATH, gzip.compress(REQUEST), headers=headers)
        assert answer.status == 200
        assert bidder.asked == [REQUEST]

    in_world(story)


@pytest.mark.parametrize(
    ("method", "body", "encoding", "status"),
    [
        ("GET", b"", b"", 405),
        ("POST", b"", b"", 400),
        ("POST", b"x" * (MAX_BODY_BYTES + 1), b"", 413),
        ("POST", b"x", b"br", 415),
        ("POST", b"x", b"gzip", 400),
        ("POST", gzip.compress(b"x" * (MAX_BODY_BYTES + 1)), b"gzip", 400),
    ],
)
def test_what_cannot_be_a_request_reaches_no_gateway(
    method: str, body: bytes, encoding: bytes, status: int
) -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        headers = ((b"content-encoding", encoding),)
        answer = await world.call(method, PATH, body, headers=headers)
        assert (answer.status, answer.body, bidder.asked) == (status, b"", [])

    in_world(story)


def test_a_body_too_large_is_refused_before_its_last_part() -> None:
    async def story(world: World) -> None:
        parts = [{"type": "http.request", "body": b"x" * 600, "more_body": True}] * 2
        sent = await world.exchange("POST", PATH, parts)
        assert sent[0]["status"] == 413

    in_world(story)


def test_a_sender_that_has_gone_gets_no_answer_and_costs_no_decision() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        parts: list[dict[str, Any]] = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]
        assert await world.exchange("POST", PATH, parts) == []
        assert bidder.asked == []

    in_world(story)


def test_a_sender_that_never_finishes_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bid_route, "BODY_LIMIT_S", 0.01)

    async def story(world: World) -> None:
        sent: list[Any] = []

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
        await world.app(scope, receive, send)
        assert sent[0]["status"] == 408

    in_world(story)


def test_a_request_is_answered_at_its_own_deadline() -> None:
    async def story(world: World) -> None:
        world.bidder("g1")
        await world.settle()
        body = json.dumps({"id": "1", "tmax": 20}).encode()
        begun_s = world.loop.time()
        answer = await world.call("POST", PATH, body)
        took_s = world.loop.time() - begun_s
        assert (answer.status, answer.headers["x-openrtb-nbr"]) == (204, "15")
        assert 0.015 < took_s < 2.5  # without its tmax it would have 5 s

    in_world(story)


def test_a_request_with_no_time_left_is_refused_at_once_and_costs_no_bidder_anything() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        await world.settle()
        answer = await world.call("POST", PATH, json.dumps({"id": "1", "tmax": 4}).encode())
        assert (answer.status, answer.headers["x-openrtb-nbr"]) == (204, "15")
        assert bidder.asked == []

    in_world(story)


def test_what_is_too_much_is_answered_at_once_without_closing_the_connection() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1")
        await world.settle()
        first = asyncio.ensure_future(world.call("POST", PATH, REQUEST))
        await world.settle()
        second = await world.call("POST", PATH, b"whatever it is")
        assert (second.status, second.headers["x-openrtb-nbr"]) == (204, "503")
        assert "connection" not in second.headers
        assert bidder.asked == [REQUEST]
        first.cancel()

    in_world(story, max_waiting=1)


def test_of_a_burst_read_before_any_of_it_is_begun_no_more_comes_in_than_there_is_room() -> None:
    async def story(world: World) -> None:
        scope = {"type": "http", "method": "POST", "path": PATH, "headers": []}
        replies = [world.app.turns_away(scope) for _ in range(4)]
        assert [reply and reply.nbr for reply in replies] == [None, None, 503, 503]
        assert world.app.turns_away({**scope, "method": "GET"}) is None, "that is for the route"
        assert world.app.turns_away({**scope, "path": "/healthz"}) is None

    in_world(story, max_waiting=2)


def test_without_shedding_the_same_request_waits_for_a_bidder() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        answers = await asyncio.gather(*(world.call("POST", PATH, REQUEST) for _ in range(100)))
        assert {answer.status for answer in answers} == {200}
        assert len(bidder.asked) == 100

    in_world(story, sheds=False)


@pytest.mark.parametrize(("path", "exchange"), [(PATH, ""), (f"{PATH}/adx_eu-1", "adx_eu-1")])
def test_the_path_says_who_asks_and_the_bidder_is_told(path: str, exchange: str) -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        before_s = world.loop.time()
        assert (await world.call("POST", path, REQUEST)).status == 200
        (envelope,) = bidder.envelopes
        assert envelope is not None
        assert envelope.exchange == exchange
        assert before_s - 0.1 <= envelope.arrived_s <= world.loop.time()

    in_world(story)


@pytest.mark.parametrize("name", ["", "Adx", "a/b", "a" * 33, "a b"])
def test_a_path_that_names_no_exchange_is_not_there(name: str) -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", says(BID))
        answer = await world.call("POST", f"{PATH}/{name}", REQUEST)
        assert (answer.status, bidder.asked) == ((404, []) if name else (200, [REQUEST]))

    in_world(story)


def test_a_large_bid_is_compressed_for_those_who_take_it_so() -> None:
    bid = json.dumps({"id": "1", "seatbid": [{"bid": [{"adm": "x" * 900}]}]}).encode()

    async def story(world: World) -> None:
        world.bidder("g1", says(bid))
        plain = await world.call("POST", PATH, REQUEST)
        assert plain.body == bid
        headers = ((b"accept-encoding", b"gzip, br"),)
        answer = await world.call("POST", PATH, REQUEST, headers=headers)
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == bid

    in_world(story)


def test_an_event_is_confirmed_by_whoever_booked_it() -> None:
    async def story(world: World) -> None:
        desk = world.bidder("e1", says(encode_ack(EventAck(ok=True))))
        answer = await world.call("POST", "/events/click", query=b"key=k")
        assert (answer.status, answer.body) == (204, b"")
        assert [decode_event(body) for body in desk.asked] == [Click("k", ts=UNIX_S)]
        assert b'edge_requests_total{route="notice",status="204"} 1.0' in world.numbers.text()

    in_world(story)


def test_an_event_that_nobody_confirms_is_to_be_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(routes, "EVENT_WAIT_S", 0.01)

    async def story(world: World) -> None:
        world.bidder("e1")
        answer = await world.call("GET", "/notice/win", query=b"b=k&p=1")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")

    in_world(story)


def test_a_bad_notice_says_what_is_wrong() -> None:
    async def story(world: World) -> None:
        desk = world.bidder("e1")
        answer = await world.call("GET", "/notice/win", query=b"p=1")
        assert answer.status == 400
        assert b"key is missing" in answer.body
        assert desk.asked == []

    in_world(story)


def test_a_rehearsal_is_confirmed_and_reaches_nobody() -> None:
    async def story(world: World) -> None:
        desk = world.bidder("e1")
        answer = await world.call("GET", "/notice/billing", query=b"b=k&p=AUDIT")
        assert (answer.status, desk.asked) == (204, [])

    in_world(story)


def test_it_is_ready_while_a_gateway_is_there() -> None:
    async def story(world: World) -> None:
        assert (await world.call("GET", "/readyz")).status == 503
        gateway = world.bidder("g1")
        await world.settle()
        assert (await world.call("GET", "/readyz")).status == 200
        gateway.die()
        await world.settle()
        assert (await world.call("GET", "/readyz")).status == 503
        assert (await world.call("GET", "/healthz")).status == 200

    in_world(story)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("DELETE", "/notice/win", 405), ("GET", "/notice/theft", 400)],
)
def test_other_paths_are_refused(method: str, path: str, status: int) -> None:
    async def story(world: World) -> None:
        assert (await world.call(method, path, query=b"b=k")).status == status

    in_world(story)
