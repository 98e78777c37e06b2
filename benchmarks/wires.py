"""Clients that cost little: many requests in one system call, nothing read that is not needed.

A benchmark's client shares the machine with the node, and what it takes is not there for decisions.
Both kinds take requests at any time and hand over what has come back.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

CONNECT_S: Final = 5.0
READ_BYTES: Final = 1 << 20
INSUFFICIENT_TIME: Final = 15
OVERLOADED: Final = 503
EARLY_S: Final = 0.05
"""A refusal for want of time that comes sooner was one at the door."""


class Wire(Protocol):
    """The client's end of one door."""

    def send(self, number: int, body: bytes) -> None:
        """Take a request; it leaves as soon as there is room."""

    def exchange(self, wait_s: float) -> list[tuple[int, bytes]]:
        """Send what the peers take and return what they have sent, after ``wait_s`` at most."""

    def close(self) -> None:
        """Close all connections."""


class NngWire:
    """Connections to nng REP sockets, each with many requests under way.

    Args:
        urls: ``tcp://HOST:PORT``; connections take turns.
        connections: How many in all.
    """

    HELLO = b"\0SP\0\0\x30\0\0"  # of a REQ socket, the peer's is REP's
    FRAME = struct.Struct(">QI")  # length of what follows, number of the request
    REQUEST = 0x8000_0000

    def __init__(self, urls: Sequence[str], connections: int) -> None:
        self._out: list[bytearray] = []
        self._in: list[bytearray] = []
        self._turn = 0
        self.sockets: list[socket.socket] = []
        for index in range(connections):
            host, _, port = urls[index % len(urls)].removeprefix("tcp://").rpartition(":")
            line = socket.create_connection((host, int(port)), CONNECT_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.sendall(self.HELLO)
            if len(line.recv(len(self.HELLO), socket.MSG_WAITALL)) != len(self.HELLO):
                raise ConnectionError(f"{urls[index % len(urls)]} does not speak nng's protocol")
            line.setblocking(False)
            self.sockets.append(line)
            self._out.append(bytearray())
            self._in.append(bytearray())

    def send(self, number: int, body: bytes) -> None:
        """Put a request into the line whose turn it is."""
        self._turn = (self._turn + 1) % len(self._out)
        self._out[self._turn] += self.FRAME.pack(len(body) + 4, number | self.REQUEST) + body

    def exchange(self, wait_s: float) -> list[tuple[int, bytes]]:
        """Send what the peers take and return what they have sent, after ``wait_s`` at most."""
        for line, out in zip(self.sockets, self._out, strict=True):
            if out:
                with contextlib.suppress(BlockingIOError):
                    del out[: line.send(out)]
        blocked = [line for line, out in zip(self.sockets, self._out, strict=True) if out]
        readable = select.select(self.sockets, blocked, (), wait_s)[0]
        answers: list[tuple[int, bytes]] = []
        for line, taken in zip(self.sockets, self._in, strict=True):
            if line in readable:
                taken.extend(line.recv(1 << 20))
                self._split(taken, answers)
        return answers

    def _split(self, taken: bytearray, answers: list[tuple[int, bytes]]) -> None:
        at, header = 0, self.FRAME.size
        while at + header <= len(taken):
            length, number = self.FRAME.unpack_from(taken, at)
            end = at + 8 + length
            if end > len(taken):
                break
            answers.append((number ^ self.REQUEST, bytes(taken[at + header : end])))
            at = end
        del taken[:at]

    def close(self) -> None:
        """Close all lines."""
        for line in self.sockets:
            line.close()


class HttpWire:
    """Kept connections to an HTTP edge, each with one request under way.

    Args:
        port: On this machine.
        connections: How many.
    """

    HEAD = b"POST /openrtb2/bid HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"

    def __init__(self, port: int, connections: int) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._taken: dict[socket.socket, bytearray] = {}
        self._asked: dict[socket.socket, tuple[int, float]] = {}
        self._free: list[socket.socket] = []
        self._poll = select.epoll()
        self._by_fd: dict[int, socket.socket] = {}
        for _ in range(connections):
            line = socket.create_connection(("127.0.0.1", port), CONNECT_S)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._taken[line] = bytearray()
            self._by_fd[line.fileno()] = line
            self._poll.register(line.fileno(), select.EPOLLIN)
            self._free.append(line)

    def send(self, number: int, body: bytes) -> None:
        """See ``Wire.send``."""
        self._waiting.append((number, body))
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self._free:
            line = self._free.pop()
            number, body = self._waiting.popleft()
            self._asked[line] = number, time.perf_counter()
            line.sendall(self.HEAD % len(body) + body)

    def exchange(self, wait_s: float) -> list[tuple[int, bytes]]:
        """See ``Wire.exchange``."""
        answers = []
        for descriptor, _ in self._poll.poll(wait_s):
            line = self._by_fd[descriptor]
            piece = line.recv(READ_BYTES)
            if not piece:
                raise ConnectionError("the edge has closed a connection")
            taken = self._taken[line]
            taken.extend(piece)
            answer = self._answer(line, taken)
            if answer is not None:
                answers.append(answer)
                self._free.append(line)
        self._pump()
        return answers

    def _answer(self, line: socket.socket, taken: bytearray) -> tuple[int, bytes] | None:
        head, found, _ = taken.partition(b"\r\n\r\n")
        if not found:
            return None
        fields = dict(part.split(b": ", 1) for part in bytes(head).split(b"\r\n")[1:])
        end = len(head) + 4 + int(fields.get(b"content-length", 0))
        if len(taken) < end:
            return None
        body = bytes(taken[len(head) + 4 : end])
        del taken[:end]
        number, sent_s = self._asked.pop(line)
        if not body:
            early = time.perf_counter() - sent_s < EARLY_S
            body = no_bid(number, int(fields.get(b"x-openrtb-nbr", 0)), early=early)
        return number, body

    def close(self) -> None:
        """See ``Wire.close``."""
        self._poll.close()
        for line in self._taken:
            line.close()


def no_bid(number: int, nbr: int, *, early: bool) -> bytes:
    """Return what nng would have said where HTTP has no content."""
    reasons = {OVERLOADED: b"overloaded", INSUFFICIENT_TIME: b"out_of_time"}
    reason = b"insufficient_time" if nbr == INSUFFICIENT_TIME and early else reasons.get(nbr, b"")
    return b'{"id":"bench-%d","nbr":%d,"ext":{"reason":"%b"}}' % (number, nbr, reason)
