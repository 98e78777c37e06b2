"""A child's live body: a light actor in this cell, or a process of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from supervision.ref import Ref, Timer

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.messages import Reason
    from supervision.processes.ports import ProcessChild
    from supervision.state import Child

    Handle = Ref | ProcessChild


def has_ended(handle: object) -> bool:
    """Tell whether ``handle`` was a child's, of either placement, and that child has ended."""
    if isinstance(handle, Ref):
        return handle.actor is None
    return bool(getattr(handle, "ended", False))


class Body:
    """One incarnation of a child, and what its supervisor's shell keeps beside it.

    Attributes:
        handle: A cell address for a light child, a process record for one in its own process.
        since_s: When it was started, on the cell's clock.
        deadline: When it is killed, once it has been asked to stop.
    """

    __slots__ = ("deadline", "handle", "incarnation", "key", "since_s", "spec")

    def __init__(self, child: Child, handle: Handle, since_s: float) -> None:
        self.key = child.key
        self.incarnation = child.incarnation
        self.spec = child.spec.once_started()
        self.handle = handle
        self.since_s = since_s
        self.deadline: Timer | None = None

    @property
    def pid(self) -> int:
        """The process it lives in."""
        return os.getpid() if isinstance(self.handle, Ref) else self.handle.pid

    def stop(self, cell: Cell, reason: Reason = "shutdown") -> None:
        """Ask it to end politely."""
        if isinstance(self.handle, Ref):
            cell.stop(self.handle, reason)
        else:
            assert cell.processes is not None
            cell.processes.stop_process(self.handle, reason)

    def kill(self, cell: Cell) -> None:
        """End it at once."""
        if isinstance(self.handle, Ref):
            cell.kill(self.handle)
        else:
            assert cell.processes is not None
            cell.processes.kill_process(self.handle)
