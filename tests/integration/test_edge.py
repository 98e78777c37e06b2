"""The edge in a cell, over real sockets, with a gateway that isn't one."""

from __future__ import annotations

import http.client
import json
import os
import random
import select
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.edge.actor import Edge, listen
from actors.edge.errors import ServerDiedError, ServerHungError
from actors.edge.landings import Landings
from actors.edge.options import EdgeOptions
from supervision import Cell
from supervision.errors import StartError
from tests.actors.test_edge_access import make_certificate
from transport.envelope import opened, seal_of
from transport.messages import EventAck, decode_event, encode_ack, is_json
from transport.nng import NngLinks, NngServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from supervision import Ref

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LIMIT_S = 10.0
SEAL = seal_of(b"the node's secret")
BID = {"id": "r-1", "seatbid": [{"bid": [{"id": "b-1", "impid": "1", "price": 2.0}]}]}
REQUEST = {"id": "r-1", "imp": [{"id": "1", "banner": {}}], "tmax": 200}


class Bidder:
    """Answers bid requests by a rule, and confirms every event, from a thread."""

    def __init__(
        self, answer: Callable[[bytes], bytes | None], url: str = "tcp://127.0.0.1:0"
    ) -> None:
        self.bids, self.events = NngServer(), NngServer()
        self.url = self.bids.listen(url)
        self.event_url = self.events.listen("tcp://127.0.0.1:0")
        self.asked: list[bytes] = []
        self.heard: list[Any] = []
        self._answer = answer
        self._over = os.eventfd(0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            os.eventfd_write(self._over, 1)
            self._thread.join(timeout=5)
            self.bids.close()
            self.events.close()
            os.close(self._over)

    def _serve(self) -> None:
        descriptors = [self.bids.fileno(), self.events.fileno(), self._over]
        while self._over not in select.select(descriptors, (), ())[0]:
            for header, body in self.bids.drain(64):
                envelope, plain = opened(body, SEAL)
                self.asked.append(plain if envelope is not None else b"without an envelope")
                answer = self._answer(plain)
                if answer is not None:
                    self.bids.reply(header, answer)
            for header, body in self.events.drain(64):
                self.heard.append(decode_event(body))
                ack = encode_ack(EventAck(ok=True), as_json=is_json(body))
                self.events.reply(header, ack)


def options_of(*bidders: Bidder, **changes: Any) -> EdgeOptions:
    """What an edge serves before these bidders."""
    usual: dict[str, Any] = {
        "links": NngLinks(),
        "gateway_urls": tuple(bidder.url for bidder in bidders),
        "event_urls": tuple(bidder.event_url for bidder in bidders),
        "max_body_bytes": 100_000,
        "default_tmax_ms": 300,
        "unix_clock": lambda: 1_800_000_000.0,
        "clock": time.monotonic,
        "seal": SEAL,
        "landings": Landings({}, (), b"a secret of enough bytes"),
    }
    return EdgeOptions(**{**usual, **changes})


class Running:
    """An edge in a cell that a thread serves, as a host process would."""

    def __init__(self, *bidders: Bidder, **options: Any) -> None:
        self.cell = Cell(rng=random.Random(1))
        self.actor = Edge("127.0.0.1", 0, options_of(*bidders, **options))
        self.ref: Ref = self.cell.spawn(lambda: self.actor, parent=self.cell.outside, name="edge")
        self.cell.run(max_s=LIMIT_S, until=lambda: not self.ref.starting)
        assert self.ref.exit_reason is None, self.ref.exit_reason
        self.port = int(self.actor.describe()["url"].rpartition(":")[2])
        self._over = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._over:
            self.cell.run(max_s=0.02)

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        answer = response.status, dict(response.getheaders()), response.read()
        connection.close()
        return answer

    def ready(self) -> Running:
        self.wait(lambda: self.call("GET", "/readyz")[0] == 200, "ready")
        return self

    def wait(self, fact: Callable[[], bool], what: str) -> None:
        until_s = time.monotonic() + LIMIT_S
        while not fact():
            assert time.monotonic() < until_s, f"not within {LIMIT_S} s: {what}"
            select.select((), (), (), 0.02)

    def close(self) -> None:
        self._over = True
        self._thread.join(timeout=5)
        self.cell.kill(self.ref)


def bids(_body: bytes) -> bytes:
    return json.dumps(BID).encode()


def says_nothing(_body: bytes) -> None:
    return None


@pytest.fixture
def bidder() -> Iterator[Bidder]:
    serving = Bidder(bids)
    yield serving
    serving.close()


@pytest.fixture
def edge(bidder: Bidder) -> Iterator[Running]:
    running = Running(bidder)
    yield running.ready()
    running.close()


def test_a_request_goes_to_a_gateway_and_its_bid_comes_back_untouched(
    edge: Running, bidder: Bidder
) -> None:
    body = json.dumps(REQUEST).encode()
    status, headers, answer = edge.call("POST", "/openrtb2/bid", body)
    assert (status, json.loads(answer)) == (200, BID)
    assert headers["content-type"] == "application/json"
    assert headers["x-openrtb-version"] == "2.6"
    assert bidder.asked == [body]


def test_a_connection_carries_many_requests(edge: Running, bidder: Bidder) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=LIMIT_S)
    for _ in range(20):
        connection.request("POST", "/openrtb2/bid", json.dumps(REQUEST))
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())) == (200, BID)
    connection.close()
    assert len(bidder.asked) == 20


