from __future__ import annotations

import random

import pytest

from actors.budget import liveness
from actors.budget.liveness import Change, Liveness, LivenessTerms

TERMS = LivenessTerms(silence_s=120.0, silence_bids=50, slow_micros_per_s=1_000)


def bidding(seconds: int, exchange: str = "one", per_s: int = 1) -> Liveness:
    """Return one that has heard nothing of bids of 10 micros, one after another from 0 s on."""
    live = Liveness(TERMS)
    bid(live, range(seconds), exchange, per_s)
    return live


def bid(live: Liveness, seconds: range, exchange: str = "one", per_s: int = 1) -> int:
    """Bid where it is allowed and let the ledger be heard; return how many bids were."""
    made = 0
    for second in seconds:
        live.heard_ledger()
        for number in range(per_s):
            if live.may_spend(exchange, float(second)):
                live.reserved(f"{exchange}-{second}-{number}", exchange, 10, float(second))
                made += 1
    return made


def test_silence_is_a_fault_after_both_bids_and_time() -> None:
    assert bidding(119).look(119.9) == []
    assert bidding(120).look(120.0) == [Change("one", 120, 120.0)]
    assert bidding(49).look(900.0) == []
    assert bidding(50).look(900.0) == [Change("one", 50, 900.0)]


def test_the_time_without_bids_before_the_first_one_is_no_silence() -> None:
    live = Liveness(TERMS)
    live.look(5_000.0)
    bid(live, range(5_000, 5_100))
    assert live.look(5_119.0) == []
    assert live.look(5_120.0) == [Change("one", 100, 120.0)]


@pytest.mark.parametrize("at_s", [0, 60, 119])
def test_one_word_begins_the_count_anew(at_s: int) -> None:
    live = bidding(120)
    live.heard(f"one-{at_s}-0")
    assert live.look(120.0) == []
    bid(live, range(121, 241))
    assert live.look(240.0) == []
    assert live.look(241.0) == [Change("one", 120, 120.0)]


def test_a_change_is_told_once() -> None:
    live = bidding(120)
    assert len(live.look(120.0)) == 1
    assert live.look(121.0) == []
    assert live.silent() == ["one"]
    live.heard("one-3-0")
    assert live.look(122.0) == [Change("one", 0, None)]
    assert live.look(123.0) == []
    assert live.silent() == []


def test_only_the_silent_exchange_is_slowed() -> None:
    live = bidding(120)
    live.look(120.0)
    assert bid(live, range(121, 131), "one", 500) == pytest.approx(10 * 100, abs=101)
    assert bid(live, range(121, 131), "two", 500) == 5_000


def test_a_slow_exchange_gets_so_much_money_a_second_and_no_more_after_a_pause() -> None:
    live = bidding(120)
    live.look(120.0)
    assert bid(live, range(1_000, 1_001), per_s=500) == 100
    assert bid(live, range(1_001, 1_101), per_s=500) == 100 * 100


def test_a_bid_larger_than_that_may_pass_and_is_made_good() -> None:
    live = bidding(120)
    live.look(120.0)
    assert live.may_spend("one", 121.0)
    live.reserved("large", "one", 5_000, 121.0)
    assert not live.may_spend("one", 124.9)
    assert live.may_spend("one", 125.1)


def test_a_ledger_that_is_not_heard_slows_all_exchanges() -> None:
    live = Liveness(TERMS)
    for second in range(120):
        live.reserved(f"key-{second}", "one", 10, float(second))
        live.heard(f"key-{second}")
    assert live.look(120.0) == [Change("ledger", 120, 120.0)]
    live.reserved("one more", "two", 1_000, 121.0)
    assert not live.may_spend("three", 121.0)
    live.heard_ledger()
    live.look(121.1)
    assert live.may_spend("three", 121.1)


def test_silence_can_be_no_fault() -> None:
    live = Liveness(LivenessTerms(silence_s=1.0, silence_bids=0))
    for second in range(1_000):
        live.reserved(f"key-{second}", "one", 10, float(second))
    assert live.look(5_000.0) == []
    assert live.may_spend("one", 5_000.0)


def test_news_of_others_bids_and_news_that_come_twice_are_no_news() -> None:
    live = bidding(10)
    live.heard("one-3-0")
    bid(live, range(10, 200))
    live.heard("one-3-0")
    live.heard("of a sibling")
    assert [change.source for change in live.look(200.0)] == ["one"]


def test_the_fate_of_no_more_bids_is_waited_for_than_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(liveness, "MOST_BIDS", 100)
    live = bidding(300)
    assert len(live._by_key) == 100
    live.look(300.0)
    live.heard("one-3-0")
    assert live.silent() == ["one"]
    live.heard("one-250-0")
    assert live.silent() == []


def test_exchanges_beyond_the_bound_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "MOST_EXCHANGES", 2)
    live = Liveness(TERMS)
    for number in range(60):
        live.heard_ledger()
        live.reserved(f"key-{number}", f"exchange-{number}", 10, float(number))
    assert [change.source for change in live.look(200.0)] == ["others"]
    live.heard("key-40")
    assert live.silent() == []


@pytest.mark.parametrize("seed", range(5))
def test_what_a_silent_exchange_costs_is_bounded_whatever_the_bids(seed: int) -> None:
    rng = random.Random(seed)
    live = bidding(120)
    live.look(120.0)
    now_s, spent, largest = 120.0, 0, 0
    for number in range(2_000):
        now_s += rng.expovariate(20.0)
        micros = rng.randint(1, 700)
        if live.may_spend("one", now_s):
            live.reserved(f"r-{number}", "one", micros, now_s)
            spent += micros
            largest = max(largest, micros)
        most = TERMS.slow_micros_per_s * (now_s - 120.0 + 1.0) + largest
        assert spent <= most
    assert spent > 0.8 * TERMS.slow_micros_per_s * (now_s - 120.0)
