"""Links in memory: the twins of ``transport.nng`` for tests and virtual time.

Same promises, same bounds, same descriptors (eventfds), but one thread, no sockets, and every step
happens at once and in a fixed order, so a run can be repeated exactly. A ``MemoryHub`` is a world
of its own: links of different hubs never meet.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from typing import Generic, TypeVar

from transport.errors import LinkError
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

QUEUE_FRAMES = 8192

_T = TypeVar("_T")
_SCHEMES = ("tcp://", "ipc://", "inproc://", "memory://")
_REQUEST_BIT = 0x8000_0000


class _Signal:
    """A descriptor that is readable while set."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closed = False

    def add(self) -> None:
        """Make it readable."""
        if not self._closed:
            os.eventfd_write(self.descriptor, 1)

    def take(self) -> int:
        """Make it unreadable, and return how often ``add`` was called."""
        try:
            return os.eventfd_read(self.descriptor)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Free the descriptor. Again is harmless."""
        if not self._closed:
            self._closed = True
            os.close(self.descriptor)

    def __del__(self) -> None:
        self.close()


class _Queue(Generic[_T]):
    """A bounded queue whose descriptor is readable while it holds something."""

    def __init__(self) -> None:
        self._items: deque[_T] = deque()
        self.signal = _Signal()
        self._closed = False

    def put(self, item: _T) -> bool:
        """Append ``item``; False when full or closed."""
        if self._closed or len(self._items) >= QUEUE_FRAMES:
            return False
        if not self._items:
            self.signal.add()
        self._items.append(item)
        return True

    def take(self, limit: int) -> list[_T]:
        """Remove and return up to ``limit`` items, oldest first."""
        if self._closed:
            raise LinkError("cannot receive: the link is closed")
        taken = [self._items.popleft() for _ in range(min(limit, len(self._items)))]
        if taken and not self._items:
            self.signal.take()
        return taken

    def close(self) -> None:
        """Refuse all further use."""
        self._closed = True
        self._items.clear()
        self.signal.close()


class MemoryHub:
    """A world in which memory links find each other by address; a ``LinkFactory``."""

    def __init__(self) -> None:
        self._listeners: dict[str, MemoryServer | MemoryPublisher] = {}
        self._dialers: list[tuple[str, MemoryClient | MemorySubscriber]] = []
        self._numbers = itertools.count(1)

    def server(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> MemoryServer:
        """See ``LinkFactory.server``."""
        return MemoryServer(self, recv_max_bytes)

    def client(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> MemoryClient:
        """See ``LinkFactory.client``."""
        return MemoryClient(self, recv_max_bytes)

    def publisher(self) -> MemoryPublisher:
        """See ``LinkFactory.publisher``."""
        return MemoryPublisher(self)

    def subscriber(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> MemorySubscriber:
        """See ``LinkFactory.subscriber``."""
        return MemorySubscriber(self, recv_max_bytes)

    def number(self) -> int:
        """Return a number that no other call got."""
        return next(self._numbers)

    def bind(self, url: str, listener: MemoryServer | MemoryPublisher) -> str:
        """Give ``url`` to ``listener`` and connect whoever dials it."""
        _require_address(url)
        if url.startswith("tcp") and url.endswith(":0"):
            url = f"{url[:-1]}{40000 + self.number()}"
        if url in self._listeners:
            raise LinkError(f"cannot listen on {url}: address in use")
        self._listeners[url] = listener
        for dialed, dialer in list(self._dialers):
            if dialed == url:
                dialer.meet(listener)
        return url

    def unbind(self, listener: MemoryServer | MemoryPublisher) -> None:
        """Free the addresses of ``listener``."""
        self._listeners = {
            u: found for u, found in self._listeners.items() if found is not listener
        }

    def register(self, url: str, dialer: MemoryClient | MemorySubscriber) -> None:
        """Connect ``dialer`` to ``url``, now or whenever someone listens there."""
        _require_address(url)
        self._dialers.append((url, dialer))
        if url in self._listeners:
            dialer.meet(self._listeners[url])

    def forget(self, dialer: MemoryClient | MemorySubscriber) -> None:
        """Stop connecting ``dialer``."""
        self._dialers = [(url, found) for url, found in self._dialers if found is not dialer]


def _require_address(url: str) -> None:
    if not url.startswith(_SCHEMES):
        raise LinkError(f"cannot use {url!r}: it must start with one of {', '.join(_SCHEMES)}")


class MemoryServer(ServerLink):
    """The twin of ``NngServer``."""

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        self.recv_max_bytes = recv_max_bytes
        self.clients: dict[int, MemoryClient] = {}
        self.requests: _Queue[Received] = _Queue()
        self._hub = hub

    def listen(self, url: str) -> str:
        """See ``ServerLink.listen``."""
        return self._hub.bind(url, self)

    def fileno(self) -> int:
        """See ``ServerLink.fileno``."""
        return self.requests.signal.descriptor

    def drain(self, limit: int) -> list[Received]:
        """See ``ServerLink.drain``."""
        return self.requests.take(limit)

    def reply(self, header: bytes, body: bytes) -> bool:
        """See ``ServerLink.reply``."""
        client = self.clients.get(int.from_bytes(header[:4], "big"))
        if client is None:
            return False
        return client.take_reply(self, int.from_bytes(header[4:8], "big"), body)

    def close(self) -> None:
        """See ``ServerLink.close``."""
        self._hub.unbind(self)
        for pipe, client in list(self.clients.items()):
            client.part(pipe)
        self.clients.clear()
        self.requests.close()


class MemoryClient(ClientLink):
    """The twin of ``NngClient``; spreads requests over its peers in turn."""

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        self._hub = hub
        self._recv_max_bytes = recv_max_bytes
        self._peers: dict[int, MemoryServer] = {}
        self._turn = 0
        self._replies: _Queue[Reply] = _Queue()
        self._changes = _Signal()

    def dial(self, url: str) -> None:
        """See ``ClientLink.dial``."""
        self._hub.register(url, self)

    @property
    def connected(self) -> bool:
        """See ``ClientLink.connected``."""
        return bool(self._peers)

    def fileno(self) -> int:
        """See ``ClientLink.fileno``."""
        return self._replies.signal.descriptor

    def change_fileno(self) -> int:
        """See ``ClientLink.change_fileno``."""
        return self._changes.descriptor

    def take_changes(self) -> int:
        """See ``ClientLink.take_changes``."""
        return self._changes.take()

    def send(self, request_id: int, body: bytes) -> bool:
        """See ``ClientLink.send``."""
        if not self._peers:
            return False
        pipes = list(self._peers)
        self._turn += 1
        pipe = pipes[self._turn % len(pipes)]
        server = self._peers[pipe]
        if len(body) > server.recv_max_bytes:
            self._reconnect(server)
            return True
        header = pipe.to_bytes(4, "big") + (request_id | _REQUEST_BIT).to_bytes(4, "big")
        return server.requests.put(Received(header, body))

    def drain(self, limit: int) -> list[Reply]:
        """See ``ClientLink.drain``."""
        return self._replies.take(limit)

    def close(self) -> None:
        """See ``ClientLink.close``."""
        self._hub.forget(self)
        for pipe, server in self._peers.items():
            server.clients.pop(pipe, None)
        self._peers.clear()
        self._replies.close()
        self._changes.close()

    def meet(self, listener: MemoryServer | MemoryPublisher) -> None:
        """Connect to a server that listens where we dial."""
        if isinstance(listener, MemoryServer):
            pipe = self._hub.number()
            self._peers[pipe] = listener
            listener.clients[pipe] = self
            self._changes.add()

    def part(self, pipe: int) -> None:
        """Note that the server behind ``pipe`` has gone."""
        if self._peers.pop(pipe, None) is not None:
            self._changes.add()

    def take_reply(self, server: MemoryServer, request_word: int, body: bytes) -> bool:
        """Queue an answer of ``server``; one that is too large costs the connection."""
        if len(body) > self._recv_max_bytes:
            self._reconnect(server)
            return True
        return self._replies.put(Reply(request_word & MAX_REQUEST_ID, body))

    def _reconnect(self, server: MemoryServer) -> None:
        """Lose the connection to ``server`` and get a new one, as nng does for large messages."""
        for pipe in [pipe for pipe, peer in self._peers.items() if peer is server]:
            server.clients.pop(pipe, None)
            self.part(pipe)
            self.meet(server)


class MemoryPublisher(PublisherLink):
    """The twin of ``NngPublisher``."""

    def __init__(self, hub: MemoryHub) -> None:
        self.subscribers: list[MemorySubscriber] = []
        self._hub = hub
        self._closed = False

    def listen(self, url: str) -> str:
        """See ``PublisherLink.listen``."""
        return self._hub.bind(url, self)

    def publish(self, topic: bytes, body: bytes) -> bool:
        """See ``PublisherLink.publish``."""
        if self._closed:
            return False
        for subscriber in self.subscribers:
            subscriber.offer(topic, body)
        return True

    def close(self) -> None:
        """See ``PublisherLink.close``."""
        self._closed = True
        self._hub.unbind(self)
        self.subscribers.clear()


class MemorySubscriber(SubscriberLink):
    """The twin of ``NngSubscriber``."""

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        self._hub = hub
        self._recv_max_bytes = recv_max_bytes
        self._prefixes: tuple[bytes, ...] = ()
        self._frames: _Queue[Published] = _Queue()

    def dial(self, url: str) -> None:
        """See ``SubscriberLink.dial``."""
        self._hub.register(url, self)

    def subscribe(self, prefix: bytes) -> None:
        """See ``SubscriberLink.subscribe``."""
        self._prefixes += (prefix,)

    def fileno(self) -> int:
        """See ``SubscriberLink.fileno``."""
        return self._frames.signal.descriptor

    def drain(self, limit: int) -> list[Published]:
        """See ``SubscriberLink.drain``."""
        return self._frames.take(limit)

    def close(self) -> None:
        """See ``SubscriberLink.close``."""
        self._hub.forget(self)
        self._frames.close()

    def meet(self, listener: MemoryServer | MemoryPublisher) -> None:
        """Connect to a publisher that listens where we dial."""
        if isinstance(listener, MemoryPublisher):
            listener.subscribers.append(self)

    def offer(self, topic: bytes, body: bytes) -> None:
        """Keep a frame that we subscribed to, if there is room."""
        if topic.startswith(self._prefixes) and len(body) <= self._recv_max_bytes:
            self._frames.put(Published(topic, body))
