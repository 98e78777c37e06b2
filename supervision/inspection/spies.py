"""Spies: who sees what one actor gets and sends, while it does so; after OTP's ``sys:install``.

A spy is a function of its own state and an event; it returns its next state, or ``DONE``. What it
raises ends it and nobody else. All spies of an actor stand behind one tap on its mailbox and one
diversion of its post, put up for the first of them and taken down with the last, so an actor that
nobody watches is not slower by a nanosecond. They belong to the incarnation and end with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from supervision.ref import Ref
from supervision.taps import put_on, take_off

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.taps import Receive


@dataclass(frozen=True, slots=True)
class SystemEvent:
    """A message that came in or went out.

    Attributes:
        direction: Which.
        message: The message itself, not a copy.
        peer: The sender of what came in, the receiver of what went out.
        at_s: When, on the cell's clock.
    """

    direction: Literal["in", "out"]
    message: Any
    peer: Any
    at_s: float


class Done:
    """What a spy returns that has seen enough."""


DONE = Done()


class Watch:
    """The spies on one actor: the tap before its mailbox, and the diversion of its post."""

    def __init__(self, ref: Ref) -> None:
        self._ref = ref
        self._spies: dict[str, tuple[Callable[[Any, SystemEvent], Any], Any]] = {}

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """Let the spies see what comes in, then hand it on."""
        self._see("in", message, sender)
        return receive(message, sender)

    def _post(self, target: Any, message: Any) -> bool:
        """Stand for ``Ref.post``: let the spies see what goes out."""
        self._see("out", message, target)
        return Ref.post(self._ref, target, message)

    def _see(self, direction: Literal["in", "out"], message: Any, peer: Any) -> None:
        event = SystemEvent(direction, message, peer, self._ref.cell.clock())
        for name, (spy, state) in tuple(self._spies.items()):
            try:
                after = spy(state, event)
            except Exception:  # noqa: BLE001 - a spy must not hurt whom it watches
                after = DONE
            if after is DONE:
                self.remove(name)
            elif name in self._spies:
                self._spies[name] = (spy, after)

    def add(self, name: str, spy: Callable[[Any, SystemEvent], Any], state: Any) -> None:
        """Let a spy watch from the next message on."""
        if not self._spies:
            put_on(self._ref, self)
            self._ref.post = self._post  # type: ignore[method-assign]
            self._divert()
        self._spies[name] = (spy, state)

    def remove(self, name: str) -> Any:
        """Send a spy home; return its state."""
        _, state = self._spies.pop(name, (None, None))
        if not self._spies and self in self._ref.taps:
            take_off(self._ref, self)
            del self._ref.post  # the class's own again
            self._divert()
        return state

    def _divert(self) -> None:
        """Have what the actor sends go the way that is in force."""
        if self._ref.actor is not None and not self._ref.plain:
            self._ref.actor.send = self._ref.post

    def state(self, name: str) -> Any:
        """Return the present state of a spy."""
        return self._spies[name][1]

    @property
    def names(self) -> tuple[str, ...]:
        """Who watches, in the order in which they came."""
        return tuple(self._spies)


def watch_of(ref: Ref) -> Watch | None:
    """Return the watch on an actor, if there is one."""
    return next((tap for tap in ref.taps if isinstance(tap, Watch)), None)


def install(ref: Ref, name: str, spy: Callable[[Any, SystemEvent], Any], state: Any = None) -> bool:
    """Let ``spy`` watch ``ref`` under a name of its own.

    Returns:
        False if somebody watches under that name already: nobody is installed twice.
    """
    watch = watch_of(ref) or Watch(ref)
    if ref.actor is None or name in watch.names:
        return False
    watch.add(name, spy, state)
    return True


def remove(ref: Ref, name: str) -> Any:
    """Send a spy home; return its state, ``None`` if there was no such spy."""
    watch = watch_of(ref)
    return watch.remove(name) if watch is not None else None


def remove_all(ref: Ref) -> None:
    """Send all spies home (OTP: ``no_debug``)."""
    for name in spies_on(ref):
        remove(ref, name)


def spies_on(ref: Ref) -> tuple[str, ...]:
    """Return the names of the spies on ``ref``."""
    watch = watch_of(ref)
    return watch.names if watch is not None else ()


def state_of_spy(ref: Ref, name: str) -> Any:
    """Return the running state of a spy, ``None`` if there is no such spy."""
    watch = watch_of(ref)
    return watch.state(name) if watch is not None and name in watch.names else None
