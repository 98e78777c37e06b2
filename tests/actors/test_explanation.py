"""Explanations: each campaign has one word, and a story never grows beyond bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from actors.decision.eligible import eligible_of
from actors.decision.explanation import MOST_NAMED, shortened, story_of, words_of
from actors.decision.machine import Decision
from actors.decision.steps import CLEAR, FUND, PROFILE, SELECT, VET
from actors.messages import Cleared, Funded, Profiled, Selected, Vetted
from tests.actors.samples import GOOD_ANSWERS, VECTOR, candidate, opportunity, rules

NAMES = ("shoes", "hats", "gloves", "coats")
RICH = dict.fromkeys(NAMES, 1_000_000)


def decided(replaced: dict[int, Any] | None = None, **facts: Any) -> Decision:
    """A decision between four campaigns that ended as the answers let it; the first is chosen."""
    look = opportunity(**facts)
    eligible = eligible_of([candidate(name) for name in NAMES])
    made = Decision(rules(), look, eligible, "b-1", 0.0, 0.1)
    answers = GOOD_ANSWERS | {FUND: Funded(RICH), SELECT: Selected(0, 0.5, 0.01)}
    answers |= replaced or {}
    made.begin(0.0)
    while made.outbox:
        step, _question = made.outbox.pop(0)
        made.answered(answers[step], 0.0)
    assert made.finished
    return made


def test_one_campaign_bids_the_others_were_not_selected_and_the_rules_have_the_rest() -> None:
    words = words_of(decided(), {"books": "country"})
    assert words == {
        "shoes": "bid",
        "hats": "not_selected",
        "gloves": "not_selected",
        "coats": "not_selected",
        "books": "country",
    }


def test_the_bid_comes_first_and_the_rules_that_were_reached_last_before_the_early_ones() -> None:
    made = decided({SELECT: Selected(2, 0.5, 0.01)})
    words = words_of(made, {"a": "no_active_campaign", "b": "blocked_category", "c": "country"})
    assert list(words) == ["gloves", "shoes", "hats", "coats", "b", "c", "a"]


def test_want_of_money_is_told_of_each_campaign() -> None:
    made = decided({FUND: Funded({"shoes": 10_000, "hats": 499})})
    assert words_of(made, {}) == {
        "shoes": "bid",
        "hats": "no_budget",
        "gloves": "no_budget",
        "coats": "no_budget",
    }


def test_money_must_do_for_all_impressions_of_a_play() -> None:
    money = {"shoes": 1_000_000, "hats": 4_999, "gloves": 5_000}
    words = words_of(decided({FUND: Funded(money)}, quantity=10.0), {})
    assert words["hats"] == "no_budget"
    assert words["gloves"] == "not_selected"


def test_a_user_who_saw_enough_is_told_of_each_campaign() -> None:
    seen = Profiled(VECTOR, capped=frozenset({"hats", "gloves-1"}))
    words = words_of(decided({PROFILE: seen}), {})
    assert words["hats"] == words["gloves"] == "frequency_cap"


def test_what_ended_the_decision_before_any_choice_is_the_word_of_all() -> None:
    bot = Vetted(valid=False, reasons=("bot_user_agent",))
    words = words_of(decided({VET: bot}), {"books": "country"})
    assert set(words.values()) == {"invalid_traffic:bot_user_agent", "country"}


def test_a_veto_is_told_of_the_chosen_campaign_only() -> None:
    words = words_of(decided({CLEAR: Cleared("children")}), {})
    assert words["shoes"] == "vetoed:children"
    assert words["hats"] == "not_selected"


def test_a_story_names_so_many_campaigns_and_counts_the_rest() -> None:
    words = {f"c{number}": "country" if number % 2 else "deal" for number in range(MOST_NAMED + 11)}
    told = shortened(words)
    assert len(told["campaigns"]) == MOST_NAMED
    assert told["more"] == {"country": 5, "deal": 6}
    assert "more" not in shortened({"a": "deal"})


def test_a_story_can_be_written_as_it_is() -> None:
    import json

    story = story_of(decided(), {})
    assert json.loads(json.dumps(story))["campaigns"]["shoes"] == "bid"
    assert not any(isinstance(value, np.generic) for value in story.values())
