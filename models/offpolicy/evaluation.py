"""Measures selectors on what there is: Open Bandit's folder, one log, or a folder of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.errors import EvaluationError
from models.offpolicy.columns import SUFFIXES, Names
from models.offpolicy.logs import read_decisions
from models.offpolicy.obd import Campaign, campaigns_of, evaluate_obd
from models.offpolicy.replay import Report, evaluate_log

if TYPE_CHECKING:
    from pathlib import Path


class Found(msgspec.Struct, frozen=True):
    """All that was measured.

    Attributes:
        campaigns: Of Open Bandit data.
        logs: Of any other log.
    """

    campaigns: tuple[Campaign, ...] = ()
    logs: tuple[Report, ...] = ()


def evaluate_selector(data: Path, seed: int, names: Names | None = None) -> Found:
    """Measure what there is.

    Args:
        data: A file or a folder.
        seed: Of all chance.
        names: Columns named by hand.

    Raises:
        EvaluationError: There is no log, or one that can't be used.
    """
    if data.is_dir() and campaigns_of(data):
        return Found(campaigns=evaluate_obd(data, seed))
    files = [data] if data.is_file() else _logs_in(data)
    if not files:
        raise EvaluationError(f"{data}: there is no log; one ends with {', '.join(SUFFIXES)}")
    return Found(
        logs=tuple(evaluate_log(file.name, read_decisions(file, names), seed) for file in files)
    )


def _logs_in(folder: Path) -> list[Path]:
    """Return the logs of a folder; what describes items is no log."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith("items")
    ]
