"""Options of the simulation: ``pytest tests/simulation --seed 4711``, ``--seeds 5000``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SEEDS = 200
"""Seeds of every run of the suite."""
PART = 10
"""Seeds of one test: enough to be worth a line, few enough to point at the culprit."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--seed", type=int, default=None, help="run this one seed only")
    group.addoption("--seeds", type=int, default=None, help=f"run so many seeds, not {SEEDS}")
    group.addoption("--first-seed", type=int, default=0, help="the first of --seeds")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    config = metafunc.config
    one = config.getoption("--seed", default=None)
    if one is not None:
        metafunc.parametrize("seeds", [range(one, one + 1)], ids=[str(one)])
        return
    first = config.getoption("--first-seed", default=0)
    end = first + (config.getoption("--seeds", default=None) or SEEDS)
    parts = [range(start, min(start + PART, end)) for start in range(first, end, PART)]
    metafunc.parametrize("seeds", parts, ids=[f"{part.start}-{part.stop - 1}" for part in parts])
