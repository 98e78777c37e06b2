"""SIGKILL under load, some times here and 200 times with ``BIDWRIGHT_SOAK=1``."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import pytest

from tests.money.kills import campaign
from tests.money.postgres import why_not

if TYPE_CHECKING:
    from collections.abc import Callable

IS_SOAK = os.environ.get("BIDWRIGHT_SOAK") == "1"


@pytest.mark.integration
@pytest.mark.slow
@pytest.mark.timeout(3600 if IS_SOAK else 120)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_whoever_is_killed_under_load_every_acknowledged_settlement_is_there(
    database: str, record_property: Callable[[str, object], None]
) -> None:
    if database == "postgresql" and why_not():
        pytest.skip(why_not())
    outcome = campaign(database, kills=200 if IS_SOAK else 6, seed=3, heard=lambda _number: None)
    table = io.StringIO()
    outcome.tell(table)
    record_property("count", f"kills on {database}\n{table.getvalue()}")
    assert not outcome.faults
    assert outcome.acknowledged == outcome.wins > 0
