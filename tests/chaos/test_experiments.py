"""Every shipped experiment on a node of its own, and every defence that they must miss.

Left out of an ordinary run: ask with ``-m chaos``, or run them together by ``make chaos``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.chaos.catalogue import shipped
from cli.exits import Exit

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]

ROOT = Path(__file__).resolve().parents[2]
PLANTED = [
    ("stop-ledger", "heartbeats"),
    ("agent-slow", "fallbacks"),
    ("link-duplicate", "deduplication"),
    ("link-corrupt", "checksums"),
    ("ledger-killed-in-commit", "durability"),
]


def chaos(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Run ``bidwright chaos WORDS -o json``; return its code and what it printed."""
    command = [sys.executable, "-m", "cli.main", "chaos", *words]
    done = subprocess.run(
        [*command, "-o", "json", "--data-dir", str(folder)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", [experiment.name for experiment in shipped()])
def test_the_node_takes_it(name: str, tmp_path: Path) -> None:
    code, result = chaos(tmp_path, "run", name)
    assert (code, result["verdict"]) == (Exit.OK, "PASS"), result["why"]


@pytest.mark.parametrize(("name", "defence"), PLANTED)
def test_a_defence_that_is_switched_off_is_missed(name: str, defence: str, tmp_path: Path) -> None:
    code, result = chaos(tmp_path, "run", name, "--set", f"defences.{defence}=false")
    assert (code, result["verdict"]) == (Exit.DEGRADED, "WEAKNESS"), result["why"]
