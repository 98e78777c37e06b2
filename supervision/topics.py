"""Publish and subscribe in a cell: an agent joins by subscribing; publishers know no listener."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervision.ref import Ref


class Topics:
    """Subscribers by event type. The dead are dropped when they are met."""

    def __init__(self) -> None:
        self._subscribers: dict[type, dict[Ref, None]] = {}

    def subscribe(self, ref: Ref, event_type: type) -> None:
        """Send ``ref`` every event of exactly ``event_type``; twice is once."""
        self._subscribers.setdefault(event_type, {})[ref] = None

    def publish(self, sender: Ref, event: Any) -> int:
        """Send ``event`` to its subscribers; return how many took it."""
        subscribers = self._subscribers.get(type(event))
        if not subscribers:
            return 0
        taken = 0
        for ref in tuple(subscribers):
            if ref.actor is None:
                del subscribers[ref]
            else:
                taken += sender.post(ref, event)
        return taken
