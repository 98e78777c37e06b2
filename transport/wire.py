"""What lies between two links in memory, and how they say that something has come.

Principle: a twin of a network is only as good as what it can be made to lose. Links in memory hand
every frame and every connection to a wire; the one here is perfect, a simulation hands in another
one. In the same way their signals are real descriptors here, which an event loop can wait for, or
whatever else has a number that somebody knows how to ask.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

FrameKind = Literal["request", "reply", "published"]


class Pipe(NamedTuple):
    """One connection: its number, the address, who dialed it and who listened there."""

    number: int
    url: str
    dialer: Any
    listener: Any


class Wire:
    """A perfect network: frames arrive at once, in order, each exactly once."""

    def carry(  # a perfect one needs to know no more
        self,
        pipe: Pipe,  # noqa: ARG002
        kind: FrameKind,  # noqa: ARG002
        arrive: Callable[[], bool],
    ) -> bool:
        """Bring one frame to the other end.

        Args:
            pipe: The connection that it was sent on.
            kind: What it is, which tells its direction.
            arrive: Puts it into the receiver's queue; False when that is full, or when the
                connection has gone meanwhile. A worse wire calls it later, again, or never.

        Returns:
            Whether the frame was taken.
        """
        return arrive()

    def connect(self, pipe: Pipe, meet: Callable[[], None]) -> None:  # noqa: ARG002
        """Let two ends meet that have found each other; a worse wire calls ``meet`` later."""
        meet()


class Signal(Protocol):
    """Something with the number of a descriptor that is readable while it is set."""

    descriptor: int

    def add(self) -> None:
        """Make it readable."""

    def take(self) -> int:
        """Make it unreadable, and return how often ``add`` was called."""

    def close(self) -> None:
        """Free it. Again is harmless."""


class EventSignal:
    """A signal with a real descriptor (an eventfd)."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False

    def add(self) -> None:
        """See ``Signal.add``."""
        if not self._closed:
            os.eventfd_write(self.descriptor, 1)

    def take(self) -> int:
        """See ``Signal.take``."""
        try:
            return os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """See ``Signal.close``."""
        if not self._closed:
            self._closed = True
            os.close(self.descriptor)

    def __del__(self) -> None:
        self.close()
