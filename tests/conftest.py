"""What all tests share.

Properties are tried on the same examples in every run, on any machine. What a test counts (its
property ``count``) is told at the end of the run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pytest
    from _pytest.terminal import TerminalReporter

# As in a node: our matrices are small, and threads that wait for each other would cost the most.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# A busy machine must not fail a test: no deadline for an example, no complaint about slow drawing.
settings.register_profile(
    "bidwright",
    deadline=None,
    derandomize=True,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bidwright")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave whole experiments out unless they are asked for by ``-m``: they take minutes."""
    if "chaos" in config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("chaos") is not None]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


COUNTS: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call":
        COUNTS.extend(str(value) for name, value in report.user_properties if name == "count")


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("counts")
        for line in COUNTS:
            terminalreporter.line(line)
