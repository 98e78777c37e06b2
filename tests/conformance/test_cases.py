"""Every case of the table, and our own, on our supervisor in each placement."""

from __future__ import annotations

import contextlib
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.conformance.expectations import TooSlowError, check
from tests.conformance.words import children_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.world import World

TRIES = 3


def why_not(case: dict[str, Any]) -> str | None:
    """Say why a case need not hold here."""
    if case.get("level") == "erlang":
        return "this means something in Erlang only"
    if any("hide" in child for child in children_of(case["setup"])):
        return "a child cannot cut its tie to its supervisor"
    return None


def play(world: World, case: dict[str, Any]) -> None:
    check(world, case["start"], partial(world.start, case["setup"]), "start")
    for number, step in enumerate(case["steps"], 1):
        where = f"step {number}: {step}"
        check(world, step, partial(world.perform, step), where)


def play_in_time(make_world: Callable[[], World], case: dict[str, Any]) -> None:
    """Play a case, again if it only took too long: the machine may be busy, a fault stays."""
    for _ in range(TRIES - 1):
        with contextlib.suppress(TooSlowError), closing(make_world()) as world:
            play(world, case)
            return
    with closing(make_world()) as world:
        play(world, case)


def test_a_supervisor_does_what_otp_did(
    case: dict[str, Any], make_world: Callable[[], World]
) -> None:
    try:
        play_in_time(make_world, case)
    except AssertionError:
        if (reason := why_not(case)) is None:
            raise
        pytest.skip(f"{case['id']}: {reason}")


def test_every_word_of_the_vocabulary_is_understood(
    own: dict[str, Any], make_world: Callable[[], World]
) -> None:
    play_in_time(make_world, own)
