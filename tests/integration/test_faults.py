"""Faults on purpose in a running node: asked for over its control socket, gone by themselves."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from actors.ledger.verify import show, verify
from config.paths import NodePaths
from models.registry import weights_folder
from tests.integration.asker import Asker, steps_of
from tests.integration.node import Node, running_node
from tests.integration.waiting import eventually
from transport.control import ControlClient
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.ledger.verify import Summary

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

CELL = "node/bidders/bidder-1/cell"
AGENT = f"{CELL}/agents/user-profiler"
INFERENCE = "node/inference/inference@cpu"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The node's own copy of all weights."""
    folder = tmp_path_factory.mktemp("models") / "weights"
    shutil.copytree(weights_folder("profiler").parent, folder)
    return folder


@pytest.fixture(scope="module")
def node(weights: Path) -> Iterator[Node]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BIDWRIGHT_MODELS__WEIGHTS", str(weights))
        patch.setenv("BIDWRIGHT_MONEY__LEASE_S", "1.0")
        with running_node() as node:
            yield node
            ask(node, "heal")
            assert verify(NodePaths.of_node(node.folder / "data").ledger_db).ok


@pytest.fixture
def asker(node: Node) -> Iterator[Asker]:
    asker = Asker(node)
    eventually(lambda: asker.outcome() == "bid", 15.0, "it bids")
    # a fresh bidder bids before its first heartbeat has told the tree who lives in it
    eventually(lambda: AGENT in node.nodes(), 5.0, "the tree shows who may be hurt")
    yield asker
    ask(node, "heal")
    asker.close()


def ask(node: Node, operation: str, **args: Any) -> dict[str, Any]:
    answer = ControlClient(node.control_socket).call(operation, timeout_s=10.0, **args)
    assert isinstance(answer, dict)
    return answer


def fault(node: Node, name: str, kind: str, ttl_s: float = 5.0, **args: Any) -> dict[str, Any]:
    return ask(node, "fault", name=name, kind=kind, args=args, ttl_s=ttl_s)


