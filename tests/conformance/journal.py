"""The journal: one order of all that happens to scripted children, and what they share.

A restart is a new incarnation that remembers nothing, so what must be known across incarnations
(which attempt this is, which entry of the plan comes next) stands in the journal.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

from supervision import LightActor
from tests.conformance.words import Outcome, outcome_of, text_of

if TYPE_CHECKING:
    from supervision import Cell, Ref

Mark = Literal["pauses", "goes on", "doomed"]
VISIBLE = ("start", "fail", "ignore", "exit")
"""The kinds of events that the tables know."""


def line_of(kind: str, label: str, text: str) -> str:
    return f"{kind} {label} {text}" if kind == "exit" else f"{kind} {label}"


class Stranger(LightActor):
    """A live actor that no supervisor knows."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass


class Journal(ABC):
    """What probes write and read; one for each placement."""

    placement: Literal["light", "process"]

    @abstractmethod
    def attempt(self, path: str) -> str:
        """Begin a start of ``path``; return its label, ``path#number``."""

    @abstractmethod
    def outcome(self, path: str, key: str, entries: list[Any]) -> Outcome:
        """Use up the next entry of the plan ``key`` (or of what replaced it); the last repeats."""

    @abstractmethod
    def new_key(self) -> str:
        """Return a name for one more plan."""

    @abstractmethod
    def note(self, kind: str, label: str, reason: Any = None) -> None:
        """Write down an event."""

    @abstractmethod
    def enter(self, actor: Any) -> None:
        """Know this probe from now on by its path (``actor.label``)."""

    @abstractmethod
    def mark(self, what: Mark, actor: Any) -> None:
        """Say that ``actor`` waits on purpose, or that this ends, or that it is about to end."""

    @abstractmethod
    def handle(self, path: str) -> Any:
        """Return the handle of the latest incarnation of ``path``."""

    @abstractmethod
    def path_of(self, handle: Any) -> str | None:
        """Return the path of the live child that ``handle`` belongs to."""

    @abstractmethod
    def stranger(self, cell: Cell) -> Any:
        """Return the handle of somebody who lives and is no child of the supervisor asked."""


class MemoryJournal(Journal):
    """The journal of children in one cell."""

    placement = "light"

    def __init__(self) -> None:
        self.events: list[str] = []
        self.handles: dict[str, Ref] = {}
        self.plans: dict[str, tuple[str, list[Any]]] = {}
        self._attempts: Counter[str] = Counter()
        self._uses: Counter[str] = Counter()
        self._keys = count(1)

    def attempt(self, path: str) -> str:
        self._attempts[path] += 1
        return f"{path}#{self._attempts[path]}"

    def outcome(self, path: str, key: str, entries: list[Any]) -> Outcome:
        key, entries = self.plans.get(path, (key, entries))
        self._uses[key] += 1
        return outcome_of(entries[min(self._uses[key], len(entries)) - 1])

    def new_key(self) -> str:
        return f"plan {next(self._keys)}"

    def note(self, kind: str, label: str, reason: Any = None) -> None:
        if kind in VISIBLE:
            self.events.append(line_of(kind, label, text_of(reason)))

    def enter(self, actor: Any) -> None:
        self.handles[actor.label] = actor._myRef

    def mark(self, what: Mark, actor: Any) -> None:
        """In virtual time nobody has to know: it stands still while anything can be done."""

    def handle(self, path: str) -> Any:
        return self.handles[path]

    def path_of(self, handle: Any) -> str | None:
        label: str | None = getattr(handle.actor, "label", None)
        return label

    def stranger(self, cell: Cell) -> Any:
        return cell.spawn(Stranger)
