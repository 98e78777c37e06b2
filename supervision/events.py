"""What happens to a supervisor, and what it wants done: the vocabulary of its decision.

Events go into :func:`supervision.decision.step`, commands come out of it. Both are plain frozen
data, so that a decision can be replayed, compared and printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervision.messages import Reason
    from supervision.specs import ChildSpec
    from supervision.state import Child

# -- events: what happened -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The supervisor itself starts, with these children."""

    specs: tuple[ChildSpec, ...]


@dataclass(frozen=True, slots=True)
class Launched:
    """A child is ready."""

    key: str
    incarnation: int
    info: Any = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A child declined to start; no failure."""

    key: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A child could not start."""

    key: str
    incarnation: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Exited:
    """A child that had started has ended."""

    key: str
    incarnation: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The next attempt at a restart that failed."""

    key: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks for an operation; ``caller`` is handed back with the answer."""

    operation: str
    args: tuple[Any, ...] = ()
    caller: Any = None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The parent asks the supervisor to stop."""

    reason: Reason = "shutdown"


News = Launched | Declined | LaunchFailed | Exited
Event = Begin | News | RetryDue | Asked | StopAsked

# -- commands: what is to be done ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the child; answer with ``Launched``, ``Declined`` or ``LaunchFailed``."""

    child: Child


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the child within its spec's time, then kill it; answer with ``Exited``."""

    child: Child


@dataclass(frozen=True, slots=True)
class Answer:
    """Give ``value`` to the one who asked."""

    caller: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Retry:
    """Send yourself ``RetryDue``: in between, a request to stop is heard."""

    key: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a report.

    Attributes:
        context: OTP's: ``start_error``, ``child_terminated``, ``shutdown_error`` or ``shutdown``.
        count: How many dynamic children it is about; ``child`` is the first of them.
    """

    context: str
    reason: Reason
    child: Child
    count: int = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """All initial children run: the supervisor is started."""


@dataclass(frozen=True, slots=True)
class End:
    """The supervisor ends; all its children have."""

    reason: Reason


Command = Launch | Halt | Answer | Retry | Tell | Ready | End
