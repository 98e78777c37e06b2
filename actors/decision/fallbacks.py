"""What answers in an agent's place while it can't: open on enrichment, closed on money and rules.

Principle: a fallback is pure and instant, needs no other actor and no array larger than a vector,
so that it still works when everything else does not. Steps without a fallback here (funding,
clearing, reserving) end the decision with a reason instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import Priced, Profiled, Selected, Vetted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from models.eligibility import Candidate
    from models.opportunity import Opportunity

    DefaultVector = Callable[[Opportunity], NDArray[np.float32]]
    BestCreative = Callable[[Sequence[Candidate]], tuple[int, float]]

_PASSED = Vetted(valid=True, reasons=("unvetted",))


class Fallbacks:
    """The fallbacks of one bidder.

    Args:
        default_vector: Interest vector of an opportunity's segment, float32, shape ``(dim,)``.
        best_creative: Index of the best candidate so far, and its click probability.
        uncounted: Campaigns and creatives that nobody may see whose views can't be counted.
    """

    __slots__ = ("_best_creative", "_default_vector", "_uncounted")

    def __init__(
        self,
        default_vector: DefaultVector,
        best_creative: BestCreative,
        uncounted: frozenset[str] = frozenset(),
    ) -> None:
        self._default_vector = default_vector
        self._uncounted = uncounted
        self._best_creative = best_creative

    def vetted(self) -> Vetted:
        """Let traffic pass that nobody could vet; the decision caps its price."""
        return _PASSED

    def profiled(self, opportunity: Opportunity) -> Profiled:
        """Take the default profile of the opportunity's segment."""
        return Profiled(self._default_vector(opportunity), "fallback", capped=self._uncounted)

    def selected(self, candidates: Sequence[Candidate]) -> Selected:
        """Take the best creative so far; nothing was drawn, so its propensity is 1."""
        index, predicted_ctr = self._best_creative(candidates)
        return Selected(index, 1.0, predicted_ctr)

    def priced(self, candidate: Candidate, pace: float = 1.0) -> Priced:
        """Take the campaign's default bid, lowered as all its values are."""
        return Priced(int(candidate.campaign.default_bid_micros * pace))
