"""Links over nng's raw sockets.

Why raw: a cooked REP socket answers one request at a time, its contexts cost three times the
processor time (measured: 55 against 16 µs an echo), pynng's asyncio more still. A raw REP0 socket
hands over every request with an opaque header (which connection, which request) that must be copied
to its reply; a raw REQ0 socket leaves numbering to us. Both show waiting messages on a descriptor,
so a loop drains them in bursts. Peers see ordinary REQ/REP: ``nngcat --req`` and ``pynng.Req0``
work.
"""

from __future__ import annotations

from collections import deque

from transport.frames import (
    MAX_FRAME_BYTES,
    MAX_REQUEST_ID,
    ClientLink,
    Published,
    PublisherLink,
    Received,
    Reply,
    ServerLink,
    SubscriberLink,
)
from transport.nng_socket import Backlog, PeerWatch, Socket

MAX_HELD = 8192
"""Replies that one server keeps for peers that are not ready; more are dropped."""
MAX_HELD_PER_PEER = 4096

_REQUEST_BIT = 0x8000_0000  # ends the header of a request, on the wire


class NngServer(ServerLink):
    """A raw REP0 socket."""

    def __init__(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._socket = Socket("rep", recv_max_bytes, ("recv-buffer", "send-buffer"))
        self._descriptor = self._socket.descriptor()
        self._backlog = Backlog()
        self._holds = False
        self._held: dict[int, deque[tuple[bytes, bytes]]] = {}
        self._held_count = 0

    def listen(self, url: str) -> str:
        """See ``ServerLink.listen``."""
        return self._socket.listen(url)

    def fileno(self) -> int:
        """See ``ServerLink.fileno``."""
        return self._descriptor

    def drain(self, limit: int) -> list[Received]:
        """See ``ServerLink.drain``."""
        return [Received(header, body) for header, body in self._socket.receive(limit)]

    def reply(self, header: bytes, body: bytes) -> bool:
        """See ``ServerLink.reply``; the first four bytes of a header name the connection."""
        peer = int.from_bytes(header[:4], "big")
        if self._holds:
            if peer in self._held or not self._backlog.has_room(peer):
                return self._hold(peer, header, body)
        elif not self._backlog.admit(peer):
            return False
        return self._socket.send(header, body)

    def hold_replies(self) -> None:
        """See ``ServerLink.hold_replies``."""
        self._holds = True

    def _hold(self, peer: int, header: bytes, body: bytes) -> bool:
        held = self._held.setdefault(peer, deque())
        if self._held_count >= MAX_HELD or len(held) >= MAX_HELD_PER_PEER:
            return False
        held.append((header, body))
        self._held_count += 1
        return True

    def push(self) -> bool:
        """See ``ServerLink.push``."""
        if not self._held:
            return False
        self._backlog.look()
        for peer, held in tuple(self._held.items()):
            gone = not self._backlog.knows(peer)
            while held and (gone or self._backlog.has_room(peer)):
                header, body = held.popleft()
                self._held_count -= 1
                if not gone:
                    self._socket.send(header, body)
            if not held:
                del self._held[peer]
        return bool(self._held)

    def close(self) -> None:
        """See ``ServerLink.close``."""
        self._socket.close()
        self._held.clear()
        self._held_count = 0


class NngClient(ClientLink):
    """A raw REQ0 socket that knows its peers."""

    def __init__(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._socket = Socket("req", recv_max_bytes, ("recv-buffer", "send-buffer"))
        self._descriptor = self._socket.descriptor()
        self._peers = PeerWatch(self._socket)

    def dial(self, url: str) -> None:
        """See ``ClientLink.dial``."""
        self._socket.dial(url)

    @property
    def connected(self) -> bool:
        """See ``ClientLink.connected``."""
        return bool(self._peers.pipes)

    def fileno(self) -> int:
        """See ``ClientLink.fileno``."""
        return self._descriptor

    def change_fileno(self) -> int:
        """See ``ClientLink.change_fileno``."""
        return self._peers.descriptor

    def take_changes(self) -> int:
        """See ``ClientLink.take_changes``."""
        return self._peers.take()

    def send(self, request_id: int, body: bytes) -> bool:
        """See ``ClientLink.send``."""
        if not self._peers.pipes:
            return False
        return self._socket.send((request_id | _REQUEST_BIT).to_bytes(4, "big"), body)

    def drain(self, limit: int) -> list[Reply]:
        """See ``ClientLink.drain``."""
        return [
            Reply(int.from_bytes(header, "big") & MAX_REQUEST_ID, body)
            for header, body in self._socket.receive(limit)
        ]

    def close(self) -> None:
        """See ``ClientLink.close``."""
        self._socket.close()
        self._peers.close()


class NngPublisher(PublisherLink):
    """A PUB0 socket; a frame on the wire is topic, NUL, body."""

    def __init__(self) -> None:
        self._socket = Socket("pub", MAX_FRAME_BYTES, ("send-buffer",))

    def listen(self, url: str) -> str:
        """See ``PublisherLink.listen``."""
        return self._socket.listen(url)

    def publish(self, topic: bytes, body: bytes) -> bool:
        """See ``PublisherLink.publish``."""
        return self._socket.send(b"", topic + b"\0" + body)

    def close(self) -> None:
        """See ``PublisherLink.close``."""
        self._socket.close()


class NngSubscriber(SubscriberLink):
    """A SUB0 socket."""

    def __init__(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> None:
        self._socket = Socket("sub", recv_max_bytes, ("recv-buffer",))
        self._descriptor = self._socket.descriptor()

    def dial(self, url: str) -> None:
        """See ``SubscriberLink.dial``."""
        self._socket.dial(url)

    def subscribe(self, prefix: bytes) -> None:
        """See ``SubscriberLink.subscribe``."""
        self._socket.subscribe(prefix)

    def fileno(self) -> int:
        """See ``SubscriberLink.fileno``."""
        return self._descriptor

    def drain(self, limit: int) -> list[Published]:
        """See ``SubscriberLink.drain``."""
        frames = (body.partition(b"\0") for _, body in self._socket.receive(limit))
        return [Published(topic, body) for topic, _, body in frames]

    def close(self) -> None:
        """See ``SubscriberLink.close``."""
        self._socket.close()


class NngLinks:
    """The ``LinkFactory`` of real processes."""

    def server(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> NngServer:
        """See ``LinkFactory.server``."""
        return NngServer(recv_max_bytes)

    def client(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> NngClient:
        """See ``LinkFactory.client``."""
        return NngClient(recv_max_bytes)

    def publisher(self) -> NngPublisher:
        """See ``LinkFactory.publisher``."""
        return NngPublisher()

    def subscriber(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> NngSubscriber:
        """See ``LinkFactory.subscriber``."""
        return NngSubscriber(recv_max_bytes)
