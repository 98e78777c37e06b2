"""Every planted fault fits the source, and a sample is hunted; ``make mutants`` hunts all."""

from __future__ import annotations

import ast
import random
from typing import TYPE_CHECKING

import pytest

from tests.mutants.hunt import ROOT, BrokenFaultError, Copy, planted
from tests.mutants.planted import FAULTS, Fault

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE = 3
SEED = 9
SLOW = ("test_supervisor_machine", "test_decision_space", "test_scale")


def source_of(fault: Fault) -> str:
    return (ROOT / "supervision" / fault.file).read_text(encoding="utf-8")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_fits_the_source_once_and_changes_what_it_means(fault: Fault) -> None:
    whole = source_of(fault)
    changed = planted(fault, whole)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(whole))
    assert (ROOT / "tests" / fault.caught_by).is_file()


def test_names_are_unique_and_there_are_enough_of_them() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
    assert sum(bool(fault.otp) for fault in FAULTS) >= 10


def test_a_fault_that_fits_nowhere_is_refused() -> None:
    with pytest.raises(BrokenFaultError, match="is 0 times in"):
        planted(Fault("lost", "cell.py", "not there", ""), "source")


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_sample_of_the_planted_faults_is_caught(tmp_path: Path) -> None:
    quick = [fault for fault in FAULTS if not any(slow in fault.caught_by for slow in SLOW)]
    copy = Copy(tmp_path)
    for fault in random.Random(SEED).sample(quick, SAMPLE):
        path = copy.root / "supervision" / fault.file
        whole = path.read_text(encoding="utf-8")
        caught = copy.hunt(fault, [(f"tests/{fault.caught_by}",)])
        assert caught.caught_by, f"{fault.name} survived {fault.caught_by}"
        assert path.read_text(encoding="utf-8") == whole
