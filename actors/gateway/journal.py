"""What a bidder tells its log about single requests: the unusual always, the usual only on demand.

Principle: every line names its request, and no flood of requests becomes a flood of lines. Above
a bound per second lines are only counted, and the next one says how many were left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from actors.messages import Decided
    from supervision.clock import Clock

LINES_PER_S: Final = 50


class Journal:
    """The log of one bidder's requests.

    Args:
        log: Where lines go.
        clock: Monotonic seconds.
        decisions: Write a line for each decision, too.
    """

    def __init__(self, log: FilteringBoundLogger, clock: Clock, *, decisions: bool = False) -> None:
        self._log = log
        self._clock = clock
        self._second = 0
        self._lines = 0
        self._left_out = 0
        self.decisions = decisions

    def refused(self, request_id: str, reason: str) -> None:
        """A request was answered at the door."""
        self._write("warning", "request_refused", request_id=request_id, reason=reason)

    def undecided(self, request_id: str, imp_id: str, reason: str) -> None:
        """An impression got no decision: its orchestrator died or ran out of time."""
        self._write(
            "error", "impression_undecided", request_id=request_id, imp_id=imp_id, reason=reason
        )

    def unlogged(self, request_id: str) -> None:
        """A bid did not leave because its decision could not be recorded."""
        self._write("error", "bid_not_recorded", request_id=request_id)

    def decided(self, request_id: str, decided: Decided) -> None:
        """A decision was made; call it only where ``decisions`` is set."""
        bid = decided.bid
        self._write(
            "debug",
            "decided",
            request_id=request_id,
            imp_id=decided.opportunity.imp_id,
            outcome="bid" if bid is not None else "no_bid",
            reason=decided.reason,
            bid_micros=bid.bid_micros if bid is not None else 0,
            kinds={taken.step: taken.kind for taken in decided.steps},
        )

    def _write(self, level: str, event: str, **fields: object) -> None:
        second = int(self._clock())
        if second != self._second:
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines > LINES_PER_S:
            self._left_out += 1
            return
        if self._left_out:
            fields["left_out"], self._left_out = self._left_out, 0
        getattr(self._log, level)(event, **fields)
