"""The lab and the monkey against a node that is made up: whom they hurt, and whom they must not."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from cli.chaos import engine, probes, series
from cli.chaos.catalogue import find
from cli.chaos.engine import Run
from cli.chaos.errors import FaultError
from cli.chaos.lab import Lab
from cli.chaos.monkey import CRASHED, MOST_FALLS, Monkey, Wishes
from cli.chaos.plan import Plan
from cli.chaos.series import Series
from cli.chaos.target import Target
from cli.chaos.verdict import Outcome
from cli.chaos.watcher import Watcher
from cli.errors import CommandError
from cli.node import Node

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES = {
    "node": "process",
    "node/ledger": "process",
    "node/bidders": "process",
    "node/bidders/bidder-1": "process",
    "node/bidders/bidder-2": "process",
    "node/bidders/bidder-1/cell/agents/oversight": "light",
}


class FakeTarget(Target):
    """Takes every fault; ``asked`` keeps what came, ``trouble`` is what it answers."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), own=True)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.events: list[dict[str, Any]] = []
        self.trouble = ""
        self.rebuilds = 0

    def look(self) -> Mapping[str, Mapping[str, Any]]:
        return {path: {"placement": place, "kind": "worker"} for path, place in PLACES.items()}

    def ask(self, op: str, timeout_s: float = 0, **arguments: object) -> Any:
        if self.trouble:
            raise CommandError(self.trouble)
        self.asked.append((op, arguments))
        return {"healed": 2}

    def status(self) -> dict[str, Any]:
        return {"rebuilds": self.rebuilds}

    def events_since(self, since_ts: float) -> list[dict[str, Any]]:
        return self.events


@pytest.fixture
def target() -> FakeTarget:
    return FakeTarget()


@pytest.fixture
def lab(target: FakeTarget) -> Lab:
    now = iter(range(1_000, 100_000))
    wall = lambda: float(next(now))  # noqa: E731 - a clock that ticks at each look
    watcher = Watcher(target, set(PLACES), wall)
    return Lab(target, None, Plan(), None, watcher, random.Random(1), wall)  # type: ignore[arg-type]


def test_a_fault_goes_to_the_parts_that_its_selector_means(lab: Lab, target: FakeTarget) -> None:
    assert lab.inject("slow", "**/oversight", "one", {"delay_ms": 5}, ttl_s=4.0) == [
        "node/bidders/bidder-1/cell/agents/oversight"
    ]
    ((operation, asked),) = target.asked
    assert operation == "fault"
    assert (asked["kind"], asked["ttl_s"], asked["args"]) == ("slow", 4.0, {"delay_ms": 5})


def test_no_more_parts_are_hurt_at_one_time_than_the_blast_radius_allows(
    lab: Lab, target: FakeTarget
) -> None:
    with pytest.raises(FaultError, match="blast radius is 1"):
        lab.inject("signal", "node/bidders/bidder-*", "all", {"signal": "KILL"}, ttl_s=1.0)
    assert target.asked == []
    lab.inject("signal", "node/ledger", "one", {"signal": "STOP"}, ttl_s=1.0)
    with pytest.raises(FaultError, match="node/ledger"):  # which has not recovered yet
        lab.inject("signal", "node/bidders", "one", {"signal": "KILL"}, ttl_s=1.0)
    lab.watcher.injections[0].recovered_ts = 1.0
    lab.inject("signal", "node/bidders", "one", {"signal": "KILL"}, ttl_s=1.0)


def test_an_answer_that_died_with_the_target_counts_if_the_node_tells_of_the_fault(
    lab: Lab, target: FakeTarget
) -> None:
    target.trouble = "node/ledger: it did not answer within 2.0 s"
    args = {"point": "ledger.commit", "action": "kill"}
    with pytest.raises(CommandError):
        lab.inject("point", "node/ledger", "one", args, ttl_s=1.0)
    target.events = [{"kind": "fault_on", "address": "n:node/ledger", "at_ts": 1.0}]
    lab.inject("point", "node/ledger", "one", args, ttl_s=1.0)
    lab.watcher.injections.clear()
    with pytest.raises(CommandError):  # a fault that kills nobody has no such excuse
        lab.inject("slow", "**/oversight", "one", {"delay_ms": 5}, ttl_s=1.0)


