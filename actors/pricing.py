"""The learnt pricing: the value model and the bid rule, as one answer to the cell's question.

A share of the first-price bids is left unshaded, by the hash of what they are for: what shading
earns can only be told beside bids that it left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

from actors.messages import Price, Priced
from actors.reading.floors import floor_of_ad
from models.optimizer.pricing import BidRule
from models.optimizer.value import ValueModel

if TYPE_CHECKING:
    from pathlib import Path

    from models.opportunity import Opportunity

_HASHES: Final = 2**32


class LearntPricing:
    """Prices by what was learnt.

    Args:
        value: Tells what an impression is worth.
        rule: Tells what to offer for it.
        price_cap_micros: No bid is above it.
        control_share: Share of the first-price bids that are not shaded, 0..1.
    """

    def __init__(
        self,
        value: ValueModel,
        rule: BidRule,
        price_cap_micros: int,
        control_share: float = 0.0,
    ) -> None:
        self._value = value
        self._rule = rule
        self._price_cap_micros = price_cap_micros
        self._control_share = control_share

    def price(self, question: Price) -> Priced:
        """Return price and expected value, in micros per impression."""
        opportunity, candidate = question.opportunity, question.candidate
        value_micros = self._value.expected_value_micros(
            question.vector, candidate, opportunity, question.predicted_ctr
        )
        floor_micros = floor_of_ad(opportunity, candidate)
        market = self._rule.market(opportunity, candidate)
        cap_micros = min(
            question.spendable_micros, candidate.campaign.limit_micros, self._price_cap_micros
        )
        control = opportunity.first_price and in_control(opportunity, self._control_share)
        unshaded_micros, bid_micros = (
            self._rule.price(
                value_micros,
                floor_micros,
                market,
                question.budget,
                first_price=shaded,
                cap_micros=cap_micros,
            )
            for shaded in (False, opportunity.first_price and not control)
        )
        return Priced(bid_micros, value_micros, self._rule.version, unshaded_micros, control)


def in_control(opportunity: Opportunity, share: float) -> bool:
    """Whether an impression is among the ``share`` whose bids are not shaded.

    The same impression always is or never is, whichever bidder gets it.
    """
    name = f"shading/{opportunity.request_id}/{opportunity.imp_id}"
    return crc32(name.encode()) < share * _HASHES


def load_pricing(folder: Path, price_cap_micros: int, control_share: float = 0.0) -> LearntPricing:
    """Load the optimizer from a folder of the registry.

    Args:
        folder: With weights and manifest.
        price_cap_micros: No bid is above it.
        control_share: Share of the first-price bids that are not shaded, 0..1.

    Raises:
        ModelError: The folder holds no whole optimizer.
    """
    value, rule = ValueModel.load(folder), BidRule.load(folder)
    return LearntPricing(value, rule, price_cap_micros, control_share)
