"""The file of events: appended by all processes of a node, of bounded size, read by a cursor.

One JSON object a line; of old generations one is kept. A cursor names a place by the first line of
the generation and an offset in it, so it still means the same after the file has become the old
one. A full disk costs records, never an actor.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec

from config import fault_points
from transport.generations import old_generation, open_to_append, retire

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Wanted = Callable[[dict[str, Any]], bool]

MAX_BYTES = 4 * 1024 * 1024
"""Size from which on a file becomes the old generation."""
START = "0-0"
"""The cursor before everything."""

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(enc_hook=repr, order=None).encode


class EventFile:
    """Appends records.

    Args:
        path: The file; its folder must exist. The old generation has ``.1`` behind its name.
        max_bytes: Size of one generation, give or take a record.

    Attributes:
        dropped: Records that could not be written.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.dropped = 0

    def append(self, record: dict[str, Any]) -> None:
        """Write one record; a failure is counted."""
        line = _encode(record) + b"\n"
        try:
            fault_points.reach("log.write")
            descriptor = open_to_append(self._path)
            try:
                os.write(descriptor, line)
                if os.fstat(descriptor).st_size > self._max_bytes:
                    retire(self._path, descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            self.dropped += 1


class Page(NamedTuple):
    """Some events, oldest first, and the cursor behind the last one."""

    events: list[dict[str, Any]]
    cursor: str


def read_after(path: Path, cursor: str, limit: int) -> Page:
    """Return the first ``limit`` events behind ``cursor``.

    A cursor whose generation is gone, or that is none, means the oldest event that is kept.
    """
    events: list[dict[str, Any]] = []
    with contextlib.ExitStack() as opened:
        for generation, offset in _rest(_generations(path, opened), cursor):
            end = offset
            for line in generation.lines(offset):
                end += len(line)
                event = _event_of(line)
                if event is not None:
                    events.append(event)
                if len(events) == limit:
                    break
            cursor = f"{generation.name}-{end}"
            if len(events) == limit:
                break
    return Page(events, cursor)


def read_last(path: Path, limit: int, wanted: Wanted = bool, marks: Sequence[str] = ()) -> Page:
    """Return the last ``limit`` events that are wanted, and the cursor behind all there are.

    Args:
        path: The file.
        limit: How many at most.
        wanted: Says of an event whether it is one of them.
        marks: Texts of which each wanted event has at least one, if there are any: lines without
            one are passed over unread, which is much quicker.
    """
    found: list[dict[str, Any]] = []
    cursor = START
    with contextlib.ExitStack() as opened:
        for generation in reversed(_generations(path, opened)):
            lines = generation.lines(0)
            if cursor == START:
                cursor = f"{generation.name}-{sum(map(len, lines))}"
            if len(found) < limit:
                found += _last_of(lines, limit - len(found), wanted, marks)
    found.reverse()
    return Page(found, cursor)


def _last_of(
    lines: list[bytes], limit: int, wanted: Wanted, marks: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the last ``limit`` wanted events of these lines, the newest first."""
    found: list[dict[str, Any]] = []
    needles = [mark.encode() for mark in marks]
    for line in reversed(lines):
        if needles and not any(needle in line for needle in needles):
            continue
        event = _event_of(line)
        if event is not None and wanted(event):
            found.append(event)
            if len(found) == limit:
                break
    return found


class _Generation:
    """One open file of events; ``name`` is made from its first line, which never changes."""

    def __init__(self, file: BinaryIO, first_line: bytes) -> None:
        self._file = file
        self.name = f"{zlib.crc32(first_line):08x}"

    def lines(self, offset: int) -> list[bytes]:
        """Return the whole lines behind ``offset``; the last writer may still be at one more."""
        self._file.seek(offset)
        content = self._file.read()
        return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def _generations(path: Path, opened: contextlib.ExitStack) -> list[_Generation]:
    """Open the generations there are, the old one first."""
    found: list[_Generation] = []
    # The present one is opened first: if it becomes old meanwhile, it is met twice, never missed.
    for place in (path, old_generation(path)):
        with contextlib.suppress(OSError):
            file = opened.enter_context(place.open("rb"))
            first_line = file.readline()
            if first_line.endswith(b"\n"):
                found.insert(0, _Generation(file, first_line))
    return found[-1:] if len({each.name for each in found}) == 1 else found


def _rest(found: list[_Generation], cursor: str) -> list[tuple[_Generation, int]]:
    """Return the generations that may have something behind ``cursor``, and from which byte on."""
    name, _, digits = cursor.partition("-")
    names = [generation.name for generation in found]
    if name not in names or not digits.isdecimal():
        return [(generation, 0) for generation in found]
    first = names.index(name)
    later = [(generation, 0) for generation in found[first + 1 :]]
    return [(found[first], int(digits)), *later]


def _event_of(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line; one that was torn by a full disk has none."""
    try:
        event = _decode(line)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, dict) else None
