"""The reference model against OTP: what it says is what a real supervisor did.

So the model may stand in for OTP where there is no recording of it (``test_supervisor_machine``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.expectations import matches, plain_tree
from tests.conformance.words import addresses, expected_tree
from tests.supervision.reference import Reference

SHARED = Path(__file__).resolve().parents[3] / "shared" / "supervision"
CANNOT_PLAY = (
    *("raw", "raw_flags", "raw_spec", "omit", "hide", "quick", "ms_max"),
    *("check_specs", "stranger", "slow_fail"),
)
KNOWS_NOT = ("SPEC-", "CFG-06")
"""What is wrong with specifications is a table of its own, and not of behaviour."""
QUIET_MS = 40.0


def recorded() -> list[dict[str, Any]]:
    path = SHARED / "golden_traces.jsonl"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def cases() -> list[dict[str, Any]]:
    path = SHARED / "conformance.yaml"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    table: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    playable: list[dict[str, Any]] = [
        case
        for case in table["cases"]
        if not case["id"].startswith(KNOWS_NOT)
        and not any(f"'{word}'" in repr(case) for word in CANNOT_PLAY)
    ]
    return playable


def differences(model: Reference, expect: dict[str, Any], answer: Any, seen: int) -> list[str]:
    """Say in which of the things that are expected the model differs."""
    dynamic = model.is_dynamic
    events = model.events[seen:]
    wanted = expect.get("events", events)
    any_order = dynamic or expect.get("events_any_order")
    tree = read_tree(expect["tree"]) if "tree" in expect else model.tree()
    found = {
        "returns": matches(expect.get("returns", answer), answer),
        "events": sorted(wanted) == sorted(events) if any_order else wanted == events,
        "tree": plain_tree(tree, dynamic=dynamic) == plain_tree(model.tree(), dynamic=dynamic),
        "counts": expect.get("counts", model.counts()) == model.counts(),
        "sup": addresses(expect) or matches_state(expect, model),
    }
    return [f"{what}: {answer} {events} {model.tree()}" for what, same in found.items() if not same]


def read_tree(tree: Any) -> Any:
    """Read a tree of a case; those of recordings are read already."""
    written = isinstance(tree, list) and not all(isinstance(node, list) for node in tree)
    return expected_tree(tree) if written else tree


def matches_state(expect: dict[str, Any], model: Reference) -> bool:
    return bool(expect.get("sup", model.supervisor_state()) == model.supervisor_state())


def play(setup: dict[str, Any], start: dict[str, Any], steps: list[Any]) -> list[str]:
    """Play a program; ``steps`` are pairs of a step and what is expected of it."""
    model = Reference()
    found = differences(model, start, model.start(setup), 0)
    for step, expect in steps:
        seen = len(model.events)
        model.now_ms += QUIET_MS
        found += differences(model, expect, model.perform(step), seen)
    return found


def test_the_model_does_in_all_recorded_programs_what_otp_did() -> None:
    wrong = {}
    for trace in recorded():
        program = trace["program"]
        steps = list(zip(program["steps"], trace["observed"], strict=True))
        found = play(program["setup"], trace["start"], steps)
        if found:
            wrong[program["id"]] = found
    assert not wrong


def test_the_model_does_in_the_cases_that_it_can_play_what_otp_did() -> None:
    playable = cases()
    wrong = {}
    for case in playable:
        found = play(case["setup"], case["start"], [(step, step) for step in case["steps"]])
        if found:
            wrong[case["id"]] = found
    assert not wrong
    assert len(playable) > 80
