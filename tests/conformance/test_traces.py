"""Recorded programs, replayed step by step beside what a real OTP supervisor did."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from tests.conformance.expectations import compare

if TYPE_CHECKING:
    from tests.conformance.world import World


def test_a_recorded_program_runs_as_on_otp(trace: dict[str, Any], world: World) -> None:
    program = trace["program"]
    compare(world, trace["start"], partial(world.start, program["setup"]), "start")
    for number, (step, observed) in enumerate(
        zip(program["steps"], trace["observed"], strict=True), 1
    ):
        where = f"step {number}: {step}"
        compare(world, observed, partial(world.perform, step), where)
