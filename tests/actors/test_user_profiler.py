"""The user profiler: known users never wait, unknown ones not longer than their deadline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.default_vectors import DefaultVectors
from actors.messages import Feedback, Forward, LinkDown, Profile, Profiled
from actors.user_memory import UserMemory
from actors.user_profiler import ProfilerOptions, UserProfiler
from config.profiles import load_default_profiles
from models.profiler.events import token
from tests.actors.cells import World
from tests.actors.samples import VECTOR, candidate, opportunity
from transport.messages import InferAnswer

DEFAULTS = DefaultVectors(load_default_profiles())


def made(number: int) -> InferAnswer:
    return InferAnswer(number, "ok", VECTOR.tobytes())


class Bench:
    """A profiler with a scripted link, and one who asks."""

    def __init__(self) -> None:
        self.world = world = World()
        self.link, self.link_ref = world.probe("link-inference")
        self.asker, self.asker_ref = world.probe()
        options = ProfilerOptions(cache_users=100, max_events=5, refresh_events=2)
        self.profiler = world.spawn(UserProfiler(options, DEFAULTS), "user-profiler")
        world.run()

    def ask(self, name: str = "r1", **changes: Any) -> None:
        asked = opportunity(request_id=name, **changes)
        self.asker_ref.ask(self.profiler, Profile(asked, self.world.clock() + 0.02))
        self.world.run()

    def answer(self, message: Any) -> None:
        self.link_ref.post(self.profiler, message)
        self.world.run()

    def tokens(self) -> list[tuple[int, ...]]:
        return [forward.message.tokens for forward in self.link.of(Forward)]

    def sources(self) -> list[str]:
        return [profiled.source for profiled in self.asker.of(Profiled)]


def test_a_user_of_whom_nothing_may_be_known_gets_the_segments_default() -> None:
    bench = Bench()
    bench.ask(user_id="")
    (profiled,) = bench.asker.heard
    assert profiled.source == "default"
    assert profiled.vector is DEFAULTS.of(opportunity())
    assert bench.link.heard == []


def test_a_new_user_waits_for_the_first_vector() -> None:
    bench = Bench()
    bench.ask()
    assert bench.asker.heard == []
    assert bench.tokens() == [(token("view", 17),)]
    bench.answer(made(1))
    assert bench.sources() == ["model"]
    np.testing.assert_array_equal(bench.asker.heard[0].vector, VECTOR)


def test_a_known_user_is_answered_at_once_while_a_new_vector_is_made() -> None:
    bench = Bench()
    bench.ask("r1")
    bench.answer(made(1))
    for name in ("r2", "r3"):
        bench.ask(name)
    assert bench.sources() == ["model", "cache", "cache"]
    assert len(bench.tokens()) == 2
    bench.ask("r4")
    assert len(bench.tokens()) == 2  # one is on its way already
    bench.answer(made(2))
    bench.ask("r5")
    bench.ask("r6")
    assert len(bench.tokens()) == 3


def test_a_page_view_counts_once_for_all_impressions_and_attempts_of_its_request() -> None:
    bench = Bench()
    bench.ask("r1", imp_id="1")
    bench.ask("r1", imp_id="2")
    assert bench.tokens() == [(token("view", 17),)]
    bench.answer(made(1))
    assert bench.sources() == ["model", "model"]


def test_a_page_without_a_category_tells_nothing_of_a_new_user() -> None:
    bench = Bench()
    bench.ask(categories=())
    assert bench.sources() == ["default"]


@pytest.mark.parametrize("status", ["late", "error", "shed"])
def test_a_vector_that_is_not_made_is_replaced_by_the_default_marked_so(status: Any) -> None:
    bench = Bench()
    bench.ask()
    bench.answer(InferAnswer(1, status))
    assert bench.sources() == ["fallback"]
    bench.ask("r2")
    assert len(bench.tokens()) == 2  # the next time it is tried again


@pytest.mark.parametrize("reason", ["disconnected", "full", "refused"])
def test_a_link_that_cannot_ask_is_replaced_by_the_default(reason: str) -> None:
    bench = Bench()
    bench.ask()
    bench.answer(LinkDown(reason, bench.link.heard[0].message))
    assert bench.sources() == ["fallback"]
    bench.answer(made(1))
    assert bench.sources() == ["fallback"]


def test_a_vector_that_comes_too_late_for_the_question_serves_the_next() -> None:
    bench = Bench()
    bench.ask()
    bench.answer(LinkDown("late", bench.link.heard[0].message))
    bench.answer(made(1))
    bench.ask("r2")
    assert bench.sources() == ["fallback", "cache"]


def test_without_a_link_new_users_get_the_default_and_known_ones_their_vector() -> None:
    bench = Bench()
    bench.ask("r1", user_id="known")
    bench.answer(made(1))
    bench.world.cell.kill(bench.link_ref)
    bench.ask("r2", user_id="known")
    bench.ask("r3", user_id="new")
    assert bench.sources() == ["model", "cache", "fallback"]


def test_a_link_that_dies_with_questions_answers_them_by_the_default() -> None:
    bench = Bench()
    bench.ask()
    bench.world.cell.kill(bench.link_ref)
    bench.world.run()
    assert bench.sources() == ["fallback"]


def test_a_question_whose_answer_was_lost_is_asked_again_and_keeps_nobody_waiting() -> None:
    bench = Bench()
    bench.ask("r1")  # neither vector nor LinkDown ever comes: the profiler's mailbox was full
    bench.world.run(0.03)
    bench.ask("r2")
    assert len(bench.tokens()) == 2
    bench.answer(made(2))
    assert bench.sources() == ["fallback", "model"]


def test_a_refresh_that_was_lost_is_asked_for_again() -> None:
    bench = Bench()
    bench.ask("r1")
    bench.answer(made(1))
    for name in ("r2", "r3", "r4"):
        bench.ask(name)
    assert len(bench.tokens()) == 2
    bench.world.run(0.03)
    bench.ask("r5")
    assert len(bench.tokens()) == 3


def test_clicks_and_conversions_of_known_users_join_their_history() -> None:
    bench = Bench()
    bench.ask()
    bench.answer(made(1))
    for kind in ("impression", "click", "conversion"):
        news = Feedback(kind, "b-1", candidate(), opportunity(), VECTOR, 3_000)
        bench.asker_ref.cell.topics.publish(bench.asker_ref, news)
    bench.ask("r2")
    history = (
        token("view", 17),
        token("click", 17),
        token("conversion", 17),
        token("view", 17),
    )
    assert bench.tokens()[-1] == history


def test_only_so_many_users_and_events_are_remembered() -> None:
    memory = UserMemory(max_users=2, max_events=3)
    for name in ("a", "b", "a", "c"):
        memory.touch(name)
    assert memory.known("b") is None
    user = memory.touch("a")
    for event in range(5):
        user.add(event)
    assert list(user.tokens) == [2, 3, 4]
    assert len(memory) == 2


def test_default_vectors_are_made_once_and_cannot_be_changed() -> None:
    vector = DEFAULTS.of(opportunity())
    assert vector is DEFAULTS.of(opportunity(user_id="other"))
    assert vector.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 1.0
