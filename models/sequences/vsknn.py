"""V-SKNN and VSTAN: what did sessions like this one hold? No training.

Neighbours are the most similar of the newest sessions that share an item with the present one. Both
count an item for more the later it was seen (place ``p`` of ``L``):

    V-SKNN (Ludewig and Jannach, UMUAI 2018):
        sim(q, s) = sum over shared items of p / L
        score(j)  = sum over neighbours s with j of sim(q, s) / (steps since the last shared item)
    VSTAN (Ludewig et al., RecSys 2019; after STAN, Garg et al., SIGIR 2019):
        sim(q, s) = sum over shared items of exp((p - L) / fade) / sqrt(|s|) * exp(-age of s)
        score(j)  = sum over neighbours s with j of sim(q, s) * exp(-|steps in s to j| / spread)

and both weigh ``j`` by its rarity. VSTAN here counts what stood before the last shared item half.
The index is inverted: item to sessions, newest last, so a question costs its own candidates only.

Letters: N questions, V items, L items of a question, S sessions, C candidates, k neighbours, E
items of all neighbours.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

if TYPE_CHECKING:
    from models.sequences.logs import Ints, Ragged
    from models.sequences.metrics import Floats, Scores

#: Share of popularity in a score: breaks ties, and orders what no neighbour holds.
_POPULARITY: Final = 1e-4


class NeighbourSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How neighbours are found, and how they vote.

    Attributes:
        name: For the table.
        neighbours: k, how many sessions vote.
        sample: How many of the newest candidates are compared.
        rarity: Weight of ``log(S / sessions with j)`` in the score of j.
        fade: Places after which an item counts 1/e; 0 is V-SKNN's linear rule.
        spread: Steps in a neighbour after which an item counts 1/e; 0 counts all alike, and a
            neighbour by how far back its last shared item lies (V-SKNN).
        before: Weight of what stood before the last shared item in a neighbour.
        age: Logs after which a session counts 1/e, where the log is one; 0 counts all alike.
        by_length: Whether similarity is divided by the square root of a session's length.
    """

    name: str = "V-SKNN"
    neighbours: int = 500
    sample: int = 2_500
    rarity: float = 1.0
    fade: float = 0.0
    spread: float = 0.0
    before: float = 1.0
    age: float = 0.0
    by_length: bool = False


VSKNN: Final = NeighbourSettings()
VSTAN: Final = NeighbourSettings(
    name="VSTAN", fade=1.5, spread=2.0, before=0.5, age=1.0, by_length=True
)


class Neighbours:
    """The sessions of a log, by item.

    Args:
        sessions: In the order of time, the newest last.
        items: V.
        settings: How neighbours are found.
    """

    in_logs = False

    def __init__(self, sessions: Ragged, items: int, settings: NeighbourSettings = VSKNN) -> None:
        self.name = settings.name
        self._settings = settings
        self._sessions = sessions
        count = len(sessions)
        of_session = np.repeat(np.arange(count), sessions.lengths())
        pairs = np.unique(sessions.values * count + of_session)  # by item, then by time
        self._holders = pairs % count
        self._begins = np.searchsorted(pairs // count, np.arange(items + 2))
        held = np.diff(self._begins)  # (V + 1,)
        self._weight = 1.0 + settings.rarity * np.log(count / np.maximum(held, 1))  # (V + 1,)
        popular = np.bincount(sessions.values, minlength=items + 1).astype(np.float64)
        popular[0] = 0.0
        self._popular = popular / popular.sum()
        self._quality = _quality(sessions, settings)  # (S,)
        self._similar = np.zeros(count)
        self._latest = np.zeros(count, dtype=np.int64)

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return each item's share of the votes.

        Args:
            prefixes: N questions.

        Returns:
            Rows that sum to 1, shape ``(N, V + 1)``.
        """
        return np.stack([self._shares(prefixes[row]) for row in range(len(prefixes))])

    def _shares(self, question: Ints) -> Scores:
        votes = self.votes(question) * self._weight
        votes[0] = 0.0
        total = votes.sum()
        if total <= 0.0:
            votes, total = self._popular, 1.0
        mixed = (1.0 - _POPULARITY) / total * votes + _POPULARITY * self._popular
        shares: Scores = mixed.astype(np.float32)
        return shares

    def votes(self, question: Ints) -> Floats:
        """Return what the neighbours of one question say of each item, shape ``(V + 1,)``.

        Args:
            question: Items in order, the newest last, shape ``(L,)``.
        """
        items = len(self._popular)
        neighbours, similarity, latest = self._neighbours(question)
        if not len(neighbours):
            return np.zeros(items)
        found = self._sessions.take(neighbours)
        lengths = found.lengths()  # (k,)
        if self._settings.spread > 0.0:
            vote = np.repeat(similarity, lengths) * self._nearness(found, question[latest - 1])
        else:
            vote = np.repeat(similarity / (len(question) - latest + 1), lengths)  # (E,)
        return np.bincount(found.values, vote, items).astype(np.float64)

    def _nearness(self, found: Ragged, shared: Ints) -> Floats:
        """Return how near each neighbour's items are to the one it last shares, shape ``(E,)``."""
        lengths = found.lengths()
        place = np.arange(len(found.values)) - np.repeat(found.offsets[:-1], lengths)  # (E,)
        twin = np.where(found.values == np.repeat(shared, lengths), place, -1)
        at = np.maximum.reduceat(twin, found.offsets[:-1])  # (k,)
        steps = place - np.repeat(at, lengths)  # (E,)
        near = np.exp(-np.abs(steps) / self._settings.spread)
        weighed: Floats = np.where(steps < 0, self._settings.before, 1.0) * near
        return weighed

    def _neighbours(self, question: Ints) -> tuple[Ints, Floats, Ints]:
        """Return the k most similar sessions, their similarity, and the last shared place."""
        position = {int(item): place for place, item in enumerate(question, start=1) if item}
        sample, most = self._settings.sample, self._settings.neighbours
        holders = [
            self._holders[self._begins[item] : self._begins[item + 1]][-sample:]
            for item in position
        ]
        candidates = np.unique(np.concatenate([*holders, np.zeros(0, np.int64)]))[-sample:]  # (C,)
        if not len(candidates):
            return candidates, np.zeros(0), candidates
        self._similar[candidates] = 0.0
        self._latest[candidates] = 0
        for place, holding in zip(position.values(), holders, strict=True):
            among = holding[np.searchsorted(holding, candidates[0]) :]
            self._similar[among] += self._weight_of(place, len(question))
            self._latest[among] = np.maximum(self._latest[among], place)
        similarity = self._similar[candidates] * self._quality[candidates]
        if len(candidates) > most:
            nearest = np.argpartition(-similarity, most - 1)[:most]
            candidates, similarity = candidates[nearest], similarity[nearest]
        return candidates, similarity, self._latest[candidates]

    def _weight_of(self, place: int, length: int) -> float:
        """Return what the item at a place of a question counts."""
        if self._settings.fade > 0.0:
            return math.exp((place - length) / self._settings.fade)
        return place / length


def _quality(sessions: Ragged, settings: NeighbourSettings) -> Floats:
    """Return what a session counts by itself, shape ``(S,)``."""
    count = len(sessions)
    quality = np.ones(count)
    if settings.by_length:
        quality /= np.sqrt(np.maximum(sessions.lengths(), 1))
    if settings.age > 0.0:
        quality *= np.exp((np.arange(count) / count - 1.0) / settings.age)
    return quality
