"""The journal of children in processes of their own: a file that all append to.

A line is one write, so the file is one total order of what happened in all processes. A killed
process notes nothing; whoever keeps it writes down its end before its supervisor hears of it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conformance.journal import VISIBLE, Journal, Mark, line_of
from tests.conformance.words import Outcome, outcome_of, text_of

if TYPE_CHECKING:
    from supervision import Cell
    from supervision.processes.keeper import ProcessRecord

READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        kind: One of the visible events, or something that only we look at.
        who: A label or a path.
        what: A reason, or more about it.
        pid: The process it is about.
        parent: That process's parent.
    """

    kind: str
    who: str
    what: Any
    pid: int
    parent: int

    def __str__(self) -> str:
        return line_of(self.kind, self.who, self.what)


class Chronicle:
    """Reads the file as it grows.

    Attributes:
        entries: All lines so far.
        living: By pid, who was ready and has not ended.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._rest = b""
        self.entries: list[Entry] = []
        self.living: dict[int, Entry] = {}

    def refresh(self) -> list[Entry]:
        """Return what is new."""
        seen = len(self.entries)
        while chunk := os.read(self._file, READ_BYTES):
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._take(Entry(*json.loads(line)))
        return self.entries[seen:]

    def _take(self, entry: Entry) -> None:
        self.entries.append(entry)
        if entry.kind in ("start", "ready"):
            self.living[entry.pid] = entry
        elif entry.kind == "exit":
            self.living.pop(entry.pid, None)

    def events(self) -> list[str]:
        """Return what the tables know of."""
        return [str(entry) for entry in self.entries if entry.kind in VISIBLE]

    def close(self) -> None:
        os.close(self._file)


def unheard(entries: list[Entry]) -> list[str]:
    """Return what is wrong with the news of ends, in words.

    Each end is heard once, with the reason that the dead gave (or as ``killed``, if that came
    between its note and its last words); but nobody hears of those whose supervisor has ended
    before them.
    """
    heard: dict[int, list[str]] = {}
    for entry in entries:
        if entry.kind == "heard":
            heard.setdefault(entry.what[0], []).append(entry.what[1])
    wrong: list[str] = []
    gone: set[int] = set()
    for entry in entries:
        if entry.kind == "exit":
            wanted = [] if entry.parent in gone else [entry.what]
            if heard.get(entry.pid, []) not in (wanted, ["killed"]):
                wrong.append(f"of '{entry}' was heard {heard.get(entry.pid, [])}, not {wanted}")
            gone.add(entry.pid)
    return wrong


class Writer:
    """Appends to the file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def write(self, kind: str, who: str = "", what: Any = None) -> None:
        self.copy(Entry(kind, who, what, os.getpid(), os.getppid()))

    def copy(self, entry: Entry) -> None:
        """Write in the name of another."""
        words = [entry.kind, entry.who, entry.what, entry.pid, entry.parent]
        os.write(self._file, json.dumps(words, default=str).encode() + b"\n")

    def close(self) -> None:
        """Whoever writes after this fails, and into no stranger's file."""
        os.close(self._file)
        self._file = -1


class FileJournal(Journal):
    """A process's view of the journal; it travels to the children as the file's name.

    Args:
        path: The file.
        token: Of this session: part of the names of its sockets.
    """

    placement = "process"

    def __init__(self, path: str, token: str) -> None:
        self.path, self.token = path, token
        self.writer = Writer(Path(path))
        self.chronicle = Chronicle(Path(path))
        self.records: dict[int, ProcessRecord] = {}
        self._keys = count(1)

    def __reduce__(self) -> Any:
        return FileJournal, (self.path, self.token)

    def close(self) -> None:
        self.writer.close()
        self.chronicle.close()

    def _lines(self, kind: str, who: str) -> list[bytes]:
        """Return all lines of that beginning; a new process has not the time to read the rest."""
        begin = json.dumps([kind, who])[:-1].encode() + b","
        return [
            line for line in Path(self.path).read_bytes().split(b"\n") if line.startswith(begin)
        ]

    def attempt(self, path: str) -> str:
        earlier = len(self._lines("attempt", path))
        self.writer.write("attempt", path)
        return f"{path}#{earlier + 1}"

    def outcome(self, path: str, key: str, entries: list[Any]) -> Outcome:
        if replacements := self._lines("plan", path):
            key = f"plan {len(replacements)} of {path}"
            entries = json.loads(replacements[-1])[2]
        uses = len(self._lines("use", key))
        self.writer.write("use", key)
        return outcome_of(entries[min(uses + 1, len(entries)) - 1])

    def new_key(self) -> str:
        return f"plan {os.getpid()}.{next(self._keys)}"

    def note(self, kind: str, label: str, reason: Any = None) -> None:
        self.writer.write(kind, label, text_of(reason))

    def enter(self, actor: Any) -> None:
        from tests.conformance.stage import attend

        attend(self, actor)

    def mark(self, what: Mark, actor: Any) -> None:
        self.writer.write(what, actor.label)

    def handle(self, path: str) -> Any:
        self.chronicle.refresh()
        pids = [e.pid for e in self.chronicle.entries if e.kind == "born" and e.who == path]
        return self.records[pids[-1]]

    def path_of(self, handle: Any) -> str | None:
        self.chronicle.refresh()
        paths = [e.who for e in self.chronicle.entries if e.kind == "born" and e.pid == handle.pid]
        return paths[-1] if paths else None

    def stranger(self, cell: Cell) -> Any:
        from tests.conformance.stage import record_of_parent

        return record_of_parent(cell)
