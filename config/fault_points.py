"""Places in the product at which a fault can be made to happen on purpose, by name.

The product calls :func:`reach` where a disk, a device or a process may fail: once for each commit,
write or batch, never for each message. Nothing happens there unless somebody armed the point, and
then the product meets the very error that the real fault would raise. Points belong to a process,
like the disks and devices that they stand for; who arms one also disarms it.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

POINTS: Final = {
    "ledger.write": ("enospc", "raise", "kill"),
    "ledger.commit": ("enospc", "raise", "kill"),
    "segments.write": ("enospc", "kill"),
    "parquet.write": ("enospc", "kill"),
    "log.write": ("enospc",),
    "inference.batch": ("oom", "raise", "kill"),
    "models.load": ("raise", "kill"),
}
"""What can be made to happen where. Of a ledger's commit, ``write`` is before its first statement
and ``commit`` after its last."""


class PlannedFaultError(Exception):
    """A fault that somebody asked for; nothing is wrong with the code that raises it."""


class ArmedPoint:
    """What happens at one point while it is armed.

    Args:
        action: One that ``POINTS`` names.
        count: After so many times it is over; 0 for no end.
        share: Of the times that the point is reached, from 0 to 1.
        rng: Decides which.
        used_up: Called when ``count`` is reached.

    Attributes:
        hits: How often it happened.
    """

    def __init__(
        self,
        action: str,
        *,
        count: int,
        share: float,
        rng: random.Random,
        used_up: Callable[[], None],
    ) -> None:
        self.hits = 0
        self._action = action
        self._count = count
        self._share = share
        self._rng = rng
        self._used_up = used_up

    def strike(self, point: str, out_of_memory: Callable[[], Exception]) -> None:
        """Make it happen, or not this time."""
        if self._rng.random() >= self._share or 0 < self._count <= self.hits:
            return
        self.hits += 1
        if self.hits == self._count:
            self._used_up()
        if self._action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._action == "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), f"at {point}, on purpose")
        elif self._action == "oom":
            raise out_of_memory()
        raise PlannedFaultError(f"at {point}, on purpose")


_armed: dict[str, ArmedPoint] = {}


def arm(point: str, armed: ArmedPoint) -> None:
    """Have it happen at ``point`` from now on, in this process.

    Raises:
        ValueError: The point is armed already.
    """
    if point in _armed:
        raise ValueError(f"{point} is armed already")
    _armed[point] = armed


def disarm(point: str) -> None:
    """Let ``point`` be passed unharmed again; harmless if it is."""
    _armed.pop(point, None)


def reach(point: str, out_of_memory: Callable[[], Exception] = MemoryError) -> None:
    """Pass ``point``; called by the product where the real fault would happen.

    Args:
        point: A key of ``POINTS``.
        out_of_memory: Makes the error that a device without memory raises here.

    Raises:
        OSError: The disk is full, as somebody asked for.
        PlannedFaultError: Somebody asked for it.
    """
    if _armed:
        armed = _armed.get(point)
        if armed is not None:
            armed.strike(point, out_of_memory)
