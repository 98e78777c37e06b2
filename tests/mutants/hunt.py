"""Hunts planted faults: each is put into a copy of the source, and the quick tests must notice it.

The working tree is never touched. ``python -m tests.mutants`` hunts all of them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.mutants.planted import Fault

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("actors", "cli", "config", "models", "supervision", "transport", "tests")
SETTINGS = ("pyproject.toml", "setup.cfg")
STAGES: tuple[tuple[str, ...], ...] = (
    ("tests/conformance/test_cases.py", "--placement", "light"),
    ("tests/conformance/test_traces.py", "--placement", "light"),
    ("tests/supervision", "-m", "not slow"),
    ("tests/supervision", "-m", "slow"),
)
"""What is run until one notices, the recorded behaviour of OTP first."""
OPTIONS = ("-x", "-q", "--no-header", "-p", "no:randomly", "-p", "no:cacheprovider", "--timeout=20")
LONGEST_S = 240.0
NOTHING_RAN = (2, 3, 4, 5)
"""pytest's codes for: interrupted (what can't be imported), internal error, usage, no tests."""


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of one fault.

    Attributes:
        caught_by: The first test that failed; empty if the fault survived.
        seconds: How long it took.
    """

    fault: Fault
    caught_by: str
    seconds: float

    def as_row(self) -> dict[str, Any]:
        return {**asdict(self.fault), "caught_by": self.caught_by, "seconds": self.seconds}


class BrokenFaultError(Exception):
    """A fault that does not apply, or after which nothing can be tested."""


class Copy:
    """A copy of the source in which one fault at a time is planted.

    Args:
        folder: An empty folder; it gets the copy and, beside it, the recordings of OTP.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "source"
        for name in COPIED:
            skip = shutil.ignore_patterns("__pycache__", "weights", "*.pyc")
            shutil.copytree(ROOT / name, self.root / name, ignore=skip)
        for name in SETTINGS:
            shutil.copy(ROOT / name, self.root / name)
        recordings = ROOT.parent / "shared"
        if recordings.is_dir():
            (folder / "shared").symlink_to(recordings)

    def hunt(self, fault: Fault, stages: Iterable[Sequence[str]] = STAGES) -> Catch:
        """Plant ``fault``, run the stages until a test notices it, and take it out again.

        Raises:
            BrokenFaultError: It does not apply, or its source can't be imported.
        """
        path = self.root / "supervision" / fault.file
        whole = path.read_text(encoding="utf-8")
        path.write_text(planted(fault, whole), encoding="utf-8")
        began_s = time.monotonic()
        try:
            caught = next(filter(None, map(self._first_failure, stages)), "")
        finally:
            path.write_text(whole, encoding="utf-8")
        return Catch(fault, caught, round(time.monotonic() - began_s, 1))

    def _first_failure(self, stage: Sequence[str]) -> str:
        command = (sys.executable, "-m", "pytest", *OPTIONS, *stage)
        # Bytecode is known by the second it was written in: two faults within one must not mix.
        surroundings = {**os.environ, "PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        surroundings.pop("BIDWRIGHT_SOAK", None)
        try:
            done = subprocess.run(
                command,
                cwd=self.root,
                env=surroundings,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{stage[0]} (it never ended)"
        if done.returncode in NOTHING_RAN:
            raise BrokenFaultError(f"nothing can be tested: {done.stdout[-2000:]}{done.stderr}")
        if done.returncode == 0:
            return ""
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        return found[1] if found is not None else f"{stage[0]} (it never ended)"


def planted(fault: Fault, source: str) -> str:
    """Return ``source`` with the fault in it.

    Raises:
        BrokenFaultError: What it replaces is not there exactly once.
    """
    times = source.count(fault.old)
    if times != 1:
        raise BrokenFaultError(f"{fault.name}: what it replaces is {times} times in {fault.file}")
    return source.replace(fault.old, fault.new)
