"""Turns columns of context into numbers: standardised, one-hot, and never too many.

Numbers are standardised and cut at five deviations; few different whole numbers and texts become
one place for each common value, the rest share "other". Columns that say the same everywhere, or
something else in nearly every row (names of users), say nothing and are left out. Rewards are not
looked at.

Letters: N decisions, D places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.offpolicy.columns import numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

Floats = NDArray[np.float64]

#: Values of a column that get a place of their own, and the least share of rows that they have.
MOST_VALUES: Final = 24
LEAST_SHARE: Final = 0.005
#: Whole numbers with so few different values are names, not amounts.
FEW: Final = 12
#: A text that is new in more than this share of rows names the row.
NAMES_FROM: Final = 0.5
#: Places in all; those that vary most are kept.
MOST_PLACES: Final = 120
_FARTHEST: Final = 5.0


class Context(msgspec.Struct, frozen=True):
    """What was known before each decision.

    Attributes:
        places: Shape ``(N, D)``; each has mean 0, and deviation 1 at most.
        names: Of the places, length D.
        left_out: Columns that say nothing.
    """

    places: Floats
    names: tuple[str, ...]
    left_out: tuple[str, ...]


def encode(path: Path, table: pa.Table, columns: Sequence[str]) -> Context:
    """Encode columns of context.

    Args:
        path: For messages.
        table: As read.
        columns: Names of the columns.
    """
    made: list[tuple[str, Floats]] = []
    left_out = []
    for name in columns:
        found = _encoded(path, table, name)
        made += found
        if not found:
            left_out.append(name)
    made.sort(key=lambda one: -float(one[1].std()))  # stable: equal ones keep their order
    kept = made[:MOST_PLACES]
    places = np.empty((table.num_rows, len(kept)))
    for at, (_, values) in enumerate(kept):
        places[:, at] = values
    return Context(places, tuple(name for name, _ in kept), tuple(left_out))


def _encoded(path: Path, table: pa.Table, name: str) -> list[tuple[str, Floats]]:
    """Return named places of one column; none if it says nothing."""
    import pyarrow as pa

    kind = table[name].type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return _vectors(table, name)
    if _is_number(kind):
        numbers = numbers_of(path, table, name)
        seen = np.unique(numbers[~np.isnan(numbers)])
        if len(seen) > FEW or (seen % 1.0).any():
            return _standardised(name, numbers)
        texts = numbers.astype(str)
    else:
        texts = _texts(table, name)
    return _one_hot(name, texts)


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return bool(whole or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _texts(table: pa.Table, name: str) -> NDArray[np.str_]:
    return np.array([str(value) for value in table[name].to_pylist()], dtype=np.str_)


def _vectors(table: pa.Table, name: str) -> list[tuple[str, Floats]]:
    """Return the places of a column of vectors, if all are equally long."""
    rows = table[name].to_pylist()
    if any(row is None or len(row) != len(rows[0]) for row in rows):
        return []
    try:
        values = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        return []
    return [
        place
        for at in range(values.shape[1])
        for place in _standardised(f"{name}[{at}]", values[:, at])
    ]


def _standardised(name: str, numbers: Floats) -> list[tuple[str, Floats]]:
    known = np.isfinite(numbers)
    if not known.any():
        return []
    filled = np.where(known, numbers, numbers[known].mean())
    spread = float(filled.std())
    if spread <= 1e-12 * max(1.0, abs(float(filled.mean()))):
        return []
    scaled = np.clip((filled - filled.mean()) / spread, -_FARTHEST, _FARTHEST)
    made = [(name, np.asarray(scaled - scaled.mean()))]
    if not known.all():
        made += _one_hot(f"{name} is known", known.astype(str))
    return made


def _one_hot(name: str, texts: NDArray[np.str_]) -> list[tuple[str, Floats]]:
    values, which, counts = np.unique(texts, return_inverse=True, return_counts=True)
    if len(values) < 2 or len(values) > NAMES_FROM * len(texts):
        return []
    common = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    kept = [int(k) for k in common if counts[k] >= LEAST_SHARE * len(texts)]
    if len(values) == 2:
        kept = kept[:1]  # the other says the same
    return [(f"{name}={values[k]}", (which == k) - counts[k] / len(texts)) for k in kept]
