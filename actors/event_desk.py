"""The event desk: what became of our bids comes in here; money is booked before it is confirmed.

Principle: a notice moves money only if it carries a name that we signed, and it is confirmed only
when the ledger has it on disk, so a sender that repeats what was not confirmed can lose nothing and
double nothing. Everything that happened is then published, in the cell and to other processes.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.log_health import LogHealth
from actors.messages import Feedback, Forward, Heard, LinkDown, Offered, Released, Settled
from supervision import Down, LightActor
from transport.errors import MalformedEventError, NoticeError, SegmentError
from transport.messages import (
    Billing,
    Event,
    EventAck,
    Impression,
    Loss,
    Win,
    decode_event,
    encode,
    encode_ack,
    is_json,
)
from transport.money import Release, Settle, SettleAck
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.metering import Meter
    from supervision.ref import Ref
    from transport.faults import Link
    from transport.frames import LinkFactory, PublisherLink, Received, ServerLink
    from transport.segments import SegmentWriter

MAX_CPM: Final = 1_000_000.0
"""No price is above it; what claims to be is nonsense, and would not fit into a message."""
BURST: Final = 64
LEDGER_WAIT_S: Final = 2.0
"""How long a sender waits for the ledger before it is told to try again."""
TICK_S: Final = 0.2
MICROS_PER_CPM: Final = 1000
ONCE: Final = (Win, Loss, Billing, Impression)
"""Events that a bid has once at most; clicks and conversions may be many."""
_FLUSH: Final = object()


@dataclass(frozen=True, slots=True)
class DeskKit:
    """What an event desk is made of.

    Attributes:
        bidder: Name of the bidder; begins the names of its bids.
        urls: Addresses that take events.
        publish_url: Address where other processes subscribe to events.
        secret: Signs the names of bids.
        max_body_bytes: Larger events are not read.
        remembered_bids: Bids whose later fate is still connected with what was decided, and whose
            events are told once ...
        tells_once: ... unless this is false.
        links: Makes the sockets.
        open_log: Opens the event log.
        meter: Where the numbers go.
    """

    bidder: str
    urls: tuple[str, ...]
    publish_url: str
    secret: bytes
    max_body_bytes: int
    remembered_bids: int
    links: LinkFactory
    open_log: Callable[[], SegmentWriter]
    meter: Meter
    tells_once: bool = True


class _Waiting:
    """A sender whose money event is with the ledger."""

    __slots__ = ("as_json", "event", "header", "settle", "since_s")

    def __init__(
        self, header: bytes, event: Win | Billing, settle: Settle, since_s: float, *, as_json: bool
    ) -> None:
        self.header = header
        self.event = event
        self.settle = settle
        self.since_s = since_s
        self.as_json = as_json


class EventDesk(LightActor):
    """Takes events, has their money booked, confirms them and tells whoever listens.

    Args:
        kit: What it is made of.
    """

    def __init__(self, kit: DeskKit) -> None:
        self._kit = kit
        self._offers: OrderedDict[str, Offered] = OrderedDict()
        self._told: OrderedDict[tuple[type[Event], str], None] = OrderedDict()
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._confirmed: list[tuple[bytes, bytes]] = []
        self._flushing = False
        self._server: ServerLink | None = None
        self._publisher: PublisherLink | None = None
        self._log: SegmentWriter | None = None
        self._health = LogHealth(self)
        self._handlers: dict[type, Callable[[Any], None]] = {
            WatchMessage: self._on_readable,
            Offered: self._on_offered,
            SettleAck: self._on_settled,
            Heard: self._on_heard,
            LinkDown: self._on_link_down,
            Down: self._on_ledger_lost,
            WakeupMessage: self._on_wakeup,
        }

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Open sockets and log; hear of offers, and of events that siblings received."""
        kit = self._kit
        self._log = kit.open_log()
        self._server = server = kit.links.server(kit.max_body_bytes)
        for url in kit.urls:
            server.listen(url)
        self._publisher = kit.links.publisher()
        self._publisher.listen(kit.publish_url)
        self.subscribe(Offered)
        self.subscribe(Heard)
        self._ledger = self.cell.registry.route("link-ledger")
        self.wake_after(TICK_S)
        return ThespianWatch([server.fileno()])

    def on_end(self) -> None:
        """Close everything; senders without a confirmation send again."""
        for resource in (self._server, self._publisher, self._log):
            if resource is not None:
                resource.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return tuple(link for link in (self._server, self._publisher) if link is not None)

    def describe(self) -> dict[str, Any]:
        """Tell what is in hand."""
        return {
            "urls": list(self._kit.urls),
            "waiting_for_ledger": sum(map(len, self._waiting.values())),
            "remembered_bids": len(self._offers),
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Dispatch by type; anything else is not for us."""
        handler = self._handlers.get(type(message))
        if handler is not None:
            handler(message)

    # --- events in -----------------------------------------------------------------------------

    def _on_readable(self, _message: WatchMessage) -> None:
        assert self._server is not None
        for received in self._server.drain(BURST):
            self._take(received)

    def _take(self, received: Received) -> None:
        header, body = received
        as_json = is_json(body)
        try:
            event = decode_event(body)
            notice = NoticeKey.decode(self._kit.secret, event.key)
        except (MalformedEventError, NoticeError) as error:
            self._kit.meter.refused_events += 1
            self._confirm(header, EventAck(ok=False, error=str(error)), as_json=as_json)
            return
        if isinstance(event, Win | Billing):
            self._settle(header, event, notice, as_json=as_json)
            return
        if isinstance(event, Loss):
            self._release(notice)
        repeated = self._happened(event, notice.key, None)
        self._confirm(header, EventAck(ok=True, duplicate=repeated), as_json=as_json)

    def _settle(
        self, header: bytes, event: Win | Billing, notice: NoticeKey, *, as_json: bool
    ) -> None:
        """Have the ledger book a price; the sender is confirmed when it has."""
        settle = Settle(
            key=notice.key,
            campaign_id=notice.campaign_id,
            lease_id=notice.lease_id,
            price_micros=price_micros(event.price_cpm, notice.bid_micros),
            bid_micros=notice.bid_micros,
        )
        waiting = _Waiting(header, event, settle, self.cell.clock(), as_json=as_json)
        link = self._ledger.address
        if link is None:
            self._try_again(waiting)
            return
        self._waiting.setdefault(notice.key, deque()).append(waiting)
        self.ask(link, Forward(settle))

    def _release(self, notice: NoticeKey) -> None:
        """Free a lost bid's reservation: here if it is ours, else by way of the ledger."""
        if notice.key.startswith(f"{self._kit.bidder}-"):
            self.publish(Released(notice.key, notice.campaign_id))
            return
        link = self._ledger.address
        if link is not None:
            self.send(link, Forward(Release(notice.key, notice.campaign_id, notice.lease_id)))

    # --- the ledger's word ---------------------------------------------------------------------

    def _on_settled(self, ack: SettleAck) -> None:
        waiting = self._pop(ack.key)
        booked_before = ack.status == "duplicate"
        if not booked_before:
            self._kit.meter.spend_micros += ack.booked_micros
        # Also of a duplicate: the answer to the first settlement may be lost with a ledger.
        self.publish(Settled(ack.key, ack.booked_micros))
        if waiting is None:
            return  # its sender was told to try again; the next time it is a duplicate
        repeated = self._happened(waiting.event, ack.key, waiting.settle.price_micros)
        repeated |= booked_before and isinstance(waiting.event, Win)
        self._confirm(
            waiting.header, EventAck(ok=True, duplicate=repeated), as_json=waiting.as_json
        )

    def _pop(self, key: str) -> _Waiting | None:
        queue = self._waiting.get(key)
        if not queue:
            return None
        waiting = queue.popleft()
        if not queue:
            del self._waiting[key]
        return waiting

    def _on_link_down(self, down: LinkDown) -> None:
        if isinstance(down.message, Settle):
            waiting = self._pop(down.message.key)
            if waiting is not None:
                self._try_again(waiting)

    def _on_ledger_lost(self, _down: Down) -> None:
        """Hear that the link itself died, with everything it carried."""
        self._give_up_waiting(math.inf)

    def _give_up_waiting(self, since_s: float) -> None:
        """Tell every sender that has waited since before ``since_s`` to try again."""
        for key, queue in tuple(self._waiting.items()):
            while queue and queue[0].since_s <= since_s:
                self._try_again(queue.popleft())
            if not queue:
                del self._waiting[key]

    def _try_again(self, waiting: _Waiting) -> None:
        ack = EventAck(ok=False, error="ledger_unavailable: not booked yet, send it again")
        self._confirm(waiting.header, ack, as_json=waiting.as_json)

    def _on_wakeup(self, message: WakeupMessage) -> None:
        if message.payload is _FLUSH:
            self._flush()
            return
        self._give_up_waiting(self.cell.clock() - LEDGER_WAIT_S)
        if not self._flushing:
            self._flush()  # seals an old segment even when nothing happens
        self.wake_after(TICK_S)

    # --- telling -------------------------------------------------------------------------------

    def _happened(self, event: Event, key: str, price: int | None) -> bool:
        """Log and publish an event, once as far as we remember; tells whether it is repeated.

        What counts is that *we* told it: its money may have been booked for another event, or for
        a predecessor of ours that died before it could log anything.
        """
        kind = type(event).__name__.lower()
        self._kit.meter.event(kind)
        if self._was_told(event, key):
            return True
        assert self._log is not None
        assert self._publisher is not None
        encoded = encode(event)
        self._log.append(encoded)
        self._publisher.publish(kind.encode(), encoded)
        self.publish(event)
        self._feed_back(event, key, price)
        return False

    def _was_told(self, event: Event, key: str) -> bool:
        """Remember an event that a bid has once at most; tells whether it was remembered."""
        if not isinstance(event, ONCE) or not self._kit.tells_once:
            return False
        name = (type(event), key)
        if name in self._told:
            return True
        self._told[name] = None
        if len(self._told) > self._kit.remembered_bids * len(ONCE):
            self._told.popitem(last=False)
        return False

    def _feed_back(self, event: Event, key: str, price: int | None) -> None:
        offered = self._offers.get(key)
        if offered is None:
            return  # another bidder's, or forgotten
        if isinstance(event, Loss) and event.min_to_win_cpm is not None:
            price = price_micros(event.min_to_win_cpm, 0)
        self.publish(
            Feedback(
                type(event).__name__.lower(),
                key,
                offered.candidate,
                offered.opportunity,
                offered.vector,
                offered.bid_micros,
                price,
            )
        )
        if isinstance(event, Loss):
            del self._offers[key]

    def _on_offered(self, offered: Offered) -> None:
        self._offers[offered.key] = offered
        if len(self._offers) > self._kit.remembered_bids:
            self._offers.popitem(last=False)

    def _on_heard(self, heard: Heard) -> None:
        """Connect an event that a sibling received with the bid of ours that it is about."""
        try:
            notice = NoticeKey.decode(self._kit.secret, heard.event.key)
        except NoticeError:
            self._kit.meter.refused_events += 1
            return
        price = heard.event.price_cpm
        booked = None if price is None else price_micros(price, notice.bid_micros)
        self._feed_back(heard.event, notice.key, booked)

    # --- confirmations out ---------------------------------------------------------------------

    def _confirm(self, header: bytes, ack: EventAck, *, as_json: bool) -> None:
        self._confirmed.append((header, encode_ack(ack, as_json=as_json)))
        if not self._flushing:
            self._flushing = True
            self.wake_after(0.0, _FLUSH)

    def _flush(self) -> None:
        """Write the burst's events, then let its confirmations go."""
        self._flushing = False
        assert self._log is not None
        assert self._server is not None
        try:
            self._log.flush()
            self._health.worked()
        except SegmentError as error:
            # The money is booked in the ledger; an event that the log misses is counted, not fatal.
            self._kit.meter.unlogged += 1
            self._health.failed(error)
        confirmed, self._confirmed = self._confirmed, []
        for header, answer in confirmed:
            self._server.reply(header, answer)


def price_micros(price_cpm: float | None, otherwise_micros: int) -> int:
    """Return a CPM price as micros per impression, rounded up; unknown means ``otherwise_micros``.

    An exchange that does not name its price is booked at what we offered: the careful side.
    """
    if price_cpm is None or not 0.0 <= price_cpm <= MAX_CPM:
        return otherwise_micros
    return math.ceil(price_cpm * MICROS_PER_CPM - 1e-6)
