"""Waiting for real processes: for a fact, with a limit, never for luck."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def eventually(fact: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait until ``fact()`` holds; return the seconds it took, or fail naming ``what``."""
    begun_s = time.monotonic()
    while not fact():
        assert time.monotonic() - begun_s < limit_s, f"not within {limit_s} s: {what}"
        select.select([], [], [], 0.02)
    return time.monotonic() - begun_s
