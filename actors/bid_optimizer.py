"""The bid optimizer: what an impression is worth to a campaign, and what to offer for it.

Principle: the value is predicted, the price is a rule of value, floor, market and budget; both are
``models.optimizer``. The actor turns the cell's question into theirs and keeps no state, so its
restart costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from actors.messages import Price, Priced
from supervision import LightActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.metering import Account
    from supervision.ref import Ref


class Pricing(Protocol):
    """What answers a question of price."""

    def price(self, question: Price) -> Priced:
        """Return price and expected value, in micros per impression."""


class BidOptimizer(LightActor):
    """Answers ``Price`` with ``Priced``.

    Args:
        load: Makes the pricing; called at each start.
        account: What others know of it.
    """

    def __init__(self, load: Callable[[], Pricing], account: Account = dict) -> None:
        self._account = account
        self._pricing = load()
        self._priced = 0
        self._refused = 0
        self._offered_micros = 0

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Price one impression."""
        if type(message) is not Price:
            return
        priced = self._pricing.price(message)
        self._priced += 1
        self._refused += priced.bid_micros <= 0
        self._offered_micros += priced.bid_micros
        self.send(sender, priced)

    def describe(self) -> dict[str, Any]:
        """Tell how much was priced."""
        return {
            "priced": self._priced,
            "not_worth_it": self._refused,
            "offered_micros": self._offered_micros,
            **self._account(),
        }
