"""Every case of the table, on our supervisor in virtual time."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from tests.conformance.expectations import check
from tests.conformance.world import World

LEVELS = ("core", "edge", "erlang")
NOT_OURS = {"hide": "a light child cannot cut its tie to its supervisor"}


def children_of(setup: dict[str, Any]) -> list[dict[str, Any]]:
    children = setup.get("children") or []
    return [*children, *(inner for child in children for inner in children_of(child))]


def test_a_supervisor_does_what_otp_did(case: dict[str, Any], placement: str) -> None:
    assert case["level"] in LEVELS
    for knob, reason in NOT_OURS.items():
        if any(knob in child for child in children_of(case["setup"])):
            pytest.skip(reason)
    with closing(World()) as world:
        check(world, case["start"], lambda: world.start(case["setup"]), "start")
        for number, step in enumerate(case["steps"], 1):
            where = f"step {number}: {step['op']}"
            check(world, step, lambda step=step: world.perform(step), where)
