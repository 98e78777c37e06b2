"""Faults on the messages of one actor: taps that crash it, keep it waiting, or spoil what it hears.

What may be lost or doubled is what others send. An actor's own timers, the readiness of its
descriptors and the runtime's news of death always arrive, as they do without faults.
"""

from __future__ import annotations

import select
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from thespian.actors import ChildActorExited, WatchMessage

from config.fault_points import PlannedFaultError
from supervision.actor import LightActor
from supervision.messages import ChildDeclined, ChildFailed, ChildStarted, Down

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.faults.book import ActorFault
    from supervision.ref import Ref, Timer
    from supervision.taps import Receive

NEWS: Final = (Down, ChildActorExited, ChildStarted, ChildFailed, ChildDeclined)
RETRY_S: Final = 0.05
"""How often a suspended actor is looked at that has messages held back."""


def block(seconds: float) -> None:
    """Keep this process from doing anything, signals excepted."""
    select.select((), (), (), seconds)


class FaultTap:
    """What one fault does to one incarnation of its target; this base does nothing.

    Args:
        ref: The incarnation.
        fault: The fault, with its arguments and chances.
    """

    def __init__(self, ref: Ref, fault: ActorFault) -> None:
        self.ref = ref
        self.fault = fault

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        return receive(message, sender)

    def born(self) -> None:
        """Do what is to be done to an incarnation that has not started yet."""

    def lift(self) -> None:
        """Give back what is held; the tap has been taken off."""

    def strikes(self, message: Any, sender: Any) -> bool:
        """Tell whether a message is of another actor, and by chance one of those to spoil."""
        fault = self.fault
        if fault.is_over or sender is self.ref or isinstance(message, NEWS):
            return False
        if fault.rng.random() >= fault.args["share"]:
            return False
        fault.hits += 1
        return True


class Crash(FaultTap):
    """The next messages, of whatever kind, raise."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        fault = self.fault
        if fault.is_over or fault.rng.random() >= fault.args["share"]:
            return receive(message, sender)
        fault.hits += 1
        if fault.hits >= fault.args["count"]:
            fault.used_up()
        raise PlannedFaultError(f"crash, on purpose ({fault.id})")


class CrashOnStart(FaultTap):
    """An incarnation that is about to start fails to."""

    def born(self) -> None:
        """See ``FaultTap.born``."""
        self.fault.hits += 1
        actor = self.ref.actor
        if isinstance(actor, LightActor):
            actor.on_start = self._fail  # type: ignore[method-assign]
        else:
            self.ref.cell.end(self.ref, f"crash on start, on purpose ({self.fault.id})")

    def _fail(self) -> None:
        raise PlannedFaultError(f"crash on start, on purpose ({self.fault.id})")


class Drop(FaultTap):
    """Messages of others are lost."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        return None if self.strikes(message, sender) else receive(message, sender)


class Duplicate(FaultTap):
    """Messages of others come twice, one right after the other."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        result = receive(message, sender)
        if self.ref.actor is not None and self.strikes(message, sender):
            again = receive(message, sender)
            result = result if again is None else again
        return result


class Flood(FaultTap):
    """Copies of the next message of another fill the mailbox, up to its bound."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        fault, ref = self.fault, self.ref
        if not fault.is_over and sender is not ref and not isinstance(message, NEWS):
            room = max(0, ref.limit - len(ref.mailbox))
            copies = min(room, fault.args["count"])
            ref.mailbox.extend([(message, sender)] * copies)
            ref.dropped += fault.args["count"] - copies
            ref.schedule()
            fault.hits += copies
            fault.used_up()
        return receive(message, sender)


class Hang(FaultTap):
    """The next message blocks the whole process."""

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        if not self.fault.is_over:
            self.fault.hits += 1
            self.fault.used_up()
            block(self.fault.args["for_s"])
        return receive(message, sender)


class _Held(NamedTuple):
    due_s: float
    receive: Receive
    message: Any
    sender: Any


class Slow(FaultTap):
    """Messages wait in a line beside the mailbox, each its time, and never overtake each other.

    The line has the mailbox's bound. What waits when the actor dies is lost with it.
    """

    def __init__(self, ref: Ref, fault: ActorFault) -> None:
        super().__init__(ref, fault)
        self._line: deque[_Held] = deque()
        self._timer: Timer | None = None

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        """See ``Tap``."""
        fault, ref, line = self.fault, self.ref, self._line
        if fault.is_over:
            return receive(message, sender)
        if len(line) >= ref.limit:
            ref.dropped += 1
            return None
        if isinstance(message, WatchMessage):
            ref.cell.pause_watch(ref)  # it stays readable until the actor reads it
        delay_s = (fault.args["delay_ms"] + fault.rng.random() * fault.args["jitter_ms"]) / 1000
        due_s = ref.cell.clock() + delay_s
        line.append(_Held(max(due_s, line[-1].due_s) if line else due_s, receive, message, sender))
        fault.hits += 1
        self._arm()
        return None

    def _arm(self, at_least_s: float = 0.0) -> None:
        if self._timer is None and self._line:
            wait_s = max(at_least_s, self._line[0].due_s - self.ref.cell.clock())
            self._timer = self.fault.after(wait_s, self._release)

    def _release(self) -> None:
        """Hand on what has waited its time."""
        self._timer = None
        ref, line = self.ref, self._line
        if ref.actor is None:
            ref.cell.dead_letters += len(line)
            line.clear()
            return
        if ref.suspended:
            self._arm(RETRY_S)
            return
        now_s = ref.cell.clock()
        while line and line[0].due_s <= now_s and ref.actor is not None:
            held = line.popleft()
            ref.cell.hand(ref, held.receive, held.message, held.sender)
            if isinstance(held.message, WatchMessage) and not ref.suspended:
                ref.cell.resume_watch(ref)
        self._arm()

    def lift(self) -> None:
        """Put what waits in front of the mailbox; readable descriptors are found again."""
        ref, line = self.ref, self._line
        if self._timer is not None:
            self._timer.cancel()
        if ref.actor is not None:
            ref.mailbox.extendleft(
                (held.message, held.sender)
                for held in reversed(line)
                if not isinstance(held.message, WatchMessage)
            )
            if not ref.suspended:
                ref.cell.resume_watch(ref)
            ref.schedule()
        line.clear()


TAPS: Final[dict[str, Callable[[Ref, ActorFault], FaultTap]]] = {
    "crash": Crash,
    "crash_on_start": CrashOnStart,
    "slow": Slow,
    "drop": Drop,
    "duplicate": Duplicate,
    "flood": Flood,
    "hang": Hang,
}
