"""The state machine of money on both databases, and whether it would notice if money went wrong.

With ``BIDWRIGHT_SOAK=1`` it goes on for long, by chance instead of the same way each time, and all
planted faults are hunted, not a sample.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.money.banks import PostgresVault, SqliteVault, Vault
from tests.money.machine import MoneyMachine
from tests.money.planted import FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.money.planted import Fault
    from tests.money.postgres import PostgresServer

IS_SOAK = os.environ.get("BIDWRIGHT_SOAK") == "1"
STEPS = 100_000 if IS_SOAK else 5_000
#: More on PostgreSQL, where a fresh database takes longer.
STEPS_OF_A_RUN = 50
POSTGRES_STEPS_OF_A_RUN = 100
#: To find the shortest way to a failure takes minutes, more than a test has.
SHRINK = (Phase.shrink,) if IS_SOAK else ()
#: Within which a planted fault must be noticed.
HUNTING_STEPS = 20_000
SAMPLE = FAULTS if IS_SOAK else tuple(random.Random(6).sample(FAULTS, 5))


def drive(make_vault: Callable[[], Vault], steps: int, of_a_run: int, *phases: Phase) -> int:
    """Run the machine on fresh databases, and return how many steps it went.

    Some runs end early, so there are some more than would be needed.
    """

    class Machine(MoneyMachine):
        pass

    Machine.make_vault = staticmethod(make_vault)
    Machine.steps = 0
    run_state_machine_as_test(
        Machine,
        settings=settings(
            stateful_step_count=of_a_run,
            suppress_health_check=list(HealthCheck),
            # By chance in a long run; a fault is hunted the same way each time.
            derandomize=not phases,
            max_examples=int(1.2 * steps / of_a_run) + 6,
            phases=(Phase.generate, *phases),
        ),
    )
    return Machine.steps


@pytest.mark.slow
@pytest.mark.timeout(7200 if IS_SOAK else 240)
def test_money_is_safe_on_sqlite_whatever_happens(
    record_property: Callable[[str, object], None],
) -> None:
    steps = drive(SqliteVault, STEPS, STEPS_OF_A_RUN, *SHRINK)
    record_property("count", f"money on SQLite: {steps:,} steps")
    assert steps >= STEPS


@pytest.mark.slow
@pytest.mark.timeout(7200 if IS_SOAK else 240)
def test_money_is_safe_on_postgresql_whatever_happens(
    postgres_server: PostgresServer, record_property: Callable[[str, object], None]
) -> None:
    steps = drive(lambda: PostgresVault(postgres_server), STEPS, POSTGRES_STEPS_OF_A_RUN, *SHRINK)
    record_property("count", f"money on PostgreSQL: {steps:,} steps")
    assert steps >= STEPS


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", SAMPLE, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_noticed(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    # Whatever notices it: a promise of the machine, an assertion of the product, the database.
    with pytest.raises(Exception, match=r"[\s\S]*"):
        drive(SqliteVault, HUNTING_STEPS, STEPS_OF_A_RUN)