def test_bidders_that_hear_nothing_are_counted(
    lab: Lab, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.chaos.lab.current", lambda: lab)
    assert probes.silent() == 0
    silent = {"bidder-1": {"details": {"silent": ["ledger"]}}, "bidder-2": {"details": {}}}
    monkeypatch.setattr(target, "look", lambda: silent)
    assert probes.silent() == 1
    monkeypatch.setattr(target, "look", lambda: None)
    assert probes.silent() == 0


def test_what_is_taken_back_ends_at_that_moment(lab: Lab) -> None:
    lab.inject("slow", "**/oversight", "one", {"delay_ms": 5}, ttl_s=5_000.0)
    assert lab.heal() == 2
    (slow,) = lab.watcher.injections
    assert slow.ends_ts == slow.healed_ts


# --- the monkey -------------------------------------------------------------------------------


def wishes(**more: Any) -> Wishes:
    given = {"for_s": 60.0, "every_s": 0.5, "kills": None, "spare": (), "rate": 80.0, "bidders": 2}
    return Wishes(**{**given, "seed": 1, **more})


def unlimited(lab: Lab) -> Lab:
    lab.plan = Plan(blast_radius=10**9)
    return lab


def test_the_monkey_leaves_alone_whom_it_shall_spare(lab: Lab, target: FakeTarget) -> None:
    monkey = Monkey(unlimited(lab), wishes(spare=("node", "node/ledger", "node/bidders/**")))
    for _ in range(30):
        monkey.kill_a_process()
    assert {asked["name"] for _, asked in target.asked} == {"node/bidders"}
    assert monkey.kills == 30


def test_near_the_bound_at_which_a_node_ends_the_monkey_leaves_the_top_alone(
    lab: Lab, target: FakeTarget
) -> None:
    # The clock of this lab ticks a second at each look, so few looks fit into a minute.
    monkey = Monkey(unlimited(lab), wishes())
    monkey.kill_a_process()
    target.asked.clear()
    target.rebuilds = MOST_FALLS
    monkey.kill_several_processes()
    assert {asked["name"] for _, asked in target.asked} <= {
        "node/bidders/bidder-1",
        "node/bidders/bidder-2",
    }


def test_the_monkey_ends_when_it_has_killed_enough(lab: Lab) -> None:
    monkey = Monkey(unlimited(lab), wishes(kills=3))
    assert not monkey._is_over(lab.wall())
    monkey.kills = 3
    assert monkey._is_over(lab.wall())


def test_what_is_gone_already_is_missed_and_not_killed(lab: Lab, target: FakeTarget) -> None:
    target.trouble = "it has just ended"
    monkey = Monkey(unlimited(lab), wishes(for_s=3.0, every_s=0.001))
    monkey.rage(lambda _words: None)
    assert monkey.kills == 0
    assert monkey.missed > 0


def test_a_crash_of_somebody_who_got_no_message_is_missed_and_does_not_spoil_the_run(
    lab: Lab,
) -> None:
    monkey = Monkey(unlimited(lab), wishes())
    monkey._ended(CRASHED)
    monkey._ended(CRASHED)
    run = Run("monkey", idle=["crash count=1 of node/bidders/bidder-1/cell/links/event-feed"])
    monkey.discount(run)
    assert (monkey.kills, monkey.missed, monkey.done[CRASHED]) == (1, 1, 1)
    assert run.idle == []


# --- a series ---------------------------------------------------------------------------------


def test_an_unsteady_start_is_tried_again_and_a_weakness_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: FakeTarget
) -> None:
    unsteady = {"steady_states": {"before": {"steady_state_met": False}}, "experiment": {}}
    found: list[dict[str, Any]] = [unsteady, unsteady, {"experiment": {}, "deviated": True}]
    runs = iter(found)
    monkeypatch.setattr(
        engine, "run_one", lambda experiment, *_: Run(experiment.name, journal=next(runs))
    )
    told: list[str] = []
    node = Node(None, tmp_path)
    ((run, file),) = Series(node, {}, 1, tmp_path / "j.json", told.append, target).run(
        [find("kill-ledger")]
    )
    assert run.verdict.outcome is Outcome.WEAKNESS
    assert len(told) == series.ATTEMPTS - 1
    assert file == tmp_path / "j.json"
    assert '"WEAKNESS"' in file.read_text()


def test_what_needs_a_node_of_its_own_is_not_done_to_another(
    tmp_path: Path, target: FakeTarget
) -> None:
    node = Node(None, tmp_path)
    ((run, _),) = Series(node, {}, 1, tmp_path, lambda _words: None, target).run(
        [find("node-killed")]
    )
    assert run.verdict.outcome is Outcome.INVALID
    assert "of its own" in run.verdict.why
    assert target.asked == []
