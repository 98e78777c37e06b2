"""The decision log as a witness: whether anything stands in it twice.

A bidder decides on a request once and tells of an event once, however often it is asked or told.
Records are read where they are: in the bidders' segments, or in Parquet once they are converted.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from config.paths import NodePaths

    Name = tuple[str, ...]

_EVENTS = "events-"
_MANY = frozenset({"click", "conversion"})
"""Events that one ad may have several times; a second one says nothing."""
_NAMES = {"decisions": ("bidder", "request_id", "imp_id"), "events": ("type", "key")}


def logged_twice(paths: NodePaths, since_ts: float) -> int:
    """Return how many records since a Unix time repeat an earlier one of the same bidder.

    A bidder that was killed may decide anew what its predecessor had decided; that counts, too.
    """
    counts: Counter[Name] = Counter()
    read: set[str] = set()
    for file in sorted(paths.segments_dir.glob("*.*")):
        counts.update(_names_in(file, _segment(file), since_ts, read))
    for file in sorted(paths.parquet_dir.glob("*/*.parquet")):
        if file.stem not in read:
            counts.update(_names_in(file, _parquet(file), since_ts, read))
    return sum(count - 1 for count in counts.values())


def _names_in(
    file: Path, records: Iterator[dict[str, Any]], since_ts: float, read: set[str]
) -> list[Name]:
    """Return what the records of one file are about; none if the file has just been converted."""
    table = "events" if file.name.startswith(_EVENTS) else "decisions"
    try:
        found = [
            (table, *(str(record.get(name, "")) for name in _NAMES[table]))
            for record in records
            if float(record.get("ts", 0.0)) >= since_ts and record.get("type") not in _MANY
        ]
    except FileNotFoundError:
        return []
    read.add(file.stem)
    return found


def _segment(file: Path) -> Iterator[dict[str, Any]]:
    from transport.errors import SegmentError
    from transport.segments import read_segment

    try:
        yield from read_segment(file)
    except SegmentError as error:
        raise FileNotFoundError(str(error)) from error


def _parquet(file: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    columns = ["ts", *_NAMES["events" if file.name.startswith(_EVENTS) else "decisions"]]
    yield from pq.read_table(file, columns=columns).to_pylist()
