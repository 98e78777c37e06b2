"""Selectors, plans, measures and the watcher's judgement of what is whole."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from cli.chaos import measure
from cli.chaos.errors import FaultError
from cli.chaos.lab import in_words, is_deadly
from cli.chaos.plan import Plan, plan_of
from cli.chaos.sandbox import free_ports
from cli.chaos.selectors import choose, how_many, matching, walk
from cli.chaos.statsd import StatsdSink
from cli.chaos.target import lacks, path_of
from cli.chaos.watcher import Injection
from cli.errors import InvalidInputError
from tests.cli.conftest import TREE

PATHS = [
    "node",
    "node/ledger",
    "node/bidders",
    "node/bidders/bidder-1",
    "node/bidders/bidder-1/cell/agents/oversight",
    "node/bidders/bidder-2",
    "node/bidders/bidder-2/cell/agents/oversight",
    "node/inference/inference@cpu",
]


# --- whom a fault hits ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("node", ["node"]),
        ("node/bidders/bidder-*", ["node/bidders/bidder-1", "node/bidders/bidder-2"]),
        ("**/oversight", [path for path in PATHS if path.endswith("oversight")]),
        ("node/*", ["node/ledger", "node/bidders"]),
        ("node/inference/inference@*", ["node/inference/inference@cpu"]),
        ("node/bidders/**", [path for path in PATHS if path.startswith("node/bidders/")]),
        ("node.ledger", []),
    ],
)
def test_a_star_is_one_name_and_two_are_any_number_of_names(pattern: str, found: list[str]) -> None:
    assert matching(PATHS, pattern) == found


@pytest.mark.parametrize(
    ("mode", "among", "number"),
    [("one", 5, 1), ("all", 5, 5), ("fixed:2", 5, 2), ("percent:50", 5, 3), ("percent:1", 5, 1)],
)
def test_a_mode_says_how_many(mode: str, among: int, number: int) -> None:
    assert how_many(mode, among) == number


@pytest.mark.parametrize("mode", ["two", "fixed:", "fixed:x", "fixed:0", "fixed:6", "percent:101"])
def test_a_mode_that_makes_no_sense_is_refused(mode: str) -> None:
    with pytest.raises(FaultError, match=mode):
        how_many(mode, 5)


def test_the_same_seed_chooses_the_same_and_another_may_choose_others() -> None:
    def chosen(seed: int) -> list[str]:
        return choose(PATHS, "node/bidders/bidder-*", "one", random.Random(seed))

    assert chosen(3) == chosen(3)
    assert {path for seed in range(20) for path in chosen(seed)} == set(
        matching(PATHS, "node/bidders/bidder-*")
    )


def test_a_selector_that_means_nobody_is_refused() -> None:
    with pytest.raises(FaultError, match="node/nobody"):
        choose(PATHS, "node/nobody", "one", random.Random(1))


def test_a_tree_is_walked_parents_first() -> None:
    assert [node["id"] for node in walk(TREE)] == ["node", "bidders", "ledger"]


def test_what_ends_its_target_is_known() -> None:
    assert is_deadly("signal", {"signal": "KILL"})
    assert is_deadly("crash", {})
    assert is_deadly("point", {"point": "ledger.commit", "action": "kill"})
    assert not is_deadly("signal", {"signal": "STOP"})
    assert not is_deadly("point", {"point": "ledger.write", "action": "enospc"})
    assert not is_deadly("slow", {"delay_ms": 5})


def test_arguments_are_said_in_words() -> None:
    assert in_words({"signal": "KILL"}) == "KILL"
    assert in_words({"point": "ledger.write", "action": "enospc", "share": 0.5}) == (
        "ledger.write enospc share=0.5"
    )


# --- our part of an experiment ----------------------------------------------------------------


def test_an_experiment_without_our_block_has_defaults() -> None:
    assert plan_of({"title": "x"}) == Plan()
    assert plan_of({"extensions": [{"name": "somebody else"}]}) == Plan()


def test_our_block_is_read_and_what_it_does_not_know_is_refused() -> None:
    block = {"name": "bidwright", "bidders": 3, "allow": {"escalations": 2}}
    plan = plan_of({"extensions": [block]})
    assert (plan.bidders, plan.allow.escalations, plan.allow.unanswered) == (3, 2, 0)
    with pytest.raises(InvalidInputError, match="biders"):
        plan_of({"title": "x", "extensions": [{"name": "bidwright", "biders": 3}]})


# --- is it whole? -----------------------------------------------------------------------------


def node(**facts: Any) -> dict[str, Any]:
    return {"state": "running", "placement": "process", "pid": os.getpid(), "uptime_s": 9, **facts}


def test_a_whole_tree_lacks_nothing() -> None:
    assert lacks({"node": node(), "node/a": node(placement="light")}, {"node", "node/a"}) == ""


def test_what_a_tree_lacks_is_said() -> None:
    names = {"node", "node/a", "node/b"}
    assert lacks(None, names) == "there is no tree to be seen"
    assert lacks({"node": node()}, names) == "node/a is not there and 1 more"
    restarting = {name: node() for name in names} | {"node/a": node(state="restarting")}
    assert lacks(restarting, names) == "node/a is restarting"
    dead = {name: node() for name in names} | {"node/b": node(pid=2**22 + 1)}
    assert "node/b (pid 4194305) does not run" in lacks(dead, names)


def test_a_deadly_fault_is_over_when_its_target_is_a_new_one() -> None:
    fault = Injection("signal", ["node/a"], at_ts=100.0, deadly=True, struck_ts=100.1)
    old = {"node/a": node(uptime_s=60.0)}
    new = {"node/a": node(uptime_s=0.2)}
    assert not fault.is_over(old, 100.4)
    assert fault.is_over(new, 100.4)


def test_a_look_from_before_a_fault_struck_tells_nothing_of_it() -> None:
    fault = Injection("signal", ["node/a"], at_ts=100.0, struck_ts=100.2)
    assert not fault.is_over({"node/a": node()}, 100.1)
    assert fault.is_over({"node/a": node()}, 100.3)


def test_a_fault_ends_at_its_time_or_when_it_is_taken_back_or_when_its_harm_is_mended() -> None:
    slow = Injection("slow", ["node/a"], at_ts=100.0, ttl_s=4.0, recovered_ts=100.1)
    assert slow.ends_ts == 104.0
    slow.healed_ts = 102.0
    assert slow.ends_ts == 102.0
    stopped = Injection("signal", ["node/a"], at_ts=100.0, ttl_s=20.0, recovered_ts=102.3)
    assert stopped.ends_ts == 102.3


# --- measures ---------------------------------------------------------------------------------


def event(at_ts: float, kind: str, path: str, **offender: Any) -> dict[str, Any]:
    return {"at_ts": at_ts, "kind": kind, "address": f"node-1:{path}", "offender": offender}


FAULT = {"kind": "signal", "targets": ["node/bidders/bidder-1"], "at_ts": 10.0, "recovered_ts": 11}
EVENTS = [
    event(9.0, "crashed", "node/bidders/bidder-1"),
    event(10.1, "fault_on", "node/bidders/bidder-1"),
    event(10.2, "crashed", "node/ledger"),
    event(10.4, "crashed", "node/bidders/bidder-1"),
    event(10.6, "restarted", "node/bidders/bidder-1"),
]


def test_a_fault_is_noticed_by_the_first_event_about_its_target() -> None:
    assert measure.detect_s([FAULT], EVENTS) == pytest.approx(0.4)
    assert measure.detect_s([FAULT], []) is None


def test_a_fault_is_noticed_by_what_befalls_the_part_above_its_target() -> None:
    assert measure.detect_s([FAULT], [event(10.3, "rebuilt", "node")]) == pytest.approx(0.3)


def test_the_time_to_repair_counts_from_when_the_node_says_that_it_struck() -> None:
    assert measure.mttr_s(FAULT, EVENTS) == pytest.approx(0.5)
    assert measure.mttr_s(FAULT, EVENTS[:-1]) is None
    with_its_parent = [*EVENTS[:-1], event(10.5, "restarted", "node/bidders"), EVENTS[-1]]
    assert measure.mttr_s(FAULT, with_its_parent) is None
    assert measure.spread([0.1, 0.2, 0.9]) == {"number": 3, "median_s": 0.2, "p95_s": 0.9}


def test_recovery_is_the_longest_and_unknown_while_one_fault_is_not_over() -> None:
    assert measure.recover_s([FAULT, {**FAULT, "recovered_ts": 13.5}]) == 3.5
    assert measure.recover_s([FAULT, {**FAULT, "recovered_ts": None}]) is None
    assert measure.recover_s([]) == 0.0


def test_how_often_a_fault_struck_is_what_the_node_says_at_its_end() -> None:
    fault = {"kind": "link", "targets": ["node/ledger"], "at_ts": 10.0}
    about = {"fault": {"kind": "link"}}
    told = [event(12, "fault_off", "node/ledger", **about, hits=4)]
    assert measure.hits(fault, told) == 4
    assert measure.hits(fault, [event(12, "fault_off", "node/ledger", **about, hits=0)]) == 0
    assert measure.hits(fault, [event(12, "fault_off", "node/ledger", **about)]) is None
    assert measure.hits(fault, [event(9, "fault_off", "node/ledger", **about, hits=4)]) is None


def test_an_address_has_a_path() -> None:
    assert path_of("node-1:node/ledger") == "node/ledger"
    assert path_of("node/ledger") == "node/ledger"


# --- surroundings -----------------------------------------------------------------------------


def test_ports_are_neighbours_outside_the_range_of_connections() -> None:
    assert 10_000 <= free_ports(4) < 20_000


def test_a_statsd_server_that_is_off_refuses_and_one_that_is_on_again_counts_on() -> None:
    import select
    import socket

    sink = StatsdSink()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", sink.port))
        sender.send(b"a:1|c")
        while not sink.packets:
            select.select([], [], [], 0.001)
        sink.close()
        sender.send(b"b:1|c")
        with pytest.raises(ConnectionRefusedError):
            sender.send(b"c:1|c")
        sink.open()
        sender.send(b"d:1|c")
        while sink.packets < 2:
            select.select([], [], [], 0.001)
    sink.close()
    sink.close()
