"""The decoders under a fuzzer, for a few seconds; `make fuzz` takes longer."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from tests.fuzz.__main__ import command_of
from tests.fuzz.targets import ALL, TARGETS, seeds_of, target_of

SECONDS = 4
LEAST_INPUTS = 1_000


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_takes_what_it_begins_with(name: str) -> None:
    for seed in seeds_of(name):
        target_of(name)(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_takes_what_is_cut_and_what_is_flipped(name: str) -> None:
    for seed in seeds_of(name):
        for place in range(0, len(seed), 1 + len(seed) // 50):
            target_of(name)(seed[:place])
            target_of(name)(seed[:place] + bytes((seed[place] ^ 0x55,)) + seed[place + 1 :])


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: no fuzzer"
)
def test_no_input_that_the_fuzzer_finds_crashes_hangs_or_grows(tmp_path: Path) -> None:
    done = subprocess.run(
        command_of(ALL, SECONDS, tmp_path),
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    told = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    assert told is not None
    assert int(told[1]) > LEAST_INPUTS
