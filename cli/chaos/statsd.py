"""A statsd server that only counts: there to be switched off."""

from __future__ import annotations

import contextlib
import socket
import threading

_LOOPBACK = "127.0.0.1"
_MOST_BYTES = 65_536


class StatsdSink:
    """Takes metrics over UDP on a port of its own, and forgets them.

    Attributes:
        port: Where it listens; the same after it was closed and opened again.
        packets: How many came.
    """

    def __init__(self) -> None:
        self.port = 0
        self.packets = 0
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self.open()

    def open(self) -> None:
        """Begin to listen; harmless when it does."""
        if self._socket is not None:
            return
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((_LOOPBACK, self.port))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(
            target=self._count, args=(self._socket,), name="statsd", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Listen no more: who sends is told that nobody is there. Harmless when closed."""
        sink, thread = self._socket, self._thread
        if sink is None or thread is None:
            return
        self._socket = None
        with contextlib.suppress(OSError):  # wakes the reader; a socket without peer objects
            sink.shutdown(socket.SHUT_RD)
        thread.join()
        sink.close()

    def _count(self, sink: socket.socket) -> None:
        while self._socket is sink:
            if sink.recv(_MOST_BYTES):
                self.packets += 1
