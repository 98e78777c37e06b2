"""Logs of sequences of items, in the two forms in which they are published.

Two protocols, told apart by the files of a folder:

* *sessions* (``train_sessions.parquet``, ``test_pairs.parquet``): every prefix of every test
  session is a question, the next click its answer. The last tenth of the training sessions, which
  stand in the order of time, is for choosing.
* *users* (``sequences.parquet``): the last item of each user is the test answer, the one before it
  the answer for choosing, and all before that is to learn from ("leave one out").

Items are numbered 1..V without gaps; 0 is "no item".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.errors import EvaluationError

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

Ints = NDArray[np.int64]

#: Share of the training sessions, the newest, that is for choosing.
_VALIDATION: Final = 0.1
#: Less than a question and an answer is no log.
_FEWEST: Final = 10


class Ragged(msgspec.Struct, frozen=True):
    """Rows of different lengths, end to end.

    Attributes:
        values: All entries, shape ``(E,)``.
        offsets: Where rows begin, and the last ends, shape ``(N + 1,)``.
    """

    values: Ints
    offsets: Ints

    def __len__(self) -> int:
        """Return the number of rows, N."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Ints:
        """Return one row."""
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def lengths(self) -> Ints:
        """Return the length of each row, shape ``(N,)``."""
        return np.diff(self.offsets)

    def rows(self, begin: int, end: int) -> Ragged:
        """Return the rows ``begin <= row < end``."""
        offsets = self.offsets[begin : end + 1]
        return Ragged(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])

    def take(self, rows: Ints) -> Ragged:
        """Return some rows, in the order asked for."""
        begins, ends = self.offsets[rows], self.offsets[rows + 1]
        return _cut(self.values, begins, ends)

    def padded(self, most: int) -> Ints:
        """Return the last ``most`` entries of each row, then zeros, shape ``(N, T)``."""
        lengths = np.minimum(self.lengths(), most)
        out = np.zeros((len(self), int(lengths.max(initial=1))), dtype=np.int64)
        held = np.arange(out.shape[1]) < lengths[:, None]  # (N, T)
        out[held] = _cut(self.values, self.offsets[1:] - lengths, self.offsets[1:]).values
        return out


class Questions(msgspec.Struct, frozen=True):
    """What is known, and what came next.

    Attributes:
        prefixes: The items so far, N rows.
        answers: The item that came next, shape ``(N,)``; 0 where it is unknown to the catalogue.
        groups: Which session or user asked, shape ``(N,)``: the unit of the bootstrap.
    """

    prefixes: Ragged
    answers: Ints
    groups: Ints

    def __len__(self) -> int:
        """Return the number of questions, N."""
        return len(self.answers)

    def some(self, most: int) -> Questions:
        """Return at most so many, spread evenly."""
        if len(self) <= most:
            return self
        chosen = np.linspace(0, len(self) - 1, most).astype(np.int64)
        return Questions(self.prefixes.take(chosen), self.answers[chosen], self.groups[chosen])


class SequenceLog(msgspec.Struct, frozen=True):
    """A log, split.

    Attributes:
        name: Of its folder.
        kind: Which of the two protocols.
        items: V, the number of items of the catalogue.
        fit: To learn from while choosing.
        validation: To choose by.
        whole: To learn from for the test: `fit`, and with sessions the newest tenth as well.
        test: To report.
        ids: Published id of each item, shape ``(V + 1,)``; the first stands for "no item".
    """

    name: str
    kind: Literal["sessions", "users"]
    items: int
    fit: Ragged
    validation: Questions
    whole: Ragged
    test: Questions
    ids: Ints

    @property
    def cut(self) -> int:
        """How many items of a list count: 20 for sessions, 10 for users, as published."""
        return 20 if self.kind == "sessions" else 10

    @property
    def repeats(self) -> bool:
        """Whether an item may come again; a user's own items are never offered again."""
        return self.kind == "sessions"


def read_log(folder: Path) -> SequenceLog:
    """Read a log of either form.

    Args:
        folder: With ``train_sessions.parquet`` and ``test_pairs.parquet``, or with
            ``sequences.parquet``.

    Raises:
        EvaluationError: The files are not there, lack a column, or hold what is no item.
    """
    if (folder / "sequences.parquet").exists():
        return _users(folder)
    if (folder / "train_sessions.parquet").exists():
        return _sessions(folder)
    raise EvaluationError(
        f"{folder}: holds neither train_sessions.parquet and test_pairs.parquet (sessions) nor"
        " sequences.parquet (users); give the folder of one log"
    )


