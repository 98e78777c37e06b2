"""Recorded auctions with bids, outcomes, true prices and what was known of each.

A folder holds ``train.parquet`` and ``test.parquet`` with the columns ``bid``, ``won`` and
``market_price`` (whole numbers); every column of text is a fact. Only what a bidder would have seen
is learnt from: prices where it won.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from models.errors import EvaluationError
from models.landscape.survival import Auctions, Ints, censored

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

#: A fact that fewer auctions have is "not known".
_RARE: Final = 5
_NUMBERS: Final = ("bid", "market_price")
#: Facts that are told together, too: the size of a slot, and the exchange that sells it.
_TOGETHER: Final = (("slotwidth", "slotheight"), ("adexchange", "slotwidth", "slotheight"))


class Split(msgspec.Struct, frozen=True):
    """Auctions of one half of a log.

    Attributes:
        facts: Indexes of what is known, shape ``(N, F)``.
        seen: What a bidder saw of them.
        price: The true price to beat, shape ``(N,)``.
    """

    facts: Ints
    seen: Auctions
    price: Ints


class Log(msgspec.Struct, frozen=True):
    """A log in two halves.

    Attributes:
        train: To learn from.
        test: To be measured on.
        facts: Number of different facts, "not known" included.
    """

    train: Split
    test: Split
    facts: int


def read_log(folder: Path) -> Log:
    """Read a log.

    Args:
        folder: With ``train.parquet`` and ``test.parquet``.

    Raises:
        EvaluationError: They are not there, or lack a column.
    """
    halves = {name: _columns(folder / f"{name}.parquet") for name in ("train", "test")}
    known: dict[str, int] = {}
    for texts in halves["train"][1]:
        for fact, count in zip(*np.unique(texts, return_counts=True), strict=True):
            if count >= _RARE:
                known[str(fact)] = len(known) + 1
    train, test = (_split(*halves[name], known) for name in ("train", "test"))
    return Log(train, test, len(known) + 1)


def _columns(path: Path) -> tuple[dict[str, Ints], list[NDArray[np.str_]]]:
    """Return numbers by name, and facts as texts ``name=value``, one array for each name."""
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        numbers = {name: np.asarray(table[name], dtype=np.int64) for name in _NUMBERS}
    except (OSError, KeyError, ValueError) as error:
        raise EvaluationError(
            f"{path}: {error}; it must be a Parquet file with {', '.join(_NUMBERS)}, and facts as"
            " columns of text"
        ) from error
    texts = {
        field.name: np.asarray(table[field.name], dtype=np.str_)
        for field in table.schema
        if _is_text(field)
    }
    for names in _TOGETHER:
        if all(name in texts for name in names):
            together = texts[names[0]]
            for name in names[1:]:
                together = np.char.add(np.char.add(together, "|"), texts[name])
            texts["&".join(names)] = together
    return numbers, [np.char.add(f"{name}=", values) for name, values in texts.items()]


def _is_text(field: pa.Field) -> bool:
    import pyarrow.types

    kind = field.type
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _split(numbers: dict[str, Ints], texts: list[NDArray[np.str_]], known: dict[str, int]) -> Split:
    facts = np.array([[known.get(fact, 0) for fact in column] for column in texts])
    price = numbers["market_price"]
    return Split(np.ascontiguousarray(facts.T), censored(numbers["bid"], price), price)
