"""Progress in a supervisor's words: who was started, started again, or has stopped as it should.

OTP logs these beside the errors: what the supervisor does by itself at level ``info``, what it was
asked to do at ``debug``. They are read off the event and the state it meets, so the decision itself
knows nothing of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from supervision.decision import is_expected, must_restart
from supervision.events import Exited, Launched
from supervision.messages import is_clean
from supervision.state import StartTask

if TYPE_CHECKING:
    from supervision.events import Event
    from supervision.messages import Level, Reason
    from supervision.state import Child, State


class Progress(NamedTuple):
    """What there is to say of one event: a report's context, reason, child and level."""

    context: str
    reason: Reason
    child: Child
    level: Level


def progress_of(state: State, event: Event) -> Progress | None:
    """Say what ``event`` means as progress for a supervisor in ``state``; ``None``: nothing.

    An end that is reported as an error is no progress.
    """
    match event:
        case Launched(key):
            return _started(state, state.children.get(key))
        case Exited(key, incarnation, reason):
            child = state.children.get(key)
            if child is None or (child.incarnation, child.state) != (incarnation, "running"):
                return None
            return _stopped(state, child, reason)
        case _:
            return None


def _started(state: State, child: Child | None) -> Progress | None:
    task = state.awaiting
    if child is None or not isinstance(task, StartTask):
        return None
    match task.purpose:
        case "begin":
            return Progress("started", "initial", child, "info")
        case "restart":
            return Progress("restarted", "restart", child, "info")
        case purpose:
            return Progress("started", purpose, child, "debug")


def _stopped(state: State, child: Child, reason: Reason) -> Progress | None:
    if state.pending.get(child.key) == child.incarnation:
        quiet = is_expected(child.spec, reason)
    else:
        quiet = is_clean(reason) and not must_restart(child.spec, reason)
    return Progress("stopped", reason, child, "info") if quiet else None
