"""Several models of the next item, mixed in one of two ways.

    probabilities:  p(i | q) = sum over components c of  w_c p_c(i | q)
    scores:         s(i | q) = sum over components c of  w_c (s_c(i) - mean_c) / deviation_c

The first is a mixture as of language models (Jelinek and Mercer 1980; kNN-LM, ICLR 2020). The
second compares in units of each component's own spread for this question; what neighbours voted for
stands far out there, so a small weight puts their items first and leaves the others to the encoder.

Kind and weights are found on validation questions only, by coordinate ascent on NDCG over a grid.
While choosing, an item is compared only if it is among the best of some component.

Letters: C components, N questions, V items, M items of a short list, G rows of weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.sequences.metrics import gains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.sequences.logs import Questions, Ragged
    from models.sequences.metrics import Floats, Scores
    from models.sequences.simple import Ranker

Kind = Literal["probabilities", "scores"]
Weights = NDArray[np.float64]

KINDS: Final[tuple[Kind, ...]] = ("probabilities", "scores")
#: Questions answered at a time.
CHUNK: Final = 256
#: Items of each component on a short list.
_BEST: Final = 200
#: What a component may weigh beside the others' sum, before all are made to sum to 1.
_GRID: Final = (0.0, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 10.0)
_ROUNDS: Final = 3
_NEVER: Final = np.float32(-np.inf)


class Recipe(msgspec.Struct, frozen=True):
    """How components are mixed.

    Attributes:
        kind: Of what the weighted sum is.
        weights: Of the components, by name; they sum to 1.
    """

    kind: Kind
    weights: dict[str, float]


class Blend:
    """A weighted sum of components.

    Args:
        components: Each with a weight in the recipe.
        recipe: How they are mixed.
    """

    name = "blend"
    in_logs = False

    def __init__(self, components: Sequence[Ranker], recipe: Recipe) -> None:
        self._kind = recipe.kind
        self._components = [
            (component, np.float32(recipe.weights[component.name]))
            for component in components
            if recipe.weights[component.name] > 0.0
        ]

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the sum, shape ``(N, V + 1)``: shares, or scores in units of spread."""
        mixed: Scores | None = None
        for component, weight in self._components:
            part = weight * part_of(component, prefixes, self._kind)
            mixed = part if mixed is None else mixed + part
        assert mixed is not None, "weights sum to 1"
        return mixed


def part_of(component: Ranker, prefixes: Ragged, kind: Kind) -> Scores:
    """Return what a component adds to a blend of a kind, shape ``(N, V + 1)``."""
    shares = component.probabilities(prefixes)
    return shares if kind == "probabilities" else standardised(shares, in_logs=component.in_logs)


def standardised(shares: Scores, *, in_logs: bool) -> Scores:
    """Return scores less their mean, in units of their standard deviation, row by row.

    Args:
        shares: Probabilities, the first column 0, shape ``(N, V + 1)``.
        in_logs: Whether the scores are the logarithms, as an encoder's logits are.

    Returns:
        The same shape; the first column means nothing.
    """
    scores = shares.copy()
    if in_logs:
        scores[:, 0] = 1.0
        np.log(np.maximum(scores, np.float32(1e-30)), out=scores)
    items = scores[:, 1:]
    scores -= items.mean(axis=1, keepdims=True)
    scores /= items.std(axis=1, keepdims=True) + np.float32(1e-9)
    return scores


def choose_recipe(
    components: Sequence[Ranker], questions: Questions, cut: int, *, repeats: bool
) -> tuple[Recipe, float]:
    """Return the recipe with the best NDCG, and that.

    Args:
        components: C models, the one to begin with first.
        questions: Of the validation part.
        cut: Length of the list.
        repeats: Whether items of the prefix may be offered.
    """
    found = []
    for kind in KINDS:
        lists = _short_lists(components, questions, kind, repeats=repeats)
        weights, ndcg = _ascend(lists, cut)
        names = (component.name for component in components)
        found.append((Recipe(kind, dict(zip(names, weights.tolist(), strict=True))), ndcg))
    return max(found, key=lambda pair: pair[1])


def _ascend(lists: Scores, cut: int) -> tuple[Weights, float]:
    """Return the best weights, shape ``(C,)``, and their NDCG."""
    best = np.zeros(len(lists))
    best[0] = 1.0
    reached = 0.0
    for _ in range(_ROUNDS):
        for which in range(len(lists)):
            tried = _variants(best, which)
            ndcg = [_ndcg(lists, weights, cut) for weights in tried]
            best, reached = tried[int(np.argmax(ndcg))], max(ndcg)
    return best, reached


def _variants(weights: Weights, which: int) -> Floats:
    """Return the weights as they are, and with one component's changed, shape ``(G, C)``."""
    others = weights.copy()
    others[which] = 0.0
    if others.sum() <= 0.0:
        return weights[None]
    rows = np.tile(others / others.sum(), (len(_GRID), 1))
    rows[:, which] = _GRID
    rows /= rows.sum(axis=1, keepdims=True)
    return np.concatenate([weights[None], rows])


def _ndcg(lists: Scores, weights: Weights, cut: int) -> float:
    """Return the mean NDCG on short lists; the answer stands first in each."""
    mixed = np.zeros(lists.shape[1:], np.float32)  # (N, M)
    for weight, part in zip(weights.astype(np.float32), lists, strict=True):
        if weight > 0.0:
            mixed += weight * part
    rank = (mixed >= mixed[:, :1]).sum(axis=1)
    return float(gains(rank, cut).mean())


def _short_lists(
    components: Sequence[Ranker], questions: Questions, kind: Kind, *, repeats: bool
) -> Scores:
    """Return what components add for the answer, and for the best items, shape ``(C, N, M)``."""
    chunks = []
    known = np.flatnonzero(questions.answers > 0)
    for begin in range(0, len(known), CHUNK):
        rows = known[begin : begin + CHUNK]
        prefixes, answers = questions.prefixes.take(rows), questions.answers[rows]
        parts = [part_of(component, prefixes, kind) for component in components]
        for part in parts:
            part[:, 0] = _NEVER
            if not repeats:
                hide_seen(part, prefixes)
        most = min(_BEST, parts[0].shape[1])
        best = [np.argpartition(part, -most, axis=1)[:, -most:] for part in parts]
        listed = np.concatenate([answers[:, None], *best], axis=1)  # (B, M)
        twice = _twice(listed)
        chunk = np.stack([np.take_along_axis(part, listed, axis=1) for part in parts])
        chunks.append(np.where(twice, _NEVER, chunk))
    return np.concatenate(chunks, axis=1)


def _twice(listed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which entries stand further left in their row already, shape of ``listed``."""
    order = np.argsort(listed, axis=1, kind="stable")
    in_order = np.take_along_axis(listed, order, axis=1)
    again = np.zeros(listed.shape, dtype=bool)
    again[:, 1:] = in_order[:, 1:] == in_order[:, :-1]
    twice = np.empty_like(again)
    np.put_along_axis(twice, order, again, axis=1)
    return twice


def hide_seen(scores: Scores, prefixes: Ragged) -> None:
    """Take the items of each prefix out of its list, in place."""
    row = np.repeat(np.arange(len(prefixes)), prefixes.lengths())
    scores[row, prefixes.values] = _NEVER
