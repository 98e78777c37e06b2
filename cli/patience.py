"""Waiting at the edge of the process: the one place of the command line that sleeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLL_S = 0.05


def wait_until(
    holds: Callable[[], bool],
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - the edge of the process
) -> bool:
    """Ask ``holds`` again and again until it is true or the time is over.

    Args:
        holds: The question; asked at least once.
        timeout_s: How long to go on asking.
        clock: Monotonic seconds.
        sleep: Waits between two questions.

    Returns:
        What ``holds`` said last.
    """
    deadline_s = clock() + timeout_s
    while not holds():
        if clock() >= deadline_s:
            return False
        sleep(POLL_S)
    return True


def paced(
    interval_s: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,  # noqa: TID251 - the edge of the process
) -> Iterator[None]:
    """Yield for ever, at once and then every ``interval_s``; turns that were missed are left out.

    Args:
        interval_s: Seconds from one turn to the next.
        clock: Monotonic seconds.
        sleep: Waits for the next turn.
    """
    due_s = clock()
    while True:
        yield
        due_s = max(due_s + interval_s, clock())
        sleep(max(0.0, due_s - clock()))