def events(node: Node, kind: str) -> list[dict[str, Any]]:
    file = NodePaths.of_node(node.folder / "data").events_file
    records = map(json.loads, file.read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


def booked(node: Node) -> Summary:
    return show(NodePaths.of_node(node.folder / "data").ledger_db)


def are_over(node: Node) -> bool:
    return not ask(node, "faults")["faults"]


def test_a_slow_agent_is_answered_for_and_heals(node: Node, asker: Asker) -> None:
    made = fault(node, "user-profiler", "slow", delay_ms=500)
    assert (made["address"], made["kind"]) == (f"node-1:{AGENT}", "slow")
    assert ask(node, "faults")["faults"][0]["id"] == made["id"]
    assert steps_of(asker.ask())["profile"] == "fallback"
    assert ask(node, "heal", id=made["id"]) == {"healed": 1}
    eventually(lambda: steps_of(asker.ask()).get("profile") == "live", 5.0, "it is quick again")
    told = [record["offender"]["fault"]["id"] for record in events(node, "fault_off")]
    assert made["id"] in told


@pytest.mark.usefixtures("asker")
def test_what_makes_no_sense_is_refused_in_words(node: Node) -> None:
    for name, kind, args, complaint in (
        ("user-profiler", "boom", {}, "no fault is called 'boom'"),
        ("user-profiler", "slow", {}, "delay_ms must be a number"),
        ("user-profiler", "signal", {"signal": "KILL"}, "is for processes"),
        ("user-profiler", "link", {"drop": 1}, "has no links"),
        ("bidder-1", "crash", {}, "has others below it"),
    ):
        with pytest.raises(ControlError, match=complaint):
            fault(node, name, kind, **args)
    assert are_over(node)


def test_an_agent_that_cannot_start_takes_its_cell_along_and_a_fresh_process_is_well(
    node: Node, asker: Asker
) -> None:
    before = node.nodes()["node/bidders/bidder-1"]
    fault(node, "bid-optimizer", "crash_on_start", ttl_s=30.0)
    eventually(
        lambda: node.nodes()["node/bidders/bidder-1"]["pid"] not in (None, before["pid"]),
        10.0,
        "the bidder is another process",
    )
    assert asker.ask()["id"]  # however it went, each request gets its answer
    eventually(lambda: asker.outcome() == "bid", 10.0, "it bids again")
    eventually(lambda: are_over(node), 2.0, "the fault ended with its process")
    assert events(node, "gave_up")


def test_a_stopped_process_goes_on_in_time_and_is_the_same(node: Node, asker: Asker) -> None:
    before = node.nodes()[INFERENCE]
    fault(node, INFERENCE, "signal", ttl_s=0.5, signal="STOP")
    assert steps_of(asker.ask(as_stranger=True))["profile"] in ("live", "fallback")
    eventually(lambda: are_over(node), 3.0, "it goes on")
    after = node.nodes()[INFERENCE]
    assert (after["pid"], after["restarts"]) == (before["pid"], before["restarts"])


def test_a_ledger_killed_in_the_middle_of_a_commit_books_each_win_once(
    node: Node, asker: Asker
) -> None:
    won = asker.bids(2)
    before = node.nodes()["node/ledger"]
    settled = booked(node).settlements
    fault(node, "node/ledger", "point", point="ledger.commit", action="kill", count=1)
    assert all(asker.win(bid)["ok"] for bid in won)
    assert node.nodes()["node/ledger"]["pid"] != before["pid"]
    assert asker.win(won[0])["duplicate"]
    assert booked(node).settlements == settled + 2


def test_a_full_disk_of_the_ledger_confirms_no_win_before_there_is_room(
    node: Node, asker: Asker
) -> None:
    before = node.nodes()["node/ledger"]
    won = asker.bids(1)[0]
    settled = booked(node).settlements
    made = fault(node, "node/ledger", "point", ttl_s=1.5, point="ledger.write", action="enospc")
    assert asker.win(won)["ok"]  # it was told to try again until then
    assert made["id"] not in [each["id"] for each in ask(node, "faults")["faults"]]
    assert node.nodes()["node/ledger"]["pid"] == before["pid"]
    assert booked(node).settlements == settled + 1


def test_spoilt_doubled_and_late_frames_to_the_ledger_move_no_money_wrongly(
    node: Node, asker: Asker
) -> None:
    won = asker.bids(5)
    before = booked(node)
    made = fault(
        node, "link-ledger", "link", ttl_s=20, drop=0.1, duplicate=0.3, corrupt=0.3, delay_ms=5
    )
    assert all(asker.win(bid)["ok"] for bid in won)
    ask(node, "heal", id=made["id"])
    after = booked(node)
    assert after.settlements - before.settlements == len(won)
    price_micros = sum(-(-bid["price"] * 1000 // 2) for bid in won)
    assert abs(after.settled_micros - before.settled_micros - price_micros) <= len(won)


def test_a_spoilt_model_is_refused_while_bidding_goes_on_and_serves_when_mended(
    node: Node, asker: Asker, weights: Path
) -> None:
    file = weights / "profiler" / "weights.safetensors"
    whole = file.read_bytes()
    restarts = {name: each["restarts"] for name, each in node.nodes().items()}
    file.write_bytes(whole[:-1] + bytes((whole[-1] ^ 1,)))
    try:
        fault(node, INFERENCE, "signal", ttl_s=1.0, signal="KILL")
        eventually(lambda: bool(trouble(node)), 10.0, "the successor says why it does not serve")
        assert "is not what its manifest says" in trouble(node)
        outcomes = [asker.outcome() for _ in range(20)]
        assert outcomes.count("bid") > 10
        assert steps_of(asker.ask(as_stranger=True)).get("profile") in ("live", "fallback")
    finally:
        file.write_bytes(whole)
    eventually(lambda: not trouble(node), 5.0, "it serves again")
    now = node.nodes()
    assert now[INFERENCE]["restarts"] == restarts[INFERENCE] + 1
    assert all(now[name]["restarts"] == restarts[name] for name in ("node", "node/inference"))


def trouble(node: Node) -> str:
    return str(node.nodes()[INFERENCE].get("details", {}).get("trouble", ""))


def test_a_node_does_not_start_with_a_spoilt_model_and_says_which(
    weights: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "weights"
    shutil.copytree(weights, copy)
    file = copy / "selector" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    node = Node(tmp_path)
    places = {"gateway.port": node.port, "gateway.event_port": node.event_port}
    changes = {**places, "edge.port": node.http_port, "models.weights": copy}
    options = [word for name, value in changes.items() for word in ("--set", f"{name}={value}")]
    try:
        done = node.run("up", *options, limit_s=60.0)
    finally:
        node.destroy()
    assert done.returncode == 1
    assert "is not what its manifest says" in done.stderr
    assert "bidwright train selector" in done.stderr
    assert "Traceback" not in done.stderr
