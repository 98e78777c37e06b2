"""The outside of a cell: Thespian's ``ActorSystem`` tells, asks, listens and shuts down here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from thespian.actors import (
    ActorExitRequest,
    InvalidActorAddress,
    NoCompatibleSystemForActor,
    ThespianGeneration,
)
from thespian.system.utilis import (
    actualActorClass,
    checkActorCapabilities,
    withPossibleInitArgs,
)

from supervision.messages import Reason, StopRequest
from supervision.ref import Ref

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable
    from datetime import timedelta

    from supervision.poller import EpollPoller

OUTSIDE_LIMIT = 100_000
SETTLE_S = 1.0
"""How long a ``tell`` serves a cell that does not come to rest."""
STOP_S = 5.0
"""How long a shutdown waits for actors that want to end in good order."""


class _Outside:
    """Stands where an actor would: messages to the outside wait in its mailbox for ``listen``."""

    def receiveMessage(self, message: object, sender: object) -> None:
        """Never called: the outside is not scheduled."""
        raise AssertionError("the outside of a cell is not an actor")


class ExternalCalls:
    """The system-base interface of Thespian, and its names and capabilities."""

    if TYPE_CHECKING:
        ready: deque[Ref]
        poller: EpollPoller

        def spawn(
            self, build: Callable[..., Any], args: tuple[Any, ...] = (), *, parent: Ref | None
        ) -> Ref:
            """See the cell."""

        def run(self, max_s: float | None = None, until: Callable[[], bool] | None = None) -> bool:
            """See the cell."""

        def stop(self, ref: Ref, reason: Any) -> None:
            """See the cell."""

        def end(self, ref: Ref, reason: Any) -> None:
            """See the cell."""

        def crash(self, ref: Ref, error: Exception) -> None:
            """See the cell."""

    def __init__(self) -> None:
        self.global_names: dict[str, Ref] = {}
        self.primaries: dict[Ref, None] = {}
        self.capabilities: dict[str, object] = {
            "Python Version": tuple(sys.version_info),
            "Thespian Generation": ThespianGeneration,
            "Thespian ActorSystem Name": "cell",
            "Thespian ActorSystem Version": 1,
            "Thespian Watch Supported": True,
        }
        self.outside = self._outside("")

    def _outside(self, name: str) -> Ref:
        cell: Any = self
        ref = Ref(cell, name, None, OUTSIDE_LIMIT)
        ref.actor = _Outside()
        ref.scheduled = True  # so that it is never put into the run queue
        return ref

    def newPrimaryActor(
        self,
        actor_class: Any,
        requirements: object,
        global_name: str | None,
        source_hash: object = None,
    ) -> Ref:
        """Make an actor that has no parent."""
        return self.create(actor_class, None, requirements, global_name)

    def create(
        self, actor_class: Any, parent: Ref | None, requirements: object, global_name: str | None
    ) -> Ref:
        """Make an actor the Thespian way: from a class or its dotted name.

        Args:
            actor_class: The class, or its dotted name.
            parent: The actor that makes it, ``None`` for the world outside.
            requirements: What its ``actorSystemCapabilityCheck`` compares with our capabilities.
            global_name: If a live actor has this name already, that one is returned.

        Raises:
            NoCompatibleSystemForActor: The class wants capabilities that this cell does not have.
        """
        if global_name and global_name in self.global_names:
            return self.global_names[global_name]
        resolved = actualActorClass(actor_class)
        if not checkActorCapabilities(resolved, self.capabilities, requirements):
            raise NoCompatibleSystemForActor(resolved, "this cell lacks what its check asks for")
        init = withPossibleInitArgs(capabilities=self.capabilities, requirements=requirements)
        ref = self.spawn(init.create, (resolved,), parent=parent)
        if global_name and ref.actor is not None:
            ref.globalName = global_name
            self.global_names[global_name] = ref
        return ref

    def tell(self, address: object, message: object) -> None:
        """Send from outside and serve the cell until it has nothing to do for the moment."""
        self._post(self.outside, address, message)
        self.run(SETTLE_S, until=lambda: not self.ready)

    def ask(self, address: object, message: object, timeout: timedelta | float | None) -> Any:
        """Send from outside; return the next message to the outside, ``None`` if none came."""
        self._post(self.outside, address, message)
        return self.listen(timeout)

    def listen(self, timeout: timedelta | float | None) -> Any:
        """Serve the cell until a message to the outside comes; ``None`` if none came in time."""
        mailbox = self.outside.mailbox
        if timeout is not None and not isinstance(timeout, int | float):
            timeout = timeout.total_seconds()
        self.run(timeout, until=lambda: bool(mailbox))
        return mailbox.popleft()[0] if mailbox else None

    @staticmethod
    def _post(sender: Ref, address: object, message: object) -> None:
        if not isinstance(address, Ref):
            raise InvalidActorAddress(address, "not an address in this cell")
        if isinstance(message, ActorExitRequest):
            address.signal(StopRequest(), sender)
        else:
            sender.post(address, message)

    def external_clone(self) -> ExternalCalls:
        """A cell belongs to one thread, so its private context is the cell itself."""
        return self

    def exit_context(self) -> None:
        """Leave a private context: nothing to give back."""

    def update_capability(self, name: str, value: object = None) -> None:
        """Set a capability, or remove it with ``None``."""
        if value is None:
            self.capabilities.pop(name, None)
        else:
            self.capabilities[name] = value

    def updateCapability(self, name: str, value: object = None) -> None:
        """Do as :meth:`update_capability`, under Thespian's name."""
        self.update_capability(name, value)

    def shutdown(self) -> None:
        """Ask every actor that has no parent to end, end those that do not, and close the cell."""
        for ref in tuple(self.primaries):
            self.stop(ref, "shutdown")
        self.run(STOP_S, until=lambda: not self.primaries)
        for ref in tuple(self.primaries):
            self.end(ref, "killed")
        self.poller.close()

    # -- plain Thespian actors ------------------------------------------------------------------

    def receive_plain(self, ref: Ref, message: Any, sender: Any) -> Any:
        """A request to exit is one however it came: light actors post it as work."""
        if isinstance(message, ActorExitRequest):
            self.exit_plain(ref, "shutdown", sender)
            return None
        return ref.actor.receiveMessage(message, sender)

    def exit_plain(self, ref: Ref, reason: Reason, sender: Ref | None) -> None:
        """Let a plain actor see the request first, then its children, then end it."""
        ref.actor.receiveMessage(ActorExitRequest(), sender)
        for child in tuple(ref.children or ()):
            if child.plain:
                try:
                    self.exit_plain(child, reason, ref)
                except Exception as error:  # noqa: BLE001 - any bug ends this actor, and only it
                    self.crash(child, error)
        self.end(ref, reason)
