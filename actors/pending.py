"""A request in hand: who waits for its answer, what has come, how much is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.admission import Admitted
    from actors.messages import Decided


class Pending:
    """A request in hand.

    Args:
        header: Whom to answer.
        body: As received.
        admitted: What was read.
        deadline_s: When its answer must leave, cell's clock.

    Attributes:
        headers: All who wait for this answer.
        missing: Decisions that have not come yet.
        decided: Decisions that have come.
        reasons: Why there is no bid, by impression, as far as it is known.
    """

    __slots__ = ("admitted", "body", "deadline_s", "decided", "headers", "missing", "reasons")

    def __init__(self, header: bytes, body: bytes, admitted: Admitted, deadline_s: float) -> None:
        self.headers = [header]
        self.body = body
        self.admitted = admitted
        self.deadline_s = deadline_s
        self.missing = len(admitted.request.imp)
        self.decided: list[Decided] = []
        self.reasons: dict[str, str] = {}
