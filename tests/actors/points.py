"""Fault points, armed for a while, as tests of the product need them."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

from config import fault_points

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def failing(point: str, action: str, count: int = 0) -> Iterator[fault_points.ArmedPoint]:
    """Have it happen at ``point``, ``count`` times or (0) always, inside this block."""
    armed = fault_points.ArmedPoint(
        action, count=count, share=1.0, rng=random.Random(1), used_up=lambda: None
    )
    fault_points.arm(point, armed)
    try:
        yield armed
    finally:
        fault_points.disarm(point)
