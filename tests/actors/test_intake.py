"""The way in: how old a request is, who asks, with which rights, and what is not even read."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.decision.reasons import MALFORMED, OVERLOADED
from actors.gateway.admission import DoorRules, turn_away
from actors.gateway.answer_memory import name_of
from actors.messages import Vet
from tests.actors.test_gateway import SECRET, Bench, request
from transport.envelope import Envelope, enclose, seal_of

SEAL = seal_of(SECRET)


def frame(bench: Bench, age_s: float = 0.0, *, exchange: str = "", may_explain: bool = True) -> Any:
    """What the edge sends of a request that came so long ago."""
    envelope = Envelope(exchange, bench.world.clock() - age_s, may_explain)

    def enclosed(body: dict[str, Any]) -> bytes:
        return enclose(envelope, json.dumps(body).encode(), SEAL)

    return enclosed


def test_the_envelope_says_who_asks() -> None:
    bench = Bench()
    assert "seatbid" in bench.exchange(frame(bench, exchange="adx")(request()))
    (vet,) = bench.agents["fraud-detector"][0].of(Vet)
    assert vet.opportunity.exchange == "adx"


def test_a_requests_time_began_when_it_came_to_the_edge() -> None:
    bench = Bench()
    told = bench.exchange(frame(bench, 0.095)(request(tmax=100)))
    assert (told["id"], told["nbr"], told["ext"]["reason"]) == ("r1", 15, "insufficient_time")
    assert "seatbid" in bench.exchange(frame(bench, 0.050)(request(tmax=100)))


def test_a_time_of_arrival_that_cannot_be_is_not_believed() -> None:
    bench = Bench()
    for number, age_s in enumerate((-5.0, 1e9, float("nan"), float("inf"))):
        assert "seatbid" in bench.exchange(frame(bench, age_s)(request(f"r{number}")))


def test_what_has_waited_while_the_loop_stood_still_is_too_old_and_what_comes_then_is_not() -> None:
    bench = Bench()
    number = bench.send(request())
    bench.world.clock.advance(1.0)  # as of a process that was stopped
    bench.world.run()
    told = bench.answers()[number]
    assert (told["nbr"], told["ext"]["reason"]) == (15, "insufficient_time")
    assert "seatbid" in bench.exchange(request("r2"))


def test_without_shedding_a_request_is_as_old_as_it_is_known_to_be() -> None:
    bench = Bench(sheds=False)
    number = bench.send(request())
    bench.world.clock.advance(1.0)
    bench.world.run()
    assert "seatbid" in bench.answers()[number]


@pytest.mark.parametrize("may_explain", [True, False])
def test_the_story_is_for_those_who_may_hear_it(*, may_explain: bool) -> None:
    bench = Bench()
    asked = request(ext={"explain": 1})
    told = bench.exchange(frame(bench, may_explain=may_explain)(asked))
    assert ("bidwright" in told.get("ext", {})) is may_explain
    again = bench.exchange(frame(bench, may_explain=not may_explain)(asked))
    assert ("bidwright" in again.get("ext", {})) is not may_explain, "from memory it would not be"


def test_the_socket_itself_tells_no_story_where_it_must_not() -> None:
    asked = request(ext={"bidwright": {"explain": 1}})
    assert "bidwright" in Bench(explains=True).exchange(asked)["ext"]
    assert "ext" not in Bench(explains=False).exchange(asked)


def test_an_envelope_that_is_not_ours_is_no_request() -> None:
    bench = Bench()
    forged = enclose(Envelope("adx", 0.0, may_explain=True), b"{}", seal_of(b"other"))
    assert bench.exchange(forged)["nbr"] == 2


def test_one_body_from_two_exchanges_is_two_requests() -> None:
    names = {
        name_of(envelope, b"{}")
        for envelope in (
            None,
            Envelope("", 1.0, may_explain=True),
            Envelope("", 1.0, may_explain=False),
            Envelope("adx", 1.0, may_explain=False),
        )
    }
    assert len(names) == 4
    later = Envelope("adx", 2.0, may_explain=False)
    assert name_of(later, b"{}") in names, "when it came makes no other request of it"


@pytest.mark.parametrize("encode", [msgspec.json.encode, msgspec.msgpack.encode])
@pytest.mark.parametrize(
    ("request_id", "told_id"), [("r-1", "r-1"), ('a"\\é', 'a"\\é'), (7, "7"), ([7], "")]
)
def test_what_is_turned_away_keeps_its_id(encode: Any, request_id: object, told_id: str) -> None:
    refused = turn_away(encode({"imp": [{"id": "not this"}], "id": request_id, "x": {"id": "nor"}}))
    decode = msgspec.json.decode if encode is msgspec.json.encode else msgspec.msgpack.decode
    told = decode(refused.answer)
    assert (told.get("id", ""), told["nbr"], told["ext"]["reason"]) == (told_id, 503, OVERLOADED)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xc1", b'{"id":' + b"[" * 100_000])
def test_what_cannot_be_read_is_told_so_although_there_is_no_room(body: bytes) -> None:
    refused = turn_away(body)
    assert refused.reason == MALFORMED
    assert b'"nbr":2' in refused.answer or msgspec.msgpack.decode(refused.answer)["nbr"] == 2


def test_an_overloaded_bidder_answers_all_and_decides_what_it_has_room_for() -> None:
    bench = Bench(door=DoorRules(10_000, 20, 0.1, 0.01, 0.002))
    numbers = [bench.send(request(f"r{number}")) for number in range(200)]
    bench.world.run(0.2)
    answers = {}
    while more := bench.answers():
        answers.update(more)
    assert sorted(answers) == numbers
    refused = [told for told in answers.values() if told.get("nbr") == 503]
    assert 100 <= len(refused) <= 180
    assert [answers[number]["id"] for number in numbers] == [f"r{number}" for number in range(200)]
    assert bench.gateway.actor.describe()["limit"] == 20
