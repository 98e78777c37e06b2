"""Baselines that count, each a distribution over the next item.

* *popular*: every item by how often it was seen (POP).
* *repeats*: an item of this very session again, by how far back it lies; how often that happens is
  counted in the training sessions. It orders what S-POP orders, by recency instead of by count.
* *rules*: what followed the last item, with weight 1 / steps between (sequential rules, Ludewig and
  Jannach 2018).

Letters: N questions, V items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from models.sequences.logs import Ints, Ragged
    from models.sequences.metrics import Floats, Scores

#: How far back a repeated item, or the start of a rule, may lie.
_FARTHEST: Final = 20
_RULE_STEPS: Final = 10


class Ranker(Protocol):
    """Anything that tells how likely each item is next.

    Attributes:
        name: For the table.
        in_logs: Whether its own scores are the logarithms of its probabilities, as logits are.
    """

    name: str
    in_logs: bool

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return rows that sum to 1 at most, the first column 0, shape ``(N, V + 1)``."""
        ...


class Popular:
    """Every item by how often it was seen.

    Args:
        sequences: To count.
        items: V.
    """

    name = "popular"
    in_logs = False

    def __init__(self, sequences: Ragged, items: int) -> None:
        counts = np.bincount(sequences.values, minlength=items + 1).astype(np.float64)
        counts[0] = 0.0
        self._share = (counts / counts.sum()).astype(np.float32)

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the same row for everyone, shape ``(N, V + 1)``."""
        return np.tile(self._share, (len(prefixes), 1))


class Repeats:
    """An item of this sequence again, by how far back it lies.

    Args:
        sequences: To count how often that happens.
        items: V.
    """

    name = "repeats"
    in_logs = False

    def __init__(self, sequences: Ragged, items: int) -> None:
        self._items = items
        self.by_distance = repeat_chances(sequences)

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the chance of each item of the sequence to come again, shape ``(N, V + 1)``."""
        out = np.zeros((len(prefixes), self._items + 1), dtype=np.float32)
        for row in range(len(prefixes)):
            recent = prefixes[row][-_FARTHEST:]
            out[row, recent] = self.by_distance[: len(recent)][::-1]  # the newest is written last
        out[:, 0] = 0.0
        return out


def repeat_chances(sequences: Ragged) -> Floats:
    """Return how likely the next item is the one seen d steps before it, d = 1, 2, ...

    An item that was seen several times is counted by its latest place.

    Args:
        sequences: Whole sequences.

    Returns:
        Shape ``(20,)``; sums to the chance of a repetition.
    """
    values = sequences.values
    row = np.repeat(np.arange(len(sequences)), sequences.lengths())
    later = len(values) - len(sequences)
    open_ = np.ones(len(values), dtype=bool)  # whose latest twin is not yet found
    chances = np.zeros(_FARTHEST)
    for back in range(1, min(_FARTHEST + 1, len(values))):
        same = (values[back:] == values[:-back]) & (row[back:] == row[:-back]) & open_[back:]
        chances[back - 1] = same.sum() / max(later, 1)
        open_[back:] &= ~same
    return chances


class Rules:
    """What followed the last item.

    Args:
        sequences: To count.
        items: V.
    """

    name = "rules"
    in_logs = False

    def __init__(self, sequences: Ragged, items: int) -> None:
        self._items = items
        before, after, weight = _pairs(sequences)
        key, inverse = np.unique(before * (items + 1) + after, return_inverse=True)
        total = np.bincount(inverse, weights=weight)
        self._begins = np.searchsorted(key // (items + 1), np.arange(items + 2))
        self._after = key % (items + 1)
        sums = np.bincount(key // (items + 1), weights=total, minlength=items + 1)
        self._share = total / sums[key // (items + 1)]

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the share of each item in what followed the last one, shape ``(N, V + 1)``."""
        out = np.zeros((len(prefixes), self._items + 1), dtype=np.float32)
        for row in range(len(prefixes)):
            last = int(prefixes[row][-1])
            rule = slice(self._begins[last], self._begins[last + 1])
            out[row, self._after[rule]] = self._share[rule]
        out[:, 0] = 0.0
        return out


def _pairs(sequences: Ragged) -> tuple[Ints, Ints, Floats]:
    """Return pairs of items up to ten steps apart, and their weights, each shape ``(P,)``."""
    values = sequences.values
    row = np.repeat(np.arange(len(sequences)), sequences.lengths())
    before, after, weight = [], [], []
    for step in range(1, min(_RULE_STEPS + 1, len(values))):
        together = np.flatnonzero((row[step:] == row[:-step]) & (values[step:] != values[:-step]))
        before.append(values[together])
        after.append(values[together + step])
        weight.append(np.full(len(together), 1.0 / step))
    return np.concatenate(before), np.concatenate(after), np.concatenate(weight)
