"""Every recorded program, replayed step by step beside what a real OTP supervisor did."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from tests.conformance.expectations import matches, plain_tree
from tests.conformance.world import World


def compare(world: World, observed: dict[str, Any], answer: Any, seen: int, where: str) -> None:
    dynamic = world.is_dynamic
    world.settle()
    assert matches(observed["returns"], answer), f"{where}: returned {answer}"
    events = world.log.events[seen:]
    if dynamic:
        # Dynamic children are stopped all at once; OTP promises no order among them.
        assert sorted(events) == sorted(observed["events"]), where
    else:
        assert events == observed["events"], where
    assert world.supervisor_state() == observed["sup"], where
    tree = plain_tree(world.tree(), dynamic=dynamic)
    assert tree == plain_tree(observed["tree"], dynamic=dynamic), where
    assert world.counts() == observed["counts"], where


def test_a_recorded_program_runs_as_on_otp(trace: dict[str, Any], placement: str) -> None:
    program = trace["program"]
    with closing(World()) as world:
        compare(world, trace["start"], world.start(program["setup"]), 0, "start")
        for number, step in enumerate(program["steps"]):
            seen = len(world.log.events)
            answer = world.perform(step)
            where = f"step {number + 1}: {step}"
            compare(world, trace["observed"][number], answer, seen, where)
