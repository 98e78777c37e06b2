from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from cli.play.channel import Channel
from cli.play.player import Limits, Player, ack_error
from cli.play.schedule import AsAnswered, AtRate, Schedule
from cli.play.traffic import asks
from transport.memory import MemoryHub, MemoryServer
from transport.messages import EventAck, decode_event, encode_ack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cli.play.summary import Tally

STEP_S = 0.0005
"""How far the clock of these tests goes on whenever somebody looks at it."""


def ticking() -> Callable[[], float]:
    ticks = itertools.count()
    return lambda: next(ticks) * STEP_S


def requests() -> Iterator[dict[str, Any]]:
    for number in itertools.count():
        imp = {"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.1}
        yield {"id": str(number), "imp": [imp], "tmax": 100}


class Result(NamedTuple):
    won: bool
    price_micros: int
    clicked: bool = False
    converted: bool = False
    loss_code: int = 0


class HalfWon:
    """A market in which every second auction is won."""

    def __init__(self) -> None:
        self.results = itertools.cycle([Result(True, 500, clicked=True), Result(False, 1500)])

    def auction(
        self, request: Mapping[str, Any], imp_id: str, bid_micros: int | None, creative_id: str
    ) -> Result:
        return next(self.results)


class Node:
    """A node in memory: bids on all but every fifth request, acknowledges every event."""

    def __init__(self, hub: MemoryHub, lane: int = 0) -> None:
        self.hub = hub
        self.lane = lane
        self.events: list[str] = []
        self.asked: list[str] = []
        self.silent = False
        self.unbooked = 0
        self.open()

    def open(self) -> None:
        self.gateway: MemoryServer = self.hub.server()
        self.gateway.listen(f"memory://bids-{self.lane}")
        self.notices: MemoryServer = self.hub.server()
        self.notices.listen(f"memory://events-{self.lane}")

    def close(self) -> None:
        self.gateway.close()
        self.notices.close()

    def work(self) -> None:
        for header, body in [] if self.silent else self.gateway.drain(100):
            request = json.loads(body)
            self.asked.append(request["id"])
            self.gateway.reply(header, json.dumps(self.answer(request)).encode())
        for header, body in self.notices.drain(100):
            event = decode_event(body)
            if self.unbooked:
                self.unbooked -= 1
                again = EventAck(ok=False, error="ledger_unavailable: send it again")
                self.notices.reply(header, encode_ack(again))
                continue
            self.events.append(type(event).__name__)
            self.notices.reply(header, encode_ack(EventAck(ok=True)))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        number = int(request["id"].rpartition(".")[2])
        if number % 5 == 0:
            answer: dict[str, Any] = {"id": request["id"], "nbr": 500}
            answer["ext"] = {"reason": "no_candidate"}
        else:
            bid = {"id": f"b{number}", "impid": "1", "price": 1.0, "cid": "k", "crid": "c"}
            answer = {"id": request["id"], "seatbid": [{"bid": [bid]}], "ext": {}}
        if request.get("ext"):
            kind = "fallback" if number % 2 else "live"
            steps = [{"step": "profile", "kind": kind, "ms": 1.0}]
            answer["ext"]["bidwright"] = {"impressions": [{"steps": steps}]}
        return answer


def player(hub: MemoryHub, schedule: Schedule, limits: Limits, lanes: int = 1) -> Player:
    def links(name: str) -> list[Any]:
        made = [hub.client() for _ in range(lanes)]
        for lane, link in enumerate(made):
            link.dial(f"memory://{name}-{lane}")
        return made

    return Player(
        Channel(links("bids"), patience_s=2.0, resend_s=0.5),
        Channel(links("events"), patience_s=2.0, resend_s=0.5, stay=True),
        asks(requests(), "run", explain_every=2),
        HalfWon(),
        schedule,
        limits,
        ticking(),
        lambda: 1000.0,
        nap_s=0.0,
    )


def test_every_request_is_answered_and_every_event_acknowledged() -> None:
    hub = MemoryHub()
    node = Node(hub)
    run = player(hub, AsAnswered(8), Limits(duration_s=60.0, most=100))
    run.run(lambda _now_s, _tally: node.work())
    tally = run.tally
    assert (tally.sent, tally.answered, tally.unanswered) == (100, 100, 0)
    assert (tally.bids, dict(tally.no_bids)) == (80, {"no_candidate": 20})
    assert tally.wins + tally.losses == 80
    assert tally.events_acknowledged == tally.events_sent == len(node.events)
    assert node.events.count("Win") == node.events.count("Billing") == tally.wins
    assert (tally.explained, tally.with_fallback) == (50, 0)


def test_fallbacks_are_counted_by_step_where_an_explanation_was_asked_for() -> None:
    hub = MemoryHub()
    node = Node(hub)
    run = player(hub, AsAnswered(8), Limits(duration_s=60.0, most=10))
    run.traffic = asks(requests(), "run", explain_every=1)
    run.run(lambda _now_s, _tally: node.work())
    assert (run.tally.explained, run.tally.with_fallback) == (10, 5)
    assert dict(run.tally.fallback_steps) == {"profile": 5}


def test_a_silent_bidder_costs_its_requests_their_patience_and_no_more() -> None:
    hub = MemoryHub()
    node = Node(hub)
    node.silent = True
    run = player(hub, AsAnswered(4), Limits(duration_s=0.5))
    elapsed_s = run.run(lambda _now_s, _tally: node.work())
    assert (run.tally.sent, run.tally.answered, run.tally.unanswered) == (4, 0, 4)
    assert 2.0 <= elapsed_s < 3.0


def test_a_rate_is_kept_whether_or_not_answers_come() -> None:
    hub = MemoryHub()
    node = Node(hub)
    node.silent = True
    run = player(hub, AtRate(100, 1000), Limits(duration_s=1.0))
    run.run(lambda _now_s, _tally: node.work())
    assert run.tally.sent == pytest.approx(100, abs=2)


def test_an_answer_after_the_time_of_its_request_is_late() -> None:
    hub = MemoryHub()
    node = Node(hub)
    node.silent = True

    def wake(now_s: float, _tally: Tally) -> None:
        node.silent = now_s < 0.2
        node.work()

    run = player(hub, AsAnswered(4), Limits(duration_s=60.0, most=8))
    run.run(wake)
    assert (run.tally.answered, run.tally.late) == (8, 4)


def test_what_a_dead_bidder_was_asked_is_asked_of_the_other() -> None:
    hub = MemoryHub()
    dying, living = Node(hub, 0), Node(hub, 1)
    dying.silent = True

    def kill(now_s: float, _tally: Tally) -> None:
        if now_s > 0.05 and dying.silent:
            dying.silent = False
            dying.close()
        living.work()

    run = player(hub, AsAnswered(8), Limits(duration_s=60.0, most=40), lanes=2)
    run.run(kill)
    assert (run.tally.answered, run.tally.unanswered) == (40, 0)
    assert run.tally.resent >= 4
    assert not dying.asked


def test_a_bidder_that_comes_back_is_asked_again() -> None:
    hub = MemoryHub()
    node = Node(hub)
    node.silent = True
    back: list[float] = []

    def restart(now_s: float, _tally: Tally) -> None:
        if not back and now_s > 0.05:
            back.append(now_s)
            node.close()
            node.open()
            node.silent = False
        node.work()

    run = player(hub, AsAnswered(8), Limits(duration_s=60.0, most=30))
    run.run(restart)
    assert (run.tally.answered, run.tally.unanswered) == (30, 0)
    assert run.tally.events_acknowledged == run.tally.events_sent


def test_a_run_that_is_stopped_still_takes_what_is_in_flight() -> None:
    hub = MemoryHub()
    node = Node(hub)
    run = player(hub, AsAnswered(8), Limits(duration_s=60.0))

    def stop(now_s: float, _tally: Tally) -> None:
        if now_s > 0.1:
            run.stop()
        node.work()

    run.run(stop)
    assert run.tally.sent == run.tally.answered > 8
    assert run.tally.events_acknowledged == run.tally.events_sent


def test_a_run_ends_when_its_traffic_does() -> None:
    hub = MemoryHub()
    node = Node(hub)
    run = player(hub, AsAnswered(8), Limits(duration_s=60.0))
    run.traffic = asks(itertools.islice(requests(), 5), "run", 0)
    run.run(lambda _now_s, _tally: node.work())
    assert run.tally.sent == run.tally.answered == 5


def test_an_event_that_could_not_be_booked_is_sent_until_it_is() -> None:
    hub = MemoryHub()
    node = Node(hub)
    node.unbooked = 7
    run = player(hub, AsAnswered(8), Limits(duration_s=60.0, most=10))
    run.run(lambda _now_s, _tally: node.work())
    assert run.tally.events_repeated == 7
    assert run.tally.events_acknowledged == run.tally.events_sent == len(node.events)
    assert not run.tally.event_errors


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (encode_ack(EventAck(ok=True, duplicate=True)), ""),
        (encode_ack(EventAck(ok=False, error="unknown bid")), "unknown bid"),
        (encode_ack(EventAck(ok=False)), "refused"),
        (b"?", "unreadable answer"),
        (None, "no answer"),
    ],
)
def test_an_event_counts_as_told_only_when_the_node_says_so(body: bytes | None, error: str) -> None:
    assert ack_error(body) == error
