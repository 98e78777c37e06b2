"""One suite for both kinds of links: what holds in memory holds over nng."""

from __future__ import annotations

import pytest

from tests.transport.conftest import World, readable, wait_connected
from transport.errors import LinkError
from transport.frames import (
    MAX_REQUEST_ID,
    ClientLink,
    Published,
    PublisherLink,
    Received,
    Reply,
    ServerLink,
    SubscriberLink,
)


def drain_until(link: ServerLink | ClientLink, count: int) -> list[Received] | list[Reply]:
    """Drain ``link`` until ``count`` frames came."""
    frames: list[Received] | list[Reply] = []
    while len(frames) < count:
        assert readable(link.fileno()), f"{len(frames)} of {count} frames came"
        frames += link.drain(count - len(frames))  # type: ignore[operator]
    return frames


def test_a_request_is_answered_under_its_number(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    assert client.send(7, b"ping")
    assert readable(server.fileno())
    [received] = server.drain(10)
    assert received.body == b"ping"
    assert server.reply(received.header, b"pong")
    assert readable(client.fileno())
    assert client.drain(10) == [Reply(7, b"pong")]


@pytest.mark.parametrize("request_id", [0, 1, MAX_REQUEST_ID])
def test_the_whole_range_of_request_numbers_comes_back(world: World, request_id: int) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    assert client.send(request_id, b"")
    [received] = drain_until(server, 1)
    assert isinstance(received, Received)
    server.reply(received.header, b"")
    assert drain_until(client, 1) == [Reply(request_id, b"")]


def test_requests_can_be_answered_in_any_order(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    for number in range(5):
        assert client.send(number, b"%d" % number)
    for received in reversed(drain_until(server, 5)):
        assert isinstance(received, Received)
        server.reply(received.header, received.body)
    replies = drain_until(client, 5)
    assert replies == [Reply(number, b"%d" % number) for number in (4, 3, 2, 1, 0)]


def test_answers_find_their_own_client(world: World) -> None:
    url = world.new_url()
    server = world.server(url)
    first, second = world.client(url), world.client(url)
    first.send(1, b"first")
    second.send(1, b"second")
    for received in drain_until(server, 2):
        assert isinstance(received, Received)
        server.reply(received.header, received.body)
    assert drain_until(first, 1) == [Reply(1, b"first")]
    assert drain_until(second, 1) == [Reply(1, b"second")]


def test_a_thousand_requests_in_flight_all_get_their_answers(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    for number in range(1000):
        assert client.send(number, b"x" * 500)
    received = drain_until(server, 1000)
    assert all(server.reply(frame.header, frame.body) for frame in received)  # type: ignore[union-attr]
    assert {reply.request_id for reply in drain_until(client, 1000)} == set(range(1000))  # type: ignore[union-attr]


def test_drain_takes_no_more_than_its_limit_and_the_rest_stays_readable(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    for number in range(3):
        client.send(number, b"x")
    assert len(drain_until(server, 2)) == 2
    assert readable(server.fileno())
    assert len(server.drain(10)) == 1


def test_a_drained_link_is_not_readable(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    client.send(1, b"x")
    drain_until(server, 1)
    assert not readable(server.fileno(), timeout_s=0)
    assert server.drain(10) == []


def test_sending_without_a_peer_is_refused(world: World) -> None:
    client = world.client(world.new_url(), connected=False)
    assert not client.connected
    assert not client.send(1, b"x")


def test_a_client_connects_to_a_server_that_comes_later(world: World) -> None:
    url = world.new_url()
    client = world.client(url, connected=False)
    world.server(url)
    assert readable(client.change_fileno())
    wait_connected(client)
    assert client.connected


def test_the_change_descriptor_tells_when_a_peer_comes_and_goes(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    assert not readable(client.change_fileno(), timeout_s=0)
    server.close()
    assert readable(client.change_fileno())
    assert client.take_changes() >= 1
    assert client.take_changes() == 0
    assert not client.connected


def test_a_client_finds_the_successor_of_a_closed_server(world: World) -> None:
    url = world.new_url()
    first, client = world.server(url), world.client(url)
    first.close()
    assert readable(client.change_fileno())
    client.take_changes()
    second = world.server(url)
    wait_connected(client)
    assert client.send(1, b"again")
    assert len(drain_until(second, 1)) == 1


def test_two_servers_share_the_requests_of_one_client(world: World) -> None:
    urls = world.new_url(), world.new_url()
    servers = [world.server(url) for url in urls]
    client = world.client(*urls)
    while sum(1 for server in servers if readable(server.fileno(), timeout_s=0)) < 2:
        assert client.send(1, b"x")


def test_replying_to_a_peer_that_has_gone_is_harmless(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    client.send(1, b"x")
    [received] = drain_until(server, 1)
    assert isinstance(received, Received)
    client.close()
    for _ in range(200):
        server.reply(received.header, b"nobody hears this")
    other = world.client(url)
    other.send(2, b"y")
    [received] = drain_until(server, 1)
    assert isinstance(received, Received)
    server.reply(received.header, b"heard")
    assert drain_until(other, 1) == [Reply(2, b"heard")]


def test_a_request_over_the_limit_never_reaches_the_server(world: World) -> None:
    url = world.new_url()
    server = world.server(url, recv_max_bytes=1000)
    client = world.client(url)
    client.send(1, b"x" * 2000)
    assert readable(client.change_fileno()), "the connection is dropped"
    wait_connected(client)
    client.send(2, b"small")
    [received] = drain_until(server, 1)
    assert received.body == b"small"


def test_an_address_in_use_is_refused(world: World) -> None:
    url = world.new_url()
    world.server(url)
    with pytest.raises(LinkError, match="in use"):
        world.server(url)


def test_a_bad_address_is_refused(world: World) -> None:
    with pytest.raises(LinkError):
        world.factory.client().dial("nonsense")
    with pytest.raises(LinkError):
        world.factory.server().listen("nonsense")


def test_a_closed_address_can_be_used_again(world: World) -> None:
    url = world.new_url()
    world.server(url).close()
    world.server(url)


def test_closing_twice_is_harmless_and_a_closed_link_says_so(world: World) -> None:
    url = world.new_url()
    server, client = world.server(url), world.client(url)
    for link in (server, client, world.publisher(world.new_url()), world.subscriber(url)):
        link.close()
        link.close()
    with pytest.raises(LinkError):
        server.drain(1)
    assert not client.send(1, b"x")
    assert not server.reply(b"\0\0\0\1\x80\0\0\1", b"x")


def test_port_zero_becomes_a_real_port(world: World) -> None:
    server = world.factory.server()
    url = server.listen("tcp://127.0.0.1:0")
    assert not url.endswith(":0")
    client = world.client(url)
    assert client.send(1, b"x")
    assert drain_until(server, 1)
    server.close()


def test_subscribers_get_the_topics_they_asked_for(world: World) -> None:
    url = world.new_url()
    publisher = world.publisher(url)
    wins, everything = world.subscriber(url, b"win"), world.subscriber(url, b"")
    while not readable(wins.fileno(), timeout_s=0.001):  # until connected, frames are lost
        publisher.publish(b"win", b"are you there?")
    while not readable(everything.fileno(), timeout_s=0.001):
        publisher.publish(b"loss", b"and you?")
    publisher.publish(b"loss", b"1")
    publisher.publish(b"winner", b"2\0with a NUL")
    frames = collect_until(wins, Published(b"winner", b"2\0with a NUL"))
    assert all(frame.topic.startswith(b"win") for frame in frames)
    assert Published(b"loss", b"1") in collect_until(everything, frames[-1])


def collect_until(link: SubscriberLink, last: Published) -> list[Published]:
    frames: list[Published] = []
    while last not in frames:
        assert readable(link.fileno())
        frames += link.drain(100)
    return frames


def test_a_subscriber_finds_the_successor_of_a_closed_publisher(world: World) -> None:
    url = world.new_url()
    first = world.publisher(url)
    subscriber = world.subscriber(url, b"")
    first.close()
    second = world.publisher(url)
    while not readable(subscriber.fileno(), timeout_s=0.001):
        second.publish(b"t", b"hello")
    assert subscriber.drain(1) == [Published(b"t", b"hello")]


def test_links_keep_their_protocols(world: World) -> None:
    factory = world.factory
    kinds = (
        (factory.server(), ServerLink),
        (factory.client(), ClientLink),
        (factory.publisher(), PublisherLink),
        (factory.subscriber(), SubscriberLink),
    )
    for link, kind in kinds:
        assert isinstance(link, kind)
        link.close()