def test_messagepack_is_answered_in_messagepack() -> None:
    answering = Bidder(lambda _body: msgspec.msgpack.encode(BID))
    running = Running(answering).ready()
    body = msgspec.msgpack.encode(REQUEST)
    status, headers, answer = running.call(
        "POST", "/openrtb2/bid", body, content_type="application/msgpack"
    )
    running.close()
    answering.close()
    assert (status, msgspec.msgpack.decode(answer)) == (200, BID)
    assert headers["content-type"] == "application/msgpack"


def test_https_is_spoken_with_a_certificate(bidder: Bidder, tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path)
    running = Running(bidder, certificate=chain, key=key)
    trusting = ssl.create_default_context(cafile=str(chain))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", running.port, timeout=LIMIT_S, context=trusting
    )
    connection.request("GET", "/healthz")
    alive = connection.getresponse()
    assert (alive.status, alive.read()) == (200, b"ok\n")
    connection.request("POST", "/openrtb2/bid/adx", json.dumps({**REQUEST, "tmax": 5_000}))
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == (200, BID)
    connection.close()
    running.close()
    assert running.actor.describe()["url"].startswith("https://")


def test_a_certificate_that_cannot_be_used_is_a_failed_start_that_names_it(tmp_path: Path) -> None:
    cell = Cell(rng=random.Random(1))
    edge = Edge("127.0.0.1", 0, options_of(certificate=tmp_path / "none.pem"))
    ref = cell.spawn(lambda: edge, parent=cell.outside, name="edge")
    cell.run(max_s=0)
    assert "edge_misconfigured: edge.tls_certificate" in str(ref.exit_reason)


def test_a_certificate_that_spoils_harms_no_edge_that_starts_again(
    bidder: Bidder, tmp_path: Path
) -> None:
    chain, key = make_certificate(tmp_path)
    trusting = ssl.create_default_context(cafile=str(chain))
    Running(bidder, certificate=chain, key=key).close()
    chain.write_text("no certificate")
    running = Running(bidder, certificate=chain, key=key)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", running.port, timeout=LIMIT_S, context=trusting
    )
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    assert "edge.tls_certificate" in running.actor.describe()["certificate_error"]
    connection.close()
    running.close()


