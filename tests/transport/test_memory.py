"""What only links in memory promise: worlds of their own, and a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.transport.conftest import readable
from transport.frames import Published, Reply
from transport.memory import QUEUE_FRAMES, MemoryHub
from transport.wire import FrameKind, Pipe, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "memory://here"


class SlowWire(Wire):
    """Keeps everything back until it is told to deliver."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def carry(self, pipe: Pipe, kind: FrameKind, arrive: Callable[[], bool]) -> bool:
        self.waiting.append(arrive)
        return True

    def connect(self, pipe: Pipe, meet: Callable[[], None]) -> None:
        self.waiting.append(meet)

    def deliver(self) -> None:
        waiting, self.waiting = self.waiting, []
        for happen in waiting:
            happen()


def test_links_of_two_hubs_never_meet() -> None:
    server, client = MemoryHub().server(), MemoryHub().client()
    server.listen(URL)
    client.dial(URL)
    assert not client.connected


def test_everything_happens_at_once() -> None:
    hub = MemoryHub()
    server, client = hub.server(), hub.client()
    server.listen(URL)
    client.dial(URL)
    assert client.connected
    assert client.send(3, b"ping")
    [received] = server.drain(9)
    assert server.reply(received.header, b"pong")
    assert client.drain(9) == [Reply(3, b"pong")]


def test_a_full_queue_refuses() -> None:
    hub = MemoryHub()
    server, client = hub.server(), hub.client()
    server.listen(URL)
    client.dial(URL)
    assert all(client.send(number, b"") for number in range(QUEUE_FRAMES))
    assert not client.send(QUEUE_FRAMES, b"")


def test_an_answer_over_the_limit_costs_the_connection_and_a_new_one_comes() -> None:
    hub = MemoryHub()
    server, client = hub.server(), hub.client(recv_max_bytes=10)
    server.listen(URL)
    client.dial(URL)
    client.send(1, b"x")
    client.take_changes()
    [received] = server.drain(1)
    server.reply(received.header, b"x" * 11)
    assert client.drain(1) == []
    assert client.take_changes() == 2
    assert client.send(2, b"x")
    [received] = server.drain(1)
    server.reply(received.header, b"fits")
    assert client.drain(1) == [Reply(2, b"fits")]


def test_a_frame_over_the_limit_of_a_subscriber_is_left_out() -> None:
    hub = MemoryHub()
    publisher, subscriber = hub.publisher(), hub.subscriber(recv_max_bytes=10)
    subscriber.subscribe(b"")
    subscriber.dial(URL)
    publisher.listen(URL)
    publisher.publish(b"t", b"x" * 11)
    publisher.publish(b"t", b"fits")
    assert subscriber.drain(9) == [Published(b"t", b"fits")]


def test_a_client_and_a_publisher_at_one_address_ignore_each_other() -> None:
    hub = MemoryHub()
    server, publisher = hub.server(), hub.publisher()
    server.listen(URL)
    publisher.listen("memory://there")
    client, subscriber = hub.client(), hub.subscriber()
    client.dial("memory://there")
    subscriber.dial(URL)
    assert not client.connected
    assert not readable(subscriber.fileno(), timeout_s=0)


def test_a_closed_publisher_publishes_to_nobody() -> None:
    publisher = MemoryHub().publisher()
    publisher.listen(URL)
    publisher.close()
    assert not publisher.publish(b"t", b"x")


def test_what_is_on_its_way_when_its_connection_breaks_is_lost() -> None:
    wire = SlowWire()
    hub = MemoryHub(wire)
    server, client = hub.server(), hub.client()
    server.listen(URL)
    client.dial(URL)
    wire.deliver()
    assert client.send(1, b"lost")
    [pipe] = hub.pipes()
    hub.cut(pipe)
    assert not hub.pipes()
    wire.deliver()
    assert hub.pipes()
    assert server.drain(9) == []
    assert client.take_changes() == 3  # come, gone, come again
    client.send(2, b"kept")
    wire.deliver()
    assert [received.body for received in server.drain(9)] == [b"kept"]


def test_ends_that_have_gone_before_they_could_meet_do_not() -> None:
    wire = SlowWire()
    hub = MemoryHub(wire)
    server, client = hub.server(), hub.client()
    server.listen(URL)
    client.dial(URL)
    server.close()
    heir = hub.server()
    heir.listen(URL)
    wire.deliver()
    assert [pipe.listener for pipe in hub.pipes()] == [heir]


def test_a_publisher_forgets_a_subscriber_that_has_gone() -> None:
    hub = MemoryHub()
    publisher, subscriber = hub.publisher(), hub.subscriber()
    publisher.listen(URL)
    subscriber.dial(URL)
    assert publisher.pipes
    subscriber.close()
    assert not publisher.pipes
