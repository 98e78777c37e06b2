"""The messages of the runtime itself: what supervisors, cells and actors tell of life and death.

They travel in a mailbox's system lane and so overtake work. Reasons follow OTP: ``normal``,
``shutdown`` and ``("shutdown", detail)`` are clean ends, everything else is abnormal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from thespian.actors import ChildActorExited

if TYPE_CHECKING:
    from thespian.actors import ActorAddress

Reason = Any
"""Why an actor ended: a string, or a tuple that starts with one."""


def is_clean(reason: Reason) -> bool:
    """Tell whether an end for ``reason`` is no failure.

    OTP's clean ends: ``normal``, ``shutdown``, ``{shutdown, _}``.
    """
    if isinstance(reason, tuple):
        return bool(reason) and reason[0] == "shutdown"
    return reason in ("normal", "shutdown")


def plain(reason: Reason) -> str:
    """Say a reason in words; of a start that failed deep in a tree, who failed and why."""
    match reason:
        case ("shutdown", ("failed_to_start_child", child, why)):
            return f"{child}: {plain(why)}"
        case ("shutdown", detail):
            return plain(detail)
        case tuple():
            return ": ".join(plain(part) for part in reason)
        case _:
            return str(reason)


@dataclass(frozen=True, slots=True)
class Down:
    """To whoever waits for an answer of ``address``: it ended, or never took the question.

    Attributes:
        address: The actor that will not answer.
        reason: Its exit reason, ``noproc`` if it was dead already, ``overloaded`` if its mailbox
            was full.
    """

    address: ActorAddress
    reason: Reason


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """To a supervisor: the child is ready; ``info`` is what it gave to ``ready``."""

    address: ActorAddress
    info: Any = None


@dataclass(frozen=True, slots=True)
class ChildDeclined:
    """To a supervisor: the child raised ``IgnoreStart``; it is gone, and that is no failure."""

    address: ActorAddress


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """To a supervisor: the child could not be made or its ``on_start`` failed; it never lived."""

    address: ActorAddress | None
    reason: Reason
    detail: str = ""


class ChildExited(ChildActorExited):
    """To a parent: a child that had lived has ended. A ``ChildActorExited`` that knows why."""

    def __init__(self, address: ActorAddress, reason: Reason, detail: str = "") -> None:
        super().__init__(address)
        self.address = address
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class StopRequest:
    """A polite request to end with ``reason``; ``on_stop`` runs first."""

    reason: Reason = "shutdown"


@dataclass(frozen=True, slots=True)
class StartChild:
    """To a dynamic supervisor: start one more child with these further arguments.

    The sender is told ``Down`` if the child ends before its first message to the sender, and if the
    supervisor is about to end and starts none any more.
    """

    args: tuple[Any, ...] = ()
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """To a supervisor: one of its operations; it answers ``CallResult`` with the same ``number``.

    Operations (OTP's): ``start_child``, ``terminate_child``, ``restart_child``, ``delete_child``,
    ``which_children``, ``count_children``, ``get_childspec``, and ``change_specs`` with new flags
    and specs.
    """

    operation: str
    args: tuple[Any, ...] = ()
    number: int = 0


@dataclass(frozen=True, slots=True)
class CallResult:
    """A supervisor's answer to the ``Call`` of that ``number``."""

    number: int
    value: Any


Level = Literal["error", "info", "debug"]

KINDS = {
    "start_error": "start_failed",
    "child_terminated": "crashed",
    "shutdown_error": "shutdown_error",
    "shutdown": "gave_up",
}
"""What OTP's contexts are called in the file of events; every other context is its own kind."""


@dataclass(frozen=True, slots=True)
class Report:
    """A structured report (OTP: supervisor, context, reason, offender).

    Attributes:
        supervisor: Path of the supervisor, or of whoever else speaks: the actor whose ``on_end``
            failed, ``watchdog``, ``operator``.
        context: Of a supervisor's errors ``start_error``, ``child_terminated``, ``shutdown_error``
            or ``shutdown``; of its progress ``started``, ``restarted`` or ``stopped``; of others
            their own word.
        reason: Why.
        offender: The child it is about: id, restart, shutdown, type, incarnation.
        detail: A traceback, where there is one.
        level: ``error``; ``info`` for progress; ``debug`` for what was done by an operation.
        about: Path of whom it is about, where that is no child of ``supervisor``.
        restarts: How often the child had been restarted before.
    """

    supervisor: str
    context: str
    reason: Reason
    offender: dict[str, Any] = field(default_factory=dict)
    detail: str = ""
    level: Level = "error"
    about: str = ""
    restarts: int | None = None

    @property
    def kind(self) -> str:
        """Its kind in the file of events."""
        if self.context == "child_terminated" and is_clean(self.reason):
            return "stopped"
        return KINDS.get(self.context, self.context)

    @property
    def path(self) -> str:
        """Path of whom it is about: a supervisor that gave up, else the child."""
        child = self.offender.get("id")
        if self.about or self.context == "shutdown" or not child:
            return self.about or self.supervisor
        return f"{self.supervisor}/{child}"
