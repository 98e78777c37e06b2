"""Waiting for descriptors: the one place where a cell touches the operating system's readiness interface."""

from __future__ import annotations

import select


class EpollPoller:
    """Level-triggered waiting on readable descriptors; its own descriptor can be watched in turn."""

    def __init__(self) -> None:
        self._epoll = select.epoll()

    def fileno(self) -> int:
        """A descriptor that is readable while any watched one is."""
        return self._epoll.fileno()

    def watch(self, fd: int) -> None:
        """Begin to report ``fd`` when it is readable or its other end is gone."""
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Forget ``fd``; harmless when it is closed already."""
        try:
            self._epoll.unregister(fd)
        except (OSError, ValueError):  # closing a descriptor removes it from the kernel's list
            return

    def poll(self, timeout_s: float | None) -> list[int]:
        """Return readable descriptors, waiting up to ``timeout_s`` (``None``: for ever)."""
        events = self._epoll.poll(-1 if timeout_s is None else timeout_s)
        return [fd for fd, _ in events]

    def close(self) -> None:
        """Give the kernel object back."""
        self._epoll.close()
