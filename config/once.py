"""Files that are parsed once: what a file gave is kept until the file changes.

A process that forks reads its files first; its children, also those started again much later, then
find them parsed.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")
_Stamp = tuple[int, int, int]


def read_once(parse: Callable[[Path], T]) -> Callable[[Path], T]:
    """Return ``parse`` with a memory: it runs again only for a file that is new or has changed.

    Whatever ``parse`` raises is raised each time and not kept. What it returns is shared by all who
    ask, so it must be immutable.
    """
    known: dict[Path, tuple[_Stamp, T]] = {}

    @wraps(parse)
    def read(path: Path) -> T:
        stamp = _stamp(path)
        kept = known.get(path)
        if kept is not None and kept[0] == stamp:
            return kept[1]
        content = parse(path)
        if stamp is not None:
            known[path] = (stamp, content)
        return content

    return read


def _stamp(path: Path) -> _Stamp | None:
    """What changes with the file, ``None`` if it is not there (``parse`` will say so)."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
