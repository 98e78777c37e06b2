"""The few calls of nng that we need, through pynng's cffi handle; the only module that makes them.

Rules: whoever gets a message from nng frees it in the same call; a message that nng took is never
touched again; every queue has a bound; nothing blocks. nng does not survive a fork: open sockets
only in processes that never fork. ``transport.nng`` makes links of these.
"""

from __future__ import annotations

import os
import select
import threading
import weakref
from typing import TYPE_CHECKING, Any

from pynng import ffi, lib

from transport.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUEUE_FRAMES = 8192
"""Bound of each socket's queues; the most that nng allows."""

RECONNECT_MS = 10
RECONNECT_MAX_MS = 200
"""A peer that stays away is tried less and less often: each try of nng's costs processor time."""

# Set before the first socket, and then in force for the process. nng's defaults are made for one
# big process on many cores; here each of many processes has a handful of sockets.
THREADS = (
    (lib.NNG_INIT_NUM_TASK_THREADS, 2),
    (lib.NNG_INIT_MAX_TASK_THREADS, 2),
    (lib.NNG_INIT_NUM_EXPIRE_THREADS, 1),
    (lib.NNG_INIT_MAX_EXPIRE_THREADS, 1),
    (lib.NNG_INIT_NUM_POLLER_THREADS, 1),
    (lib.NNG_INIT_NUM_RESOLVER_THREADS, 1),
)

_NONBLOCK = lib.NNG_FLAG_NONBLOCK
_AGAIN = lib.NNG_EAGAIN

# Bound once: a look-up in the cffi library for each call would cost a tenth of an echo.
_recvmsg = lib.nng_recvmsg
_sendmsg = lib.nng_sendmsg
_alloc = lib.nng_msg_alloc
_free = lib.nng_msg_free
_append = lib.nng_msg_append
_body = lib.nng_msg_body
_body_len = lib.nng_msg_len
_header = lib.nng_msg_header
_header_len = lib.nng_msg_header_len
_header_append = lib.nng_msg_header_append
_buffer = ffi.buffer

OPENERS: dict[str, Callable[[Any], int]] = {
    "rep": lib.nng_rep0_open_raw,
    "req": lib.nng_req0_open_raw,
    "pub": lib.nng_pub0_open,
    "sub": lib.nng_sub0_open,
}


def _check(code: int, doing: str) -> None:
    """Turn nng's error code into our error; the one place where that happens."""
    if code:
        reason = ffi.string(lib.nng_strerror(code)).decode()
        raise LinkError(f"cannot {doing}: {reason} (nng error {code})")


