"""Several distributions over the next item, mixed (Jelinek and Mercer 1980; kNN-LM, ICLR 2020).

    p(i | q) = sum over components c of  w_c p_c(i | q)

What neighbours did and what an encoder expects err differently, so their mixture errs less. The
weights are found on validation questions only, by coordinate ascent on NDCG over a grid: likelihood
would be easier to climb, but a list is judged by its order.

Letters: C components, N questions, V items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from models.sequences.metrics import gains, ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.sequences.logs import Questions, Ragged
    from models.sequences.metrics import Scores
    from models.sequences.simple import Ranker

Weights = NDArray[np.float64]

#: Questions answered at a time.
CHUNK: Final = 256
#: What a component may weigh beside the others' sum, before all are made to sum to 1.
_GRID: Final = (0.0, 0.03, 0.1, 0.2, 0.35, 0.6, 1.0, 1.7, 3.0, 10.0)
_ROUNDS: Final = 2


class Blend:
    """A weighted mean of components.

    Args:
        components: Each a distribution.
        weights: Sum to 1, shape ``(C,)``.
        name: For the table.
    """

    def __init__(self, components: Sequence[Ranker], weights: Weights, name: str) -> None:
        assert len(components) == len(weights), "every component needs a weight"
        self.name = name
        self.weights = weights
        self._components = tuple(components)

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the mixture, shape ``(N, V + 1)``."""
        parts = (
            np.float32(weight) * component.probabilities(prefixes)
            for component, weight in zip(self._components, self.weights, strict=True)
            if weight > 0.0
        )
        mixed = next(parts)
        for part in parts:
            mixed = mixed + part
        return mixed


def choose_weights(
    components: Sequence[Ranker], questions: Questions, cut: int, *, repeats: bool
) -> Weights:
    """Return the weights with the best NDCG.

    Args:
        components: C distributions, the strongest first.
        questions: Of the validation part.
        cut: Length of the list.
        repeats: Whether items of the prefix may be offered.

    Returns:
        Sum to 1, shape ``(C,)``.
    """
    best = np.zeros(len(components))
    best[0] = 1.0
    for _ in range(_ROUNDS):
        for which in range(len(components)):
            tried = _variants(best, which)
            score = _ndcg(components, tried, questions, cut, repeats=repeats)  # (G,)
            best = tried[int(np.argmax(score))]
    return best


def _variants(weights: Weights, which: int) -> NDArray[np.float64]:
    """Return the weights as they are, and with one component's changed, shape ``(G, C)``."""
    rows = [weights]
    others = weights.copy()
    others[which] = 0.0
    if others.sum() > 0.0:
        others /= others.sum()
        for beside in _GRID:
            row = others.copy()
            row[which] = beside
            rows.append(row / row.sum())
    return np.stack(rows)


def _ndcg(
    components: Sequence[Ranker],
    tried: NDArray[np.float64],
    questions: Questions,
    cut: int,
    *,
    repeats: bool,
) -> NDArray[np.float64]:
    """Return the mean NDCG of each row of weights, shape ``(G,)``."""
    total = np.zeros(len(tried))
    for begin in range(0, len(questions), CHUNK):
        end = min(begin + CHUNK, len(questions))
        prefixes, answers = questions.prefixes.rows(begin, end), questions.answers[begin:end]
        parts = [component.probabilities(prefixes) for component in components]
        for row, weights in enumerate(tried.astype(np.float32)):
            mixed = sum(
                (weight * part for weight, part in zip(weights, parts, strict=True) if weight),
                start=np.zeros_like(parts[0]),
            )
            if not repeats:
                hide_seen(mixed, prefixes)
            total[row] += gains(ranks(mixed, answers), cut).sum()
    return total / len(questions)


def hide_seen(scores: Scores, prefixes: Ragged) -> None:
    """Take the items of each prefix out of its list, in place."""
    row = np.repeat(np.arange(len(prefixes)), prefixes.lengths())
    scores[row, prefixes.values] = 0.0
