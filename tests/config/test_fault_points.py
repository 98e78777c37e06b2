"""Fault points: each is reached by the product, and costs nothing to whoever armed none."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import fault_points
from config.fault_points import POINTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("point", POINTS)
def test_every_point_is_reached_somewhere_in_the_product(point: str) -> None:
    call = f'fault_points.reach("{point}"'
    folders = ("actors", "models", "transport")
    places = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert any(call in path.read_text(encoding="utf-8") for path in places)


def test_a_point_that_nobody_armed_is_passed() -> None:
    for point in POINTS:
        fault_points.reach(point)


def test_another_point_that_is_armed_does_not_matter() -> None:
    from tests.actors.points import failing

    with failing("log.write", "enospc") as armed:
        fault_points.reach("ledger.write")
    assert armed.hits == 0
