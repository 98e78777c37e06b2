"""The control socket: how the command line talks to a running node.

One JSON object a line over a Unix stream socket that only its owner can open. A request is
``{"op": ..., "args": {...}}``; an answer is ``{"ok": true, "result": ...}`` or
``{"ok": false, "error": {"code": ..., "message": ...}}``. Standard library only: the process that
serves it forks (so it must never open nng), and the command line must start quickly.

The server never blocks and bounds everything: peers, line length, unsent answers.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from transport.errors import ControlError, ControlTimeoutError, LinkError, NotRunningError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Handler = Callable[[str, dict[str, object]], object]

MAX_PEERS = 32
MAX_REQUEST_BYTES = 65_536
MAX_ANSWER_BYTES = 16 * 1024 * 1024

_CHUNK_BYTES = 65_536
_CREDENTIALS = struct.Struct("3i")


class Asker(NamedTuple):
    """The process that asks, as the system vouches for it.

    Attributes:
        pid: Its number.
        uid: Its user's.
    """

    pid: int
    uid: int

    def __str__(self) -> str:
        try:
            user = pwd.getpwuid(self.uid).pw_name
        except KeyError:
            user = "unknown"
        return f"{user} (uid {self.uid}, pid {self.pid})"


class _Peer:
    """One connection: what came in and what has yet to go out."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size
        )
        self.asker = Asker(*_CREDENTIALS.unpack(credentials)[:2])
        self.inbox = bytearray()
        self.outbox = bytearray()


class ControlServer:
    """Answers control requests whenever ``poll`` is called; for one thread.

    Args:
        path: Where to listen. A socket file that a dead process left is replaced.

    Attributes:
        asker: Whose request is being handled, or was last.

    Raises:
        LinkError: The path is too long or cannot be used, or a living node listens there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._peers: dict[int, _Peer] = {}
        self._listener = _listen(path)
        self.asker: Asker | None = None
        self._epoll = select.epoll()
        self._epoll.register(self._listener.fileno(), select.EPOLLIN)
        self._closed = False

    def fileno(self) -> int:
        """Return a descriptor that is readable while ``poll`` has something to do."""
        return self._epoll.fileno()

    def poll(self, handler: Handler) -> int:
        """Do what can be done without blocking.

        Args:
            handler: Called as ``handler(op, args)``; what it returns must be JSON-able. It refuses
                with ``ControlError``; any other exception goes through to our caller.

        Returns:
            How many requests were answered.
        """
        answered = 0
        ready = dict(self._epoll.poll(0))
        # Newcomers last: who left before they came has made room by then.
        newcomer = ready.pop(self._listener.fileno(), 0)
        for descriptor, events in ready.items():
            peer = self._peers[descriptor]
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                answered += self._receive(peer, handler)
            if descriptor in self._peers:
                self._send(peer)
        if newcomer:
            self._accept()
        return answered

    def close(self) -> None:
        """Drop all peers, stop listening and remove the socket file. Again is harmless."""
        if self._closed:
            return
        self._closed = True
        for peer in list(self._peers.values()):
            self._drop(peer)
        self._epoll.close()
        self._listener.close()
        with contextlib.suppress(OSError):
            self._path.unlink()

    def release(self) -> None:
        """Close our descriptors but leave the socket to another process; for a forked child."""
        if self._closed:
            return
        self._closed = True
        for peer in self._peers.values():
            peer.connection.close()
        self._epoll.close()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the peer may be gone already
            connection, _ = self._listener.accept()
            if len(self._peers) >= MAX_PEERS:
                connection.close()
                return
            connection.setblocking(False)
            self._peers[connection.fileno()] = _Peer(connection)
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def _receive(self, peer: _Peer, handler: Handler) -> int:
        """Read what came and answer each whole line."""
        try:
            chunk = peer.connection.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return 0
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(peer)
            return 0
        peer.inbox += chunk
        self.asker = peer.asker
        *lines, rest = bytes(peer.inbox).split(b"\n")
        peer.inbox = bytearray(rest)
        for line in lines:
            peer.outbox += _answer(line, handler)
        if len(rest) > MAX_REQUEST_BYTES or len(peer.outbox) > MAX_ANSWER_BYTES:
            self._drop(peer)
        return len(lines)

    def _send(self, peer: _Peer) -> None:
        """Send what the peer takes; wait for room only while there is something to send."""
        try:
            while peer.outbox:
                sent = peer.connection.send(peer.outbox[:_CHUNK_BYTES])
                del peer.outbox[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(peer)
            return
        wanted = select.EPOLLIN | (select.EPOLLOUT if peer.outbox else 0)
        self._epoll.modify(peer.connection.fileno(), wanted)

    def _drop(self, peer: _Peer) -> None:
        descriptor = peer.connection.fileno()
        self._epoll.unregister(descriptor)
        del self._peers[descriptor]
        peer.connection.close()


def _listen(path: Path) -> socket.socket:
    """Bind ``path``, in place of a dead process's socket file but never of a living one's."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _is_stale(path):
            path.unlink(missing_ok=True)
        old_mask = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(old_mask)
        listener.listen(MAX_PEERS)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise LinkError(f"a node already listens on {path}; stop it first") from error
        raise LinkError(f"cannot listen on {path}: {error}") from error
    return listener


