"""What was answered to which request, so that a request delivered again gives the same answer.

Principle: a resent request is the same bytes (that is what an nng REQ socket sends again), so the
body's digest is the name of the request; two different requests that share an id are two requests.
Bodies themselves are not kept: they may hold what must not be stored. The memory is bounded in
entries and in bytes; what is forgotten would be decided afresh.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transport.envelope import Envelope

NAME_BYTES = 16
"""Two of a million million requests share a name with a chance of one to 10^14."""


def name_of(envelope: Envelope | None, body: bytes) -> bytes:
    """Return the name of a request: the same for the same body from the same exchange.

    Args:
        envelope: What the edge knows of it; who asks and with which rights changes the answer.
        body: As received.
    """
    if envelope is None:
        return blake2b(body, digest_size=NAME_BYTES).digest()
    person = envelope.exchange.encode()
    salt = b"explain" if envelope.may_explain else b"plain"
    return blake2b(body, digest_size=NAME_BYTES, key=person, salt=salt).digest()


class AnswerMemory:
    """Remembers the latest answers by the names of their requests.

    Args:
        max_entries: Answers kept at most; the oldest go first.
        max_bytes: Bytes of names and answers kept at most.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._answers: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, name: bytes) -> bytes | None:
        """Return what was answered to this request, None if it is new or forgotten."""
        return self._answers.get(name)

    def keep(self, name: bytes, answer: bytes) -> None:
        """Remember an answer, and forget the oldest ones that no longer fit."""
        if name in self._answers:
            return
        self._answers[name] = answer
        self._bytes += len(name) + len(answer)
        while len(self._answers) > self._max_entries or self._bytes > self._max_bytes:
            old_name, old_answer = self._answers.popitem(last=False)
            self._bytes -= len(old_name) + len(old_answer)
