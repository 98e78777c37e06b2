"""The checkers, on records made up for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.chaos.checkers import (
    Check,
    Ending,
    Money,
    check_answers,
    check_ending,
    check_money,
)
from cli.chaos.monkey import check_memory, check_sockets
from cli.chaos.plan import Allow

if TYPE_CHECKING:
    from collections.abc import Iterable

LOAD: dict[str, Any] = {
    "sent": 100,
    "answered": 100,
    "unanswered": 0,
    "faults": {},
    "event_errors": {},
    "events_sent": 30,
    "events_acknowledged": 30,
    "wins": 10,
    "spend_micros": 5_000,
}
EMPTY = {"settlements": 4, "settled_micros": 1_000, "unfunded_micros": 0}
RIGHT = {"settlements": 14, "settled_micros": 5_900, "unfunded_micros": 100}
NOTHING = Allow()


def broken(checks: Iterable[Check]) -> list[str]:
    return [check.name for check in checks if not check.holds]


def money(violations: tuple[str, ...] = (), *, alone: bool = True, **after: int) -> Money:
    return Money(EMPTY, {**RIGHT, **after}, violations, alone=alone)


def test_a_run_in_which_all_is_right_breaks_nothing() -> None:
    assert broken(check_answers(LOAD, NOTHING)) == []
    assert broken(check_money(LOAD, money())) == []
    assert broken(check_ending(Ending(), NOTHING)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"answered": 99, "unanswered": 1},
        {"answered": 99},
        {"sent": 0, "answered": 0},
        {"answered": 101},
    ],
)
def test_requests_without_an_answer_or_with_two_are_seen(changes: dict[str, int]) -> None:
    assert broken(check_answers({**LOAD, **changes}, NOTHING)) == ["every request is answered"]


def test_as_many_unanswered_as_the_experiment_allows_are_no_fault() -> None:
    load = {**LOAD, "answered": 98, "unanswered": 2}
    assert broken(check_answers(load, Allow(unanswered=2))) == []
    assert broken(check_answers(load, Allow(unanswered=1))) != []


def test_an_answer_that_breaks_a_rule_and_an_event_without_acknowledgement_are_seen() -> None:
    load = {**LOAD, "faults": {"price below floor": 1}, "event_errors": {"no answer": 2}}
    found = check_answers(load, NOTHING)
    assert broken(found) == ["every answer keeps the rules", "every event is acknowledged"]
    assert "price below floor 1" in found[1].says
    assert "no answer" in found[2].says


def test_a_lost_settlement_is_seen() -> None:
    found = check_money(LOAD, money(settlements=13, settled_micros=5_400))
    assert broken(found) == ["every win is booked once", "booked at its price"]
    assert found[0].says == "9 settlements for 10 wins"


def test_a_win_booked_twice_is_seen() -> None:
    assert "every win is booked once" in broken(check_money(LOAD, money(settlements=15)))


def test_a_win_booked_at_another_price_is_seen() -> None:
    assert broken(check_money(LOAD, money(settled_micros=5_899))) == ["booked at its price"]


def test_a_win_that_was_never_acknowledged_may_be_booked_or_not() -> None:
    load = {**LOAD, "event_errors": {"no answer": 1}}
    for settlements in (13, 14):
        assert broken(check_money(load, money(settlements=settlements))) == []
    assert broken(check_money(load, money(settlements=12))) == ["every win is booked once"]


def test_on_a_node_that_others_use_too_more_settlements_are_theirs_and_fewer_are_lost() -> None:
    assert broken(check_money(LOAD, money(alone=False, settlements=99, settled_micros=9**9))) == []
    lost = check_money(LOAD, money(alone=False, settlements=13))
    assert broken(lost) == ["every win is booked once"]


def test_what_the_ledgers_rows_break_is_seen_and_named() -> None:
    found = check_money(LOAD, money(("never_overspent: summer, budget_micros=1",)))
    assert broken(found) == ["nothing is overspent"]
    assert "summer" in found[2].says


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        (Ending(unwhole="node/ledger is restarting"), "the tree is whole again"),
        (Ending(escalations=1), "restarts keep their allowance"),
        (Ending(rebuilds=1), "restarts keep their allowance"),
        (Ending(faults=1), "no fault stays"),
        (Ending(leftovers=("process 7",)), "nothing is left over"),
    ],
)
def test_whatever_is_not_as_before_is_seen(ending: Ending, name: str) -> None:
    assert broken(check_ending(ending, NOTHING)) == [name]


def test_escalations_that_the_experiment_is_about_are_no_fault() -> None:
    ending = Ending(escalations=3, rebuilds=1)
    assert broken(check_ending(ending, Allow(escalations=3, rebuilds=1))) == []


def test_memory_may_have_some_slack_but_not_grow() -> None:
    before = {"rss": 1_000 << 20, "fds": 500}
    assert check_memory(before, {"rss": 1_100 << 20, "fds": 650}).holds
    assert not check_memory(before, {"rss": 1_300 << 20, "fds": 500}).holds
    assert not check_memory(before, {"rss": 1_000 << 20, "fds": 900}).holds
    assert not check_memory(before, {"rss": 0, "fds": 0}).holds


def test_a_socket_file_that_was_not_there_before_is_named() -> None:
    assert check_sockets([]).holds
    assert "bidder-9.sock" in check_sockets(["bidder-9.sock"]).says
