"""The light actor: a Thespian actor with a life cycle, timers, topics, and asks that hear of death.

An exception ends it (let it crash): its supervisor is told why and starts a fresh one, whose state
is made anew. So state belongs into the object and is built in ``__init__`` and ``on_start``, never
kept by others.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from thespian.actors import Actor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.cell import Cell
    from supervision.ref import Ref, Timer
    from transport.faults import Link


class Later(Enum):
    """What a life-cycle hook returns when it has only begun."""

    STARTING = "starting"
    """From ``on_start``: the actor is not ready before it calls :meth:`LightActor.ready`."""
    STOPPING = "stopping"
    """From ``on_stop``: the actor ends when it calls :meth:`LightActor.stop`."""


STARTING = Later.STARTING
STOPPING = Later.STOPPING


class LightActor(Actor):
    """Base of the actors that live in a cell.

    Subclasses define ``receiveMessage`` and, if they like, the hooks.

    Attributes:
        cell: The cell it lives in: clock, random numbers, registry, topics. Not there yet in
            ``__init__``.
    """

    _myRef: Ref  # noqa: N815 - Thespian's name
    cell: Cell

    # -- hooks ----------------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Run once, first, in the actor's own turn.

        Returns:
            Nothing, a ``ThespianWatch``, or ``STARTING`` if it will call :meth:`ready` later.

        Raises:
            IgnoreStart: It declines to run; no failure.
            StartError: It cannot run, for a reason that its supervisor reports.
        """

    def on_stop(self, reason: Any) -> Any:
        """Run on a polite stop, before the end.

        Returns:
            ``STOPPING`` to end later with :meth:`stop`; anything else ends the actor now.
        """

    def on_end(self) -> None:
        """Run last, however the actor ended, crash and kill included.

        Close sockets and files here and do nothing else; what it raises is reported, not handled.
        """

    def describe(self) -> dict[str, Any]:
        """Return the actor's own account for those who look in: plain data, no secrets."""
        return {}

    def links(self) -> Sequence[Link]:
        """Return its open links, for faults that are made on purpose."""
        return ()

    # -- verbs ----------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """Its name from the root of the cell down."""
        return self._myRef.path

    def send(self, address: Ref, message: Any) -> bool:
        """Post ``message``; false if the target is dead or its mailbox full.

        The cell replaces this by a shortcut of the same meaning.
        """
        return self._myRef.post(address, message)

    def ask(self, address: Ref, message: Any) -> bool:
        """Post a question.

        If ``address`` ends before it next sends to this actor, ``Down(address, reason)`` comes.
        """
        return self._myRef.ask(address, message)

    def wake_after(self, delay_s: float, payload: Any = None) -> Timer:
        """Get a ``WakeupMessage`` with ``payload`` after ``delay_s`` seconds, unless cancelled."""
        return self.cell.wake_after(self._myRef, delay_s, payload)

    def ready(self, info: Any = None) -> None:
        """End a start that ``on_start`` left at ``STARTING``."""
        self.cell.started(self._myRef, info)

    def stop(self, reason: Any = "normal") -> None:
        """End this actor now; what is left in its mailbox is lost."""
        self.cell.end(self._myRef, reason)

    def publish(self, event: Any) -> None:
        """Send ``event`` to all in this cell that subscribed to its type."""
        self.cell.topics.publish(self._myRef, event)

    def subscribe(self, event_type: type) -> None:
        """Receive every published event of exactly this type until this actor ends."""
        self.cell.topics.subscribe(self._myRef, event_type)
