"""The bid rule: from what an impression is worth to what we offer for it.

Second price: offer the value. First price: offer less, so that the expected surplus is highest. A
campaign that would spend faster than its plan values everything a little less. The price never
exceeds the value, the campaign's limit or the cap; when those lie below the floor there is no bid.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.market_segments import segment_columns
from models.optimizer.curves import MarketCurve, shaded_bid
from models.optimizer.value import NAME, SCHEMA
from models.registry import recall_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from models.eligibility import Candidate
    from models.opportunity import DealTerms, Opportunity


class BudgetState(Protocol):
    """How a campaign stands."""

    @property
    def pace(self) -> float:
        """What a value is multiplied with so that spend follows its plan (`models.pacing`), 0..1.

        It never exceeds 1: to offer more than an impression is worth loses money.
        """


class BidRule:
    """Prices impressions with a market learnt from (bid, won).

    Args:
        weights: Of the market's log-odds: ``log bid`` first, then the columns of
            `models.market_segments`.
        version: Of the weights.
    """

    def __init__(self, weights: NDArray[np.float64], version: str) -> None:
        self._shape = float(weights[0])
        self._effects: list[float] = weights[1:].tolist()
        self._curves: dict[tuple[int, ...], MarketCurve] = {}
        self.version = version

    @classmethod
    def load(cls, folder: Path) -> BidRule:
        """Load the market from a folder of the registry.

        Args:
            folder: The optimizer's, with weights and manifest.

        Raises:
            ModelError: The folder holds no whole optimizer of this schema.
        """
        manifest, tensors = recall_tensors(folder, NAME, SCHEMA)
        return cls(tensors["market"].astype(np.float64), manifest.version)

    def market(self, opportunity: Opportunity, candidate: Candidate) -> MarketCurve:
        """Return how likely bids win for such an impression.

        Args:
            opportunity: The impression.
            candidate: The ad, whose format tells the kind of inventory.
        """
        columns = segment_columns(
            candidate.slot.format,
            opportunity.country,
            opportunity.device_kind,
            opportunity.category,
        )
        curve = self._curves.get(columns)
        if curve is None:  # segments are a few thousand at most, so each is kept
            log_odds_at_one = sum(self._effects[column] for column in columns)
            curve = MarketCurve(math.exp(-log_odds_at_one / self._shape), self._shape)
            self._curves[columns] = curve
        return curve

    def price(
        self,
        value_micros: float,
        floor_micros: int,
        market: MarketCurve,
        budget: BudgetState,
        *,
        first_price: bool,
        cap_micros: int,
    ) -> int:
        """Return the bid in micros per impression; 0 means "do not bid".

        Args:
            value_micros: What the impression is worth.
            floor_micros: No lower bid is accepted.
            market: As `market` returns it.
            budget: How the campaign stands.
            first_price: The winner pays its bid.
            cap_micros: No higher bid is allowed: spendable money, the campaign's limit, the
                operator's cap.
        """
        worth = value_micros * budget.pace
        limit = min(int(worth), cap_micros)
        if limit <= 0 or limit < floor_micros:
            return 0
        wished = shaded_bid(worth, market) if first_price else worth
        return max(min(int(wished), limit), floor_micros, 1)


def on_terms(bid_micros: int, floor_micros: int, cap_micros: int, deal: DealTerms) -> int:
    """Return the bid for a deal; 0 means "do not bid".

    Args:
        bid_micros: What would be bid without the deal's terms, at most the cap; 0 = not worth it.
        floor_micros: The deal's floor for this ad, or its agreed price.
        cap_micros: No higher bid is allowed.
        deal: Its terms. A guaranteed deal is owed a bid of at least its floor, whatever the
            impression is worth, as long as the money allows it (``guar``); at an agreed price
            (``at`` 3) that price is bid or nothing (OpenRTB 2.6, section 3.2.12).
    """
    if deal.guaranteed and max(floor_micros, 1) <= cap_micros:
        bid_micros = max(bid_micros, floor_micros, 1)
    if deal.fixed:
        return floor_micros if bid_micros >= floor_micros else 0
    return bid_micros
