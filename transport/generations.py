"""Files that several processes append to and that stay small: the old generation, and no older one.

Every record is one write to a file opened for appending, so writers need no lock; only who finds
the file too large takes one, to make it the old generation.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_to_append(path: Path) -> int:
    """Return a descriptor that appends to a file, which is made if it is not there.

    Raises:
        OSError: The system refuses.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


def old_generation(path: Path) -> Path:
    """Return where the generation before ``path`` is kept."""
    return path.with_name(f"{path.name}.1")


def retire(path: Path, descriptor: int) -> None:
    """Make the file of ``descriptor`` the old generation, unless another process does so.

    Nobody waits here for anybody: who is stopped with the lock in hand holds up no other.

    Args:
        path: Where the file was opened.
        descriptor: Open for writing; it stays open.

    Raises:
        OSError: The system refuses.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                path.replace(old_generation(path))
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
