"""The way to the bidders: every question ends once, whoever goes away meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.edge.bidders import Bidders, NoAnswer
from tests.actors.edges import World, in_world

if TYPE_CHECKING:
    import pytest


def echo(body: bytes) -> bytes:
    return b"re: " + body


def test_answers_find_their_questions() -> None:
    async def story(world: World) -> None:
        world.bidder("g1", echo)
        await world.settle()
        deadline_s = world.loop.time() + 5
        asked = [world.gateways.ask(b"%d" % n, deadline_s) for n in range(100)]
        assert await asyncio.gather(*asked) == [b"re: %d" % n for n in range(100)]
        assert world.gateways.waiting == 0

    in_world(story)


def test_questions_are_spread_evenly_over_equal_bidders() -> None:
    async def story(world: World) -> None:
        first, second = world.bidder("g1", echo), world.bidder("g2", echo)
        await world.settle()
        assert world.gateways.connected == 2
        for n in range(10):
            await world.gateways.ask(b"%d" % n, world.loop.time() + 5)
        assert (len(first.asked), len(second.asked)) == (5, 5)

    in_world(story)


def test_a_bidder_that_does_not_answer_gets_fewer_questions() -> None:
    async def story(world: World) -> None:
        silent, quick = world.bidder("g1"), world.bidder("g2", echo)
        await world.settle()
        for n in range(10):
            asked = world.gateways.ask(b"%d" % n, world.loop.time() + 5)
            await world.settle()
            assert asked.done() or len(silent.asked) == 1
        assert (len(silent.asked), len(quick.asked)) == (1, 9)

    in_world(story)


def test_a_question_without_an_answer_ends_at_its_deadline_as_late() -> None:
    async def story(world: World) -> None:
        world.bidder("g1")
        await world.settle()
        assert await world.gateways.ask(b"?", world.loop.time() + 0.01) is NoAnswer.LATE
        assert world.gateways.waiting == 0

    in_world(story)


def test_an_answer_after_the_deadline_is_dropped() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1")
        await world.settle()
        world.loop.remove_reader(bidder.server.fileno())
        assert await world.gateways.ask(b"slow", world.loop.time() + 0.01) is NoAnswer.LATE
        [(header, body)] = bidder.server.drain(10)
        bidder.server.reply(header, echo(body))
        await world.settle()
        assert world.gateways.waiting == 0

    in_world(story)


def test_what_a_lost_bidder_had_is_asked_of_another() -> None:
    async def story(world: World) -> None:
        silent = world.bidder("g1")
        await world.settle()
        asked = [world.gateways.ask(b"%d" % n, world.loop.time() + 5) for n in range(3)]
        await world.settle()
        world.bidder("g2", echo)
        await world.settle()
        silent.die()
        assert await asyncio.gather(*asked) == [b"re: 0", b"re: 1", b"re: 2"]
        assert world.gateways.resent == 3
        assert len(silent.asked) == 3

    in_world(story)


def test_what_was_answered_before_the_bidder_went_is_not_asked_again() -> None:
    async def story(world: World) -> None:
        bidder = world.bidder("g1", echo)
        await world.settle()
        asked = world.gateways.ask(b"?", world.loop.time() + 5)
        bidder._serve()  # the answer and the end reach the edge in one turn
        bidder.die()
        assert await asked == b"re: ?"
        assert world.gateways.resent == 0

    in_world(story)


def test_a_question_waits_for_the_first_bidder_to_come() -> None:
    async def story(world: World) -> None:
        asked = world.gateways.ask(b"?", world.loop.time() + 5)
        await world.settle()
        assert not asked.done()
        world.bidder("g2", echo)
        assert await asked == b"re: ?"

    in_world(story)


def test_a_question_that_loses_two_bidders_is_given_up() -> None:
    async def story(world: World) -> None:
        first, second = world.bidder("g1"), world.bidder("g2")
        await world.settle()
        asked = world.gateways.ask(b"?", world.loop.time() + 5)
        for _ in range(2):
            await world.settle()
            (first if first.asked else second).die()
            first.asked.clear()
        assert await asked is NoAnswer.UNREACHABLE

    in_world(story)


def test_with_nobody_there_the_deadline_says_so() -> None:
    async def story(world: World) -> None:
        assert await world.gateways.ask(b"?", world.loop.time() + 0.01) is NoAnswer.UNREACHABLE

    in_world(story)


def test_more_questions_than_may_wait_are_refused_at_once() -> None:
    async def story(world: World) -> None:
        crowded = Bidders(world.hub, ["memory://nobody"], world.loop, max_waiting=2)
        deadline_s = world.loop.time() + 5
        waiting = [crowded.ask(b"?", deadline_s) for _ in range(2)]
        assert await crowded.ask(b"?", deadline_s) is NoAnswer.OVERLOADED
        crowded.close()
        assert await asyncio.gather(*waiting) == [NoAnswer.UNREACHABLE] * 2

    in_world(story)


def test_a_bidder_whose_queue_is_full_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(world: World) -> None:
        full, other = world.bidder("g1"), world.bidder("g2", echo)
        await world.settle()
        world.loop.remove_reader(full.server.fileno())
        monkeypatch.setattr(full.server.requests, "put", lambda _item: False)
        deadline_s = world.loop.time() + 5
        asked = [world.gateways.ask(b"%d" % n, deadline_s) for n in range(4)]
        assert await asyncio.gather(*asked) == [b"re: %d" % n for n in range(4)]
        assert len(other.asked) == 4

    in_world(story)


def test_a_cancelled_asker_does_not_disturb_the_others() -> None:
    async def story(world: World) -> None:
        world.bidder("g1", echo)
        await world.settle()
        gone = world.gateways.ask(b"gone", world.loop.time() + 5)
        gone.cancel()
        assert await world.gateways.ask(b"here", world.loop.time() + 5) == b"re: here"
        assert world.gateways.waiting == 0

    in_world(story)
