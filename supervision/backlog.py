"""What a supervisor has heard and not yet decided: news kept until it is their turn.

While a child is awaited only news of it may be decided. They are found by child and incarnation,
all else comes out in order, and neither takes longer when much is waiting.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING

from supervision.events import News

if TYPE_CHECKING:
    from collections.abc import Iterable

    from supervision.events import Event


class Backlog:
    """Events in order of arrival, with an index of news by child and incarnation."""

    def __init__(self) -> None:
        self._numbers = count()
        self._events: OrderedDict[int, Event] = OrderedDict()
        self._news: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self._events)

    def keep(self, event: Event) -> None:
        """Keep ``event`` for later."""
        number = next(self._numbers)
        self._events[number] = event
        if isinstance(event, News):
            self._news[event.key, event.incarnation] = number

    def first(self) -> Event | None:
        """Take the event that has waited longest."""
        if not self._events:
            return None
        _, event = self._events.popitem(last=False)
        if isinstance(event, News):
            self._news.pop((event.key, event.incarnation), None)
        return event

    def of(self, awaited: Iterable[tuple[str, int]]) -> list[Event]:
        """Take the news of these incarnations, in order of arrival."""
        numbers = sorted(self._news.pop(who) for who in awaited if who in self._news)
        return [self._events.pop(number) for number in numbers]
