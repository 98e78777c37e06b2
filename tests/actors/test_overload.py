"""How much may be in hand: what the answers tell moves the bound."""

from __future__ import annotations

import pytest

from actors.edge.age import REST_S, LoopAge
from actors.overload import BUSY_S, FEWEST, FIRST, INTERVAL_S, LEAST, TARGET_SHARE, Limiter

TIME_S = 0.1
FAST_S, SLOW_S = 0.1 * TIME_S, 1.5 * TARGET_SHARE * TIME_S


class Now:
    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


def hear(limiter: Limiter, now: Now, taken_s: float, *, busy: bool, rounds: int = 1) -> None:
    """Let answers leave for some intervals, all alike."""
    for _ in range(rounds):
        now.s += INTERVAL_S
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
    hear(limiter, now, SLOW_S, busy=True, rounds=100)
    assert limiter.limit == LEAST
    assert limiter.has_room(LEAST - 1)


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
    """A loop whose rounds begin when they are told to."""

    def __init__(self) -> None:
        self.turn_s = self.now_s = 10.0
        self.age = LoopAge(lambda: self.turn_s, lambda: self.now_s)

    def next_round(self, at_s: float) -> None:
        self.turn_s = self.now_s = at_s

    def work(self, seconds: float) -> float:
        """Serve a request for so long; return when it is taken to have come."""
        arrived_s = self.age.arrived_s()
        self.now_s += seconds
        self.age.worked()
        return arrived_s


def test_what_wakes_a_resting_loop_is_new() -> None:
    loop = Loop()
    loop.work(0.001)
    loop.next_round(20.0)
    assert loop.work(0.001) == 20.0
    assert loop.age.awake_s == 20.0


def test_what_a_busy_loop_finds_is_as_old_as_its_last_round() -> None:
    loop = Loop()
    loop.next_round(20.0)
    loop.work(0.050)
    loop.next_round(loop.now_s + REST_S / 2)
    assert loop.work(0.001) == 20.0
    assert loop.age.awake_s == 20.0


@pytest.mark.parametrize("rounds", [1, 5])
def test_requests_of_one_round_are_of_one_age(rounds: int) -> None:
    loop = Loop()
    loop.next_round(20.0)
    assert {loop.work(0.001) for _ in range(rounds)} == {20.0}
