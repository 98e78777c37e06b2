"""Oversight: the last word on every bid, by hard rules.

Principle: it looks at the finished decision only, and closed is its default: without its "cleared"
nothing leaves. The rules are ``models.oversight``; what is sensitive needs a person's approval.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.messages import Clear, Cleared
from supervision import LightActor

if TYPE_CHECKING:
    from actors.metering import Account
    from models.oversight import OversightRules
    from supervision.ref import Ref

_CLEARED = Cleared()


class Oversight(LightActor):
    """Answers ``Clear`` with ``Cleared``.

    Args:
        rules: What may not happen.
        price_cap_micros: No bid is above it.
        unvetted_cap_micros: No bid on traffic that could not be vetted is above it.
        account: What others know of it.
    """

    def __init__(
        self,
        rules: OversightRules,
        price_cap_micros: int,
        unvetted_cap_micros: int,
        account: Account = dict,
    ) -> None:
        self._account = account
        self._rules = rules
        self._caps = (unvetted_cap_micros, price_cap_micros)
        self._cleared = 0
        self._vetoes: dict[str, int] = {}

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Judge one bid."""
        if type(message) is not Clear:
            return
        cap_micros = self._caps[message.vetted]
        veto = self._rules.check(
            message.opportunity, message.candidate, message.bid_micros, cap_micros
        )
        if veto is None:
            self._cleared += 1
            self.send(sender, _CLEARED)
        else:
            self._vetoes[veto] = self._vetoes.get(veto, 0) + 1
            self.send(sender, Cleared(veto))

    def describe(self) -> dict[str, Any]:
        """Tell how much was cleared, and what was vetoed why."""
        return {"cleared": self._cleared, "vetoes": dict(self._vetoes), **self._account()}
