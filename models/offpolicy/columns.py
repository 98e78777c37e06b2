"""Reads tables of decisions, and finds out which column is what.

Files may be Parquet, CSV or TSV (also gzipped) or JSON lines. Columns are known by their usual
names whatever their case, and can be named by hand.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.errors import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

SUFFIXES: Final = (".parquet", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".ndjson")

#: Usual names, the surest first; compared in lower case with `_` for anything else.
ACTIONS: Final = [
    "action",
    "action_id",
    "chosen_action",
    "arm",
    "arm_id",
    "item_id",
    "item",
    "creative_id",
    "creative",
    "ad_id",
    "ad",
    "variant",
    "treatment",
    "banner_id",
    "banner",
    "choice",
    "decision",
    "a",
]
REWARDS: Final = [
    "reward",
    "rewards",
    "click",
    "clicked",
    "clicks",
    "is_click",
    "label",
    "outcome",
    "response",
    "conversion",
    "converted",
    "visit",
    "y",
    "r",
]
PROPENSITIES: Final = [
    "propensity",
    "propensity_score",
    "propensities",
    "pscore",
    "pscores",
    "action_propensity",
    "action_prob",
    "action_probability",
    "logging_propensity",
    "logged_propensity",
    "probability",
    "prob",
    "p",
]
TIMES: Final = ["timestamp", "time", "ts", "datetime", "date", "event_time", "logged_at"]


class Names(msgspec.Struct, frozen=True):
    """Columns named by hand; an empty name is to be found out.

    Attributes:
        action: What was done.
        reward: What it earned.
        propensity: With which chance it was done.
        context: What was known before; all other columns when empty.
    """

    action: str = ""
    reward: str = ""
    propensity: str = ""
    context: tuple[str, ...] = ()


class Roles(msgspec.Struct, frozen=True):
    """Which column is what.

    Attributes:
        action: What was done.
        reward: What it earned.
        propensity: With which chance; empty where the file does not say.
        time: When; empty where the file does not say.
        context: What was known before.
    """

    action: str
    reward: str
    propensity: str
    time: str
    context: tuple[str, ...]


def read_table(path: Path) -> pa.Table:
    """Read a file of decisions.

    Args:
        path: See `SUFFIXES`.

    Raises:
        EvaluationError: It can't be read, or holds no row.
    """
    import pyarrow as pa

    try:
        table = _read(path)
    except (OSError, pa.ArrowException) as error:
        raise EvaluationError(f"{path}: can't be read: {_first_line(error)}") from error
    if not table.num_rows:
        raise EvaluationError(f"{path}: there is no row; give a log of decisions")
    return table


def _read(path: Path) -> pa.Table:
    name = path.name.lower()
    if name.endswith((".parquet", ".pq")):
        import pyarrow.parquet

        return pyarrow.parquet.read_table(path)
    if name.endswith((".jsonl", ".ndjson")):
        import pyarrow.json

        return pyarrow.json.read_json(path)
    if not name.endswith(SUFFIXES):
        raise EvaluationError(f"{path}: unknown kind of file; use one of {', '.join(SUFFIXES)}")
    import pyarrow.csv

    separator = "\t" if ".tsv" in name else ","
    options = pyarrow.csv.ParseOptions(delimiter=separator)
    return pyarrow.csv.read_csv(path, parse_options=options)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def roles_of(path: Path, table: pa.Table, names: Names) -> Roles:
    """Find out which column is what.

    Args:
        path: For messages.
        table: As read.
        names: What was said by hand.

    Raises:
        EvaluationError: There is no action or no reward, or a name that is no column.
    """
    there = list(table.column_names)
    for name in (names.action, names.reward, names.propensity, *names.context):
        if name and name not in there:
            raise EvaluationError(f"{path}: no column {name!r}; there are {_listed(there)}")
    action = names.action or _known(there, ACTIONS)
    reward = names.reward or _known(there, REWARDS)
    if not action or not reward or action == reward:
        raise EvaluationError(
            f"{path}: no column of actions and of rewards among {_listed(there)}; rename them to"
            " `action` and `reward`, or name them with --action and --reward"
        )
    propensity = names.propensity or _known(there, PROPENSITIES)
    time = _known(there, TIMES)
    taken = {action, reward, propensity, time}
    context = names.context or tuple(
        name for name in there if name not in taken and not _is_index(name)
    )
    return Roles(action, reward, propensity, time, context)


def _known(there: list[str], usual: list[str]) -> str:
    """Return the column with the surest usual name; an empty text if there is none."""
    plain = {re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_"): name for name in reversed(there)}
    return next((plain[name] for name in usual if name in plain), "")


def _is_index(name: str) -> bool:
    """Tell whether a column only numbers the rows, as tables that were written twice have it."""
    return not name or name.lower() in {"index", "__index_level_0__", "row", "unnamed: 0", "id"}


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:12])
    return f"{shown} and {len(names) - 12} more" if len(names) > 12 else shown


def numbers_of(path: Path, table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, shape ``(N,)``; what is missing is not a number (``nan``).

    Args:
        path: For messages.
        table: As read.
        name: Of the column.

    Raises:
        EvaluationError: It holds no numbers.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        numbers = pc.cast(column, pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise EvaluationError(
            f"{path}: column {name!r} must hold numbers: {_first_line(error)}"
        ) from error
    return np.asarray(numbers, dtype=np.float64)
