"""The pulse of the server's loop: silence is noticed, but not by who was asleep."""

from __future__ import annotations

from actors.edge.pulse import Pulse


def beats(pulse: Pulse, *times_s: float, answered: bool) -> list[bool]:
    return [pulse.beat(now_s, pulse.number if answered else -1) for now_s in times_s]


def test_a_loop_that_answers_is_asked_again_and_again() -> None:
    pulse = Pulse(interval_s=0.1, limit_s=1.0)
    assert all(beats(pulse, *(n / 10 for n in range(50)), answered=True))
    assert pulse.number == 50


def test_silence_is_borne_up_to_the_limit_and_no_longer() -> None:
    pulse = Pulse(interval_s=0.1, limit_s=0.35)
    assert pulse.beat(0.1, 0)
    assert beats(pulse, 0.2, 0.3, 0.4, answered=False) == [True, True, True]
    assert beats(pulse, 0.5, answered=False) == [False]


def test_a_late_answer_within_the_limit_is_an_answer() -> None:
    pulse = Pulse(interval_s=0.1, limit_s=0.35)
    assert pulse.beat(0.1, 0)
    assert beats(pulse, 0.2, 0.3, answered=False) == [True, True]
    assert pulse.beat(0.4, 1)
    assert (pulse.number, pulse.sent_s) == (2, 0.4)


def test_a_watcher_that_was_stopped_asks_anew_before_it_judges() -> None:
    pulse = Pulse(interval_s=0.1, limit_s=0.35)
    assert pulse.beat(0.1, 0)
    assert beats(pulse, 60.0, 60.1, 60.3, answered=False) == [True, True, True]
    assert beats(pulse, 60.4, answered=False) == [False]
