"""The learnt pricing: the value model and the bid rule, as one answer to the cell's question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.messages import Price, Priced
from actors.reading.floors import floor_of_ad
from models.optimizer.pricing import BidRule
from models.optimizer.value import ValueModel

if TYPE_CHECKING:
    from pathlib import Path


class LearntPricing:
    """Prices by what was learnt.

    Args:
        value: Tells what an impression is worth.
        rule: Tells what to offer for it.
        price_cap_micros: No bid is above it.
    """

    def __init__(self, value: ValueModel, rule: BidRule, price_cap_micros: int) -> None:
        self._value = value
        self._rule = rule
        self._price_cap_micros = price_cap_micros

    def price(self, question: Price) -> Priced:
        """Return price and expected value, in micros per impression."""
        opportunity, candidate = question.opportunity, question.candidate
        value_micros = self._value.expected_value_micros(
            question.vector, candidate, opportunity, question.predicted_ctr
        )
        bid_micros = self._rule.price(
            value_micros,
            floor_of_ad(opportunity, candidate),
            self._rule.market(opportunity, candidate),
            question.budget,
            first_price=opportunity.first_price,
            cap_micros=min(
                question.spendable_micros,
                candidate.campaign.limit_micros,
                self._price_cap_micros,
            ),
        )
        return Priced(bid_micros, value_micros, self._rule.version)


def load_pricing(folder: Path, price_cap_micros: int) -> LearntPricing:
    """Load the optimizer from a folder of the registry.

    Args:
        folder: With weights and manifest.
        price_cap_micros: No bid is above it.

    Raises:
        ModelError: The folder holds no whole optimizer.
    """
    return LearntPricing(ValueModel.load(folder), BidRule.load(folder), price_cap_micros)
