"""A whole node under fire, seed by seed: no promise breaks, and a seed is one run everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.report import story
from tests.simulation.run import simulate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]


def test_no_promise_breaks_whatever_goes_wrong(seeds: range) -> None:
    broken = [outcome for outcome in map(simulate, seeds) if outcome.wrongs]
    assert not broken, "\n".join(map(story, broken))


def test_one_seed_is_one_run() -> None:
    for seed in (5, 12):
        assert simulate(seed).digest == simulate(seed, keeps_notes=True).digest


def test_one_seed_is_the_same_run_in_another_process() -> None:
    code = "from tests.simulation.run import simulate; print(simulate(5).digest)"
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert there == simulate(5).digest


def test_seeds_differ() -> None:
    assert simulate(5).digest != simulate(6).digest


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_run_leaves_no_descriptor_and_no_file_behind() -> None:
    simulate(3)  # what is made once for all runs
    before = descriptors()
    simulate(4)
    assert descriptors() == before
