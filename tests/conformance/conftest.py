"""Options and parameters of the conformance run, and its counts.

``pytest tests/conformance [--cases FILE] [--traces FILE] [--placement light|process]``: any file of
the format of the case table, and any of recorded runs, is replayed on our supervisor. Without files
the shared ones are used if they are there; without a placement both are tried. Of the recorded runs
that nobody asked for, processes replay a sample; with ``--soak``, or ``BIDWRIGHT_SOAK=1`` in the
environment, all.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.conformance.light import LightWorld
from tests.conformance.processes import ProcessWorld
from tests.conformance.theatre import Theatre

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.terminal import TerminalReporter

    from tests.conformance.world import World

ROOT = Path(__file__).resolve().parents[2]
OWN = Path(__file__).with_name("vocabulary.yaml")
SHARED = ROOT.parent / "shared" / "supervision"
CASES = SHARED / "conformance.yaml"
TRACES = SHARED / "golden_traces.jsonl"
PLACEMENTS = ("light", "process")
SAMPLE = 40
SEEDS = {False: 12, True: 300}
"""How many random programs are tried, by whether the run soaks."""
SAMPLE_SEED = 27
ON_PROCESSES = (pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180))
OUTCOMES = ("passed", "failed", "skipped")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--cases", type=Path, default=None, help="a YAML table of cases")
    group.addoption(
        "--traces", type=Path, default=None, help="recorded runs, one JSON object a line"
    )
    group.addoption("--placement", choices=PLACEMENTS, default=None, help="only this placement")
    group.addoption("--soak", action="store_true", help="all recorded runs in every placement")


def chosen(config: pytest.Config, option: str) -> Path | None:
    path: Path | None = config.getoption(option, default=None)
    if path is not None and not path.is_file():
        raise pytest.UsageError(f"{option}: there is no file {path}")
    return path


def soaks(config: pytest.Config) -> bool:
    asked = config.getoption("--soak", default=False)
    return bool(asked) or os.environ.get("BIDWRIGHT_SOAK") == "1"


def read_cases(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        table: dict[str, Any] = yaml.load(file, Loader=loader)
    cases: list[dict[str, Any]] = table["cases"]
    return cases


def read_traces(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


# -- what is run -----------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    given = chosen(config, "--cases"), chosen(config, "--traces")
    if "case" in metafunc.fixturenames:
        # Whoever names one of the two files wants that one only.
        path = given[0] or (CASES if given[1] is None else None)
        cases = read_cases(path) if path is not None and path.is_file() else []
        everywhere = {name: [(case["id"], case) for case in cases] for name in PLACEMENTS}
        metafunc.parametrize(("placement", "case"), params(everywhere, path, config))
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", seeds(config))
    if "own" in metafunc.fixturenames:
        cases = read_cases(OWN) if given == (None, None) else []
        everywhere = {name: [(case["id"], case) for case in cases] for name in PLACEMENTS}
        metafunc.parametrize(("placement", "own"), params(everywhere, None, config))
    if "trace" in metafunc.fixturenames:
        path = given[1] or (TRACES if given[0] is None else None)
        traces = read_traces(path) if path is not None and path.is_file() else []
        by_id = [(trace["program"]["id"], trace) for trace in traces]
        some = by_id if given[1] is not None or soaks(config) else sample(by_id)
        metafunc.parametrize(
            ("placement", "trace"), params({"light": by_id, "process": some}, path, config)
        )


def seeds(config: pytest.Config) -> list[Any]:
    """Return the seeds of random programs: a few, or with ``--soak`` many."""
    given = (config.getoption(f"--{name}", default=None) for name in ("cases", "traces"))
    only = config.getoption("--placement", default=None)
    if only == "light" or any(given):
        return [pytest.param(0, id="none", marks=pytest.mark.skip(reason="not asked for"))]
    return [pytest.param(seed, marks=ON_PROCESSES) for seed in range(SEEDS[soaks(config)])]


def sample(values: list[Any]) -> list[Any]:
    return random.Random(SAMPLE_SEED).sample(values, min(SAMPLE, len(values)))


def params(
    values: dict[str, list[tuple[str, Any]]], path: Path | None, config: pytest.Config
) -> list[Any]:
    """Make the parameters of all placements asked for, or one that is skipped and says why."""
    only = config.getoption("--placement", default=None)
    marks = {"light": (), "process": ON_PROCESSES}
    made = [
        pytest.param(placement, value, id=f"{name}-{placement}", marks=marks[placement])
        for placement in PLACEMENTS
        for name, value in values[placement]
        if only in (None, placement)
    ]
    if made:
        return made
    reason = f"{path} is not there" if path is not None else "only other files were asked for"
    return [pytest.param(None, None, id="none", marks=pytest.mark.skip(reason=reason))]


# -- where it is run -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def theatre() -> Iterator[Theatre]:
    """One warm process that starts all supervisors under test; at its end nothing is left."""
    with closing(Theatre()) as theatre:
        yield theatre


@pytest.fixture
def make_world(request: pytest.FixtureRequest, placement: str) -> Callable[[], World]:
    """How a world of the placement is made; whoever makes one closes it."""
    params = request.node.callspec.params
    request.node.user_properties.append(("conformance", (placement, kind_of(params))))
    if placement == "light":
        return LightWorld
    theatre = request.getfixturevalue("theatre")
    return lambda: ProcessWorld(theatre)


@pytest.fixture
def world(make_world: Callable[[], World]) -> Iterator[World]:
    with closing(make_world()) as world:
        yield world


def kind_of(params: dict[str, Any]) -> str:
    if "case" in params:
        return f"cases, {params['case'].get('level', 'core')}"
    return "our own cases" if "own" in params else "recorded runs"


# -- the counts ------------------------------------------------------------------------------------


TALLY: Counter[tuple[str, str, str]] = Counter()
"""How many ended how: by placement, kind and outcome."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    what: Any = dict(report.user_properties).get("conformance")
    if what is not None and (report.when == "call" or report.outcome != "passed"):
        placement, kind = what
        TALLY[placement, kind, report.outcome] += 1


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    if not TALLY:
        return
    terminalreporter.section("conformance")
    for placement, kind in sorted({key[:2] for key in TALLY}):
        passed, failed, skipped = (TALLY[placement, kind, outcome] for outcome in OUTCOMES)
        terminalreporter.line(
            f"{placement:8}{kind:16}{passed:4} passed, {failed} failed, {skipped} left out"
        )