class Socket:
    """One nng socket with bounded queues, for one thread.

    It closes when told to, when nobody refers to it any more (an actor that crashed frees its
    address for the next one), or at exit.

    Args:
        protocol: A key of ``OPENERS``.
        recv_max_bytes: nng drops the connection of a peer that sends a larger message.
        queues: The queues to bound: "recv-buffer", "send-buffer".

    Raises:
        LinkError: nng refused.
    """

    def __init__(self, protocol: str, recv_max_bytes: int, queues: tuple[str, ...]) -> None:
        for parameter, threads in THREADS:
            lib.nng_init_set_parameter(parameter, threads)  # nng ignores it once it runs
        handle = ffi.new("nng_socket *")
        _check(OPENERS[protocol](handle), f"open a {protocol} socket")
        self.raw = handle[0]
        self._slot = ffi.new("nng_msg **")
        self._finalizer = weakref.finalize(self, _close, self.raw)
        size = lib.nng_socket_set_size(self.raw, b"recv-size-max", recv_max_bytes)
        _check(size, f"limit messages to {recv_max_bytes} bytes")
        for queue in queues:
            code = lib.nng_socket_set_int(self.raw, queue.encode(), QUEUE_FRAMES)
            _check(code, f"bound the {queue}")

    def descriptor(self) -> int:
        """Return the descriptor that is readable while a message waits."""
        value = ffi.new("int *")
        _check(lib.nng_socket_get_int(self.raw, b"recv-fd", value), "get the receive descriptor")
        return int(value[0])

    def listen(self, url: str) -> str:
        """Listen at ``url``, and say where that is (a ``tcp`` port 0 becomes a real one)."""
        listener = ffi.new("nng_listener *")
        _check(lib.nng_listen(self.raw, url.encode(), listener, 0), f"listen on {url}")
        if not (url.startswith("tcp") and url.endswith(":0")):
            return url
        port = ffi.new("int *")
        got = lib.nng_listener_get_int(listener[0], b"tcp-bound-port", port)
        _check(got, f"learn the port of {url}")
        return f"{url[:-1]}{port[0]}"

    def dial(self, url: str) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        times = ((b"reconnect-time-min", RECONNECT_MS), (b"reconnect-time-max", RECONNECT_MAX_MS))
        for option, milliseconds in times:
            code = lib.nng_socket_set_ms(self.raw, option, milliseconds)
            _check(code, "set the time between connection attempts")
        _check(lib.nng_dial(self.raw, url.encode(), ffi.NULL, _NONBLOCK), f"dial {url}")

    def subscribe(self, prefix: bytes) -> None:
        """Let messages through that start with ``prefix``; for "sub" sockets."""
        code = lib.nng_socket_set(self.raw, b"sub:subscribe", prefix, len(prefix))
        _check(code, f"subscribe to {prefix!r}")

    def send(self, header: bytes, body: bytes) -> bool:
        """Queue one message; False when nng does not take it."""
        slot = self._slot
        if _alloc(slot, 0):
            return False
        message = slot[0]
        refused = (
            _append(message, body, len(body))
            or _header_append(message, header, len(header))
            or _sendmsg(self.raw, message, _NONBLOCK)
        )
        if refused:  # still ours
            _free(message)
            return False
        return True

    def receive(self, limit: int) -> list[tuple[bytes, bytes]]:
        """Take up to ``limit`` messages as (header, body), and free them.

        Raises:
            LinkError: The socket is closed.
        """
        socket, slot = self.raw, self._slot
        taken: list[tuple[bytes, bytes]] = []
        take = taken.append
        for _ in range(limit):
            code = _recvmsg(socket, slot, _NONBLOCK)
            if code:
                if code != _AGAIN:
                    _check(code, "receive")
                break
            message = slot[0]
            try:
                header = _buffer(_header(message), _header_len(message))[:]
                take((header, _buffer(_body(message), _body_len(message))[:]))
            finally:
                _free(message)
        return taken

    def close(self) -> None:
        """Close the socket; nng frees what is still queued. Again is harmless."""
        self._finalizer()


def _close(raw: Any) -> None:
    """Close a socket, but never from inside nng's own callback, where it would wait for itself."""
    if threading.get_ident() in _inside_callback:
        threading.Thread(target=lib.nng_close, args=(raw,), daemon=True).start()
    else:
        lib.nng_close(raw)


class PeerWatch:
    """Keeps the set of a socket's connections and shows each change on an eventfd.

    nng calls back on threads of its own, maybe even after the socket was closed; hence one callback
    that lives as long as the program, which finds the watch by number.
    """

    def __init__(self, socket: Socket) -> None:
        self.pipes: set[int] = set()
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._closed = False
        number = int(lib.nng_socket_id(socket.raw))
        _watches[number] = self
        for event in (lib.NNG_PIPE_EV_ADD_POST, lib.NNG_PIPE_EV_REM_POST):
            code = lib.nng_pipe_notify(socket.raw, event, _on_change, ffi.cast("void *", number))
            _check(code, "watch the peers of a socket")

    def changed(self, pipe: int, event: int) -> None:
        """Note that ``pipe`` came or went; called on a thread of nng."""
        if event == lib.NNG_PIPE_EV_ADD_POST:
            self.pipes.add(pipe)
        else:
            self.pipes.discard(pipe)
        with self._lock:  # the number of a closed descriptor may already be someone else's
            if not self._closed:
                os.eventfd_write(self.descriptor, 1)

    def take(self) -> int:
        """Return the number of changes since the last call, and forget them."""
        try:
            return os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close the descriptor, once the socket is closed. Again is harmless."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.pipes.clear()
                os.close(self.descriptor)

    def __del__(self) -> None:
        self.close()


