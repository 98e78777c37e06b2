"""The simulation's network: links in memory on a wire that can be as bad as one likes.

Principle: a frame takes a moment, whatever happens. Faults come and go as ``Trouble``, each with
its own source of chance, so that leaving one out changes nothing about the others. Descriptors are
numbers with no system behind them: a run looks the same in every process.
"""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from supervision.poller import EpollPoller
from transport.frames import MAX_FRAME_BYTES, Received, Reply
from transport.memory import (
    MemoryClient,
    MemoryHub,
    MemoryPublisher,
    MemoryServer,
    MemorySubscriber,
)
from transport.wire import FrameKind, Pipe, Wire

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from tests.simulation.machine import Machine, Process

    _Link = TypeVar("_Link", "Server", "Client", "Publisher", "Subscriber")

FRAME_S = 0.0002
"""How long a frame takes."""
MEETING_S = 0.0005
"""How long two ends take to find each other."""


class Descriptors:
    """Numbers that stand for descriptors, and which of them are readable.

    Attributes:
        owner: Whose the next ones are.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1_000)
        self.readable: dict[int, int] = {}
        self.owner: Process | None = None

    def signal(self) -> DescriptorSignal:
        """Make a signal with a number of its own."""
        return DescriptorSignal(self, next(self._numbers))


class DescriptorSignal:
    """See ``transport.wire.Signal``."""

    def __init__(self, descriptors: Descriptors, descriptor: int) -> None:
        self.descriptor = descriptor
        self._readable = descriptors.readable
        self._owner = descriptors.owner
        self._closed = False

    def add(self) -> None:
        if not self._closed:
            if self._owner is not None:
                self._owner.touch()
            self._readable[self.descriptor] = self._readable.get(self.descriptor, 0) + 1

    def take(self) -> int:
        return self._readable.pop(self.descriptor, 0)

    def close(self) -> None:
        self._closed = True
        self._readable.pop(self.descriptor, None)


class Poller(EpollPoller):
    """Tells which watched numbers are readable; asks no system."""

    def __init__(self, descriptors: Descriptors) -> None:
        self._readable = descriptors.readable
        self._watched: dict[int, None] = {}

    def fileno(self) -> int:
        return -1

    def watch(self, fd: int) -> None:
        self._watched[fd] = None

    def unwatch(self, fd: int) -> None:
        self._watched.pop(fd, None)

    def poll(self, timeout_s: float | None) -> list[int]:
        return sorted(self._watched.keys() & self._readable.keys())

    def is_ready(self) -> bool:
        """Tell whether :meth:`poll` would return anything."""
        return not self._watched.keys().isdisjoint(self._readable)

    def close(self) -> None:
        self._watched.clear()


@dataclass(eq=False)
class Trouble:
    """What is wrong with some connections, while it lasts.

    Attributes:
        rng: Decides about each frame.
        touches: Which connections it is about.
        loss: Share of frames that never arrive.
        doubling: Share of frames that arrive twice.
        delay_s: All frames arrive that much later.
        jitter_s: And by up to so much more, each by its own luck: they overtake each other.
        is_cut: No connection can be made.
        is_held: Nothing gets through before it is over; then everything does, in order.
    """

    rng: random.Random
    touches: Callable[[Pipe, FrameKind], bool]
    loss: float = 0.0
    doubling: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    is_cut: bool = False
    is_held: bool = False
    held: list[Callable[[], object]] = field(default_factory=list)


class Network(Wire):
    """Carries frames; knows whose end of a connection is whose.

    Attributes:
        hub: Where ends find each other.
        lost: Frames that the network lost.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.descriptors = Descriptors()
        self.hub = MemoryHub(self, self.descriptors.signal)
        self.troubles: list[Trouble] = []
        self.lost = 0

    def carry(self, pipe: Pipe, kind: FrameKind, arrive: Callable[[], bool]) -> bool:
        """See ``Wire.carry``."""
        late_s, times = FRAME_S, 1
        for trouble in self.troubles:
            if not trouble.touches(pipe, kind):
                continue
            if trouble.is_held:
                trouble.held.append(arrive)
                return True
            rng = trouble.rng
            if rng.random() < trouble.loss:
                self.lost += 1
                return True
            times += rng.random() < trouble.doubling
            late_s += trouble.delay_s + rng.random() * trouble.jitter_s
        for again in range(times):
            self._machine.after(late_s + again * FRAME_S / 2, lambda: _arrive(arrive))
        return True

    def connect(self, pipe: Pipe, meet: Callable[[], None]) -> None:
        """See ``Wire.connect``."""
        for trouble in self.troubles:
            if (trouble.is_cut or trouble.is_held) and trouble.touches(pipe, "request"):
                trouble.held.append(meet)
                return
        self._machine.after(MEETING_S, meet)

    def begin(self, trouble: Trouble) -> None:
        """Let there be trouble; a cut breaks what is connected now."""
        self.troubles.append(trouble)
        if trouble.is_cut:
            for pipe in self.hub.pipes():
                if trouble.touches(pipe, "request"):
                    self.hub.cut(pipe)

    def end(self, trouble: Trouble) -> None:
        """Let it be over: what was held back arrives."""
        if trouble in self.troubles:
            self.troubles.remove(trouble)
            for number, happen in enumerate(trouble.held):
                self._machine.after(MEETING_S + number * 1e-6, lambda happen=happen: happen())  # type: ignore[misc]