def _is_stale(path: Path) -> bool:
    """Tell whether ``path`` is a socket file that nobody listens on."""
    if not path.is_socket():
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == errno.ECONNREFUSED


def _answer(line: bytes, handler: Handler) -> bytes:
    try:
        op, args = _parse(line)
        answer: dict[str, object] = {"ok": True, "result": handler(op, args)}
    except ControlError as error:
        answer = {"ok": False, "error": {"code": error.code, "message": str(error)}}
    return json.dumps(answer).encode() + b"\n"


def _parse(line: bytes) -> tuple[str, dict[str, object]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError("bad_request", f"not JSON: {error}") from error
    op = request.get("op") if isinstance(request, dict) else None
    args = request.get("args", {}) if isinstance(request, dict) else None
    if not isinstance(op, str) or not isinstance(args, dict):
        raise ControlError("bad_request", 'send {"op": "name", "args": {...}}')
    return op, args


class ControlClient:
    """Asks the node that listens on ``path``; each call is a connection of its own.

    Args:
        path: The node's control socket.
        clock: Monotonic seconds.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock

    def call(self, op: str, timeout_s: float, **args: object) -> dict[str, object]:
        """Ask for ``op`` and wait for the answer.

        Args:
            op: What to do.
            timeout_s: For the whole call.
            args: JSON-able arguments of ``op``.

        Raises:
            NotRunningError: Nobody listens, or the node went away before it answered.
            ControlTimeoutError: No answer in time.
            ControlError: The node refused; carries its code.
        """
        deadline_s = self._clock() + timeout_s
        request = json.dumps({"op": op, "args": args}).encode() + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.settimeout(timeout_s)
                connection.connect(str(self._path))
                connection.sendall(request)
                line = self._read_line(connection, deadline_s)
            except TimeoutError as error:
                raise ControlTimeoutError(op, timeout_s) from error
            except OSError as error:
                raise NotRunningError(str(self._path)) from error
        return _result(line)

    def _read_line(self, connection: socket.socket, deadline_s: float) -> bytes:
        received = bytearray()
        while not received.endswith(b"\n"):
            remaining_s = deadline_s - self._clock()
            if remaining_s <= 0:
                raise TimeoutError
            connection.settimeout(remaining_s)
            chunk = connection.recv(_CHUNK_BYTES)
            if not chunk:
                raise ConnectionResetError
            received += chunk
            if len(received) > MAX_ANSWER_BYTES:
                raise ControlError("bad_answer", f"the answer exceeds {MAX_ANSWER_BYTES} bytes")
        return bytes(received)


def _result(line: bytes) -> dict[str, object]:
    """Return the result of an answer, or raise what it reports."""
    try:
        answer = json.loads(line)
        if answer["ok"]:
            result = answer["result"]
            return result if isinstance(result, dict) else {"value": result}
        failure = ControlError(str(answer["error"]["code"]), str(answer["error"]["message"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ControlError("bad_answer", f"not an answer of a node: {error}") from error
    raise failure
