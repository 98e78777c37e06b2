"""The gateway: every request gets exactly one answer, whatever dies in between."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.decision.eligible import EligibleAds
from actors.decision.offers import OfferWriter
from actors.decision.orchestrator import Orchestrator, OrchestratorKit
from actors.gateway.actor import Gateway, GatewayKit
from actors.gateway.admission import DoorRules
from actors.gateway.answer_memory import AnswerMemory
from actors.gateway.intake import BURST
from actors.gateway.journal import Journal
from actors.gateway.responses import NoticeForm
from actors.messages import (
    Clear,
    Cleared,
    Fund,
    Funded,
    Offered,
    Price,
    Priced,
    Profile,
    Profiled,
    Released,
    Reserve,
    Reserved,
    Select,
    Selected,
    Vet,
    Vetted,
)
from actors.metering import Meter
from models.eligibility import CampaignIndex
from supervision import ChildSpec, Start, Supervisor, SupervisorFlags
from tests.actors.cells import World
from tests.actors.lines import Lines
from tests.actors.samples import VECTOR, campaign, rules
from transport.errors import SegmentError
from transport.metrics import MemoryMetrics
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from transport.memory import MemoryClient

URL = "inproc://gateway"
SECRET = b"0123456789abcdef"


class Log:
    """A decision log in memory that can be made to fail."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.written: list[bytes] = []
        self.fails = False
        self.closed = False

    def append(self, record: bytes) -> None:
        self.waiting.append(record)

    def flush(self) -> int:
        records, self.waiting = self.waiting, []
        if self.fails and records:
            raise SegmentError("disk full")
        self.written += records
        return len(records)

    def close(self) -> None:
        self.closed = True


SAYINGS: dict[type, Callable[[Any], Any]] = {
    Vet: lambda _: Vetted(valid=True),
    Profile: lambda _: Profiled(VECTOR),
    Fund: lambda question: Funded(dict.fromkeys(question.campaign_ids, 10_000)),
    Select: lambda _: Selected(0, 0.5, 0.01),
    Price: lambda _: Priced(3_000, 3_500.0),
    Clear: lambda _: Cleared(),
    Reserve: lambda question: Reserved(question.key, ok=True, lease_id="lease-1"),
}


def answer(message: Any) -> Any:
    """What agents without a fault say."""
    saying = SAYINGS.get(type(message))
    return None if saying is None else saying(message)


AGENTS = (
    "fraud-detector",
    "user-profiler",
    "budget-manager",
    "creative-selector",
    "bid-optimizer",
    "oversight",
)


class Bench:
    """A gateway with scripted agents, and a client."""

    def __init__(self, **changes: Any) -> None:
        self.world = world = World()
        self.agents = {role: world.probe(role, rule=answer) for role in AGENTS}
        self.log = Log()
        self.metrics = MemoryMetrics()
        self.lines = Lines()
        ads = EligibleAds(CampaignIndex([campaign()]), [campaign()])
        form = NoticeForm("http://notices.example", 30)
        writer = OfferWriter(form, SECRET, world.unix_clock)
        kit = OrchestratorKit("b", rules(), ads, b"salt", writer)
        template = ChildSpec("impression", Start(Orchestrator, (kit,)), restart="temporary")
        flags = SupervisorFlags("simple_one_for_one")
        self.impressions = world.spawn(Supervisor(flags, (template,)), "impressions")
        self.bus, _ = world.probe(hears=(Released, Offered))
        gateway_kit = GatewayKit(
            bidder="b",
            urls=(URL,),
            door=DoorRules(10_000, 8, 0.1, 0.01, 0.002),
            memory_entries=100,
            memory_bytes=1 << 20,
            links=world.hub,
            secret=SECRET,
            open_log=lambda: self.log,  # type: ignore[arg-type,return-value]
            unix_clock=world.unix_clock,
            meter=Meter(self.metrics, world.clock),
            journal=Journal(self.lines, world.cell.clock),  # type: ignore[arg-type]
            flush_metrics_s=0.5,
        )
        self.kit = dataclasses.replace(gateway_kit, **changes)
        self.gateway = world.spawn(Gateway(self.kit), "gateway")
        world.run()
        self.client: MemoryClient = world.hub.client()
        self.client.dial(URL)
        self.numbers = itertools.count(1)

    def send(self, body: bytes | dict[str, Any]) -> int:
        number = next(self.numbers)
        frame = body if isinstance(body, bytes) else json.dumps(body).encode()
        assert self.client.send(number, frame)
        return number

    def silence(self, role: str) -> None:
        """The agent lives and takes questions, but never answers."""
        self.agents[role][0]._rule = None

    def orchestrators(self) -> list[Any]:
        return list(self.impressions.children or ())

    def answers(self) -> dict[int, dict[str, Any]]:
        return {reply.request_id: json.loads(reply.body) for reply in self.client.drain(100)}

    def exchange(self, body: bytes | dict[str, Any], seconds: float = 0.0) -> dict[str, Any]:
        number = self.send(body)
        self.world.run(seconds)
        return self.answers()[number]


