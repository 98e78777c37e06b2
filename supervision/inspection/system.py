"""What may be done to any actor of a cell from outside of its code, after OTP's ``sys``.

Suspend and resume it, read and replace its state, get one record that says how it is, keep its last
events, print or count what passes, write it to a file, install spies. It works for every actor that
lives in a cell, plain Thespian ones included; nobody has to forward anything. An actor that knows
better what its state is says so by methods of these names: ``system_get_state()``,
``system_replace_state(function)`` and ``system_format_state()``.

Everything happens between two messages of the actor, so it never sees half a handler's work.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from supervision.actor import LightActor
from supervision.errors import StateRefusedError
from supervision.inspection import spies
from supervision.inspection.redaction import MESSAGE_BOUNDS, plain_data
from supervision.inspection.spies import SystemEvent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supervision.ref import Ref

    StateFunction = Callable[[Any], Any]

RUNTIME_FIELDS = frozenset({"_myRef", "cell", "send"})
"""What the runtime keeps in an actor; no part of its state."""
LOG_EVENTS = 10
FILE_LINES = 100_000
"""Lines after which a log to a file ends by itself."""


# -- run state -------------------------------------------------------------------------------------


def suspend(ref: Ref) -> None:
    """Keep its work waiting; twice is once."""
    ref.cell.suspend(ref)


def resume(ref: Ref) -> None:
    """Let it go on with what has waited; twice is once."""
    ref.cell.resume(ref)


def run_state(ref: Ref) -> str:
    """Return ``running``, ``suspended``, ``starting`` or ``ended``."""
    if ref.actor is None:
        return "ended"
    if ref.suspended:
        return "suspended"
    return "starting" if ref.starting else "running"


# -- state -----------------------------------------------------------------------------------------


def get_state(ref: Ref) -> Any:
    """Return the actor's state itself: what it calls so, else its attributes by name.

    Raises:
        StateRefusedError: It has ended.
    """
    actor = _living(ref)
    if hasattr(actor, "system_get_state"):
        return actor.system_get_state()
    return {name: part for name, part in vars(actor).items() if name not in RUNTIME_FIELDS}


def replace_state(ref: Ref, function: StateFunction) -> Any:
    """Replace the state by what ``function`` makes of it; return the new one.

    The function gets a state whose dictionaries, lists and sets are copies, so if it raises,
    nothing has changed. Other objects are the actor's own: return new ones in their place.

    Raises:
        StateRefusedError: It has ended, or the function returns no dictionary of attributes.
        Exception: What the function raises.
    """
    actor = _living(ref)
    if hasattr(actor, "system_replace_state"):
        return actor.system_replace_state(function)
    before = get_state(ref)
    after = function(_copied(before, {}))
    if not isinstance(after, dict) or not RUNTIME_FIELDS.isdisjoint(after):
        raise StateRefusedError(f"{ref.path}: a state is a dictionary of the actor's attributes")
    for name in before.keys() - after.keys():
        delattr(actor, name)
    for name, part in after.items():
        setattr(actor, name, part)
    return after


def format_state(ref: Ref) -> Any:
    """Return the state as people may see it: redacted, bounded plain data."""
    actor = _living(ref)
    shown = getattr(actor, "system_format_state", None)
    return plain_data(shown() if shown is not None else get_state(ref))


def _living(ref: Ref) -> Any:
    if ref.actor is None:
        raise StateRefusedError(f"{ref.path} has ended; it has no state")
    return ref.actor


def _copied(value: Any, made: dict[int, Any]) -> Any:
    """Copy containers, and only them: what is in them stays the same, also who shares what."""
    if id(value) in made:
        return made[id(value)]
    match value:
        case dict():
            copy: Any = made.setdefault(id(value), value.copy())
            copy.update({key: _copied(part, made) for key, part in value.items()})
            return copy
        case list():
            copy = made.setdefault(id(value), [])
            copy.extend(_copied(part, made) for part in value)
            return copy
        case set() | bytearray():
            return made.setdefault(id(value), value.copy())
        case deque():
            parts = (_copied(part, made) for part in value)
            return made.setdefault(id(value), deque(parts, value.maxlen))
        case _:
            return value


def get_status(ref: Ref) -> dict[str, Any]:
    """Return one record that says who and how the actor is, with its state as people may see it."""
    return {**brief_status(ref), "state": format_state(ref) if ref.actor is not None else None}


def brief_status(ref: Ref) -> dict[str, Any]:
    """Return the status without the state, which may be large."""
    actor = ref.actor
    kind = type(actor)
    return {
        "pid": os.getpid(),
        "path": ref.path,
        "behaviour": f"{kind.__module__}:{kind.__qualname__}" if actor is not None else None,
        "runtime": "light" if isinstance(actor, LightActor) else "thespian",
        "run_state": run_state(ref),
        "parent": ref.parent.path if ref.parent is not None and ref.parent.name else None,
        "debug": list(spies.spies_on(ref)),
        "mailbox": len(ref.mailbox),
        "handled": ref.handled,
    }


# -- what passes -----------------------------------------------------------------------------------


def line_of(event: SystemEvent) -> str:
    """Return an event as a line for people, redacted."""
    arrow = "from" if event.direction == "in" else "to"
    kind = type(event.message).__qualname__
    shown = plain_data(event.message, MESSAGE_BOUNDS)
    peer = getattr(event.peer, "path", "") or "outside"
    return f"{event.at_s:.6f} {event.direction:<3} {kind} {arrow} {peer}: {shown}"


def trace(ref: Ref, write: Callable[[str], None]) -> bool:
    """Hand a line for each message, in or out, to ``write`` until :func:`trace_off`."""

    def spy(state: Any, event: SystemEvent) -> Any:
        write(line_of(event))
        return state

    return spies.install(ref, "trace", spy)


def trace_off(ref: Ref) -> None:
    """End the trace."""
    spies.remove(ref, "trace")


def log(ref: Ref, events: int = LOG_EVENTS) -> bool:
    """Keep the last ``events`` of what comes in and goes out until :func:`log_off`."""

    def spy(ring: deque[SystemEvent], event: SystemEvent) -> deque[SystemEvent]:
        ring.append(event)
        return ring

    return spies.install(ref, "log", spy, deque[SystemEvent](maxlen=events))


def get_log(ref: Ref) -> list[SystemEvent]:
    """Return the events that are kept, oldest first; none when the log is off."""
    return list(spies.state_of_spy(ref, "log") or ())


def print_log(ref: Ref) -> list[str]:
    """Return the events that are kept as lines."""
    return [line_of(event) for event in get_log(ref)]


def log_off(ref: Ref) -> None:
    """Forget the events and keep no more."""
    spies.remove(ref, "log")


def log_to_file(ref: Ref, path: Path, lines: int = FILE_LINES) -> bool:
    """Append a line for each message to ``path`` until :func:`log_to_file_off`.

    The file is open only while a line is written; after ``lines`` of them the log ends by itself.
    """

    def spy(left: int, event: SystemEvent) -> Any:
        with path.open("a", encoding="utf-8") as file:
            file.write(line_of(event) + "\n")
        return left - 1 if left > 1 else spies.DONE

    return spies.install(ref, "log_to_file", spy, lines)


def log_to_file_off(ref: Ref) -> None:
    """Write no more."""
    spies.remove(ref, "log_to_file")


@dataclass(frozen=True, slots=True)
class Statistics:
    """What an actor has done since its statistics were switched on.

    Attributes:
        start_s: When that was, on the cell's clock.
        now_s: When this was asked.
        messages_in: How many came in.
        messages_out: How many went out.
        handled: Messages that it has handled in all its life. (OTP tells reductions here, the work
            that was done; Python counts none.)
    """

    start_s: float
    now_s: float
    messages_in: int = 0
    messages_out: int = 0
    handled: int = 0


def statistics(ref: Ref) -> bool:
    """Count until :func:`statistics_off`."""

    def spy(so_far: Statistics, event: SystemEvent) -> Statistics:
        if event.direction == "in":
            return replace(so_far, messages_in=so_far.messages_in + 1)
        return replace(so_far, messages_out=so_far.messages_out + 1)

    now_s = ref.cell.clock()
    return spies.install(ref, "statistics", spy, Statistics(now_s, now_s))


def get_statistics(ref: Ref) -> Statistics | None:
    """Return the counts so far; ``None`` while there are no statistics."""
    so_far: Statistics | None = spies.state_of_spy(ref, "statistics")
    if so_far is None:
        return None
    return replace(so_far, now_s=ref.cell.clock(), handled=ref.handled)


def statistics_off(ref: Ref) -> None:
    """Count no more."""
    spies.remove(ref, "statistics")


def no_debug(ref: Ref) -> None:
    """Switch everything off at once: trace, logs, statistics, spies."""
    spies.remove_all(ref)
