"""The checkers can fail: faults planted in the product are found, by what they break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation import mutants
from tests.simulation.run import simulate

if TYPE_CHECKING:
    from collections.abc import Callable

    Plant = Callable[[pytest.MonkeyPatch], None]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WITHIN = 10
"""Seeds within which each planted fault must be found, from 0 on or from a number below."""
FROM: dict[Plant, int] = {
    mutants.budget_managers_share_a_name: 5,
    mutants.gateway_does_not_hear_of_deaths: 35,
    mutants.supervisor_never_gives_up: 6,
}
"""Where to begin with what needs a rare moment, so that the suite stays quick."""
PLANTED: dict[Plant, set[str]] = {
    mutants.ledger_books_a_win_twice: {"books", "overspent"},
    mutants.ledger_answers_before_its_commit: {"durable", "wallets", "promises", "leases"},
    mutants.ledger_frees_leases_at_their_end: {"promises", "wallets", "paid_in_window"},
    mutants.ledger_charges_what_is_claimed: {"over_bid", "settled_wins"},
    mutants.wallet_promises_more_than_it_has: {"promises", "paid_in_window"},
    mutants.budget_managers_share_a_name: {"promises", "wallets"},
    mutants.desk_confirms_before_the_ledger: {"durable", "answered_once"},
    mutants.gateway_forgets_an_answer: {"answered", "in_time"},
    mutants.gateway_does_not_hear_of_deaths: {"answered", "in_time"},
    mutants.gateway_answers_again_after_a_death: {"answered_once"},
    mutants.gateway_remembers_nothing: {"same_answer"},
    mutants.gateway_waits_for_the_late: {"in_time", "answered"},
    mutants.gateway_keeps_no_record: {"recorded"},
    mutants.orchestrators_do_not_end: {"whole_tree", "promises"},
    mutants.supervisor_stops_in_start_order: {"stop_order"},
    mutants.supervisor_restarts_only_the_dead: {"start_order", "stop_order"},
    mutants.supervisor_restarts_the_group_backwards: {"start_order"},
    mutants.supervisor_never_gives_up: {"intensity"},
    mutants.supervisor_gives_up_too_early: {"intensity"},
    mutants.supervisor_restarts_nobody: {"liveness", "whole_tree", "well_again"},
    mutants.supervisor_keeps_the_old_one: {"one_incarnation", "stop_order"},
}


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    first = FROM.get(plant, 0)
    found = (simulate(seed).rule for seed in range(first, first + WITHIN))
    rule = next((rule for rule in found if rule), None)
    assert rule in PLANTED[plant]
