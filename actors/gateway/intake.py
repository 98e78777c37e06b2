"""Requests on their way in: from the socket to what is to be decided, or back at once.

Principle: what cannot be decided in time is answered before anything is spent on it. Requests wait
unseen in the socket while the loop works, so the socket is emptied in each turn, and a request is
as old as the time since it was last known to be empty. Its deadline counts from then; where too
much is in hand already (``actors.gateway.overload``), all that is read of it is its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.gateway.admission import Refused, admit, turn_away
from actors.gateway.answer_memory import AnswerMemory, name_of
from actors.gateway.overload import Limiter
from actors.gateway.pending import Pending
from transport.codec import MAX_TMAX_MS
from transport.envelope import opened, seal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.gateway.actor import GatewayKit
    from supervision import LightActor
    from transport.envelope import Envelope
    from transport.frames import Received, ServerLink

BURST: Final = 64
"""Requests taken from the socket at a time."""
BURSTS: Final = 16
"""Bursts taken in one turn at most, so that others get theirs."""
PUSH_S: Final = 0.001
"""How soon replies that a peer was not ready for are tried again."""
PUSH_GAP_S: Final = 0.0003
"""How often they are tried in the middle of other work: each try has its price."""
PUSH: Final = "push"
"""Payload of the wake-up at which the owner calls ``pushed``."""
CROWD: Final = 8
"""With so much in hand, one more takes as long as others did."""


class Intake:
    """What came in and has not left yet.

    Args:
        kit: What the gateway is made of.
        owner: The gateway, in whose cell all this happens.
        server: Where requests come from.
        begin: Has a request decided; called with it, the time and the Unix time.
    """

    def __init__(
        self,
        kit: GatewayKit,
        owner: LightActor,
        server: ServerLink,
        begin: Callable[[Pending, float, float], None],
    ) -> None:
        self._kit = kit
        self._owner = owner
        self._cell = owner.cell
        self._server = server
        server.hold_replies()
        self._pushing = self._left = False
        self._pushed_s = 0.0
        self._begin = begin
        self._seal = seal_of(kit.secret)
        self._in_hand: dict[bytes, Pending] = {}
        self._memory = AnswerMemory(kit.memory_entries, kit.memory_bytes)
        self._limiter = Limiter(owner.cell.clock, kit.door.max_in_flight)
        self._empty_s = owner.cell.clock()

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._memory)

    @property
    def limit(self) -> int:
        """How many impressions may be undecided at one time, as things are."""
        return int(self._limiter.limit) if self._kit.sheds else self._kit.door.max_in_flight

    def drain(self, in_flight: Callable[[], int]) -> None:
        """Take what waits in the socket; all of it, unless shedding is off.

        Args:
            in_flight: Tells how many impressions are undecided.
        """
        self._take_all(in_flight)
        self.push()

    def _take_all(self, in_flight: Callable[[], int]) -> None:
        unix_s = self._kit.unix_clock()
        for _ in range(BURSTS if self._kit.sheds else 1):
            now_s = self._cell.clock()
            waiting = self._server.drain(BURST)
            since_s = self._since_s(now_s)
            for received in waiting:
                self._take(received, since_s, (now_s, unix_s), in_flight())
            if len(waiting) < BURST:
                self._empty_s = now_s
                return

    def push(self) -> None:
        """Hand replies to peers that were not ready for them; again in a moment, if need be."""
        self._left = self._server.push()
        if self._left and not self._pushing:
            self._pushing = True
            self._owner.wake_after(PUSH_S, PUSH)

    def push_more(self) -> None:
        """Do as ``push`` in the middle of other work, if there is something and it is time."""
        if self._left:
            now_s = self._cell.clock()
            if now_s - self._pushed_s >= PUSH_GAP_S:
                self._pushed_s = now_s
                self.push()

    def pushed(self) -> None:
        """Do what ``push`` had put off."""
        self._pushing = False
        self.push()

    def _since_s(self, now_s: float) -> float:
        """Return the moment before which nothing that waits now can have come."""
        if not self._kit.sheds:
            return now_s
        return min(now_s, max(self._empty_s, self._cell.awake_s))

    def _take(
        self, received: Received, since_s: float, now: tuple[float, float], in_flight: int
    ) -> None:
        kit = self._kit
        kit.meter.requests += 1
        envelope, body = opened(received.body, self._seal)
        name = name_of(envelope, body)
        if self._is_repeated(name, received.header):
            return
        if kit.sheds and not self._limiter.has_room(in_flight):
            self._refuse(received.header, turn_away(body))
            return
        now_s, unix_s = now
        age_s = now_s - _arrived_s(envelope, since_s, now_s)
        admitted = admit(kit.door, body, in_flight, age_s, self._expected_s(in_flight))
        if isinstance(admitted, Refused):
            self._refuse(received.header, admitted)
            return
        pending = Pending(received.header, name, admitted, now_s - age_s + admitted.time_s)
        if envelope is None:
            pending.may_explain = kit.explains
        else:
            pending.exchange, pending.may_explain = envelope.exchange, envelope.may_explain
        self._in_hand[name] = pending
        self._begin(pending, now_s, unix_s)

    def _is_repeated(self, name: bytes, header: bytes) -> bool:
        """Answer a request that was seen before, or let it wait for the same answer."""
        known = self._memory.find(name)
        if known is not None:
            self._server.reply(header, known)
        elif self._kit.memory_entries and name in self._in_hand:
            self._in_hand[name].headers.append(header)
        else:
            return False
        self._kit.meter.repeated += 1
        return True

    def _expected_s(self, in_flight: int) -> float:
        """Return how long one more would take, 0 where nothing keeps it waiting."""
        return self._limiter.typical_s if self._kit.sheds and in_flight >= CROWD else 0.0

    def _refuse(self, header: bytes, refused: Refused) -> None:
        self._kit.meter.no_bid(refused.reason)
        self._kit.journal.refused(refused.request_id, refused.reason)
        self._server.reply(header, refused.answer)

    def leaving(self, pending: Pending, answer: bytes | None) -> None:
        """Remember an answer that leaves; until now its request was in hand.

        Args:
            pending: The request.
            answer: None where it must not be given to the same request again.
        """
        if self._in_hand.get(pending.name) is pending:
            del self._in_hand[pending.name]
        if answer is not None:
            self._memory.keep(pending.name, answer)
        time_s = pending.admitted.time_s
        taken_s = time_s - (pending.deadline_s - self._cell.clock())
        self._limiter.answered(taken_s, time_s, self._cell.awake_s)


def _arrived_s(envelope: Envelope | None, since_s: float, now_s: float) -> float:
    """Return when a request came: as the edge says, if that can be."""
    if envelope is None:
        return since_s
    age_s = now_s - envelope.arrived_s
    return envelope.arrived_s if 0.0 <= age_s <= MAX_TMAX_MS / 1000 else since_s
