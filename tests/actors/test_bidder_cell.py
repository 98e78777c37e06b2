"""A whole bidder with real agents, models and ledger, in virtual time: nothing stays unanswered."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.ledger.verify import verify
from config.campaigns import load_campaigns
from tests.actors.nodes import Node, bids_of, simulator
from transport.segments import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervision import Report

pytestmark = pytest.mark.slow

CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data" / "openrtb"
PATHS = (
    "links/link-ledger",
    "links/link-inference",
    "links/ledger-feed",
    "links/event-feed",
    "links/exposures",
    "links",
    "agents/fraud-detector",
    "agents/user-profiler",
    "agents/budget-manager",
    "agents/creative-selector",
    "agents/bid-optimizer",
    "agents/oversight",
    "agents",
    "impressions",
    "gateway",
    "events",
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def decisions(node: Node) -> list[dict[str, Any]]:
    folder = node.paths.segments_dir
    paths = sorted(path for path in folder.iterdir() if path.name.startswith("bidder-1-"))
    return [record for path in paths for record in read_segment(path)]


def kinds(record: dict[str, Any]) -> dict[str, str]:
    return {step["step"]: step["kind"] for step in record["steps"]}


def check_answer(request: dict[str, Any], answer: dict[str, Any] | None) -> None:
    """Every answer is valid: ids match, price at least the floor, size fits, or a reason."""
    assert answer is not None, request
    assert answer.get("id", "") == request.get("id", "")
    imps = {imp["id"]: imp for imp in request["imp"]}
    for bid in bids_of(answer):
        imp = imps[bid["impid"]]
        assert bid["price"] >= imp.get("bidfloor", 0.0)
        assert answer.get("cur", "USD") in (request.get("cur") or ["USD"])
        banner = imp.get("banner")
        if bid["mtype"] == 1:
            sizes = [(size.get("w"), size.get("h")) for size in banner.get("format", ())]
            assert (bid["w"], bid["h"]) in [*sizes, (banner.get("w"), banner.get("h"))]
    if not bids_of(answer):
        assert isinstance(answer["nbr"], int)
        assert answer["ext"].get("reason") or answer["ext"].get("error")


def test_traffic_of_the_sample_world_is_answered_mostly_with_bids_all_live(node: Node) -> None:
    played = node.play(60)
    for request, answer in played:
        check_answer(request, answer)
    assert sum(bool(bids_of(answer)) for _, answer in played) > 40
    logged = decisions(node)
    assert len(logged) == sum(len(request["imp"]) for request, _ in played)
    assert {kind for record in logged for kind in kinds(record).values()} == {"live"}
    bid = next(record for record in logged if record["outcome"] == "bid")
    assert set(bid["versions"]) == {"profiler", "selector", "optimizer"}
    assert 0.0 < bid["propensity"] <= 1.0


def test_one_seed_gives_one_run(tmp_path: Path) -> None:
    answers = []
    for run in ("a", "b"):
        node = Node(tmp_path / run)
        answers.append([(bids_of(answer)) for _, answer in node.play(20)])
        node.close()

    def told(bids: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
        return [(bid["impid"], bid["crid"], bid["price"]) for bid in bids]

    assert [told(bids) for bids in answers[0]] == [told(bids) for bids in answers[1]]


# --- money ---------------------------------------------------------------------------------------


def settle(node: Node, request: dict[str, Any], answer: dict[str, Any]) -> int:
    """Hold the auctions of a request and tell their outcome; returns the micros to be booked."""
    booked = 0
    for bid in bids_of(answer):
        offered = round(bid["price"] * 1000)
        outcome = simulator().auction(request, bid["impid"], offered, bid["crid"])
        price_cpm = outcome.price_micros / 1000
        if outcome.won:
            booked += outcome.price_micros
            for kind in ("win", "win", "billing", "billing"):  # exchanges repeat themselves
                ack = node.tell({"type": kind, "key": bid["id"], "price_cpm": price_cpm})
                assert ack is not None
                assert ack["ok"]
            node.tell({"type": "impression", "key": bid["id"]})
            if outcome.clicked:
                node.tell({"type": "click", "key": bid["id"]})
        else:
            node.tell({"type": "loss", "key": bid["id"], "loss_code": outcome.loss_code})
    return booked


def test_wins_are_booked_once_at_their_price_and_the_rest_is_free_again(node: Node) -> None:
    booked = sum(settle(node, request, answer) for request, answer in node.play(40))
    assert booked > 0
    report = verify(node.paths.ledger_db)
    assert report.ok, report
    assert report.summary.settled_micros == booked
    manager = node.light_actors()["bidder-1/agents/budget-manager"].actor.describe()
    assert manager["reservations"] == 0


def test_without_the_ledger_bids_go_on_until_the_leases_end_and_again_after_it(node: Node) -> None:
    node.world.cell.kill(node.ledger)
    assert any(bids_of(answer) for _, answer in node.play(10))
    node.world.run(node.settings.money.lease_s + 1)
    stopped = node.play(10)
    assert not any(bids_of(answer) for _, answer in stopped)
    for request, answer in stopped:
        check_answer(request, answer)
    assert ("ledger_away", 506) in {(each["ext"]["reason"], each["nbr"]) for _, each in stopped}
    node.ledger = node._start_ledger()
    node.world.run(2.0)
    assert any(bids_of(answer) for _, answer in node.play(10))
    assert verify(node.paths.ledger_db).ok


def test_a_budget_manager_that_dies_loses_no_reservation_and_no_lease(node: Node) -> None:
    path = "bidder-1/agents/budget-manager"

    def money() -> tuple[int, dict[str, int]]:
        account = node.light_actors()[path].actor.describe()
        return account["reservations"], account["held_micros"]

    played = node.play(40)
    before = money()
    assert before[0] > 0
    for _ in range(3):
        node.world.cell.kill(node.light_actors()[path])
        node.world.run(0.05)
        assert money() == before
    booked = sum(settle(node, request, answer) for request, answer in played)
    assert money()[0] == 0
    report = verify(node.paths.ledger_db)
    assert report.ok
    assert report.summary.settled_micros == booked > 0


def test_an_exchange_that_tells_nothing_gets_a_trickle_of_bids_until_it_does(
    tmp_path: Path,
) -> None:
    money = {"silence_s": 2.0, "silence_bids": 20, "slow_micros_per_s": 4_000}
    node = Node(tmp_path, settings={"money": money})
    reports: list[Report] = []
    node.world.cell.reporter = reports.append
    first = node.play(40)
    node.world.run(2.0)
    slow = node.play(40, pause_s=0.01)
    assert [report.kind for report in reports] == ["slow_on"]
    assert node.metrics.gauges["money.silent"] == 1
    reasons = [(answer["ext"]["reason"], answer["nbr"]) for _, answer in slow if "nbr" in answer]
    assert ("slow_mode", 505) in reasons
    assert 0 < sum(len(bids_of(answer)) for _, answer in slow) < 10
    for request, answer in first:
        settle(node, request, answer)
    node.world.run(0.2)
    assert [report.kind for report in reports] == ["slow_on", "slow_off"]
    assert sum(len(bids_of(answer)) for _, answer in node.play(40)) > 20
    node.close()


def test_a_bidder_that_dies_leaves_its_money_blocked_not_lost(node: Node) -> None:
    node.play(20)
    assert verify(node.paths.ledger_db).summary.leased_micros > 0
    node.world.cell.kill(node.bidder)
    node.world.run(node.settings.money.lease_s)
    assert verify(node.paths.ledger_db).summary.leased_micros > 0
    node.world.run(node.settings.money.lease_s + node.settings.money.win_window_s + 2)
    report = verify(node.paths.ledger_db)
    assert report.ok
    assert report.summary.leased_micros == 0


# --- deaths --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PATHS)
def test_whatever_light_actor_dies_every_request_is_answered_and_the_tree_is_whole(
    node: Node, name: str
) -> None:
    before = set(node.light_actors())
    requests = [next(node.traffic) for _ in range(16)]
    sent = {}
    for position, request in enumerate(requests):
        sent[node.send(request)] = request
        node.world.run(0.0 if position % 2 else 0.002)
        if position in (5, 11):
            node.world.cell.kill(node.light_actors()[f"bidder-1/{name}"])
    node.world.run(0.2)
    answers = node.answers()
    for number, request in sent.items():
        if number not in answers:  # its gateway died with it: a REQ client sends it again
            again = node.send(request)
            node.world.run(0.2)
            answers[number] = node.answers()[again]
        check_answer(request, answers[number])
    assert set(node.light_actors()) == before
    assert any(bids_of(answer) for _, answer in node.play(5))
    assert verify(node.paths.ledger_db).ok


def test_an_orchestrator_that_is_killed_is_answered_for_at_once(node: Node) -> None:
    node.world.cell.suspend(node.inference)
    number = node.send(next(request for request in node.traffic if "user" in request))
    node.world.run(0.003)
    orchestrators = [ref for path, ref in node.light_actors().items() if "/impressions/" in path]
    assert orchestrators
    for ref in orchestrators:
        node.world.cell.kill(ref)
    node.world.run(0.001)
    assert node.answers()[number]["ext"]["reason"] == "decider_died"


def test_a_hung_inference_costs_vectors_not_bids_and_is_used_again_when_it_wakes(
    node: Node,
) -> None:
    node.world.cell.suspend(node.inference)
    played = node.play(30)
    assert sum(bool(bids_of(answer)) for _, answer in played) > 15
    marks = [kinds(record).get("profile") for record in decisions(node)]
    assert "fallback" in marks
    assert all(answer is not None for _, answer in played)
    node.world.cell.resume(node.inference)
    node.world.run(1.0)
    before = len(decisions(node))
    node.play(20)
    assert {kinds(record).get("profile") for record in decisions(node)[before:]} == {"live"}


def test_an_inference_that_is_gone_costs_no_time(node: Node) -> None:
    node.world.cell.kill(node.inference)
    sent = node.send(next(request for request in node.traffic if "user" in request))
    node.world.run(0.001)
    assert bids_of(node.answers()[sent])


# --- what exchanges really send ------------------------------------------------------------------


def corpus(name: str, every: int) -> list[dict[str, Any]]:
    path = CORPUS / name
    if not path.exists():
        pytest.skip(f"the corpus {name} is not here")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for number, line in enumerate(lines) if number % every == 0]


@pytest.mark.parametrize(("name", "every"), [("requests.jsonl.gz", 9), ("captured.jsonl.gz", 60)])
def test_real_requests_get_a_valid_bid_or_a_no_bid_with_a_reason(
    node: Node, name: str, every: int
) -> None:
    sent = {}
    for line in corpus(name, every):
        request = line["request"]
        sent[node.send(request)] = request
        node.world.run(0.001)
    node.world.run(6.0)
    answers = node.answers()
    bids = 0
    for number, request in sent.items():
        check_answer(request, answers[number])
        bids += len(bids_of(answers[number]))
    assert bids > 0


@pytest.mark.parametrize("name", ["invalid.jsonl.gz", "lenient.jsonl.gz"])
def test_broken_requests_get_a_clear_answer(node: Node, name: str) -> None:
    numbers = []
    for line in corpus(name, 3):
        raw = line.get("raw", line.get("request"))
        body = raw.encode() if isinstance(raw, str) else json.dumps(raw).encode()
        number = next(node.numbers)
        assert node.bids.send(number, body)
        numbers.append(number)
        node.world.run(0.001)
    node.world.run(6.0)
    answers = node.answers()
    for number in numbers:
        answer = answers[number]
        assert bids_of(answer) or isinstance(answer["nbr"], int)


def test_prices_are_whole_micros_and_never_above_the_campaigns_limit(node: Node) -> None:
    limits = {campaign.id: campaign.max_bid_micros for campaign in load_campaigns()}
    for _, answer in node.play(30):
        for bid in bids_of(answer):
            micros = bid["price"] * 1000
            assert math.isclose(micros, round(micros), abs_tol=1e-6)
            assert micros <= limits[bid["cid"]]


def test_messagepack_requests_are_decided_like_json_ones(node: Node) -> None:
    request = next(node.traffic)
    number = next(node.numbers)
    node.bids.send(number, msgspec.msgpack.encode(request))
    node.world.run(0.1)
    (reply,) = node.bids.drain(10)
    check_answer(request, msgspec.msgpack.decode(reply.body))
