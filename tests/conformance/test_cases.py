"""Every case of the table, on our supervisor, in each placement."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.expectations import check
from tests.conformance.words import children_of

if TYPE_CHECKING:
    from tests.conformance.world import World

NOT_OURS = {"hide": "a child cannot cut its tie to its supervisor"}


def test_a_supervisor_does_what_otp_did(case: dict[str, Any], world: World) -> None:
    for knob, reason in NOT_OURS.items():
        if any(knob in child for child in children_of(case["setup"])):
            pytest.skip(reason)
    try:
        play(world, case)
    except AssertionError as error:
        if case["level"] != "erlang":
            raise
        pytest.skip(f"means something in Erlang only: {error}")


def play(world: World, case: dict[str, Any]) -> None:
    check(world, case["start"], partial(world.start, case["setup"]), "start")
    for number, step in enumerate(case["steps"], 1):
        where = f"step {number}: {step}"
        check(world, step, partial(world.perform, step), where)