class Line:
    """One kept connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), LIMIT_S)
        self._taken = b""

    def say(self, *parts: bytes) -> None:
        self._socket.sendall(b"".join(parts))

    def hear(self) -> tuple[bytes, str]:
        """The status and the no-bid reason of the next answer, which has no body."""
        while b"\r\n\r\n" not in self._taken:
            piece = self._socket.recv(4096)
            assert piece, "the connection was closed"
            self._taken += piece
        head, _, self._taken = self._taken.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        return head.split(b" ")[1], fields.get(b"x-openrtb-nbr", b"").decode()

    def is_closed(self) -> bool:
        return not self._socket.recv(1)

    def close(self) -> None:
        self._socket.close()


def test_what_is_refused_unread_leaves_its_connection_as_any_answer_does() -> None:
    silent = Bidder(says_nothing)
    running = Running(silent, max_waiting=1).ready()
    body = json.dumps({**REQUEST, "tmax": 1_000}).encode()
    head = b"POST /openrtb2/bid HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % len(body)
    first, line = Line(running.port), Line(running.port)
    first.say(head, b"\r\n", body)
    running.wait(lambda: silent.asked == [body], "in hand")
    refused = (b"204", "503")
    line.say(head, b"\r\n", body)
    assert line.hear() == refused
    line.say(head, b"\r\n", body[:9])
    assert line.hear() == refused, "before the body has come"
    line.say(body[9:], head, b"\r\n", body, head, b"\r\n", body)
    assert [line.hear(), line.hear()] == [refused, refused]
    line.say(b"POST /openrtb2/bid/NO! HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    assert line.hear() == (b"404", "")
    line.say(head, b"connection: close\r\n\r\n", body)
    assert line.hear() == refused
    assert line.is_closed()
    numbers = running.call("GET", "/metrics")[2]
    assert b'edge_no_bids_total{nbr="503"} 5.0' in numbers
    assert first.hear() == (b"204", "15")
    first.say(head.replace(b"x", b"y"), b"\r\n", body)
    running.wait(lambda: len(silent.asked) == 2, "in hand again")
    for each in (first, line):
        each.close()
    running.close()
    silent.close()


def test_a_gateway_that_says_nothing_costs_no_more_than_the_requests_own_time() -> None:
    silent = Bidder(says_nothing)
    running = Running(silent).ready()
    begun_s = time.monotonic()
    status, headers, answer = running.call("POST", "/openrtb2/bid", json.dumps(REQUEST).encode())
    took_s = time.monotonic() - begun_s
    running.close()
    silent.close()
    assert (status, answer, headers["x-openrtb-nbr"]) == (204, b"", "15")
    assert 0.15 < took_s < 2.0


def test_a_request_whose_gateway_goes_away_is_answered_by_another() -> None:
    silent, second = Bidder(says_nothing), Bidder(bids)
    running = Running(silent, second)
    running.wait(lambda: b"2 gateways" in running.call("GET", "/readyz")[2], "both connected")
    body = json.dumps({**REQUEST, "tmax": 8_000}).encode()
    answers: list[int] = []

    def ask() -> None:
        answers.append(running.call("POST", "/openrtb2/bid", body)[0])

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    running.wait(lambda: bool(silent.asked), "one asked the silent gateway")
    silent.close()
    for asker in askers:
        asker.join(LIMIT_S)
    running.close()
    second.close()
    assert answers == [200] * 4


def test_a_request_waits_for_the_only_gateway_to_come_back() -> None:
    silent = Bidder(says_nothing)
    running = Running(silent).ready()
    body = json.dumps({**REQUEST, "tmax": 8_000}).encode()
    answers: list[int] = []
    asker = threading.Thread(
        target=lambda: answers.append(running.call("POST", "/openrtb2/bid", body)[0])
    )
    asker.start()
    running.wait(lambda: bool(silent.asked), "the request has come")
    silent.close()
    successor = Bidder(bids, silent.url)
    asker.join(LIMIT_S)
    running.close()
    successor.close()
    assert answers == [200]


def test_a_notice_url_becomes_an_event(edge: Running, bidder: Bidder) -> None:
    status, _, answer = edge.call("GET", "/notice/win?b=key.token&p=1.25")
    assert (status, answer) == (204, b"")
    [event] = bidder.heard
    assert (type(event).__name__, event.key, event.price_cpm) == ("Win", "key.token", 1.25)


def test_numbers_are_told_as_prometheus_reads_them(edge: Running) -> None:
    edge.call("POST", "/openrtb2/bid", json.dumps(REQUEST).encode())
    status, headers, answer = edge.call("GET", "/metrics")
    assert status == 200
    assert headers["content-type"].startswith("text/plain; version=0.0.4")
    assert b'bidwright_edge_requests_total{route="bid",status="200"} 1.0' in answer
    assert b"bidwright_edge_gateway_connected 1.0" in answer
    assert b'bidwright_edge_seconds_bucket{le="+Inf",route="bid"} 1.0' in answer


def test_a_body_larger_than_the_limit_is_refused_and_the_edge_lives(
    edge: Running, bidder: Bidder
) -> None:
    status, headers, answer = edge.call("POST", "/openrtb2/bid", b" " * 100_001)
    assert (status, headers["connection"], answer) == (413, "close", b"")
    assert edge.call("GET", "/healthz")[0] == 200
    assert not bidder.asked


def test_without_a_gateway_it_lives_but_is_not_ready() -> None:
    running = Running()
    alive, ready = running.call("GET", "/healthz")[0], running.call("GET", "/readyz")[0]
    running.close()
    assert (alive, ready) == (200, 503)


def test_a_taken_port_is_a_failed_start_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cell = Cell(rng=random.Random(1))
        edge = Edge("127.0.0.1", port, options_of())
        ref = cell.spawn(lambda: edge, parent=cell.outside, name="edge")
        cell.run(max_s=0)
        assert f"edge_cannot_listen: 127.0.0.1:{port}: Address already in use; stop what" in str(
            ref.exit_reason
        )


def test_a_host_that_is_not_ours_is_a_failed_start() -> None:
    for host in ("192.0.2.1", "no such host"):
        with pytest.raises(StartError, match=f"edge_cannot_listen: {host}:0"):
            listen(host, 0)


def test_a_polite_stop_frees_the_port_and_is_no_failure() -> None:
    running = Running()
    running.cell.stop(running.ref, "shutdown")
    running.wait(lambda: running.ref.actor is None, "the edge has ended")
    running.close()
    assert running.ref.exit_reason == "shutdown"
    with socket.create_server(("127.0.0.1", running.port)):
        pass


def test_a_requests_answer_still_leaves_while_the_edge_stops() -> None:
    silent, answers = Bidder(says_nothing), []
    running = Running(silent).ready()
    body = json.dumps({**REQUEST, "tmax": 600}).encode()
    asker = threading.Thread(
        target=lambda: answers.append(running.call("POST", "/openrtb2/bid", body)[0])
    )
    asker.start()
    running.wait(lambda: bool(silent.asked), "the request has come")
    running.cell.stop(running.ref, "shutdown")
    asker.join(LIMIT_S)
    running.wait(lambda: running.ref.actor is None, "the edge has ended")
    running.close()
    silent.close()
    assert answers == [204]


def test_a_loop_that_hangs_ends_the_actor() -> None:
    running = Running()
    let_go = threading.Event()
    http_thread = running.actor._http
    assert http_thread is not None
    assert http_thread._loop is not None
    http_thread._loop.call_soon_threadsafe(let_go.wait, LIMIT_S)
    running.wait(lambda: running.ref.actor is None, "the edge has ended")
    let_go.set()
    running.close()
    assert ServerHungError.__name__ in str(running.ref.exit_reason)


def test_a_bug_in_the_loop_ends_the_actor() -> None:
    running = Running()
    http_thread = running.actor._http
    assert http_thread is not None
    assert http_thread._loop is not None
    http_thread._loop.call_soon_threadsafe(dict[str, str]().__getitem__, "bug")
    running.wait(lambda: running.ref.actor is None, "the edge has ended")
    running.close()
    assert ServerDiedError.__name__ in str(running.ref.exit_reason)
    assert "KeyError" in str(running.ref.exit_reason)
