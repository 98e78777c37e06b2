"""The fast lane: temporary children of a dynamic supervisor, one for each impression.

Whatever ends such a child, it is only forgotten; no decision is needed. So it is made at once, the
cell keeps count of it, and its supervisor hears of it only if it crashed. A stop of the supervisor
still gives each of them the time that their spec grants, all at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision.messages import ChildExited, Down, StartChild, is_clean

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.ref import Ref, Timer
    from supervision.specs import ChildSpec, SupervisorFlags


def qualifies(flags: SupervisorFlags, spec: ChildSpec) -> bool:
    """Tell whether the children of such a dynamic supervisor can take the fast lane."""
    return (
        flags.strategy == "simple_one_for_one"
        and spec.restart == "temporary"
        and spec.placement == "light"
    )


class FastLane:
    """The children of one supervisor that it keeps no record of.

    Attributes:
        spec: The template they are made from.
        crashes: How many ended abnormally.
        closed: No more children are made: the supervisor is about to end.
    """

    def __init__(self, cell: Cell, owner: Ref, spec: ChildSpec) -> None:
        self.spec = spec
        self.crashes = 0
        self.closed = False
        self._cell = cell
        self._owner = owner
        self._halting: dict[Ref, tuple[list[Any], Timer | None]] = {}

    def start(self, message: StartChild, sender: Ref) -> None:
        """Make a child; ``sender`` hears at once if it dies before it has answered."""
        if self.closed:
            sender.signal(Down(self._owner, "shutdown"), self._owner)
            return
        ref = self._cell.spawn(
            self.spec.start.build,
            (message.args,),
            parent=self._owner,
            name=message.name,
            limit=self.spec.mailbox_limit,
            quiet=True,
        )
        ref.waiters = {sender: 1}
        if ref.actor is None:
            self._cell.tell_waiters(ref, ref.exit_reason)

    def halt(self, ref: Ref, caller: Any = None) -> None:
        """Stop a child within its spec's time; ``caller`` comes back from :meth:`left`."""
        if ref in self._halting:
            self._halting[ref][0].append(caller)
            return
        ref.quiet = False  # now its end matters, clean or not
        within = self.spec.stop_within
        timer = None
        if within == "brutal_kill":
            self._cell.kill(ref)
        else:
            self._cell.stop(ref)
            if within != "infinity":
                timer = self._cell.wake_after(self._owner, within / 1000, ref)
        self._halting[ref] = ([caller], timer)

    def overdue(self, ref: Ref) -> None:
        """Kill a child that did not stop in time."""
        if ref in self._halting:
            self._cell.kill(ref)

    def left(self, message: ChildExited) -> tuple[bool, list[Any]]:
        """Note an end; return whether it was a crash, and the callers that wait for it."""
        if message.address in self._halting:
            callers, timer = self._halting.pop(message.address)
            if timer is not None:
                timer.cancel()
            return False, [caller for caller in callers if caller is not None]
        crashed = not is_clean(message.reason)
        self.crashes += crashed
        return crashed, []

    def close(self, children: list[Ref]) -> None:
        """Make no more of them, and stop those there are, all at once."""
        self.closed = True
        for ref in children:
            self.halt(ref)

    @property
    def is_empty(self) -> bool:
        """Whether all that were to stop have stopped."""
        return not self._halting
