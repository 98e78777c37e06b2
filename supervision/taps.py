"""Taps: whoever wants to see, hold back or spoil the messages of one actor, while it lasts.

An actor is served through ``Ref.receive``. A tap stands in front of that and decides what reaches
the actor; births are watched in the same way, so that a tap can be put on the next incarnation,
too. Where there is no tap nothing is changed, so that it costs nothing to be able to.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.cell import Cell
    from supervision.ref import Ref

    Receive = Callable[[Any, Any], Any]
    Watcher = Callable[[Ref], None]


class Tap(Protocol):
    """Stands before an actor."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """Take one message for the actor.

        Args:
            receive: Hands a message on, to the next tap or to the actor.
            message: What came.
            sender: Whom it came from.

        Returns:
            What ``receive`` returned, or ``None`` if nothing was handed on.
        """


def put_on(ref: Ref, tap: Tap) -> None:
    """Let all that ``ref`` handles go through ``tap`` from its next turn on; the last is first."""
    ref.taps = (*ref.taps, tap)
    _compose(ref)


def take_off(ref: Ref, tap: Tap) -> None:
    """Remove ``tap``; in the middle of a turn it may still see the rest of that turn's messages."""
    ref.taps = tuple(each for each in ref.taps if each is not tap)
    _compose(ref)


def _compose(ref: Ref) -> None:
    if ref.actor is None:
        return
    receive: Receive = ref.actor.receiveMessage
    if ref.plain:
        receive = partial(ref.cell.receive_plain, ref)
    for tap in ref.taps:
        receive = partial(tap, receive)
    ref.receive = receive


def watch_births(cell: Cell, watcher: Watcher) -> None:
    """Call ``watcher`` with every actor that is made in ``cell`` from now on, before its start."""
    if not cell.birth_watchers:
        cell.spawn = partial(_spawn_watched, cell)  # type: ignore[method-assign]
    cell.birth_watchers = (*cell.birth_watchers, watcher)


def ignore_births(cell: Cell, watcher: Watcher) -> None:
    """Call ``watcher`` no more; harmless if it was not watching."""
    left = tuple(each for each in cell.birth_watchers if each != watcher)
    if cell.birth_watchers and not left:
        del cell.spawn  # the class's own again
    cell.birth_watchers = left


def _spawn_watched(cell: Cell, *args: Any, **how: Any) -> Ref:
    ref: Ref = type(cell).spawn(cell, *args, **how)
    if ref.actor is not None:
        for watcher in cell.birth_watchers:
            watcher(ref)
    return ref
