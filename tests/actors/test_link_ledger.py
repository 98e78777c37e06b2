"""The link to the ledger: nothing is lost, nothing is doubled, whatever the connection does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from actors.links.ledger import RESEND_S, LedgerLink
from actors.messages import Forward, LinkDown
from tests.actors.cells import World
from transport.money import (
    MoneyRefused,
    Release,
    ReleaseAck,
    Settle,
    SettleAck,
    decode_requests,
    encode_replies,
)

if TYPE_CHECKING:
    from tests.actors.cells import Probe
    from transport.memory import MemoryServer

URL = "inproc://ledger"


def settle(key: str) -> Settle:
    return Settle(key, "shoes", "lease-1", 1_000)


def start(world: World, **options: Any) -> tuple[Any, Probe, Any]:
    link = world.spawn(LedgerLink(world.hub, URL, **options), "link-ledger")
    probe, asker = world.probe()
    world.run()
    return link, probe, asker


def serve(server: MemoryServer) -> list[tuple[str, ...]]:
    """Answer every waiting frame; returns the keys of each."""
    frames = []
    for received in server.drain(100):
        requests = decode_requests(received.body)
        server.reply(
            received.header,
            encode_replies(
                [
                    SettleAck(each.key, "settled", each.price_micros)
                    if isinstance(each, Settle)
                    else ReleaseAck(each.key)  # type: ignore[union-attr]
                    for each in requests
                ]
            ),
        )
        frames.append(tuple(each.key for each in requests))  # type: ignore[union-attr]
    return frames


def test_messages_of_one_turn_travel_in_one_frame_and_each_gets_its_own_answer() -> None:
    world = World()
    server = world.hub.server()
    server.listen(URL)
    link, probe, asker = start(world)
    other, other_ref = world.probe()
    asker.ask(link, Forward(settle("a")))
    other_ref.ask(link, Forward(settle("b")))
    asker.ask(link, Forward(Release("c", "shoes", "lease-1")))
    world.run()
    assert serve(server) == [("a", "b", "c")]
    world.run()
    assert probe.heard == [SettleAck("a", "settled", 1_000), ReleaseAck("c")]
    assert other.heard == [SettleAck("b", "settled", 1_000)]


def test_what_was_asked_before_the_ledger_is_there_is_sent_when_it_comes() -> None:
    world = World()
    link, probe, asker = start(world)
    asker.ask(link, Forward(settle("a")))
    world.run()
    server = world.hub.server()
    server.listen(URL)
    world.run()
    assert serve(server) == [("a",)]
    world.run()
    assert probe.heard == [SettleAck("a", "settled", 1_000)]


def test_a_ledger_that_dies_with_a_frame_gets_it_again_when_it_is_back() -> None:
    world = World()
    first = world.hub.server()
    first.listen(URL)
    link, probe, asker = start(world)
    asker.ask(link, Forward(settle("a")))
    world.run()
    first.close()
    world.run()
    second = world.hub.server()
    second.listen(URL)
    world.run()
    assert serve(second) == [("a",)]
    world.run()
    assert probe.heard == [SettleAck("a", "settled", 1_000)]


def test_a_frame_without_an_answer_is_sent_again_and_a_second_answer_is_ignored() -> None:
    world = World()
    server = world.hub.server()
    server.listen(URL)
    link, probe, asker = start(world)
    asker.ask(link, Forward(settle("a")))
    world.run(RESEND_S + 0.2)
    assert serve(server) == [("a",), ("a",)]
    world.run()
    assert probe.heard == [SettleAck("a", "settled", 1_000)]


def test_who_no_longer_waits_is_told_late_but_the_message_still_arrives() -> None:
    world = World()
    server = world.hub.server()
    server.listen(URL)
    link, probe, asker = start(world)
    asker.ask(link, Forward(settle("a"), world.clock() + 0.05))
    world.run(0.3)
    assert probe.heard == [LinkDown("late", settle("a"))]
    assert serve(server) == [("a",)]
    world.run()
    assert len(probe.heard) == 1


def test_more_than_may_wait_is_refused() -> None:
    world = World()
    link, probe, asker = start(world, max_waiting=2)
    for key in "abc":
        asker.ask(link, Forward(settle(key)))
    world.run()
    assert probe.heard == [LinkDown("full", settle("c"))]


def test_a_refused_message_is_told_to_its_sender_alone() -> None:
    world = World()
    server = world.hub.server()
    server.listen(URL)
    link, probe, asker = start(world)
    for key in "ab":
        asker.ask(link, Forward(settle(key)))
    world.run()
    taken = SettleAck("b", "settled", 2_000)
    server.reply(server.drain(1)[0].header, encode_replies([MoneyRefused("too new"), taken]))
    world.run()
    assert probe.heard == [LinkDown("refused", settle("a")), taken]


@pytest.mark.parametrize(
    "answer", [b"\xff garbage", encode_replies([MoneyRefused("too new")]), encode_replies([])]
)
def test_an_answer_that_makes_no_sense_is_told_to_who_asked(answer: bytes) -> None:
    world = World()
    server = world.hub.server()
    server.listen(URL)
    link, probe, asker = start(world)
    asker.ask(link, Forward(settle("a")))
    world.run()
    server.reply(server.drain(1)[0].header, answer)
    world.run()
    assert probe.heard == [LinkDown("refused", settle("a"))]
