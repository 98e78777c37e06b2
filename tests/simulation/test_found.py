"""Seeds that once broke a promise, and what it was.

Plans change with the simulation, so each find is kept as a plan of its own. With its fix undone it
breaks the promise again: that proves that it still meets the place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from tests.simulation import mutants
from tests.simulation.plan import Plan, fault_plan, plan_of
from tests.simulation.run import run_plan

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Found(NamedTuple):
    """A run that found something: the plan, what undoes the fix, and the promise."""

    plan: Plan
    unfix: Callable[[pytest.MonkeyPatch], None]
    rule: str


def planned(seed: int, kind: str, count: int, eager: float = 0.0, *, sheds: bool = True) -> Plan:
    """Return a plan of roomy bounds, lively exchanges, and faults of one kind only."""
    plan = plan_of(seed)
    exchange = msgspec.structs.replace(
        plan.exchange, requests=70, burst=12, eager=eager, garbage=0.0, resend_s=0.15
    )
    tightness = msgspec.structs.replace(
        plan.tightness, mailbox_limit=4096, max_in_flight=1024, cache_users=1_000, sheds=sheds
    )
    faults = tuple(
        fault_plan(seed, number, kind, (0.6 + 0.3 * number, 0.5)) for number in range(count)
    )
    return msgspec.structs.replace(
        plan,
        bidders=1,
        faults_s=3.0,
        exchange=exchange,
        tightness=tightness,
        kinds=(kind,),
        faults=faults,
    )


FOUND = {
    # 125: a gateway under a flood decided a request twice that came again before its log's turn.
    "two_bids_for_one_request": Found(
        planned(7, "flood_actor", 9, eager=1.0, sheds=False),
        mutants.gateway_lets_go_before_it_answers,
        "same_answer",
    ),
    # 6, 25, 211: one lost answer, and a user got the default profile for ever.
    "a_user_on_fallbacks_for_ever": Found(
        planned(14, "lost_mail", 9),
        mutants.profiler_waits_for_what_was_lost,
        "well_again",
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_fixed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = FOUND[name]
    assert not run_plan(found.plan).wrongs
    found.unfix(monkeypatch)
    assert run_plan(found.plan).rule == found.rule
