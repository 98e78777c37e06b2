"""The life of an impression, as a pure machine."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.decision import reasons
from actors.decision.eligible import eligible_of
from actors.decision.fallbacks import Fallbacks
from actors.decision.machine import NEVER, Decision
from actors.decision.records import record_of
from actors.decision.steps import CLEAR, COUNT, FUND, NAMES, PRICE, PROFILE, RESERVE, SELECT, VET
from actors.messages import (
    Clear,
    Cleared,
    Fund,
    Funded,
    Price,
    Priced,
    Profile,
    Profiled,
    Reserve,
    Reserved,
    Select,
    Selected,
    Vet,
    Vetted,
)
from tests.actors.samples import (
    DEFAULT_VECTOR,
    GOOD_ANSWERS,
    VECTOR,
    candidate,
    decision,
    opportunity,
    rules,
)

MS = 0.001


def run(made: Decision, replaced: dict[int, Any] | None = None, now_s: float = 0.0) -> Decision:
    """Answer every question at once, with the good answer or the replaced one."""
    answers = GOOD_ANSWERS | (replaced or {})
    while made.outbox:
        step, _question = made.outbox.pop(0)
        made.answered(answers[step], now_s)
    return made


def kinds(made: Decision) -> dict[str, str]:
    return {taken.step: taken.kind for taken in made.reports}


def until(step: int, replaced: dict[int, Any] | None = None) -> Decision:
    """A decision whose question of ``step`` has just been asked, at second 0."""
    answers = GOOD_ANSWERS | (replaced or {})
    made = decision()
    while made.outbox[0][0] != step:
        asked, _question = made.outbox.pop(0)
        made.answered(answers[asked], 0.0)
    made.outbox.pop(0)
    if step == PROFILE:
        made.outbox.clear()
        made.answered(answers[FUND], 0.0)
    return made


def test_every_step_is_asked_in_order_and_the_bid_carries_what_was_decided() -> None:
    made = decision()
    asked = []
    while made.outbox:
        step, question = made.outbox.pop(0)
        asked.append(type(question))
        made.answered(GOOD_ANSWERS[step], 0.0)
    assert asked == [Vet, Profile, Fund, Select, Price, Clear, Reserve]
    assert made.finished
    assert made.bid is not None
    assert (made.bid.key, made.bid.lease_id, made.bid.bid_micros) == ("b-1", "lease-1", 3_000)
    assert made.bid.candidate.campaign.id == "shoes"
    assert made.versions == {"profiler": "p1", "selector": "s1", "optimizer": "o1"}
    assert set(kinds(made).values()) == {"live"}


def test_profile_and_fund_are_asked_together_and_may_be_answered_in_any_order() -> None:
    made = decision()
    made.outbox.clear()
    made.answered(GOOD_ANSWERS[VET], 0.0)
    assert [step for step, _ in made.outbox] == [PROFILE, FUND]
    made.outbox.clear()
    made.answered(GOOD_ANSWERS[FUND], 0.0)
    assert made.outbox == []
    made.answered(GOOD_ANSWERS[PROFILE], 0.0)
    assert [step for step, _ in made.outbox] == [SELECT]


@pytest.mark.parametrize(
    ("replaced", "reason"),
    [
        ({VET: Vetted(valid=False, reasons=("bot_user_agent",))}, "invalid_traffic:bot_user_agent"),
        ({VET: Vetted(valid=False)}, "invalid_traffic"),
        ({FUND: Funded({})}, reasons.NO_BUDGET),
        ({FUND: Funded({"shoes": 499, "hats": 0})}, reasons.NO_BUDGET),
        ({PRICE: Priced(0)}, reasons.NOT_WORTH_FLOOR),
        ({PRICE: Priced(499)}, reasons.BELOW_FLOOR),
        ({CLEAR: Cleared("blocked_category")}, "vetoed:blocked_category"),
        ({RESERVE: Reserved("b-1", ok=False, reason="spent")}, "not_reserved:spent"),
    ],
)
def test_an_answer_that_forbids_the_bid_ends_the_decision_with_its_reason(
    replaced: dict[int, Any], reason: str
) -> None:
    made = run(decision(), replaced)
    assert made.finished
    assert made.bid is None
    assert made.reason == reason


def test_a_floor_above_all_that_we_may_pay_ends_at_once() -> None:
    cap_micros = rules().price_cap_micros
    made = Decision(
        rules(), opportunity(floor_micros=cap_micros + 1), decision().eligible, "b-1", 0.0, 0.1
    )
    made.begin(0.0)
    assert (made.finished, made.reason, made.outbox) == (True, reasons.BELOW_FLOOR, [])


def test_nothing_eligible_ends_at_once_with_the_reason_of_the_index() -> None:
    eligible = eligible_of([], "no_creative_of_size")
    made = Decision(rules(), opportunity(), eligible, "b-1", 0.0, 0.1)
    made.begin(0.0)
    assert made.finished
    assert made.reason == "no_candidate:no_creative_of_size"
    assert made.outbox == []


@pytest.mark.parametrize(
    ("priced", "spendable", "vetted", "expected"),
    [
        (3_000, 10_000, True, 3_000),
        (60_000, 100_000, True, 20_000),  # the campaign's own cap
        (3_000, 2_500, True, 2_500),  # the money that is there
        (3_000, 10_000, False, 2_000),  # unvetted traffic
    ],
)
def test_a_bid_never_exceeds_money_campaign_cap_or_house_cap(
    priced: int, spendable: int, vetted: bool, expected: int
) -> None:
    made = decision()
    if not vetted:
        made.outbox.clear()
        made.absent(VET, 0.0)
    run(made, {PRICE: Priced(priced), FUND: Funded({"shoes": spendable})})
    assert made.bid is not None
    assert made.bid.bid_micros == expected


def test_only_candidates_with_money_for_the_floor_are_selected_from() -> None:
    made = until(SELECT, {FUND: Funded({"hats": 500})})
    assert [each.campaign.id for each in made.affordable] == ["hats"]


# --- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("money_first", [True, False])
def test_what_a_user_has_seen_enough_of_is_not_selected_from(*, money_first: bool) -> None:
    made = decision()
    made.outbox.clear()
    made.answered(GOOD_ANSWERS[VET], 0.0)
    made.outbox.clear()
    capped = Profiled(VECTOR, "model", capped=frozenset({"shoes-1"}))
    answers = [capped, GOOD_ANSWERS[FUND]]
    for answer in answers[::-1] if money_first else answers:
        made.answered(answer, 0.0)
    ((step, question),) = made.outbox
    assert step == SELECT
    assert isinstance(question, Select)
    assert [each.campaign.id for each in question.candidates] == ["hats"]


def test_a_user_who_has_seen_all_often_enough_gets_no_bid_for_that_reason() -> None:
    capped = Profiled(VECTOR, "model", capped=frozenset({"shoes", "hats-1"}))
    made = run(decision(), {PROFILE: capped})
    assert made.reason == "no_candidate:frequency_cap"
    assert reasons.nbr_of(made.reason) == 9


def test_whoever_cannot_be_counted_is_left_out_by_the_profilers_fallback_too() -> None:
    kept = Fallbacks(lambda _: VECTOR, lambda _: (0, 0.1), frozenset({"shoes"}))
    assert kept.profiled(opportunity()).capped == {"shoes"}


@pytest.mark.parametrize("step", range(COUNT))
def test_a_step_whose_agent_dies_once_is_asked_again_after_a_pause(step: int) -> None:
    made = until(step)
    made.lost(step, 1 * MS)
    assert made.outbox == []
    assert made.tick(1.5 * MS) == []
    assert made.outbox == []
    made.tick(2.1 * MS)
    (again, question), *_ = made.outbox
    assert again == step
    assert question.attempt == 2
    run(made, now_s=3 * MS)
    assert made.bid is not None
    assert kinds(made)[NAMES[step]] == "retried"


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (VET, ""),
        (PROFILE, ""),
        (FUND, reasons.BUDGET_UNAVAILABLE),
        (SELECT, ""),
        (PRICE, ""),
        (CLEAR, reasons.OVERSIGHT_UNAVAILABLE),
        (RESERVE, reasons.BUDGET_UNAVAILABLE),
    ],
)
def test_a_step_that_fails_twice_falls_back_open_on_enrichment_closed_on_money_and_rules(
    step: int, reason: str
) -> None:
    made = until(step)
    made.lost(step, 1 * MS)
    made.tick(2.1 * MS)
    made.outbox.clear()
    made.lost(step, 2.2 * MS)
    assert kinds(made)[NAMES[step]] == "fallback"
    run(made, now_s=2.2 * MS)
    assert made.finished
    assert made.reason == reason
    assert (made.bid is None) == bool(reason)


@pytest.mark.parametrize("step", range(COUNT))
def test_a_late_agent_is_reported_asked_once_more_and_then_replaced(step: int) -> None:
    made = until(step)
    first_due_s = made.due_s[step]
    assert made.tick(first_due_s) == [step]
    assert [question.attempt for asked, question in made.outbox if asked == step] == [2]
    made.outbox.clear()
    assert made.tick(made.ends_s[step]) == [step]
    assert kinds(made)[NAMES[step]] == "fallback"


def test_a_late_first_answer_that_comes_during_the_retry_is_used() -> None:
    made = until(SELECT)
    made.tick(made.due_s[SELECT])
    made.outbox.clear()
    assert made.answered(GOOD_ANSWERS[SELECT], made.alarm_s - MS) == SELECT
    assert kinds(made)["select"] == "retried"


def test_a_stale_answer_changes_nothing() -> None:
    made = until(SELECT)
    before = len(made.reports)
    assert made.answered(Vetted(valid=False), 0.0) == -1
    assert made.answered(Cleared("veto"), 0.0) == -1
    assert made.answered("what is this", 0.0) == -1
    assert len(made.reports) == before
    assert not made.finished


def test_nobody_to_ask_costs_enrichment_no_time_and_money_one_pause() -> None:
    made = until(PRICE)
    made.absent(PRICE, 0.0)
    assert kinds(made)["price"] == "fallback"
    assert made.outbox[0][0] == CLEAR
    made.outbox.clear()
    made.absent(CLEAR, 0.0)
    assert not made.finished
    made.tick(1.1 * MS)
    assert [question.attempt for _step, question in made.outbox] == [2]
    made.outbox.clear()
    made.absent(CLEAR, 1.1 * MS)
    assert made.reason == reasons.OVERSIGHT_UNAVAILABLE


def test_the_fallbacks_are_default_profile_best_creative_and_default_bid_at_its_pace() -> None:
    made = decision()
    for _ in range(4):
        for step, _question in tuple(made.outbox):
            if step in (PROFILE, SELECT, PRICE):
                made.outbox = [each for each in made.outbox if each[0] != step]
                made.absent(step, 0.0)
            elif step in (VET, FUND):
                made.outbox = [each for each in made.outbox if each[0] != step]
                made.answered(GOOD_ANSWERS[step], 0.0)
    assert made.vector is DEFAULT_VECTOR
    assert made.profile_source == "fallback"
    assert made.propensity == 1.0
    assert made.bid_micros == 750  # of 1,500, at half its pace
    run(made)
    assert made.bid is not None
    assert record_of(made, "bidder-1", 0.0, b"salt").pace == 0.5
    assert record_of(made, "bidder-1", 0.0, b"salt").shaded_by_micros == 0
    assert record_of(decision(), "bidder-1", 0.0, b"salt").pace == 1.0


def test_a_default_profile_for_want_of_inference_counts_as_a_fallback_in_the_log() -> None:
    made = run(decision(), {PROFILE: Profiled(VECTOR, "fallback")})
    assert kinds(made)["profile"] == "fallback"
    assert made.bid is not None


def test_without_vetting_the_bid_is_marked_so_for_oversight() -> None:
    made = decision()
    made.outbox.clear()
    made.absent(VET, 0.0)
    while made.outbox[0][0] != CLEAR:
        step, _question = made.outbox.pop(0)
        made.answered(GOOD_ANSWERS[step], 0.0)
    question = made.outbox[0][1]
    assert isinstance(question, Clear)
    assert not question.vetted


def test_time_is_up_at_the_deadline_whatever_is_open() -> None:
    made = until(SELECT)
    made.tick(0.1)
    assert made.finished
    assert made.reason == reasons.OUT_OF_TIME
    assert made.alarm_s == NEVER


def test_money_may_be_held_only_once_reserving_has_begun_and_without_a_bid() -> None:
    assert not until(CLEAR).may_hold_money
    made = until(RESERVE)
    assert made.may_hold_money
    made.tick(0.1)
    assert made.may_hold_money
    assert not run(decision()).may_hold_money


def test_the_slices_follow_the_shares_of_the_time_that_the_request_gives() -> None:
    made = Decision(rules(), opportunity(), eligible_of([candidate()]), "b-1", 5.0, 5.2)
    made.begin(5.0)
    assert made.ends_s[VET] == pytest.approx(5.02)
    assert made.due_s[VET] == pytest.approx(5.01)


# --- any program of events -----------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["good", "bad", "lost", "absent", "wait", "stale"]),
        st.integers(0, COUNT - 1),
        st.floats(0.0, 0.03),
    ),
    max_size=60,
)
BAD_ANSWERS: dict[int, Any] = {
    VET: Vetted(valid=False),
    PROFILE: Profiled(VECTOR, "fallback"),
    FUND: Funded({}),
    SELECT: Selected(0, 1.0, 0.0),
    PRICE: Priced(0),
    CLEAR: Cleared("veto"),
    RESERVE: Reserved("b-1", ok=False, reason="spent"),
}


def open_steps(made: Decision) -> list[int]:
    return [step for step in range(COUNT) if made.due_s[step] != NEVER]


def play(made: Decision, events: list[tuple[str, int, float]]) -> float:
    """Drive a decision by random events, checking after each what always holds."""
    now_s = 0.0
    for what, pick, wait_s in events:
        made.outbox.clear()
        waiting = open_steps(made)
        step = waiting[pick % len(waiting)] if waiting else pick
        if what in ("good", "bad"):
            asked = made.attempts[step] > 0
            answer = (GOOD_ANSWERS if what == "good" else BAD_ANSWERS)[step]
            if asked:
                made.answered(answer, now_s)
        elif what == "lost":
            made.lost(step, now_s)
        elif what == "absent":
            made.absent(step, now_s)
        elif what == "stale":
            made.answered(GOOD_ANSWERS[pick], now_s) if pick not in waiting else None
        else:
            now_s += wait_s
            made.tick(now_s)
        check(made)
    return now_s


def check(made: Decision) -> None:
    assert made.alarm_s <= min([made.deadline_s, *made.due_s]) or made.finished
    assert len(made.reports) == len({taken.step for taken in made.reports})
    assert all(attempt in (-1, 0, 1, 2) for attempt in made.attempts)
    if made.finished:
        assert made.outbox == []
        assert (made.bid is None) == bool(made.reason)
    else:
        assert open_steps(made), "an unfinished decision waits for something"
    if made.bid is not None:
        assert made.opportunity.floor_micros <= made.bid.bid_micros <= 50_000
        assert made.bid.lease_id


@given(EVENTS)
def test_whatever_happens_a_decision_ends_by_its_deadline_with_one_outcome(
    events: list[tuple[str, int, float]],
) -> None:
    made = decision()
    now_s = play(made, events)
    while not made.finished:
        assert made.alarm_s <= made.deadline_s
        now_s = max(now_s, made.alarm_s)
        made.outbox.clear()
        made.tick(now_s)
        check(made)
    assert made.finished


@given(EVENTS)
def test_a_finished_decision_never_changes_again(events: list[tuple[str, int, float]]) -> None:
    made = run(decision())
    bid, reports = made.bid, list(made.reports)
    play(made, events)
    assert made.bid is bid
    assert made.reports == reports
