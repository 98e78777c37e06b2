"""What was answered to which request, so that a request delivered again gives the same answer.

Principle: a resent request is the same bytes (that is what an nng REQ socket sends again), so the
body itself is the name of the request; two different requests that share an id are two requests.
The memory is bounded in entries and in bytes; what is forgotten would be decided afresh.
"""

from __future__ import annotations

from collections import OrderedDict


class AnswerMemory:
    """Remembers the latest answers by request body.

    Args:
        max_entries: Answers kept at most; the oldest go first.
        max_bytes: Bytes of bodies and answers kept at most.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, body: bytes) -> bytes | None:
        """Return what was answered to this request, None if it is new or forgotten."""
        return self._answers.get(body)

    def keep(self, body: bytes, answer: bytes) -> None:
        """Remember an answer, and forget the oldest ones that no longer fit."""
        if body in self._answers:
            return
        self._answers[body] = answer
        self._bytes += len(body) + len(answer)
        while len(self._answers) > self._max_entries or self._bytes > self._max_bytes:
            old_body, old_answer = self._answers.popitem(last=False)
            self._bytes -= len(old_body) + len(old_answer)
