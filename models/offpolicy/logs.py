"""A log of decisions: what was known, what was done with which chance, and what it earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import EvaluationError
from models.offpolicy.columns import Names, Roles, numbers_of, read_table, roles_of
from models.offpolicy.features import encode

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Decisions(msgspec.Struct, frozen=True):
    """Decisions in the order of their time; N decisions, D places of context, K arms.

    Attributes:
        contexts: Shape ``(N, D)``, standardised.
        places: Names of the places, length D.
        actions: Rows of arms, shape ``(N,)``.
        arms: Names, length K.
        propensities: Chance of each logged action, shape ``(N,)``.
        rewards: Shape ``(N,)``.
        roles: Columns that were read.
        left_out: Columns of context that say nothing.
    """

    contexts: Floats
    places: tuple[str, ...]
    actions: Ints
    arms: tuple[str, ...]
    propensities: Floats
    rewards: Floats
    roles: Roles
    left_out: tuple[str, ...] = ()


def read_decisions(path: Path, names: Names | None = None) -> Decisions:
    """Read a log of decisions.

    Args:
        path: A file; see `models.offpolicy.columns`.
        names: Columns named by hand.

    Raises:
        EvaluationError: It can't be read, lacks a column, or holds what can't be.
    """
    table = read_table(path)
    roles = roles_of(path, table, names or Names())
    if roles.time:
        table = table.sort_by(roles.time)
    rewards = numbers_of(path, table, roles.reward)
    if not np.isfinite(rewards).all():
        raise EvaluationError(f"{path}: column {roles.reward!r} has rows without a number")
    arms, actions = _arms(path, table, roles.action)
    context = encode(path, table, roles.context)
    return Decisions(
        contexts=context.places,
        places=context.names,
        actions=actions,
        arms=arms,
        propensities=_propensities(path, table, roles.propensity, len(arms)),
        rewards=rewards,
        roles=roles,
        left_out=context.left_out,
    )


def _arms(path: Path, table: pa.Table, name: str) -> tuple[tuple[str, ...], Ints]:
    """Return the names of arms and each row's arm; numbers keep their order."""
    values = table[name].to_pylist()
    if any(value is None for value in values):
        raise EvaluationError(f"{path}: column {name!r} has rows without an action")
    try:
        found, rows = np.unique(np.array(values), return_inverse=True)
    except TypeError:
        found, rows = np.unique(np.array([str(value) for value in values]), return_inverse=True)
    if len(found) < 2:
        raise EvaluationError(f"{path}: column {name!r} has one action only; nothing to choose")
    if len(found) * 2 > len(values):
        raise EvaluationError(
            f"{path}: column {name!r} has {len(found)} actions in {len(values)} rows; name the"
            " column of actions with --action"
        )
    return tuple(str(arm) for arm in found), rows.astype(np.int64)


def _propensities(path: Path, table: pa.Table, name: str, arms: int) -> Floats:
    """Return the chances of logged actions; even where the file says none."""
    if not name:
        return np.full(table.num_rows, 1.0 / arms)
    found = numbers_of(path, table, name)
    if not ((found > 0.0) & (found <= 1.0)).all():
        raise EvaluationError(f"{path}: column {name!r} must hold chances above 0, 1 at most")
    return found
