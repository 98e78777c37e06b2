"""What was offered before is worked out once: rows, values and the pool's view of a set of ads.

Principle: traffic offers the same few sets of ads again and again, and all but the user's own share
of an ad's worth follows from the set and the pool of draws. A set is known by what it is made of,
rows and values; a tuple that comes again is known by itself, because it cannot change. What follows
from the pool is worked out anew when the pool is another one.

Letters: n ads of a set, D vector (16), S draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.eligibility import Candidate

#: Sets of ads that are remembered; each holds about a kilobyte per ad.
MAX_OFFERS: Final = 512

#: Tuples that are known by themselves.
MAX_TUPLES: Final = 4096


class Offer:
    """A set of ads with all that does not depend on a user.

    Args:
        rows: Of the ads in the selector's arrays, length n.
        values: What a conversion is worth to each ad's campaign, micros, length n.

    Attributes:
        rows: As given.
        log_values: Logarithms of the values, shape ``(n, 1)``.
        pool: Number of the pool that the arrays below belong to; 0 for none yet.
        embeddings: Shape ``(n, D)``.
        worth: Of each ad to nobody in each draw, value included, shape ``(n, S)``.
    """

    __slots__ = ("embeddings", "log_values", "pool", "rows", "worth")

    def __init__(self, rows: Sequence[int], values: Sequence[int]) -> None:
        self.rows = rows
        self.log_values = np.log(np.array(values, dtype=np.float64)).astype(np.float32)[:, None]
        self.pool = 0
        self.embeddings: NDArray[np.float32] = np.empty((0, 0), np.float32)
        self.worth: NDArray[np.float32] = np.empty((0, 0), np.float32)

    def work_out(
        self, pool: int, embeddings: NDArray[np.float32], static: NDArray[np.float32]
    ) -> None:
        """Take over what a new pool says.

        Args:
            pool: Its number, 1 or more.
            embeddings: Of all ads, shape ``(A, D)``.
            static: Log-odds of all ads to nobody in each draw, shape ``(A, S)``.
        """
        rows = np.array(self.rows)
        self.pool = pool
        self.embeddings = embeddings[rows]
        self.worth = static[rows] + self.log_values


class Offers:
    """Finds the offer of some candidates; begins anew when too many are remembered.

    Args:
        rows_of: Gives the rows of candidates, and raises where there are none.
        max_offers: Sets remembered at most.
        max_tuples: Tuples remembered at most.
    """

    def __init__(
        self,
        rows_of: Callable[[Sequence[Candidate]], list[int]],
        max_offers: int = MAX_OFFERS,
        max_tuples: int = MAX_TUPLES,
    ) -> None:
        self._rows_of = rows_of
        self._max_offers = max_offers
        self._max_tuples = max_tuples
        self._by_parts: dict[tuple[tuple[int, ...], tuple[int, ...]], Offer] = {}
        # The tuple is held beside its offer, so that no other can take its id meanwhile.
        self._by_id: dict[int, tuple[Sequence[Candidate], Offer]] = {}

    def find(self, candidates: Sequence[Candidate]) -> Offer:
        """Return the offer of these candidates; equal ones share theirs."""
        known = self._by_id.get(id(candidates))
        if known is not None:
            return known[1]
        rows = tuple(self._rows_of(candidates))
        values = tuple([each.campaign.value_per_conversion_micros for each in candidates])
        offer = self._by_parts.get((rows, values))
        if offer is None:
            if len(self._by_parts) >= self._max_offers:
                self._by_parts.clear()
                self._by_id.clear()  # or it would keep the forgotten offers alive
            offer = self._by_parts[rows, values] = Offer(rows, values)
        if type(candidates) is tuple:  # anything else may hold other ads the next time
            if len(self._by_id) >= self._max_tuples:
                self._by_id.clear()
            self._by_id[id(candidates)] = (candidates, offer)
        return offer
