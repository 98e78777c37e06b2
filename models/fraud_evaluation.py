"""Measures the rules against invalid traffic on requests whose nature is known.

The rules' score looks like a chance but is none. On one half of the requests Platt and isotonic
calibration are fitted; on the other half scores and calibrated chances are measured. Requests come
from a file of one's own, or are made: people (some behind a hosting company's address, some busy,
some without a browser's name) and robots (some that say so, some that pretend to be people).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.calibration import Bin, fit_isotonic, fit_platt, reliability
from models.errors import EvaluationError
from models.evaluation import area_under_curve, calibration_error, log_loss
from models.fraud import FraudRules
from models.market.traffic import AGENTS
from models.offpolicy.columns import numbers_of, read_table
from models.opportunity import Opportunity, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Floats = NDArray[np.float64]

REQUESTS: Final = 20_000
_SLOT: Final = Slot("banner", 300, 250)
_COLUMNS: Final = ("user_agent", "ip", "device_kind", "recent", "invalid")
_ROBOTS: Final = 0.15
_HOSTED: Final = "52.1.2.3"
_HOME: Final = "198.51.100.7"
_WINDOWS: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Gecko/20100101 Firefox/133.0"


class Request(msgspec.Struct, frozen=True):
    """What the rules look at, and the truth.

    Attributes:
        user_agent: As sent; empty if not.
        ip: As sent; empty if not.
        device_kind: As sent.
        recent: Requests of the same source within the window.
        invalid: The truth.
    """

    user_agent: str
    ip: str
    device_kind: str
    recent: int
    invalid: bool


class Row(msgspec.Struct, frozen=True):
    """How good chances are.

    Attributes:
        model: The rules' score as it is, or calibrated.
        log_loss: Mean negative log-likelihood of the truth.
        calibration_error: Expected, over ten bins of equal size.
        auc: Chance that a robot is ranked above a person.
        bins: Of the reliability diagram.
    """

    model: str
    log_loss: float
    calibration_error: float
    auc: float
    bins: tuple[Bin, ...]


class Report(msgspec.Struct, frozen=True):
    """All that was measured.

    Attributes:
        source: File, or that the requests were made.
        fitted: Requests that calibration was fitted to.
        measured: Requests that it was measured on.
        invalid: Share of these that are invalid.
        refused: Share of the invalid that the rules refuse.
        refused_wrongly: Share of the valid that they refuse.
        rows: By model.
    """

    source: str
    fitted: int
    measured: int
    invalid: float
    refused: float
    refused_wrongly: float
    rows: tuple[Row, ...]


def evaluate_fraud(data: Path | None, seed: int) -> Report:
    """Fit calibration on one half of the requests and measure on the other.

    Args:
        data: File with the columns ``user_agent``, ``ip``, ``device_kind``, ``recent`` (requests
            of the source in the last minute) and ``invalid`` (0 or 1); none = made requests.
        seed: Of the halves and of the made requests.

    Raises:
        EvaluationError: The file can't be read, or knows only one kind.
    """
    rng = np.random.default_rng((seed, 80))
    requests = made_requests(REQUESTS, rng) if data is None else read_requests(data)
    order = rng.permutation(len(requests))
    rules = FraudRules()
    score = np.array([_score(rules, each) for each in requests])[order]
    truth = np.array([float(each.invalid) for each in requests])[order]
    half = len(requests) // 2
    fit, held = slice(0, half), slice(half, None)
    if not 0.0 < truth[fit].mean() < 1.0 or not 0.0 < truth[held].mean() < 1.0:
        raise EvaluationError(f"{data}: all requests are of one kind; both are needed")
    chances = {
        "score as it is": score[held],
        "Platt": fit_platt(score[fit], truth[fit])(score[held]),
        "isotonic": fit_isotonic(score[fit], truth[fit])(score[held]),
    }
    refused = score[held] >= rules.invalid_from
    robots = truth[held] > 0.0
    return Report(
        source="made" if data is None else data.name,
        fitted=half,
        measured=len(requests) - half,
        invalid=float(truth[held].mean()),
        refused=float(refused[robots].mean()),
        refused_wrongly=float(refused[~robots].mean()),
        rows=_rows(chances, truth[held]),
    )


def _rows(chances: Mapping[str, Floats], truth: Floats) -> tuple[Row, ...]:
    return tuple(
        Row(
            model=model,
            log_loss=log_loss(chance, truth),
            calibration_error=calibration_error(chance, truth),
            auc=area_under_curve(chance, truth),
            bins=reliability(chance, truth),
        )
        for model, chance in chances.items()
    )


def _score(rules: FraudRules, request: Request) -> float:
    asked = Opportunity(
        request_id="r",
        imp_id="1",
        slots=(_SLOT,),
        user_agent=request.user_agent,
        ip=request.ip,
        device_kind=request.device_kind,
    )
    return rules.score(asked, request.recent).score


def read_requests(path: Path) -> list[Request]:
    """Read requests whose nature is known.

    Args:
        path: See `evaluate_fraud`.

    Raises:
        EvaluationError: It can't be read or lacks a column.
    """
    table = read_table(path)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise EvaluationError(f"{path}: no column {', '.join(missing)}; see --help")
    texts = [[str(value or "") for value in table[name].to_pylist()] for name in _COLUMNS[:3]]
    recent, invalid = (numbers_of(path, table, name) for name in _COLUMNS[3:])
    rows = zip(*texts, recent.tolist(), invalid.tolist(), strict=True)
    return [Request(agent, ip, kind, int(count), bad > 0.0) for agent, ip, kind, count, bad in rows]


def made_requests(count: int, rng: np.random.Generator) -> list[Request]:
    """Make requests of people and robots that look alike in part.

    Args:
        count: How many.
        rng: Source of chance.
    """
    kinds = tuple(AGENTS)
    robot = rng.random(count) < _ROBOTS
    kind = rng.integers(0, len(kinds), count)
    luck = rng.random((count, 4))
    return [_made(bool(r), kinds[k], each) for r, k, each in zip(robot, kind, luck, strict=True)]


def _made(robot: bool, kind: str, luck: Floats) -> Request:  # noqa: FBT001
    """Return one request; four numbers of chance decide about browser, device, address, haste."""
    agent = AGENTS[kind]
    names, mismatch, hosted, busy = (0.4, 0.3, 0.5, 0.35) if robot else (0.001, 0.01, 0.03, 0.01)
    if luck[0] < names:
        agent = "curl/8.5.0"
    elif luck[0] > 1.0 - (0.15 if robot else 0.02):
        agent = ""
    elif luck[1] < mismatch:
        agent = _WINDOWS
        kind = "phone"
    address = _HOSTED if luck[2] < hosted else _HOME
    fast = 700 if luck[3] < busy / 3 else 200
    return Request(agent, address, kind, fast if luck[3] < busy else 3, robot)
