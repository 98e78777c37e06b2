"""Actors and a cell in virtual time, as the tests of this folder need them."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from supervision import Cell, LightActor, Ref, VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.messages import Report


def make_cell(
    seed: int = 0, reports: list[Report] | None = None, progress: list[Report] | None = None
) -> Cell:
    """A cell in virtual time; errors go to ``reports``, all else that is told to ``progress``."""

    def reporter(report: Report) -> None:
        kept = reports if report.level == "error" else progress
        if kept is not None:
            kept.append(report)

    return Cell(VirtualClock(), random.Random(seed), reporter=reporter)


class Notebook(LightActor):
    """Writes down all it gets, and does what it is told: a callable is called with the actor."""

    def __init__(self, on_start: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.got: list[Any] = []
        self.senders: list[Any] = []
        self._begin = on_start

    def on_start(self) -> Any:
        return self._begin(self) if self._begin is not None else None

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        if callable(message):
            return message(self)
        self.got.append(message)
        self.senders.append(sender)
        return None


def notebook(cell: Cell, parent: Ref | None = None, **how: Any) -> tuple[Ref, Notebook]:
    """Spawn a notebook and let it start."""
    book = Notebook()
    ref = cell.spawn(lambda: book, parent=parent, **how)
    cell.run(0.0)
    book.got.clear()
    return ref, book
