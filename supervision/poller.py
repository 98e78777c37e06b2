"""Waiting for descriptors: the one place where a cell meets the system's readiness interface."""

from __future__ import annotations

import contextlib
import select


class EpollPoller:
    """Level-triggered waiting on readable descriptors; its own can be watched in turn."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        """Return a descriptor that is readable while any watched one is."""
        return self._epoll.fileno()

    def watch(self, fd: int) -> None:
        """Report ``fd`` when it is readable or its other end is gone; twice is once."""
        with contextlib.suppress(FileExistsError):
            self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; harmless when it is closed already."""
        # Closing a descriptor removes it from the kernel's list; a closed poller has no list.
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def poll(self, timeout_s: float | None) -> list[int]:
        """Return readable descriptors, waiting up to ``timeout_s`` (``None``: for ever)."""
        events = self._epoll.poll(-1 if timeout_s is None else timeout_s)
        return [fd for fd, _ in events]

    def close(self) -> None:
        """Give the kernel object back."""
        self._epoll.close()
