"""What happened in a run: a hash of everything, and what was wrong with it.

Principle: two runs of one seed must be the same run, so everything that happens goes into one hash,
and nothing does that differs from process to process (addresses of objects, real time, real pids).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from supervision.clock import Clock

MOST_BLAMED = 20
"""Wrong things of one run that are kept; the first ones tell the story."""


class Wrong(NamedTuple):
    """A broken promise: which one, when, and how."""

    rule: str
    at_s: float
    what: str

    def __str__(self) -> str:
        return f"{self.at_s:12.6f}  {self.rule}: {self.what}"


class History:
    """Notes what happens.

    Args:
        keeps: Keep all notes in words, too, for people.

    Attributes:
        clock: The run's time.
        wrongs: Broken promises, in order.
        notes: What happened, in words, if it is kept.
    """

    def __init__(self, *, keeps: bool = False) -> None:
        self.clock: Clock = float
        self.wrongs: list[Wrong] = []
        self.notes: list[str] = []
        self._keeps = keeps
        self._hash = blake2b(digest_size=16)
        self._count = 0

    def note(self, kind: str, *facts: Any) -> None:
        """Note that something happened; facts are numbers and texts."""
        line = f"{self.clock():.7f} {kind} {facts!r}"
        self._hash.update(line.encode())
        self._count += 1
        if self._keeps:
            self.notes.append(line)

    def blame(self, rule: str, what: str) -> None:
        """Note a broken promise."""
        self.note("wrong", rule, what)
        if len(self.wrongs) < MOST_BLAMED:
            self.wrongs.append(Wrong(rule, self.clock(), what))

    def digest(self) -> str:
        """Return the hash of all that was noted so far, with their number."""
        return f"{self._hash.hexdigest()}-{self._count}"