def _arrive(arrive: Callable[[], bool]) -> None:
    arrive()


def owner_of(end: Any) -> str:
    """Return the path of the process that an end of a connection belongs to."""
    links: ProcessLinks = end.links
    return links.name


class ProcessLinks:
    """The sockets of one process; a ``LinkFactory``.

    Args:
        owner: The process; None for somebody outside the machine.
        network: Where they are.
        name: Whose they are, if not a process's.
    """

    def __init__(self, owner: Process | None, network: Network, name: str = "") -> None:
        self.owner = owner
        self.name = name or (owner.path if owner is not None else "")
        self.hub = network.hub
        self.taken: Callable[[Server, Received], None] | None = None
        self.answered: Callable[[Server, bytes, bytes], None] | None = None
        self._descriptors = network.descriptors
        self._made: list[Server | Client | Publisher | Subscriber] = []

    def server(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> Server:
        """See ``LinkFactory.server``."""
        self._descriptors.owner = self.owner
        return self._keep(Server(self.hub, recv_max_bytes))

    def client(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> Client:
        """See ``LinkFactory.client``."""
        self._descriptors.owner = self.owner
        return self._keep(Client(self.hub, recv_max_bytes))

    def publisher(self) -> Publisher:
        """See ``LinkFactory.publisher``."""
        self._descriptors.owner = self.owner
        return self._keep(Publisher(self.hub))

    def subscriber(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> Subscriber:
        """See ``LinkFactory.subscriber``."""
        self._descriptors.owner = self.owner
        return self._keep(Subscriber(self.hub, recv_max_bytes))

    def _keep(self, link: _Link) -> _Link:
        link.links = self
        self._made.append(link)
        return link

    def close(self) -> None:
        """Do what the system does with the sockets of a process that ends."""
        for link in self._made:
            link.close()
        self._made.clear()

    def passes(self, kind: str, body: bytes) -> None:
        """Note that a frame passes, before it does."""
        if self.owner is not None:
            self.owner.operation(kind, len(body), crc32(body))


class CheckerBroken(BaseException):
    """A checker failed; what it looked at must not be blamed, nor crash for it."""


@contextmanager
def checking() -> Iterator[None]:
    """Let no fault of a checker look like one of the actor that it watches."""
    try:
        yield
    except Exception as error:
        raise CheckerBroken from error


class Server(MemoryServer):
    """A server whose requests and answers are seen.

    Attributes:
        urls: Where it listens.
        is_closed: It takes and answers nothing any more.
    """

    links: ProcessLinks

    def __init__(self, hub: MemoryHub, recv_max_bytes: int) -> None:
        super().__init__(hub, recv_max_bytes)
        self.urls: list[str] = []
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()

    def listen(self, url: str) -> str:
        self.urls.append(url)
        return super().listen(url)

    def drain(self, limit: int) -> list[Received]:
        taken = super().drain(limit)
        if self.links.taken is not None:
            with checking():
                for received in taken:
                    self.links.taken(self, received)
        return taken

    def reply(self, header: bytes, body: bytes) -> bool:
        self.links.passes("reply", body)
        if self.links.answered is not None:
            with checking():
                self.links.answered(self, header, body)
        return super().reply(header, body)


class Client(MemoryClient):
    """A client whose requests and answers are seen."""

    links: ProcessLinks

    def send(self, request_id: int, body: bytes) -> bool:
        self.links.passes("send", body)
        return super().send(request_id, body)

    def drain(self, limit: int) -> list[Reply]:
        replies = super().drain(limit)
        for reply in replies:
            self.links.passes("hear", reply.body)
        return replies


class Publisher(MemoryPublisher):
    """A publisher whose frames are seen."""

    links: ProcessLinks

    def publish(self, topic: bytes, body: bytes) -> bool:
        self.links.passes("publish", body)
        return super().publish(topic, body)


class Subscriber(MemorySubscriber):
    """A subscriber that knows whose it is."""

    links: ProcessLinks
