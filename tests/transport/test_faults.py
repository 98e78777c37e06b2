"""Faults of frames, over both kinds of links: what they do, and that nothing of them is left."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.transport.conftest import World, readable
from transport.faults import OUTWARD, FaultyFrames, FrameRules, spoil

if TYPE_CHECKING:
    from transport.frames import ClientLink, ServerLink


class Hand:
    """A clock moved by hand, and what was asked to be done later."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.asked: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def put(self, link: Any, seed: int = 1, **rules: Any) -> FaultyFrames:
        return FaultyFrames(link, FrameRules(**rules), random.Random(seed), self, self.asked.append)


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def pair(world: World) -> tuple[ServerLink, ClientLink]:
    url = world.new_url()
    server = world.server(url)
    return server, world.client(url)


def come(link: Any, count: int) -> list[Any]:
    """Drain ``link`` until ``count`` frames have come, however that is."""
    frames: list[Any] = []
    while len(frames) < count:
        assert readable(link.fileno()), f"{len(frames)} of {count} came"
        frames += link.drain(100)
    return frames


def bodies(frames: list[Any]) -> list[bytes]:
    return [frame.body for frame in frames]


def is_untouched(link: Any) -> bool:
    return not {"drain", *OUTWARD} & set(vars(link))


def test_a_link_is_untouched_before_and_after(pair: tuple[Any, Any], hand: Hand) -> None:
    for link in pair:
        assert is_untouched(link)
        fault = hand.put(link, drop=1.0)
        assert not is_untouched(link)
        fault.end()
        assert is_untouched(link)


def test_a_fault_without_rules_changes_nothing(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    faults = [hand.put(link) for link in pair]
    for number in range(20):
        assert client.send(number, b"%d" % number)
    for request in come(server, 20):
        assert server.reply(request.header, request.body)
    assert sorted((reply.request_id, reply.body) for reply in come(client, 20)) == [
        (number, b"%d" % number) for number in range(20)
    ]
    assert [fault.hits for fault in faults] == [0, 0]
    assert not hand.asked


def test_frames_are_lost_going_out_and_coming_in(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    fault = hand.put(client, drop=1.0, inward=False)
    assert client.send(1, b"lost")
    fault.end()
    fault = hand.put(server, drop=1.0, outward=False)
    client.send(2, b"lost, too")
    assert readable(server.fileno())
    assert server.drain(10) == []
    fault.end()
    client.send(3, b"heard")
    assert bodies(come(server, 1)) == [b"heard"]


def test_a_lost_answer_is_one_that_never_comes(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    hand.put(server, drop=1.0, inward=False)
    client.send(1, b"question")
    [request] = come(server, 1)
    assert server.reply(request.header, b"answer")
    assert not readable(client.fileno(), 0.05)


def test_doubled_frames_come_right_behind_each_other(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    fault = hand.put(client, duplicate=1.0)
    client.send(1, b"a")
    client.send(2, b"b")
    requests = come(server, 4)
    assert bodies(requests) == [b"a", b"a", b"b", b"b"]
    for request in requests[::2]:
        server.reply(request.header, request.body)
    assert bodies(come(client, 4)) == [b"a", b"a", b"b", b"b"]
    assert fault.hits == 4


def test_doubles_do_not_exceed_the_limit_of_a_drain(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    hand.put(server, duplicate=1.0, outward=False)
    for number in range(3):
        client.send(number, b"%d" % number)
    got: list[bytes] = []
    while len(got) < 6:
        if not hand.asked:
            assert readable(server.fileno())
        some = server.drain(2)
        assert len(some) <= 2
        got += bodies(some)
    assert got == [b"0", b"0", b"1", b"1", b"2", b"2"]
    assert hand.asked[0] == 0.0  # what is left over is asked for at once


def test_spoilt_frames_differ_and_arrive(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    hand.put(client, corrupt=1.0)
    for number in range(10):
        client.send(number, b"a frame")
    spoilt = bodies(come(server, 10))
    assert all(body != b"a frame" for body in spoilt)
    assert len(set(spoilt)) > 3


@pytest.mark.parametrize("body", [b"", b"x", b"a longer frame"])
def test_to_spoil_is_to_change(body: bytes) -> None:
    rng = random.Random(1)
    assert all(spoil(body, rng) != body for _ in range(200))


def test_late_frames_going_out_leave_at_their_time_in_order(
    pair: tuple[Any, Any], hand: Hand
) -> None:
    server, client = pair
    fault = hand.put(client, delay_s=0.05, jitter_s=0.05, inward=False)
    for number in range(10):
        assert client.send(number, b"%d" % number)
    assert not readable(server.fileno(), 0.02)
    assert 0.05 <= hand.asked[0] <= 0.1
    hand.now_s += 0.1
    assert not fault.due()
    assert bodies(come(server, 10)) == [b"%d" % number for number in range(10)]


def test_late_frames_coming_in_are_drained_at_their_time(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    fault = hand.put(server, delay_s=0.05, outward=False)
    client.send(1, b"late")
    assert readable(server.fileno())
    assert server.drain(10) == []
    assert hand.asked == [pytest.approx(0.05)]
    assert not fault.due()
    hand.now_s += 0.05
    assert fault.due()
    assert bodies(server.drain(10)) == [b"late"]


def test_what_is_held_back_at_the_end_passes_at_once(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    inward = hand.put(server, delay_s=9.0, outward=False)
    client.send(1, b"in")
    assert readable(server.fileno())
    assert server.drain(10) == []
    outward = hand.put(client, delay_s=9.0, inward=False)
    client.send(2, b"out")
    assert not outward.end()
    assert is_untouched(client)
    assert inward.end()
    got: list[bytes] = []
    while len(got) < 2:  # a frame at a time: the new one comes behind what was held back
        hand.asked.clear()
        got += bodies(server.drain(1))
        assert len(got) == 2 or hand.asked or readable(server.fileno())
    assert got == [b"in", b"out"]
    assert is_untouched(server)


def test_what_is_held_back_when_a_link_closes_is_lost(world: World, hand: Hand) -> None:
    url = world.new_url()
    server = world.server(url)
    client = world.client(url)
    fault = hand.put(client, delay_s=9.0)
    client.send(1, b"never")
    client.close()
    assert not fault.end()
    assert not readable(server.fileno(), 0.05)


def test_published_frames_are_spoilt_too(world: World, hand: Hand) -> None:
    url = world.new_url()
    publisher = world.publisher(url)
    subscriber = world.subscriber(url, b"")
    while not readable(subscriber.fileno(), 0.02):  # until it is connected
        publisher.publish(b"t", b"hello")
    subscriber.drain(100)
    outward = hand.put(publisher, duplicate=1.0)
    publisher.publish(b"t", b"twice")
    assert bodies(come(subscriber, 2))[-2:] == [b"twice", b"twice"]
    outward.end()
    inward = hand.put(subscriber, drop=1.0)
    publisher.publish(b"t", b"lost")
    assert readable(subscriber.fileno())
    assert subscriber.drain(10) == []
    inward.end()
    assert is_untouched(publisher)
    assert is_untouched(subscriber)


def test_one_seed_loses_the_same_frames(pair: tuple[Any, Any], hand: Hand) -> None:
    server, client = pair
    heard: list[list[bytes]] = []
    for seed in (3, 3, 4):
        fault = hand.put(client, seed=seed, drop=0.5)
        for number in range(30):
            client.send(number, b"%d" % number)
        fault.end()
        client.send(99, b"end")
        got: list[bytes] = []
        while b"end" not in got:
            got += bodies(come(server, 1))
        heard.append(got)
    assert heard[0] == heard[1] != heard[2]