_watches: weakref.WeakValueDictionary[int, PeerWatch] = weakref.WeakValueDictionary()
_inside_callback: set[int] = set()


@ffi.callback("void(nng_pipe, nng_pipe_ev, void *)")  # type: ignore[untyped-decorator]
def _on_change(pipe: Any, event: int, socket_number: Any) -> None:
    thread = threading.get_ident()
    _inside_callback.add(thread)
    try:
        watch = _watches.get(int(ffi.cast("intptr_t", socket_number)))
        if watch is not None:
            watch.changed(int(lib.nng_pipe_id(pipe)), event)
    finally:
        _inside_callback.discard(thread)


class Backlog:
    """Counts the replies that nng still holds for each peer, so that none is dropped.

    A raw REP0 socket holds 64 replies for a peer and silently drops the 65th; a peer with many
    requests in flight would see a request that is never answered.

    The count is an upper bound: replies given to nng, minus those that its statistics showed as
    written when last looked at. It is looked at only when a peer's bound is reached, because a look
    costs some 5 µs and 2.5 µs for each connection.
    """

    BOUND = 60  # below nng's 64
    ENOUGH = 20  # once it must wait, it waits until no more than so many are left
    WAITS = 20
    WAIT_S = 0.0002

    def __init__(self) -> None:
        self._given: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._stuck: dict[int, int] = {}  # peer -> what was written when it was found not reading
        self._tidy_at = 1024
        self._tree = ffi.new("nng_stat **")

    def admit(self, pipe: int) -> bool:
        """Tell whether ``pipe`` has room for one more reply, and count that reply."""
        return self.has_room(pipe) or (self._catch_up(pipe) and self.has_room(pipe))

    def has_room(self, pipe: int) -> bool:
        """Do as ``admit``, by what was seen at the last look and without waiting for anything."""
        given = self._given.get(pipe, 0)
        if given - self._written.get(pipe, 0) >= self.BOUND:
            return False
        self._given[pipe] = given + 1
        if len(self._given) > self._tidy_at:
            self.look()
            self._tidy_at = 2 * len(self._given) + 1024
        return True

    def knows(self, pipe: int) -> bool:
        """Tell whether ``pipe`` was there at the last look."""
        return pipe in self._given

    def _catch_up(self, pipe: int) -> bool:
        """Let nng write to ``pipe``: at most 4 ms, and only once for a peer that does not read."""
        for _ in range(self.WAITS):
            self.look()
            if pipe not in self._given:
                return False  # gone
            written = self._written[pipe]
            if self._given[pipe] - written <= self.ENOUGH:
                self._stuck.pop(pipe, None)
                return True
            if self._stuck.get(pipe) == written:
                return False
            select.select((), (), (), self.WAIT_S)
        written = self._written[pipe]
        if self._given[pipe] - written < self.BOUND:
            return True  # slow, but it reads
        self._stuck[pipe] = written
        return False

    def look(self) -> None:
        """Read from nng's statistics what was written, and forget peers that have gone."""
        _check(lib.nng_stats_get(self._tree), "read nng's statistics")
        try:
            written = dict(_written_by_pipe(self._tree[0]))
        finally:
            lib.nng_stats_free(self._tree[0])
        self._given = {pipe: n for pipe, n in self._given.items() if pipe in written}
        self._stuck = {pipe: n for pipe, n in self._stuck.items() if pipe in written}
        self._written = {pipe: written[pipe] for pipe in self._given}


def _written_by_pipe(root: Any) -> Iterator[tuple[int, int]]:
    """Yield (pipe, messages written) for every connection of this process."""
    entry = lib.nng_stat_child(root)
    while entry != ffi.NULL:
        if ffi.string(lib.nng_stat_name(entry)) == b"pipe":
            counter = lib.nng_stat_child(entry)
            while ffi.string(lib.nng_stat_name(counter)) != b"tx_msgs":
                counter = lib.nng_stat_next(counter)
            yield int(lib.nng_stat_value(entry)), int(lib.nng_stat_value(counter))
        entry = lib.nng_stat_next(entry)
