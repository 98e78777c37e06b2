"""What a supervisor knows: its children, its recent restarts, and what it has still to do.

A child's condition is one value, not several flags, so it cannot contradict itself. Everything is
immutable; the decision makes the next state out of the last one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from immutables import Map

from supervision.events import Answer, Declined, End, Exited, Launched, LaunchFailed, Ready

if TYPE_CHECKING:
    from supervision.events import Event
    from supervision.specs import ChildSpec, SupervisorFlags

ChildState = Literal["stopped", "starting", "running", "restarting"]


@dataclass(frozen=True, slots=True)
class Child:
    """One child as its supervisor sees it.

    Attributes:
        key: The spec's id, or a made-up key for a dynamic child.
        order: Position in start order.
        args: A dynamic child's own arguments.
        incarnation: Number of its latest start, unique within the supervisor.
        restarts: How often it was restarted.
    """

    key: str
    spec: ChildSpec
    order: int
    state: ChildState = "stopped"
    incarnation: int = 0
    args: tuple[Any, ...] = ()
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start the child; ``purpose`` says what its failure means."""

    key: str
    purpose: Literal["begin", "restart", "start_child", "restart_child"]
    caller: Any = None


@dataclass(frozen=True, slots=True)
class StopTask:
    """Stop these children (one, or all dynamic ones at once)."""

    keys: tuple[str, ...]


Task = StartTask | StopTask | Answer | Ready | End
Agenda = tuple[Task, Any] | None
"""A linked list, so that the next task is taken in constant time: ``(task, rest)``."""


@dataclass(frozen=True, slots=True)
class State:
    """All that a supervisor knows.

    Attributes:
        template: The one spec of a dynamic supervisor, else ``None``.
        children: By key; start order is ``Child.order``.
        restarts: Whole seconds of recent restarts, newest first.
        agenda: What remains to be done, first things first.
        awaiting: The start or stop under way, if any.
        pending: Incarnations, by key, whose news ``awaiting`` still waits for.
        stop_errors: Of the dynamic children that are being stopped, who ended otherwise than it
            should: the first for each reason, and how many.
        numbers: The last number given to an incarnation or a position.
        ending: It is on its way out and starts nothing any more.
    """

    flags: SupervisorFlags
    template: ChildSpec | None = None
    children: Map[str, Child] = field(default_factory=Map)
    restarts: tuple[int, ...] = ()
    agenda: Agenda = None
    awaiting: StartTask | StopTask | None = None
    pending: Map[str, int] = field(default_factory=Map)
    stop_errors: Map[str, tuple[Any, Child, int]] = field(default_factory=Map)
    numbers: int = 0
    ending: bool = False

    def in_order(self) -> list[Child]:
        """Return the children in start order."""
        return sorted(self.children.values(), key=_order)

    def concerns(self, event: Event) -> bool:
        """Tell whether ``event`` can be taken now: when idle, or as news of who is awaited."""
        if self.awaiting is None:
            return True
        return (
            isinstance(event, Launched | Declined | LaunchFailed | Exited)
            and self.pending.get(event.key) == event.incarnation
        )


def _order(child: Child) -> int:
    return child.order


def count_children(state: State) -> dict[str, int]:
    """Count as OTP's ``count_children``: specs, active (running), supervisors and workers."""
    children = state.children.values()
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    return {
        "specs": 1 if state.template is not None else len(state.children),
        "active": sum(child.state == "running" for child in children),
        "supervisors": supervisors,
        "workers": len(state.children) - supervisors,
    }
