"""How much may be in hand: what the answers tell moves the bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.edge.age import BEHIND_FOR_S, BEHIND_S, PROBE_S, LoopAge
from actors.gateway.overload import (
    BUSY_S,
    FEWEST,
    FIRST,
    FLOOR_SHARE,
    INTERVAL_S,
    LEAST,
    TARGET_SHARE,
    Limiter,
)

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_S = 0.1
FAST_S, SLOW_S = 0.1 * TIME_S, 1.5 * TARGET_SHARE * TIME_S


class Now:
    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


def hear(
    limiter: Limiter,
    now: Now,
    taken_s: float,
    *,
    busy: bool,
    rounds: int = 1,
    every_s: float = INTERVAL_S,
) -> None:
    """Let answers leave for some intervals, all alike."""
    for _ in range(rounds):
        now.s += every_s
        awake_s = now.s - 2 * BUSY_S if busy else now.s
        for _ in range(FEWEST):
            limiter.answered(taken_s, TIME_S, awake_s)


def full(limiter: Limiter) -> None:
    limiter.has_room(int(limiter.limit))


def test_there_is_room_up_to_the_bound_and_not_above() -> None:
    limiter = Limiter(Now(), 1_000)
    assert limiter.has_room(FIRST - 1)
    assert not limiter.has_room(FIRST)


def test_slow_answers_of_a_busy_loop_lower_the_bound_but_never_to_nothing() -> None:
    now = Now()
    limiter = Limiter(now, 1_000)
    hear(limiter, now, SLOW_S, busy=True)
    assert limiter.limit < FIRST
    hear(limiter, now, SLOW_S, busy=True, rounds=100, every_s=0.2)
    assert limiter.limit == LEAST
    assert limiter.has_room(LEAST - 1)


def test_slow_answers_at_a_good_pace_leave_in_hand_what_that_pace_needs() -> None:
    now = Now()
    limiter = Limiter(now, 1_000)
    pace = 2 * FEWEST / INTERVAL_S
    for _ in range(400):
        hear(limiter, now, SLOW_S, busy=True, every_s=INTERVAL_S / 2)
    assert limiter.limit == pytest.approx(pace * FLOOR_SHARE * TIME_S, rel=0.05)
    assert limiter.limit > LEAST


def test_slow_answers_of_a_loop_that_rests_are_not_for_want_of_time_and_change_nothing() -> None:
    now = Now()
    limiter = Limiter(now, 1_000)
    hear(limiter, now, SLOW_S, busy=False, rounds=100)
    assert limiter.limit == FIRST


def test_quick_answers_raise_the_bound_where_there_is_demand_up_to_the_most() -> None:
    now = Now()
    limiter = Limiter(now, 200)
    hear(limiter, now, FAST_S, busy=True)
    assert limiter.limit == FIRST, "nobody wanted more"
    for _ in range(100):
        full(limiter)
        hear(limiter, now, FAST_S, busy=True)
    assert limiter.limit == 200


def test_it_settles_where_answers_take_as_long_as_they_should() -> None:
    now, each_s = Now(), 0.0005  # what one decision costs here
    limiter = Limiter(now, 1_000)
    seen = []
    for _ in range(300):
        full(limiter)
        hear(limiter, now, limiter.limit * each_s, busy=True)
        seen.append(limiter.limit)
    ideal = TARGET_SHARE * TIME_S / each_s
    assert all(0.8 * ideal < limit < 1.1 * ideal for limit in seen[100:])


def test_a_few_answers_are_no_judgement() -> None:
    now = Now()
    limiter = Limiter(now, 1_000)
    now.s += 1.0
    for _ in range(FEWEST - 1):
        limiter.answered(SLOW_S, TIME_S, 0.0)
    assert limiter.limit == FIRST


def test_a_bound_below_the_usual_least_is_kept() -> None:
    now = Now()
    limiter = Limiter(now, 1)
    hear(limiter, now, SLOW_S, busy=True, rounds=5)
    assert limiter.limit == 1.0


class Loop:
    """A loop that serves one thing after the other, and its timer when it comes to it."""

    def __init__(self) -> None:
        self.now_s = 10.0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.age = LoopAge(lambda: self.now_s, self.call_later)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.timers.append((self.now_s + delay_s, call))

    def ring(self) -> None:
        """Serve the timer that is due."""
        [(due_s, call)] = self.timers
        self.timers.clear()
        self.now_s = max(self.now_s, due_s)
        call()

    def serve(self, seconds: float) -> float:
        """Serve a request for so long; return how old it is taken to be."""
        age_s = self.now_s - self.age.arrived_s()
        self.now_s += seconds
        return age_s


def test_what_a_loop_at_rest_gets_is_new_and_it_does_not_look_for_ever() -> None:
    loop = Loop()
    assert loop.serve(0.001) == 0.0
    loop.ring()
    assert loop.timers == [], "nothing came meanwhile"
    loop.now_s += 10.0
    assert loop.serve(0.001) == 0.0
    assert loop.age.awake_s == pytest.approx(loop.now_s - 0.001)


def test_what_a_busy_loop_serves_is_as_old_as_its_timer_is_late() -> None:
    loop = Loop()
    loop.serve(0.050)
    assert loop.serve(0.001) == pytest.approx(0.050 - PROBE_S), "before the timer has rung"
    loop.ring()
    assert loop.serve(0.001) == pytest.approx(0.051 - PROBE_S)
    assert loop.age.awake_s == 10.0


def test_a_loop_is_behind_when_its_work_has_been_late_for_some_time_and_not_after_one_stall() -> (
    None
):
    loop = Loop()
    loop.serve(2 * BEHIND_S)
    loop.serve(0.0)
    loop.ring()
    assert not loop.age.is_behind(), "a stall"
    while loop.now_s < 10.0 + 2 * BEHIND_FOR_S:
        loop.serve(2 * BEHIND_S)
        loop.ring()
    assert loop.age.is_behind()
    loop.serve(0.0)
    loop.ring()
    assert not loop.age.is_behind(), "it has caught up"


def test_a_loop_that_catches_up_is_rested_and_its_work_is_new() -> None:
    loop = Loop()
    loop.serve(0.050)
    loop.serve(0.001)
    loop.ring()
    loop.serve(0.001)
    loop.ring()
    assert loop.serve(0.0) == 0.0
    assert loop.age.awake_s == loop.now_s
