"""A request in hand: who waits for its answer, what has come, how much is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.gateway.admission import Admitted
    from actors.messages import Decided


class Pending:
    """A request in hand.

    Args:
        header: Whom to answer.
        name: Of the request, see ``actors.gateway.answer_memory``.
        admitted: What was read.
        deadline_s: When its answer must leave, cell's clock.

    Attributes:
        exchange: Who asks, as the edge knows it; "" if it does not.
        may_explain: Whoever asks may be told why there is no bid.
        headers: All who wait for this answer.
        missing: Decisions that have not come yet.
        decided: Decisions that have come.
        reasons: Why there is no bid, by impression, as far as it is known.
    """

    __slots__ = (
        "admitted",
        "deadline_s",
        "decided",
        "exchange",
        "headers",
        "may_explain",
        "missing",
        "name",
        "reasons",
    )

    def __init__(self, header: bytes, name: bytes, admitted: Admitted, deadline_s: float) -> None:
        self.headers = [header]
        self.name = name
        self.exchange = ""
        self.may_explain = False
        self.admitted = admitted
        self.deadline_s = deadline_s
        self.missing = len(admitted.request.imp)
        self.decided: list[Decided] = []
        self.reasons: dict[str, str] = {}
