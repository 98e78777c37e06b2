"""The user profiler: known users never wait, unknown ones not longer than their deadline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actors.decision.records import user_hash
from actors.messages import (
    Exposed,
    Feedback,
    Forward,
    LinkDown,
    Profile,
    Profiled,
    Recall,
    Recalled,
)
from actors.profiler.agent import ProfilerOptions, UserProfiler
from actors.profiler.default_vectors import DefaultVectors
from actors.profiler.exposures import CapTable, Counting
from actors.profiler.user_memory import UserMemory
from config.campaigns import Campaign, FrequencyCap
from config.profiles import load_default_profiles
from models.profiler.events import token
from tests.actors.cells import World
from tests.actors.samples import VECTOR, campaign, candidate, opportunity
from transport.messages import InferAnswer

SALT = b"a salt"
UNIX_S = 1_800_000_000.0
DEFAULTS = DefaultVectors(load_default_profiles())


def made(number: int) -> InferAnswer:
    return InferAnswer(number, "ok", VECTOR.tobytes())


class Bench:
    """A profiler with a scripted link, and one who asks."""

    def __init__(self, *campaigns: Campaign) -> None:
        self.world = world = World()
        self.store, self.store_ref = world.probe("exposures")
        begun_s = world.clock()
        counting = Counting(CapTable(campaigns), SALT, lambda: UNIX_S + world.clock() - begun_s)
        self.link, self.link_ref = world.probe("link-inference")
        self.asker, self.asker_ref = world.probe()
        options = ProfilerOptions(cache_users=100, max_events=5, refresh_events=2)
        self.profiler = world.spawn(UserProfiler(options, DEFAULTS, counting), "user-profiler")
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


# --- who has seen enough -------------------------------------------------------------------------


def capped_once(when_uncounted: str = "bid") -> Campaign:
    once = (FrequencyCap(impressions=1, window_s=60),)
    return campaign("shoes", caps=once, when_uncounted=when_uncounted)


def seen(key: str = "b-1", user: str = "u1") -> Exposed:
    return Exposed(key, user_hash(user, SALT), "shoes", "shoes-1", UNIX_S)


def told_capped(bench: Bench, user: str = "u1") -> frozenset[str]:
    bench.ask(user_id=user, categories=())
    capped: frozenset[str] = bench.asker.of(Profiled)[-1].capped
    return capped


def recalled(bench: Bench, *views: Exposed, **facts: Any) -> None:
    told = {"row": len(views), "is_last": True} | facts
    bench.store_ref.post(bench.profiler, Recalled(views, **told))
    bench.world.run()


def test_what_a_user_has_seen_enough_of_is_told_until_the_window_is_over() -> None:
    bench = Bench(capped_once())
    recalled(bench)
    assert told_capped(bench) == frozenset()
    bench.store_ref.cell.topics.publish(bench.store_ref, seen())
    bench.world.run()
    assert told_capped(bench) == {"shoes"}
    assert told_capped(bench, "u2") == frozenset()
    bench.world.run(61.0)
    assert told_capped(bench) == frozenset()


def test_what_was_seen_before_a_restart_is_asked_for_page_by_page() -> None:
    bench = Bench(capped_once())
    assert bench.store.heard == [Recall(0)]
    recalled(bench, seen(user="u2"), row=7, is_last=False)
    assert bench.store.heard[1:] == [Recall(7)]
    recalled(bench, seen())
    assert len(bench.store.heard) == 2
    assert told_capped(bench) == told_capped(bench, "u2") == {"shoes"}


@pytest.mark.parametrize(("when_uncounted", "capped"), [("bid", set()), ("skip", {"shoes"})])
def test_who_cannot_be_counted_is_shown_what_the_campaign_allows(
    when_uncounted: Any, capped: set[str]
) -> None:
    bench = Bench(capped_once(when_uncounted))
    assert told_capped(bench) == capped  # nothing is known yet of what was seen before
    recalled(bench)
    assert told_capped(bench) == frozenset()
    assert told_capped(bench, "") == capped


def test_a_store_that_dies_or_has_no_disk_is_asked_again_and_then_done_without() -> None:
    bench = Bench(capped_once("skip"))
    bench.world.cell.kill(bench.store_ref)
    bench.world.run(0.5)
    assert told_capped(bench) == {"shoes"}
    bench.store, bench.store_ref = bench.world.probe("exposures")
    bench.world.run(0.5)
    assert bench.store.heard == [Recall(0)]
    recalled(bench, is_known=False)
    assert told_capped(bench) == frozenset()


def test_without_caps_nobody_is_counted() -> None:
    bench = Bench(campaign("shoes"))
    bench.store_ref.cell.topics.publish(bench.store_ref, seen())
    bench.world.run()
    assert told_capped(bench) == frozenset()
    assert bench.store.heard == []
    assert bench.profiler.actor.describe()["counted_users"] == 0
