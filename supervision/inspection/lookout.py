"""The lookout: what the watchdog can tell of a node, whoever in it has hung.

Two ways of knowing are kept apart. What supervisors wrote into their tables, what ``/proc`` says
and what stands in the file of events is told always and at once. What an actor says of itself has a
deadline, and no answer is an answer: it is told as such.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from supervision.inspection.graveyard import Graveyard
from supervision.inspection.procfs import descends, look_at
from supervision.inspection.records import LIFE, address
from supervision.inspection.stacks import Stack, stack_of
from supervision.inspection.tree import walk
from transport.errors import ControlError
from transport.event_file import read_after, read_last

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from supervision.clock import Clock
    from supervision.inspection.operators import Operators
    from supervision.inspection.procfs import ProcessFacts

    Args = dict[str, Any]

ACCOUNT_LIMIT_S = 0.5
LAST_EVENTS = 10
EVENTS_AT_ONCE = 1_000
EVENTS_UNASKED = 100


class Lookout:
    """Serves the operations that look and change nothing.

    Args:
        operators: Know the tree and the way to an actor.
        events_file: The node's file of events.
        clock: Monotonic seconds.
    """

    def __init__(self, operators: Operators, events_file: Path, clock: Clock) -> None:
        self._operators = operators
        self._clock = clock
        self._events_file = events_file
        self._graveyard = Graveyard(events_file)

    def operations(self) -> dict[str, Callable[[Args], Any]]:
        """Return what is served, by name."""
        return {
            "show": self.show,
            "events": self.events,
            "dead": self.dead,
            "processes": self.processes,
            "state": lambda args: self._ask(args, "state"),
            "trace": lambda args: self._ask(args, "trace"),
            "stack": self.stack,
        }

    def show(self, args: Args) -> Args:
        """Tell all there is to know of one actor.

        Raises:
            ControlError: There is no such actor.
        """
        line = self._operators.locate(args)
        node = line[-1]
        facts = _facts_of(node["pid"])
        account, error = self._account(line)
        about = [node["address"], *(part["address"] for part in node["children"])]
        page = read_last(
            self._events_file, LAST_EVENTS, lambda each: each.get("address") in about, about
        )
        return {
            "node": node,
            "account": account,
            "account_error": error,
            "process": facts.as_data() if facts is not None else None,
            "last_events": page.events,
        }

    def _account(self, line: list[Args]) -> tuple[Args | None, str | None]:
        """Ask the actor at the end of ``line``; return what it says, or why there is nothing."""
        obstacle = obstacle_on(line)
        if obstacle:
            return None, obstacle
        try:
            said = self._operators.pass_on(line[-1]["name"], "account", {}, ACCOUNT_LIMIT_S)
        except ControlError as error:
            return None, str(error)
        return said, None

    def _ask(self, args: Args, operation: str) -> Args:
        """Ask an actor something that it must answer itself.

        Raises:
            ControlError: There is no such actor, or it does not answer (in time).
        """
        line = self._operators.locate(args)
        name = line[-1]["name"]
        obstacle = obstacle_on(line)
        if obstacle:
            raise ControlError("no_answer", f"{name} cannot answer: {obstacle}")
        said = self._operators.pass_on(name, operation, args, ACCOUNT_LIMIT_S)
        return {"name": name, "address": line[-1]["address"], **said}

    def stack(self, args: Args) -> Args:
        """Tell what the process of an actor does now, also if it answers nobody.

        Raises:
            ControlError: There is no such actor.
        """
        line = self._operators.locate(args)
        node = line[-1]
        home = next(each for each in reversed(line) if each["placement"] == "process")
        facts = _facts_of(node["pid"])
        if facts is None:
            found = Stack(None, f"{home['name']} has no process at the moment")
        else:
            found = stack_of(facts.pid, self._clock)
        return {
            "name": node["name"],
            "address": node["address"],
            "process": home["name"],
            "pid": node["pid"],
            "os_state": facts.os_state if facts is not None else None,
            "stack": found.text,
            "error": found.error,
        }

    def events(self, args: Args) -> Args:
        """Tell what happened: behind ``cursor``, or the last ``limit`` of all ``kinds`` wanted."""
        limit = _count(args.get("limit"), EVENTS_UNASKED)
        kinds = [kind for kind in args.get("kinds") or () if isinstance(kind, str)]
        cursor = args.get("cursor")

        def wanted(event: Args) -> bool:
            return not kinds or event.get("kind") in kinds

        if isinstance(cursor, str):
            page = read_after(self._events_file, cursor, limit)
            return {"events": [each for each in page.events if wanted(each)], "cursor": page.cursor}
        page = read_last(self._events_file, limit, wanted, kinds)
        return {"events": page.events, "cursor": page.cursor}

    def last_kind(self, path: str) -> str | None:
        """Return the kind of the last event in the life of ``path``, if there is one."""
        name = address(self._operators.node, path)

        def wanted(event: Args) -> bool:
            return event.get("address") == name and event.get("kind") in LIFE

        events = read_last(self._events_file, 1, wanted, [name]).events
        return str(events[0]["kind"]) if events else None

    def dead(self, _args: Args) -> Args:
        """Tell who died last, the newest last."""
        return {"dead": self._graveyard.dead()}

    def processes(self, _args: Args) -> Args:
        """Tell what the processes of the tree use, by path."""
        found = {}
        for node in walk(self._operators.tree()):
            if node["placement"] == "process":
                facts = _facts_of(node["pid"])
                if facts is not None:
                    found[node["name"]] = facts.as_data()
        return {"processes": found}


def obstacle_on(line: list[Args]) -> str | None:
    """Say which process between the root and an actor cannot answer now; ``None`` if all may."""
    for node in line:
        if node["placement"] != "process":
            continue
        if node["pid"] is None:
            return f"{node['name']} has no process at the moment; it is {node['state']}"
        facts = _facts_of(node["pid"])
        if facts is None:
            return f"the process of {node['name']} ({node['pid']}) is gone"
        if facts.is_stopped:
            return f"the process of {node['name']} ({node['pid']}) is {facts.os_state}"
    return None


def _facts_of(pid: int | None) -> ProcessFacts | None:
    """Look at a process of this node; one that has its number by chance is none of ours."""
    return look_at(pid) if pid and descends(pid, os.getpid()) else None


def _count(asked: object, otherwise: int) -> int:
    if not isinstance(asked, int) or isinstance(asked, bool) or asked < 0:
        return otherwise
    return min(asked, EVENTS_AT_ONCE)
