"""What the documentation says can be held against the project: tests it names exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
NAME = re.compile(r"`(test_\w+)(?:\[[^\]]*\])?`")
TEST = re.compile(r"^\s*def (test_\w+)\(", re.MULTILINE)
PROMISE = re.compile(r"^\* \*\*.*(?:\n(?:  .*|))*", re.MULTILINE)


@cache
def known_tests() -> frozenset[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return frozenset(name for file in files for name in TEST.findall(file.read_text()))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    missing = set(NAME.findall(page.read_text())) - known_tests()
    assert not missing, f"{name_of(page)} names tests that are not there: {sorted(missing)}"


def test_every_promise_of_the_runtime_names_the_test_that_keeps_it() -> None:
    promises = PROMISE.findall((ROOT / "docs" / "SEMANTICS.md").read_text())
    assert promises
    bare = [promise.splitlines()[0] for promise in promises if not NAME.search(promise)]
    assert not bare, f"promises without a test: {bare}"
