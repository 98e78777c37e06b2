"""The link to inference: one frame a turn, no waiting for who is gone or too slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.links.inference import InferenceLink
from actors.messages import Forward, LinkDown
from tests.actors.cells import World
from transport.messages import (
    InferAnswer,
    InferAnswers,
    InferRequest,
    decode_infer_batch,
    encode,
)

if TYPE_CHECKING:
    from tests.actors.cells import Probe
    from transport.memory import MemoryServer

CUDA = "inproc://inference-cuda"
CPU = "inproc://inference-cpu"


def request(number: int) -> InferRequest:
    return InferRequest(number, "profiler", 2_000.0, (1, 2))


def start(world: World, urls: tuple[str, ...] = (CPU,), **options: Any) -> tuple[Any, Probe, Any]:
    link = world.spawn(InferenceLink(world.hub, urls, **options), "link-inference")
    probe, asker = world.probe()
    world.run()
    return link, probe, asker


def listening(world: World, url: str = CPU) -> MemoryServer:
    server: MemoryServer = world.hub.server()
    server.listen(url)
    return server


def serve(server: MemoryServer, skip: tuple[int, ...] = ()) -> list[list[int]]:
    frames = []
    for received in server.drain(100):
        asked = [each.id for each in decode_infer_batch(received.body).requests]
        answers = tuple(InferAnswer(number, "ok", b"v") for number in asked if number not in skip)
        server.reply(received.header, encode(InferAnswers(answers)))
        frames.append(asked)
    return frames


def test_questions_of_one_turn_travel_together_and_each_asker_gets_its_own() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world)
    other, other_ref = world.probe()
    asker.ask(link, Forward(request(1), world.clock() + 1))
    other_ref.ask(link, Forward(request(7), world.clock() + 1))
    asker.ask(link, Forward(request(2), world.clock() + 1))
    world.run()
    assert serve(server) == [[1, 7, 2]]
    world.run()
    assert probe.heard == [InferAnswer(1, "ok", b"v"), InferAnswer(2, "ok", b"v")]
    assert other.heard == [InferAnswer(7, "ok", b"v")]


def test_without_a_connection_the_asker_is_told_at_once() -> None:
    world = World()
    link, probe, asker = start(world)
    asker.ask(link, Forward(request(1), world.clock() + 1))
    world.run()
    assert probe.heard == [LinkDown("disconnected", request(1))]


def test_everybody_who_waits_is_told_when_the_peer_dies() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world)
    asker.ask(link, Forward(request(1), world.clock() + 1))
    asker.ask(link, Forward(request(2), world.clock() + 1))
    world.run()
    server.close()
    world.run()
    assert probe.heard == [LinkDown("disconnected", request(each)) for each in (1, 2)]


def test_a_peer_that_came_back_between_two_looks_has_still_forgotten_everything() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world)
    asker.ask(link, Forward(request(1), world.clock() + 1))
    world.run()
    server.close()
    listening(world)
    world.run()
    assert probe.heard == [LinkDown("disconnected", request(1))]


def test_a_deadline_ends_the_wait_and_a_late_answer_is_still_handed_over() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world)
    asker.ask(link, Forward(request(1), world.clock() + 0.010))
    world.run(0.009)
    assert probe.heard == []
    world.run(0.002)
    assert probe.heard == [LinkDown("late", request(1))]
    serve(server)
    world.run()
    assert probe.heard[-1] == InferAnswer(1, "ok", b"v")


def test_an_answer_that_leaves_a_question_out_counts_as_a_refusal_of_it() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world)
    asker.ask(link, Forward(request(1), world.clock() + 1))
    asker.ask(link, Forward(request(2), world.clock() + 1))
    world.run()
    serve(server, skip=(1,))
    world.run()
    assert probe.heard == [InferAnswer(2, "ok", b"v"), LinkDown("refused", request(1))]


def test_a_peer_that_is_late_too_often_rests_and_is_then_probed_with_one_question() -> None:
    world = World()
    server = listening(world)
    link, probe, asker = start(world, strike_limit=2, cool_off_s=0.5)
    for number in (1, 2):
        asker.ask(link, Forward(request(number), world.clock() + 0.01))
    world.run(0.02)
    probe.heard.clear()
    asker.ask(link, Forward(request(3), world.clock() + 0.01))
    world.run()
    assert probe.heard == [LinkDown("disconnected", request(3))]
    assert serve(server) == [[1, 2]]  # late answers do not end the rest
    world.run(0.6)
    probe.heard.clear()
    asker.ask(link, Forward(request(4), world.clock() + 0.01))
    asker.ask(link, Forward(request(5), world.clock() + 0.01))
    world.run()
    assert serve(server) == [[4]]
    world.run()
    asker.ask(link, Forward(request(6), world.clock() + 0.01))
    world.run()
    assert serve(server) == [[6]]


def test_the_first_device_is_preferred_and_the_next_takes_over_when_it_is_gone() -> None:
    world = World()
    cuda, cpu = listening(world, CUDA), listening(world)
    link, _probe, asker = start(world, (CUDA, CPU))
    asker.ask(link, Forward(request(1), world.clock() + 1))
    world.run()
    assert serve(cuda) == [[1]]
    world.run()
    cuda.close()
    world.run()
    asker.ask(link, Forward(request(2), world.clock() + 1))
    world.run()
    assert serve(cpu) == [[2]]
