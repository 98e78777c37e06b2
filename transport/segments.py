"""The decision log on disk: append-only segments of MessagePack maps.

One writer per prefix appends to ``<prefix>-<number>.open``; when that is big or old enough it is
renamed to ``.seg`` and never touched again, so a reader of ``.seg`` files needs no lock and may
delete them. Numbers are never used twice: ``<prefix>.last`` keeps the last one. What ``flush`` has
returned from survives the death of the process. A crash in the middle of a write leaves a torn
tail, which readers skip and count.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import msgpack  # type: ignore[import-untyped]

from config import fault_points
from transport.errors import SegmentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

OPEN_SUFFIX = ".open"
SEALED_SUFFIX = ".seg"

_READ_BYTES = 1 << 20
_MAX_RECORD_BYTES = 1 << 26


class SegmentWriter:
    """Appends records; for one thread, one writer per ``prefix`` and folder.

    Args:
        folder: Where segments go; made when missing.
        prefix: Letters, digits, ``_`` and ``-``; names the writer, for example ``bidder-1``.
        clock: Monotonic seconds.
        max_bytes: A segment is sealed when it has at least this size ...
        max_age_s: ... or this age, at the next ``flush``.

    Raises:
        SegmentError: The folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        prefix: str,
        clock: Callable[[], float],
        *,
        max_bytes: int,
        max_age_s: float,
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", prefix):
            raise SegmentError(f"prefix {prefix!r}: use letters, digits, _ and - only")
        self._folder = folder
        self._prefix = prefix
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._counter = folder / f"{prefix}.last"
        self._buffer: list[bytes] = []
        self._descriptor: int | None = None
        self._size_bytes = 0
        self._opened_s = 0.0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._number = max(self._seal_leftovers(), self._last_number())
        except OSError as error:
            raise SegmentError(f"cannot use {folder} for the decision log: {error}") from error

    def append(self, record: bytes) -> None:
        """Keep one encoded record for the next ``flush``."""
        self._buffer.append(record)

    def flush(self) -> int:
        """Write what was appended, in one write; also seals a segment that is full or old.

        Returns:
            The number of records written.

        Raises:
            SegmentError: Not written (disk full?). None of these records is in the log then, and
                they are forgotten: whoever appended them must not act on them.
        """
        records, self._buffer = self._buffer, []
        try:
            if records:
                self._write(b"".join(records))
            if self._descriptor is not None and self._is_due():
                self.seal()
        except OSError as error:
            raise SegmentError(
                f"cannot write the decision log in {self._folder}: {error}"
            ) from error
        return len(records)

    def seal(self) -> None:
        """Finish the current segment, if any, so that readers may take it."""
        if self._descriptor is None:
            return
        os.close(self._descriptor)
        self._descriptor = None
        path = self._path()
        path.rename(path.with_suffix(SEALED_SUFFIX))

    def close(self) -> None:
        """Flush and seal. Again is harmless."""
        self.flush()
        self.seal()

    def _path(self) -> Path:
        return self._folder / f"{self._prefix}-{self._number:08d}{OPEN_SUFFIX}"

    def _is_due(self) -> bool:
        age_s = self._clock() - self._opened_s
        return self._size_bytes >= self._max_bytes or age_s >= self._max_age_s

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._number += 1
            self._keep_number()
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._path(), flags, 0o644)
            self._size_bytes = 0
            self._opened_s = self._clock()
        view = memoryview(data)
        try:
            fault_points.reach("segments.write")
            while view:  # a regular file takes all at once, unless the disk is full
                view = view[os.write(self._descriptor, view) :]
        except OSError:
            os.ftruncate(self._descriptor, self._size_bytes)  # no half record amid whole ones
            raise
        self._size_bytes += len(data)

    def _keep_number(self) -> None:
        """Write the last number down whole or not at all: a full disk must not cost the old one."""
        draft = self._counter.with_suffix(".draft")
        draft.write_text(f"{self._number}\n")
        draft.replace(self._counter)

    def _last_number(self) -> int:
        try:
            return int(self._counter.read_text())
        except (FileNotFoundError, ValueError):  # none yet, or cut short by a crash
            return 0

    def _seal_leftovers(self) -> int:
        """Seal what a predecessor of the same prefix left open; return the last number found."""
        pattern = re.compile(re.escape(self._prefix) + r"-(\d{8,})\.(?:open|seg)")
        last = 0
        for path in sorted(self._folder.iterdir()):
            found = pattern.fullmatch(path.name)
            if found is None:
                continue
            last = max(last, int(found[1]))
            if path.suffix == OPEN_SUFFIX:
                path.rename(path.with_suffix(SEALED_SUFFIX))
        return last


class SegmentReader:
    """Iterates over the records of one segment, once.

    Attributes:
        torn_bytes: After the last record: how many bytes at the end are not a whole record.
    """

    def __init__(self, path: Path) -> None:
        self.torn_bytes = 0
        self._path = path
        self._records = self._read()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._records)

    def _read(self) -> Iterator[dict[str, Any]]:
        whole_bytes = 0
        try:
            with self._path.open("rb") as file:
                self.torn_bytes = os.fstat(file.fileno()).st_size
                for record, end in _whole_records(iter(lambda: file.read(_READ_BYTES), b"")):
                    self.torn_bytes -= end - whole_bytes
                    whole_bytes = end
                    yield record
        except OSError as error:
            raise SegmentError(f"cannot read {self._path}: {error}") from error


def _whole_records(chunks: Iterator[bytes]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield records with the offset of their ends, up to the first thing that is none.

    Nothing after that can be trusted: in the middle of a record any byte may look like a start.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=_MAX_RECORD_BYTES)
    for chunk in chunks:
        unpacker.feed(chunk)
        while True:
            try:
                record = unpacker.unpack()
            except msgpack.OutOfData:
                break
            except ValueError:  # all of msgpack's complaints about the format
                return
            if not isinstance(record, dict):
                return
            yield record, unpacker.tell()


def read_segment(path: Path) -> SegmentReader:
    """Return an iterator over the records of a segment, which counts a torn tail.

    Raises:
        SegmentError: While iterating: the file cannot be read.
    """
    return SegmentReader(path)