def imp(name: str = "1", **changes: Any) -> dict[str, Any]:
    return {"id": name, "banner": {"w": 300, "h": 250}, "bidfloor": 0.5} | changes


def request(name: str = "r1", **changes: Any) -> dict[str, Any]:
    device = {"ua": "Mozilla/5.0 (iPhone)", "ip": "198.18.1.1", "geo": {"country": "DEU"}}
    facts = {"id": name, "imp": [imp()], "device": device, "user": {"id": "u1"}, "tmax": 100}
    return facts | changes


def bid_of(response: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = response["seatbid"][0]["bid"][0]
    return found


def test_a_request_gets_a_bid_that_says_everything_an_exchange_needs() -> None:
    bench = Bench()
    response = bench.exchange(request())
    assert response["id"] == "r1"
    bid = bid_of(response)
    assert bid["price"] == 3.0
    assert (bid["impid"], bid["cid"], bid["crid"]) == ("1", "shoes", "shoes-1")
    assert (bid["w"], bid["h"], bid["mtype"]) == (300, 250, 1)
    assert bid["adomain"] == ["shoes.example"]
    assert bid["burl"].startswith("http://notices.example/notice/billing?b=")
    assert "${AUCTION_PRICE}" in bid["nurl"]
    assert "${AUCTION_LOSS}" in bid["lurl"]
    notice = NoticeKey.decode(SECRET, bid["id"])
    assert (notice.campaign_id, notice.lease_id, notice.bid_micros) == ("shoes", "lease-1", 3_000)


def test_an_answer_is_in_the_format_of_its_request() -> None:
    bench = Bench()
    number = bench.send(msgspec.msgpack.encode(request()))
    bench.world.run()
    (reply,) = bench.client.drain(10)
    assert reply.request_id == number
    assert msgspec.msgpack.decode(reply.body)["seatbid"][0]["bid"][0]["price"] == 3.0


def test_the_decision_is_in_the_log_before_the_answer_leaves() -> None:
    bench = Bench()
    bench.exchange(request())
    (record,) = (msgspec.msgpack.decode(each) for each in bench.log.written)
    assert (record["outcome"], record["campaign_id"], record["bid_micros"]) == (
        "bid",
        "shoes",
        3_000,
    )
    assert [step["kind"] for step in record["steps"]] == ["live"] * 7
    assert "u1" not in record["user_hash"]


def test_a_bid_that_cannot_be_logged_never_leaves_and_its_money_is_free() -> None:
    bench = Bench()
    bench.log.fails = True
    response = bench.exchange(request())
    assert response["ext"]["reason"] == "log_unavailable"
    assert "seatbid" not in response
    assert len(bench.bus.of(Released)) == 1
    bench.log.fails = False
    assert "seatbid" in bench.exchange(request())  # what was refused so is not remembered


def test_a_request_delivered_again_gets_the_same_bytes_and_is_decided_once() -> None:
    bench = Bench()
    body = json.dumps(request()).encode()
    first = bench.exchange(body)
    second = bench.exchange(body)
    assert first == second
    reserve, _ = bench.agents["budget-manager"]
    assert len(reserve.of(Reserve)) == 1


def test_a_request_delivered_again_between_its_decision_and_its_answer_is_decided_once() -> None:
    bench = Bench()
    body = json.dumps(request()).encode()
    first = bench.send(body)
    for _ in range(BURST):  # so that the second comes in the next turn, before the log's
        bench.send(b"{")
    second = bench.send(body)
    bench.world.run()
    answers = bench.answers()
    assert answers[first] == answers[second]
    reserve, _ = bench.agents["budget-manager"]
    assert len(reserve.of(Reserve)) == 1


def test_a_request_delivered_again_while_it_is_decided_waits_for_the_same_answer() -> None:
    bench = Bench()
    body = json.dumps(request()).encode()
    numbers = [bench.send(body), bench.send(body)]
    bench.world.run()
    answers = bench.answers()
    assert answers[numbers[0]] == answers[numbers[1]]
    assert len(bench.log.written) == 1


def test_two_requests_of_one_id_are_two_requests() -> None:
    bench = Bench()
    bench.exchange(request())
    other = bench.exchange(request(imp=[imp("other")]))
    assert bid_of(other)["impid"] == "other"


def test_the_impressions_of_a_request_are_joined_and_those_without_a_bid_left_out() -> None:
    bench = Bench()
    imps = [imp("1"), imp("2", banner={"w": 1, "h": 1}), imp("3")]
    response = bench.exchange(request(imp=imps))
    assert [bid["impid"] for bid in response["seatbid"][0]["bid"]] == ["1", "3"]
    assert len({bid["id"] for bid in response["seatbid"][0]["bid"]}) == 2


@pytest.mark.parametrize(
    ("changes", "nbr", "reason"),
    [
        ({"imp": [imp(banner={"w": 1, "h": 1})]}, 500, "no_candidate:no_creative_of_size"),
        ({"cur": ["EUR"]}, 500, "no_candidate:currency"),
        ({"imp": [imp(bidfloorcur="EUR")]}, 500, "no_candidate:floor_currency"),
        ({"wseat": ["someone"]}, 500, "no_candidate:seat"),
        ({"imp": [imp(pmp={"private_auction": 1})]}, 500, "no_candidate:private_auction"),
        ({"badv": ["shoes.example"]}, 500, "no_candidate:blocked_advertiser"),
        ({"acat": ["IAB1"]}, 500, "no_candidate:"),
        ({"imp": [imp(bidfloor=4.0)]}, 504, "below_floor"),
        ({"imp": [imp(bidfloor=40.0)]}, 501, "no_budget"),
        ({"tmax": 11}, 15, "insufficient_time"),
    ],
)
def test_a_no_bid_says_why(changes: dict[str, Any], nbr: int, reason: str) -> None:
    response = Bench().exchange(request(**changes))
    assert response["nbr"] == nbr
    assert response["ext"]["reason"].startswith(reason)
    assert response["id"] == "r1"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xc1", b'{"id": "r1"}'])
def test_what_is_no_request_is_told_so_at_once(body: bytes) -> None:
    response = Bench().exchange(body)
    assert response["nbr"] == 2
    assert response["ext"]["error"]


def test_a_body_above_the_limit_gets_an_answer_too() -> None:
    response = Bench().exchange(request("x" * 10_500))
    assert response["nbr"] == 2
    assert "limit" in response["ext"]["error"]


def test_more_than_may_be_in_flight_gets_a_quick_no_bid() -> None:
    bench = Bench()
    for _agent, ref in bench.agents.values():
        bench.world.cell.suspend(ref)
    numbers = [bench.send(request(f"r{number}")) for number in range(10)]
    bench.world.run()
    early = bench.answers()
    assert sorted(early) == numbers[8:]
    assert {each["nbr"] for each in early.values()} == {503}
    bench.world.run(0.2)
    assert sorted(bench.answers()) == numbers[:8]


def test_an_explanation_tells_the_story_of_every_impression() -> None:
    bench = Bench()
    response = bench.exchange(request(ext={"bidwright": {"explain": 1}}, imp=[imp("1"), imp("2")]))
    story = response["ext"]["bidwright"]["impressions"]
    assert [each["imp_id"] for each in story] == ["1", "2"]
    assert [taken["step"] for taken in story[0]["steps"]] == [
        "vet",
        "profile",
        "fund",
        "select",
        "price",
        "clear",
        "reserve",
    ]
    assert story[0]["campaign"] == "shoes"


# --- deaths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", AGENTS)
def test_a_dead_agent_costs_no_answer_and_only_money_and_rules_cost_the_bid(role: str) -> None:
    bench = Bench()
    bench.world.cell.kill(bench.agents[role][1])
    response = bench.exchange(request(), 0.2)
    closed = role in ("budget-manager", "oversight")
    assert ("seatbid" in response) == (not closed)
    if not closed:
        kinds = {s["kind"] for s in msgspec.msgpack.decode(bench.log.written[0])["steps"]}
        assert "fallback" in kinds


@pytest.mark.parametrize("role", AGENTS)
def test_an_agent_that_never_answers_costs_its_slice_and_never_the_answer(role: str) -> None:
    bench = Bench()
    bench.silence(role)
    number = bench.send(request())
    bench.world.run(0.090)
    assert number in bench.answers()


@pytest.mark.parametrize("role", AGENTS)
def test_an_agent_that_dies_with_a_question_and_comes_back_is_asked_again(role: str) -> None:
    bench = Bench()
    died = False

    def mortal(message: Any) -> Any:
        nonlocal died
        if not died and not isinstance(message, Reserve):
            died = True
            raise ValueError("a bug")
        return answer(message)

    probe, _ref = bench.agents[role]
    probe._rule = mortal
    number = bench.send(request())
    bench.world.run(0.0005)
    assert died
    bench.world.probe(role, rule=answer)  # as its supervisor would
    bench.world.run(0.01)
    response = bench.answers()[number]
    assert "seatbid" in response
    kinds = [step["kind"] for step in msgspec.msgpack.decode(bench.log.written[0])["steps"]]
    assert kinds.count("retried") == 1


def test_an_orchestrator_that_dies_is_answered_for_and_its_money_is_free() -> None:
    bench = Bench()
    bench.silence("oversight")
    number = bench.send(request())
    bench.world.run(0.001)
    (orchestrator,) = bench.orchestrators()
    bench.world.cell.kill(orchestrator)
    bench.world.run(0.001)
    response = bench.answers()[number]
    assert (response["nbr"], response["ext"]["reason"]) == (1, "decider_died")
    assert len(bench.bus.of(Released)) == 1
    (line,) = bench.lines.lines
    assert (line["request_id"], line["reason"]) == (response["id"], "decider_died")


def test_a_stuck_orchestrator_is_answered_for_at_the_deadline() -> None:
    bench = Bench()
    bench.silence("oversight")
    number = bench.send(request())
    bench.world.run(0.001)
    (orchestrator,) = bench.orchestrators()
    bench.world.cell.suspend(orchestrator)
    bench.world.run(0.1)
    assert bench.answers()[number]["nbr"] == 15
    bench.world.cell.resume(orchestrator)
    bench.world.run(0.1)
    assert bench.answers() == {}


def test_a_request_with_less_time_is_guarded_before_an_earlier_one_with_more() -> None:
    bench = Bench()
    bench.silence("fraud-detector")
    slow = bench.send(request("slow", tmax=1_000))
    bench.world.run(0.001)
    quick = bench.send(request("quick", tmax=50))
    bench.world.run(0.001)
    for orchestrator in bench.orchestrators():
        bench.world.cell.suspend(orchestrator)
    bench.world.run(0.05)
    assert set(bench.answers()) == {quick}
    bench.world.run(1.0)
    assert set(bench.answers()) == {slow}


def test_without_the_supervisor_of_impressions_requests_are_refused_at_once() -> None:
    bench = Bench()
    bench.world.cell.kill(bench.impressions)
    assert bench.exchange(request())["nbr"] == 503


def test_a_gateway_that_dies_closes_its_socket_and_its_successor_takes_the_address() -> None:
    bench = Bench()
    bench.world.cell.suspend(bench.agents["oversight"][1])
    bench.send(request())
    bench.world.run(0.001)
    assert bench.client.connected
    bench.world.cell.kill(bench.gateway)
    assert bench.log.closed
    assert bench.client.take_changes() == 2  # came and went
    bench.world.cell.resume(bench.agents["oversight"][1])
    bench.world.spawn(Gateway(bench.kit), "gateway")
    bench.world.run()
    assert bench.client.take_changes() == 1
    assert "seatbid" in bench.exchange(request())


def test_names_of_bids_never_repeat_not_even_after_a_restart() -> None:
    bench = Bench()
    names = set()
    for number in range(3):
        names.add(bid_of(bench.exchange(request(f"a{number}")))["id"])
    bench.world.cell.kill(bench.gateway)
    bench.world.clock.advance(0.001)
    bench.world.spawn(Gateway(bench.kit), "gateway")
    bench.world.run()
    for number in range(3):
        names.add(bid_of(bench.exchange(request(f"a{number}")))["id"])
    assert len(names) == 6


def test_what_happened_is_counted() -> None:
    bench = Bench()
    bench.exchange(request("a"))
    bench.exchange(request("a"))
    bench.exchange(b"{")
    bench.exchange(request("b", cur=["EUR"]))
    bench.world.run(0.6)
    counters = bench.metrics.counters
    assert counters["requests"] == 4
    assert counters["requests.repeated"] == 1
    assert counters["bids"] == 1
    assert counters["no_bids.malformed"] == 1
    assert counters["no_bids.no_candidate"] == 1
    assert counters["agent.oversight.clear.live"] == 1
    assert len(bench.metrics.timings_ms["agent.oversight.clear.ms"]) == 1
    assert bench.metrics.gauges["agent.oversight.queue"] == 0


def test_the_gateway_tells_how_long_answers_took_and_which_were_late_or_shed() -> None:
    bench = Bench()
    bench.silence("oversight")
    for number in range(9):  # eight may be in hand
        bench.send(request(f"r{number}"))
    bench.world.run(0.6)
    assert len(bench.answers()) == 9
    told = bench.gateway.actor.describe()
    assert (told["requests"], told["bids"], told["shed"]) == (9, 0, 1)
    assert told["late"] == 0
    # Nobody clears the bid: each takes that step's slice, a tenth of 90 ms.
    assert told["p50_ms"] == pytest.approx(9.0, rel=0.03)
    bench.send(request("r10"))
    bench.world.run(0.001)
    for orchestrator in bench.orchestrators():
        bench.world.cell.suspend(orchestrator)
    bench.world.run(0.6)
    assert bench.gateway.actor.describe()["late"] == 1


# --- the memory of answers -----------------------------------------------------------------------


def test_the_memory_forgets_the_oldest_answers_by_count_and_by_bytes() -> None:
    memory = AnswerMemory(2, 1_000)
    for name in (b"a", b"b", b"c"):
        memory.keep(name, b"!")
    assert [memory.find(name) for name in (b"a", b"b", b"c")] == [None, b"!", b"!"]
    memory.keep(b"d", b"x" * 998)
    assert len(memory) == 1
    memory.keep(b"d", b"another")
    assert memory.find(b"d") == b"x" * 998
