"""A light actor's address, mailbox and control block in one object: a message costs one append.

Others hold a :class:`Ref` as the actor's address and use it for nothing but sending. The cell alone
touches the rest.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from thespian.actors import (
    ActorAddress,
    ActorExitRequest,
    InvalidActorAddress,
)

from supervision.messages import Down, StopRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from supervision.cell import Cell
    from supervision.inspection.tracing import Trace
    from supervision.taps import Tap


FORGET_EVERY = 1024
"""So many waiters more, and those that have died meanwhile are forgotten."""


class Timer:
    """One wake-up that is due once; :meth:`cancel` forgets it.

    Attributes:
        ref: Who is woken; ``None`` once it has happened or is cancelled.
        due_s: When, on the cell's clock.
        payload: Comes back with the wake-up.
        period: The delay as it was asked for.
    """

    __slots__ = ("due_s", "payload", "period", "ref")

    def __init__(self, ref: Ref, due_s: float, payload: object, period: timedelta | float) -> None:
        self.ref: Ref | None = ref
        self.due_s = due_s
        self.payload = payload
        self.period = period

    @property
    def is_live(self) -> bool:
        """Whether somebody is still to be woken."""
        return self.ref is not None and self.ref.actor is not None

    def cancel(self) -> None:
        """Forget the wake-up; harmless when it has happened already."""
        if self.ref is not None:
            self.ref.cell.cancelled += 1
            self.ref = self.payload = None


class Ref(ActorAddress):
    """The address of one incarnation of a light actor; it stays the address of the dead.

    It is also what Thespian's ``Actor`` calls ``_myRef``: the actor's way into its system.

    Attributes:
        cell: The cell it lives in.
        name: Its name among its siblings.
        parent: The actor that made it, ``None`` for the root and for the world outside.
        actor: The actor object, ``None`` before its start and after its end.
        mailbox: ``(message, sender)`` pairs that wait.
        limit: The mailbox's bound.
    """

    # What no message touches is kept on the class, because there is a Ref for each impression. What
    # every message reads is not: a default of the class is found three times slower than one's own.
    plain = False  # a Thespian actor that knows nothing of cells
    begun = False
    quiet = False
    children: dict[Ref, None] | None = None
    watched: frozenset[int] = frozenset()
    taps: tuple[Tap, ...] = ()
    trace: Trace | None = None
    dropped = 0
    mark = (0.0, -1, 0.0)  # for its rate: when it was last marked, what it had handled, the rate
    exit_reason: Any = None
    globalName: str | None = ""  # noqa: N815 - Thespian's name

    def __init__(self, cell: Cell, name: str, parent: Ref | None, limit: int) -> None:
        # ActorAddress.__init__ only stores a string that we can derive; it is left out for speed.
        self.cell = cell
        self.name = name
        self.parent = parent
        self.limit = limit
        self.actor: Any = None
        self.mailbox: deque[tuple[Any, Ref | None]] = deque()
        self.scheduled = False
        self.starting = False
        self.suspended = False
        self.receive: Callable[[Any, Any], Any] | None = None
        self.system: deque[tuple[Any, Ref | None]] | None = None
        self.waiters: dict[Ref, int] | None = None
        self.ready_fds: list[int] | None = None
        self.handled = 0

    __hash__ = object.__hash__
    __eq__ = object.__eq__
    __ne__ = object.__ne__

    @property
    def path(self) -> str:
        """The names from the root down, joined by ``/``."""
        names = [self.name]
        parent = self.parent
        while parent is not None and parent.name:  # the outside has no name
            names.append(parent.name)
            parent = parent.parent
        return "/".join(reversed(names))

    @property
    def addressDetails(self) -> str:
        """Thespian's name for what an address shows."""
        return self.path

    @property
    def actorAddressString(self) -> str:
        """Thespian's name for the address as text."""
        return self.path

    def __str__(self) -> str:
        return f"ActorAddr-{self.path}"

    __repr__ = __str__

    @property
    def address(self) -> Ref:
        """The actor's own address, as Thespian asks for it."""
        return self

    # -- what the actor does through it -----------------------------------------------------------

    def post(self, target: Ref, message: object) -> bool:
        """Put ``message`` into ``target``'s mailbox; false if it is dead or full (both counted)."""
        waiters = self.waiters
        if waiters and target in waiters:  # whatever this is, it answers one question of the target
            if waiters[target] == 1:
                del waiters[target]
            else:
                waiters[target] -= 1
        if target.actor is None:
            target.cell.dead_letters += 1
            return False
        mailbox = target.mailbox
        if len(mailbox) >= target.limit:
            target.dropped += 1
            return False
        mailbox.append((message, self))
        if not target.scheduled:
            target.scheduled = True
            target.cell.ready.append(target)
        return True

    def ask(self, target: Ref, message: object) -> bool:
        """Post; be told ``Down`` if ``target`` cannot take it or ends before it next posts here."""
        if self.post(target, message):
            waiters = target.waiters
            if waiters is None:
                waiters = target.waiters = {}
            waiters[self] = waiters.get(self, 0) + 1
            if not len(waiters) % FORGET_EVERY:
                target.forget_dead_waiters()
            return True
        reason = "noproc" if target.actor is None else "overloaded"
        self.signal(Down(target, reason), target)
        return False

    def forget_dead_waiters(self) -> None:
        """Forget who died without an answer: only questions that were lost leave such."""
        waiting = (self.waiters or {}).items()
        self.waiters = {ref: open_ for ref, open_ in waiting if ref.actor is not None}

    def signal(self, message: object, sender: Ref | None = None) -> None:
        """Put ``message`` into this actor's system lane, ahead of all work; it has no bound."""
        if self.actor is None:
            return
        if self.system is None:
            self.system = deque()
        self.system.append((message, sender))
        self.schedule()

    def schedule(self) -> None:
        """See to it that the cell looks at this actor."""
        if not self.scheduled:
            self.scheduled = True
            self.cell.ready.append(self)

    # -- the rest of what Thespian's Actor expects ------------------------------------------------

    def actor_send(self, target: ActorAddress, message: object) -> None:
        """Send as a plain Thespian actor does; an ``ActorExitRequest`` becomes a polite stop."""
        if not isinstance(target, Ref):
            raise InvalidActorAddress(target, "not an address in this cell")
        if isinstance(message, ActorExitRequest):
            target.signal(StopRequest(), self)
        else:
            self.post(target, message)

    def createActor(
        self,
        actor_class: Any,
        requirements: object = None,
        global_name: str | None = None,
        source_hash: object = None,
    ) -> Ref:
        """Make a child, as Thespian's ``createActor``; what it makes is alive when this returns."""
        return self.cell.create(actor_class, self, requirements, global_name)

    def wakeupAfter(self, period: timedelta | float, payload: object = None) -> None:
        """Ask for a ``WakeupMessage`` after ``period``."""
        seconds = period if isinstance(period, int | float) else period.total_seconds()
        self.cell.wake_after(self, seconds, payload, period)

    def handleDeadLetters(self, address: object, enable: object) -> None:
        """Do nothing: dead letters are counted by the cell and not handed on."""

    def notifyOnSystemRegistrationChanges(self, address: object, enable: object) -> None:
        """Do nothing: a cell is in no convention, so there is nothing to hear of."""

    def updateCapability(self, name: str, value: object = None) -> None:
        """Set (or, with ``None``, remove) one of the cell's capabilities."""
        self.cell.update_capability(name, value)