def prefixes_of(sessions: Ragged, first_group: int = 0) -> Questions:
    """Return every prefix of every session as a question, the next item as its answer.

    Args:
        sessions: Whole sessions; those of one item ask nothing.
        first_group: Group of the first session.
    """
    lengths = sessions.lengths()
    asked = np.maximum(lengths - 1, 0)  # questions of each session
    groups = np.repeat(np.arange(len(sessions)), asked)
    nth = np.arange(len(groups)) - np.repeat(np.cumsum(asked) - asked, asked) + 1  # 1..length-1
    begins = sessions.offsets[groups]
    ends = begins + nth
    return Questions(
        _cut(sessions.values, begins, ends), sessions.values[ends], groups + first_group
    )


def _cut(values: Ints, begins: Ints, ends: Ints) -> Ragged:
    """Return slices of an array as rows, without a loop."""
    lengths = ends - begins
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    where = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], lengths)
    return Ragged(values[where], offsets)


def _sessions(folder: Path) -> SequenceLog:
    path = folder / "test_pairs.parquet"
    train = _column(folder / "train_sessions.parquet", "items")
    asked = _table(path, ("prefix", "label"))
    prefixes, labels = _ragged(path, asked["prefix"]), _numbers(path, asked["label"])
    if len(prefixes) != len(labels) or not len(labels) or prefixes.lengths().min() == 0:
        raise EvaluationError(f"{path}: every row must have a prefix of one item or more")
    groups = (
        _numbers(path, asked["test_session"])
        if "test_session" in asked.column_names
        else np.arange(len(labels), dtype=np.int64)
    )
    ids = np.concatenate([[0], np.unique(train.values)])
    whole = Ragged(_numbered(train.values, ids), train.offsets)
    test = Questions(
        Ragged(_numbered(prefixes.values, ids), prefixes.offsets), _numbered(labels, ids), groups
    )
    cut = int(len(whole) * (1.0 - _VALIDATION))
    fit, later = whole.rows(0, cut), whole.rows(cut, len(whole))
    return SequenceLog(
        folder.name, "sessions", len(ids) - 1, fit, prefixes_of(later), whole, test, ids
    )


def _users(folder: Path) -> SequenceLog:
    rows = _column(folder / "sequences.parquet", "items")
    ids = np.concatenate([[0], np.unique(rows.values)])
    values = _numbered(rows.values, ids)
    begins, ends = rows.offsets[:-1], rows.offsets[1:]
    groups = np.flatnonzero(ends - begins >= 3)
    begins, ends = begins[groups], ends[groups]
    if len(groups) < _FEWEST:
        raise EvaluationError(f"{folder}: fewer than {_FEWEST} users have three items or more")
    fit = _cut(values, begins, ends - 2)
    validation = Questions(fit, values[ends - 2], groups)
    test = Questions(_cut(values, begins, ends - 1), values[ends - 1], groups)
    return SequenceLog(folder.name, "users", len(ids) - 1, fit, validation, fit, test, ids)


def _numbered(values: Ints, ids: Ints) -> Ints:
    """Return the number of each published id, 0 where it is not of the catalogue."""
    where = np.minimum(np.searchsorted(ids, values), len(ids) - 1)
    return np.where(ids[where] == values, where, 0)


def _column(path: Path, name: str) -> Ragged:
    rows = _ragged(path, _table(path, (name,))[name])
    if len(rows) < _FEWEST or rows.lengths().max(initial=0) < 2:
        raise EvaluationError(f"{path}: {len(rows)} rows of items are too few to learn from")
    return rows


def _table(path: Path, names: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise EvaluationError(f"{path}: {error}; it must be a Parquet file") from error
    lacking = [name for name in names if name not in table.column_names]
    if lacking:
        raise EvaluationError(
            f"{path}: lacks the column {', '.join(lacking)}; it has {', '.join(table.column_names)}"
        )
    return table


def _ragged(path: Path, column: pa.ChunkedArray) -> Ragged:
    import pyarrow as pa

    rows = column.combine_chunks()
    if isinstance(rows, pa.ChunkedArray):  # a column without chunks, in newer versions
        rows = pa.concat_arrays(rows.chunks) if rows.num_chunks else pa.array([], rows.type)
    if not (pa.types.is_list(rows.type) or pa.types.is_large_list(rows.type)) or rows.null_count:
        raise EvaluationError(f"{path}: a row that is no list of items; it must be list<int>")
    offsets = rows.offsets.to_numpy().astype(np.int64)
    values = _numbers(path, rows.flatten())
    return Ragged(values, offsets - offsets[0])


def _numbers(path: Path, column: pa.Array) -> Ints:
    import pyarrow as pa

    if not pa.types.is_integer(column.type) or column.null_count:
        raise EvaluationError(f"{path}: items and labels must be whole numbers, none missing")
    numbers: Ints = column.to_numpy().astype(np.int64)
    if len(numbers) and numbers.min() < 0:
        raise EvaluationError(f"{path}: items and labels must not be negative")
    return numbers
