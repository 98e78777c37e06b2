"""The fraud detector: judges traffic by rules, and keeps count of how often a source comes.

Principle: the rules are ``models.fraud``; what an actor adds is memory. The counts are lost in a
restart, which makes the detector kinder for a minute and never wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.messages import Vet, Vetted
from models.fraud import RecentCounts, source_of
from supervision import LightActor

if TYPE_CHECKING:
    from actors.metering import Account
    from models.fraud import FraudRules
    from supervision.ref import Ref


class FraudDetector(LightActor):
    """Answers ``Vet`` with ``Vetted``.

    Args:
        rules: What counts as a sign of invalid traffic.
        window_s: Over how long requests of one source are counted.
        max_sources: Sources counted at most.
        account: What others know of it.
    """

    def __init__(
        self,
        rules: FraudRules,
        window_s: float = 60.0,
        max_sources: int = 50_000,
        account: Account = dict,
    ) -> None:
        self._account = account
        self._rules = rules
        self._counts = RecentCounts(window_s, max_sources)
        self._judged = 0
        self._refused = 0

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Judge one request."""
        if type(message) is not Vet:
            return
        opportunity = message.opportunity
        count = 0
        if message.attempt == 1:  # a question asked again is not another request
            count = self._counts.count(source_of(opportunity), self.cell.clock())
        verdict = self._rules.score(opportunity, count)
        self._judged += 1
        self._refused += not verdict.valid
        self.send(sender, Vetted(verdict.valid, verdict.score, verdict.reasons))

    def describe(self) -> dict[str, Any]:
        """Tell how much was judged and refused."""
        return {"judged": self._judged, "refused": self._refused, **self._account()}
