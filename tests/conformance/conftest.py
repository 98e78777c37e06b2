"""Options and parameters of the conformance run.

``pytest tests/conformance --cases FILE --traces FILE --placement light``: any file of the format of
the case table is replayed on our supervisor. Without options the shared files are used if they are
there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "supervision"
CASES = SHARED / "conformance.yaml"
TRACES = SHARED / "golden_traces.jsonl"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--cases", type=Path, default=None, help="a YAML table of cases")
    group.addoption(
        "--traces", type=Path, default=None, help="recorded runs, one JSON object a line"
    )
    group.addoption("--placement", choices=("light", "process"), default="light")


def chosen(config: pytest.Config, option: str) -> Path | None:
    path: Path | None = config.getoption(option, default=None)
    if path is not None and not path.is_file():
        raise pytest.UsageError(f"{option}: there is no file {path}")
    return path


def read_cases(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with path.open(encoding="utf-8") as file:
        table: dict[str, Any] = yaml.load(file, Loader=loader)
    cases: list[dict[str, Any]] = table["cases"]
    return cases


def read_traces(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    given = chosen(config, "--cases"), chosen(config, "--traces")
    if "case" in metafunc.fixturenames:
        # Whoever names one of the two files wants that one only.
        path = given[0] or (CASES if given[1] is None else None)
        cases = read_cases(path) if path is not None and path.is_file() else []
        marks = params_or_skip(cases, [case["id"] for case in cases], path)
        metafunc.parametrize("case", marks)
    if "trace" in metafunc.fixturenames:
        path = given[1] or (TRACES if given[0] is None else None)
        traces = read_traces(path) if path is not None and path.is_file() else []
        marks = params_or_skip(traces, [trace["program"]["id"] for trace in traces], path)
        metafunc.parametrize("trace", marks)


def params_or_skip(values: list[Any], ids: list[str], path: Path | None) -> list[Any]:
    if values:
        return [pytest.param(value, id=name) for value, name in zip(values, ids, strict=True)]
    reason = f"{path} is not there" if path is not None else "only the other kind was asked for"
    return [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]


@pytest.fixture
def placement(request: pytest.FixtureRequest) -> str:
    name: str = request.config.getoption("--placement", default="light")
    if name == "process":
        pytest.skip("children in processes of their own have no adapter for scripted probes yet")
    return name
