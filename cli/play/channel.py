"""Many requests in flight to several peers, none forgotten: the exchange's side of a link.

Principle: a request belongs to the channel until its answer comes or its patience is over. When a
peer goes away, what it had been asked is asked again, of another peer or of the same when it is
back; the node answers a request that it saw before as it did then.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from transport.frames import MAX_REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transport.frames import ClientLink

_BURST = 256
_LOOK_EVERY_S = 0.25


class Answer(NamedTuple):
    """What came back, or did not: ``body`` is None when the patience was over."""

    tag: Any
    body: bytes | None
    lane: int


class _Flight:
    """One request on its way. Invariant: it is in ``Channel._flights`` until it is reported."""

    __slots__ = ("body", "born_s", "lane", "number", "sent_s", "tag")

    def __init__(self, number: int, tag: Any, body: bytes, lane: int, born_s: float) -> None:
        self.number = number
        self.tag = tag
        self.body = body
        self.lane = lane
        self.born_s = born_s
        self.sent_s = born_s


class Channel:
    """Requests to the peers of several links ("lanes"), each answered or given up.

    Args:
        links: One for each peer, already dialling.
        patience_s: After this time without an answer a request is given up.
        resend_s: After this time without an answer it is sent again.
        stay: A request waits for its own lane; otherwise any connected one will do.
    """

    def __init__(
        self, links: Sequence[ClientLink], patience_s: float, resend_s: float, *, stay: bool = False
    ) -> None:
        self._links = links
        self._patience_s = patience_s
        self._resend_s = resend_s
        self._stay = stay
        self._flights: dict[int, _Flight] = {}
        self._waiting: deque[_Flight] = deque()
        self._number = 0
        self._turn = 0
        self._looked_s = 0.0
        self.resent = 0

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def connected(self) -> bool:
        """Whether any peer is there."""
        return any(link.connected for link in self._links)

    def descriptors(self) -> Iterator[int]:
        """Yield the descriptors that are readable when :meth:`poll` has something to do."""
        for link in self._links:
            yield link.fileno()
            yield link.change_fileno()

    def submit(self, tag: Any, body: bytes, now_s: float, lane: int | None = None) -> None:
        """Send a request, now or as soon as a peer takes it.

        Args:
            tag: Comes back with the answer.
            body: The request.
            now_s: The time.
            lane: The peer to ask; by default they take turns.
        """
        if lane is None:
            self._turn = lane = (self._turn + 1) % len(self._links)
        self._number = (self._number + 1) & MAX_REQUEST_ID
        flight = _Flight(self._number, tag, body, lane, now_s)
        self._flights[flight.number] = flight
        if self._waiting or not self._try(flight, now_s):
            self._waiting.append(flight)

    def poll(self, now_s: float) -> list[Answer]:
        """Take what came back, ask again what was lost, give up what took too long."""
        answers: list[Answer] = []
        for lane, link in enumerate(self._links):
            if link.take_changes():
                self._ask_again(flight for flight in self._flights.values() if flight.lane == lane)
            for number, body in link.drain(_BURST):
                flight = self._flights.pop(number, None)
                if flight is not None:
                    answers.append(Answer(flight.tag, body, lane))
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            answers.extend(self._give_up(now_s))
            overdue = now_s - self._resend_s
            self._ask_again(each for each in self._flights.values() if each.sent_s <= overdue)
        self._pump(now_s)
        return answers

    def _ask_again(self, flights: Iterator[_Flight]) -> None:
        queued = {flight.number for flight in self._waiting}
        lost = [flight for flight in flights if flight.number not in queued]
        self.resent += len(lost)
        self._waiting.extend(lost)

    def _give_up(self, now_s: float) -> list[Answer]:
        born_before = now_s - self._patience_s
        over = [flight for flight in self._flights.values() if flight.born_s <= born_before]
        for flight in over:
            del self._flights[flight.number]
        return [Answer(flight.tag, None, flight.lane) for flight in over]

    def _pump(self, now_s: float) -> None:
        for _ in range(len(self._waiting)):
            flight = self._waiting.popleft()
            if flight.number in self._flights and not self._try(flight, now_s):
                self._waiting.append(flight)

    def _try(self, flight: _Flight, now_s: float) -> bool:
        others = () if self._stay else range(len(self._links))
        for lane in (flight.lane, *others):
            if self._links[lane].connected and self._links[lane].send(flight.number, flight.body):
                flight.lane = lane
                flight.sent_s = now_s
                return True
        return False
