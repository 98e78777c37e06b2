"""The graveyard: who died last and why, from the node's file of events.

It is read lazily, each time from where it was left, by whoever is asked; since the file outlives
supervisors and trees, so do the dead.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from supervision.inspection.records import DEATHS
from transport.event_file import START, read_after

if TYPE_CHECKING:
    from pathlib import Path

GRAVES = 200
"""The dead that are remembered."""
PAGE = 100_000
"""Records read at one go: more than both generations of the file hold."""


class Graveyard:
    """The last dead of one node.

    Args:
        events_file: Where deaths are recorded.
        graves: How many are kept.
    """

    def __init__(self, events_file: Path, graves: int = GRAVES) -> None:
        self._events_file = events_file
        self._graves: deque[dict[str, Any]] = deque(maxlen=graves)
        self._cursor = START

    def dead(self) -> list[dict[str, Any]]:
        """Return the last dead, the newest last."""
        page = read_after(self._events_file, self._cursor, PAGE)
        self._cursor = page.cursor
        self._graves.extend(_grave(event) for event in page.events if is_death(event))
        return list(self._graves)


def is_death(event: dict[str, Any]) -> bool:
    """Tell whether ``event`` is an end that nobody had in mind, of who lived or was to live.

    Who stops because its supervisor does is none of the dead: each stop of a node would bury all
    others under them.
    """
    return event.get("kind") in DEATHS and event.get("context") != "stopped"


def _grave(event: dict[str, Any]) -> dict[str, Any]:
    offender = event.get("offender") or {}
    return {
        "ts": event.get("ts"),
        "address": event.get("address"),
        "kind": event.get("kind"),
        "reason": event.get("reason"),
        "restarts": event.get("restarts"),
        "pid": offender.get("pid"),
        "incarnation": offender.get("incarnation"),
        "detail": event.get("detail", ""),
    }
