"""Links in memory: the twins of ``transport.nng`` for tests and virtual time.

Same promises, bounds and descriptors (eventfds), but one thread, no sockets, and every step happens
at once and in a fixed order, so a run can be repeated exactly. Links of different hubs never meet.
What lies between links is a ``transport.wire``, perfect unless another one is handed in.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

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
from transport.wire import EventSignal, Pipe, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from transport.wire import FrameKind, Signal

QUEUE_FRAMES = 8192

_T = TypeVar("_T")
_SCHEMES = ("tcp://", "ipc://", "inproc://", "memory://")
_REQUEST_BIT = 0x8000_0000


class _Queue(Generic[_T]):
    """A bounded queue whose descriptor is readable while it holds something."""

    def __init__(self, signal: Signal) -> None:
        self._items: deque[_T] = deque()
        self.signal = signal
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
    """A world in which memory links find each other by address; a ``LinkFactory``.

    Args:
        wire: What lies between links.
        signals: Makes what a link says with that something has come.
    """

    def __init__(
        self, wire: Wire | None = None, signals: Callable[[], Signal] = EventSignal
    ) -> None:
        self.wire = wire or Wire()
        self.signals = signals
        self._listeners: dict[str, _Listener] = {}
        self._dialers: list[tuple[str, _Dialer]] = []
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

    def bind(self, url: str, listener: _Listener) -> str:
        """Give ``url`` to ``listener`` and connect whoever dials it."""
        _require_address(url)
        if url.startswith("tcp") and url.endswith(":0"):
            url = f"{url[:-1]}{40000 + next(self._numbers)}"
        if url in self._listeners:
            raise LinkError(f"cannot listen on {url}: address in use")
        self._listeners[url] = listener
        for dialed, dialer in list(self._dialers):
            if dialed == url:
                self._introduce(url, dialer)
        return url

    def unbind(self, listener: _Listener) -> None:
        """Free the addresses of ``listener``."""
        listeners = self._listeners.items()
        self._listeners = {url: found for url, found in listeners if found is not listener}

    def register(self, url: str, dialer: _Dialer) -> None:
        """Connect ``dialer`` to ``url``, now or whenever someone listens there."""
        _require_address(url)
        self._dialers.append((url, dialer))
        if url in self._listeners:
            self._introduce(url, dialer)

    def forget(self, dialer: _Dialer) -> None:
        """Stop connecting ``dialer``."""
        self._dialers = [(url, found) for url, found in self._dialers if found is not dialer]

    def addresses(self) -> list[str]:
        """Return where somebody listens."""
        return sorted(self._listeners)

    def pipes(self) -> list[Pipe]:
        """Return every connection there is, the oldest first."""
        found = {pipe.number: pipe for _, dialer in self._dialers for pipe in dialer.pipes.values()}
        return [found[number] for number in sorted(found)]

    def cut(self, pipe: Pipe) -> None:
        """Break a connection; its ends meet again as soon as the wire lets them."""
        pipe.listener.lose(pipe)
        pipe.dialer.lose(pipe)
        if self._listeners.get(pipe.url) is pipe.listener:
            self._introduce(pipe.url, pipe.dialer)

    def _introduce(self, url: str, dialer: _Dialer) -> None:
        """Connect two ends that belong together, if both are still there by then."""
        listener = self._listeners[url]
        if not isinstance(listener, dialer.peers):
            return
        pipe = Pipe(next(self._numbers), url, dialer, listener)

        def meet() -> None:
            is_dialed = any(known == url and found is dialer for known, found in self._dialers)
            if is_dialed and self._listeners.get(url) is listener:
                listener.meet(pipe)
                dialer.meet(pipe)

        self.wire.connect(pipe, meet)


def _require_address(url: str) -> None:
    if not url.startswith(_SCHEMES):
        raise LinkError(f"cannot use {url!r}: it must start with one of {', '.join(_SCHEMES)}")


class _End:
    """One end of connections; knows its pipes by number, the oldest first."""

    def __init__(self, hub: MemoryHub) -> None:
        self.pipes: dict[int, Pipe] = {}
        self._hub = hub

    def meet(self, pipe: Pipe) -> None:
        """Take a new connection in."""
        self.pipes[pipe.number] = pipe

    def lose(self, pipe: Pipe) -> None:
        """Note that a connection is gone; again is harmless."""
        self.pipes.pop(pipe.number, None)

    def carry(self, pipe: Pipe, kind: FrameKind, put: Callable[[], bool]) -> bool:
        """Send a frame; what is on its way when its connection breaks is lost with it."""

        def arrive() -> bool:
            return pipe.number in pipe.dialer.pipes and pipe.number in pipe.listener.pipes and put()

        return self._hub.wire.carry(pipe, kind, arrive)


class _Listener(_End):
    """The end that has an address."""

    def listen(self, url: str) -> str:
        """See ``ServerLink.listen``."""
        return self._hub.bind(url, self)

    def leave(self) -> None:
        """Free the addresses and break all connections."""
        self._hub.unbind(self)
        for pipe in list(self.pipes.values()):
            self.lose(pipe)
            pipe.dialer.lose(pipe)


class _Dialer(_End):
    """The end that looks for an address.

    Attributes:
        peers: The class of listeners that it can talk to.
    """

    peers: type[_Listener]

    def dial(self, url: str) -> None:
        """See ``ClientLink.dial``."""
        self._hub.register(url, self)

    def leave(self) -> None:
        """Look for nobody any more and break all connections."""
        self._hub.forget(self)
        for pipe in self.pipes.values():
            pipe.listener.lose(pipe)
        self.pipes.clear()


class MemoryServer(_Listener, ServerLink):
    """The twin of ``NngServer``."""

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        super().__init__(hub)
        self.recv_max_bytes = recv_max_bytes
        self.requests: _Queue[Received] = _Queue(hub.signals())

    def fileno(self) -> int:
        """See ``ServerLink.fileno``."""
        return self.requests.signal.descriptor

    def drain(self, limit: int) -> list[Received]:
        """See ``ServerLink.drain``."""
        return self.requests.take(limit)

    def reply(self, header: bytes, body: bytes) -> bool:
        """See ``ServerLink.reply``."""
        pipe = self.pipes.get(int.from_bytes(header[:4], "big"))
        if pipe is None:
            return False
        client: MemoryClient = pipe.dialer
        request_id = int.from_bytes(header[4:8], "big") & MAX_REQUEST_ID
        return self.carry(pipe, "reply", lambda: client.take(pipe, Reply(request_id, body)))

    def hold_replies(self) -> None:
        """See ``ServerLink.hold_replies``; here every peer is always ready."""

    def push(self) -> bool:
        """See ``ServerLink.push``."""
        return False

    def take(self, pipe: Pipe, received: Received) -> bool:
        """Queue a request; one that is too large costs the connection."""
        if len(received.body) > self.recv_max_bytes:
            self._hub.cut(pipe)
            return True
        return self.requests.put(received)

    def close(self) -> None:
        """See ``ServerLink.close``."""
        self.leave()
        self.requests.close()


class MemoryClient(_Dialer, ClientLink):
    """The twin of ``NngClient``; spreads requests over its peers in turn."""

    peers = MemoryServer

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        super().__init__(hub)
        self._recv_max_bytes = recv_max_bytes
        self._turn = 0
        self._replies: _Queue[Reply] = _Queue(hub.signals())
        self._changes = hub.signals()

    @property
    def connected(self) -> bool:
        """See ``ClientLink.connected``."""
        return bool(self.pipes)

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
        if not self.pipes:
            return False
        self._turn += 1
        pipe = list(self.pipes.values())[self._turn % len(self.pipes)]
        server: MemoryServer = pipe.listener
        header = pipe.number.to_bytes(4, "big") + (request_id | _REQUEST_BIT).to_bytes(4, "big")
        return self.carry(pipe, "request", lambda: server.take(pipe, Received(header, body)))

    def drain(self, limit: int) -> list[Reply]:
        """See ``ClientLink.drain``."""
        return self._replies.take(limit)

    def close(self) -> None:
        """See ``ClientLink.close``."""
        self.leave()
        self._replies.close()
        self._changes.close()

    def meet(self, pipe: Pipe) -> None:
        """Take a new connection in, and say so."""
        super().meet(pipe)
        self._changes.add()

    def lose(self, pipe: Pipe) -> None:
        """Note that a connection is gone, and say so."""
        if pipe.number in self.pipes:
            super().lose(pipe)
            self._changes.add()

    def take(self, pipe: Pipe, reply: Reply) -> bool:
        """Queue an answer; one that is too large costs the connection."""
        if len(reply.body) > self._recv_max_bytes:
            self._hub.cut(pipe)
            return True
        return self._replies.put(reply)


class MemoryPublisher(_Listener, PublisherLink):
    """The twin of ``NngPublisher``."""

    def __init__(self, hub: MemoryHub) -> None:
        super().__init__(hub)
        self._closed = False

    def publish(self, topic: bytes, body: bytes) -> bool:
        """See ``PublisherLink.publish``."""
        if self._closed:
            return False
        for pipe in list(self.pipes.values()):
            offer = pipe.dialer.offer
            self.carry(pipe, "published", lambda offer=offer: offer(topic, body))  # type: ignore[misc]
        return True

    def close(self) -> None:
        """See ``PublisherLink.close``."""
        self._closed = True
        self.leave()


class MemorySubscriber(_Dialer, SubscriberLink):
    """The twin of ``NngSubscriber``."""

    peers = MemoryPublisher

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        super().__init__(hub)
        self._recv_max_bytes = recv_max_bytes
        self._prefixes: tuple[bytes, ...] = ()
        self._frames: _Queue[Published] = _Queue(hub.signals())

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
        self.leave()
        self._frames.close()

    def offer(self, topic: bytes, body: bytes) -> bool:
        """Keep a frame that we subscribed to, if there is room."""
        wanted = topic.startswith(self._prefixes) and len(body) <= self._recv_max_bytes
        return wanted and self._frames.put(Published(topic, body))
