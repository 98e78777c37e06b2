"""Every case of the table, on our supervisor, in each placement."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.expectations import check
from tests.conformance.words import children_of

if TYPE_CHECKING:
    from tests.conformance.world import World

LEVELS = ("core", "edge", "erlang")
NOT_OURS = {"hide": "a child cannot cut its tie to its supervisor"}


def test_a_supervisor_does_what_otp_did(case: dict[str, Any], world: World) -> None:
    assert case["level"] in LEVELS
    for knob, reason in NOT_OURS.items():
        if any(knob in child for child in children_of(case["setup"])):
            pytest.skip(reason)
    check(world, case["start"], partial(world.start, case["setup"]), "start")
    for number, step in enumerate(case["steps"], 1):
        where = f"step {number}: {step}"
        check(world, step, partial(world.perform, step), where)
