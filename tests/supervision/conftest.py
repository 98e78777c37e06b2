"""A cell in virtual time and a pipe, given back after each test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.supervision.worlds import make_cell

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervision import Cell


@pytest.fixture
def cell() -> Iterator[Cell]:
    cell = make_cell()
    yield cell
    cell.poller.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for fd in ends:
        try:
            os.close(fd)
        except OSError:
            continue
