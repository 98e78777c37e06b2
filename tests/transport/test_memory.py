"""What only links in memory promise: worlds of their own, and a fixed order."""

from __future__ import annotations

from tests.transport.conftest import readable
from transport.frames import Published, Reply
from transport.memory import QUEUE_FRAMES, MemoryHub

URL = "memory://here"


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
