"""What a supervisor needs from its surroundings to have children in other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from supervision.messages import Reason
    from supervision.ref import Ref
    from supervision.specs import ChildSpec


class ProcessChild(Protocol):
    """One operating-system process that runs one child."""

    pid: int
    ended: bool


class ProcessPort(Protocol):
    """Starts and ends processes.

    News of them (started, failed, exited) come to the supervisor's system lane.
    """

    def start_process(
        self, supervisor: Ref, spec: ChildSpec, path: str, args: tuple[Any, ...] = ()
    ) -> ProcessChild:
        """Fork a process for ``spec``; ``args`` are a dynamic child's own.

        Raises:
            StartError: There is none to be had.
        """

    def stop_process(self, child: ProcessChild, reason: Reason) -> None:
        """Ask it to end politely."""

    def kill_process(self, child: ProcessChild, reason: Reason = "killed") -> None:
        """End it at once; its exit is reported with ``reason``."""
