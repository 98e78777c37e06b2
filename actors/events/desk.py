"""The event desk: what became of our bids comes in here; money is booked before it is confirmed.

Principle: a notice moves money only if it carries a name that we signed, and it is confirmed only
when the ledger has it on disk, so a sender that repeats what was not confirmed can lose nothing and
double nothing. Everything that happened is then published, in the cell and to other processes.

Between a win and its bill nothing moves: the bid's money stays reserved in its lease until the bill
comes, the loss is told, or the window after the bid is over. That does not need whoever made the
bid: the lease stays blocked in the ledger when its bidder dies, and a bill names lease and price. A
bill after the window is booked if the budget allows, and said to be late.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.events.bid_memory import BidMemory
from actors.events.notice_rules import as_told, is_rehearsal
from actors.log_health import LogHealth
from actors.messages import (
    Exposed,
    Feedback,
    Forward,
    Heard,
    LinkDown,
    Offered,
    Released,
    Settled,
)
from supervision import Down, LightActor
from transport.errors import MalformedEventError, NoticeError, SegmentError
from transport.messages import EventAck, Loss, decode_event, encode, encode_ack, is_json
from transport.money import Release, Settle, SettleAck
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.events.notice_rules import NoticeTerms, Price
    from actors.metering import Meter
    from supervision.ref import Ref
    from transport.faults import Link
    from transport.frames import LinkFactory, PublisherLink, Received, ServerLink
    from transport.messages import Event
    from transport.segments import SegmentWriter

BURST: Final = 64
LEDGER_WAIT_S: Final = 2.0
"""How long a sender waits for the ledger before it is told to try again."""
TICK_S: Final = 0.2
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
        unix_clock: Seconds since 1970.
        terms: What is made of notices.
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
    unix_clock: Callable[[], float]
    terms: NoticeTerms
    tells_once: bool = True


class _Notice(NamedTuple):
    """An event, as it is told on, with what we signed and what it says that the bid costs."""

    event: Event
    key: NoticeKey
    price: Price


class _Waiting(NamedTuple):
    """A sender whose money event is with the ledger."""

    header: bytes
    notice: _Notice
    since_s: float
    as_json: bool


class EventDesk(LightActor):
    """Takes events, has their money booked, confirms them and tells whoever listens.

    Args:
        kit: What it is made of.
    """

    def __init__(self, kit: DeskKit) -> None:
        self._kit = kit
        self._terms = kit.terms
        self._bids = BidMemory(kit.remembered_bids, tells_once=kit.tells_once)
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._confirmed: list[tuple[bytes, bytes]] = []
        self._flushing = False
        self._server: ServerLink | None = None
        self._publisher: PublisherLink | None = None
        self._log: SegmentWriter | None = None
        self._health = LogHealth(self)
        self._handlers: dict[type, Callable[[Any], None]] = {
            WatchMessage: self._on_readable,
            Offered: self._bids.offer,
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
            "remembered_bids": len(self._bids),
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
            notice = self._read(body)
        except (MalformedEventError, NoticeError) as error:
            self._kit.meter.refused_events += 1
            self._confirm(header, EventAck(ok=False, error=str(error)), as_json=as_json)
            return
        event = notice.event
        if self._terms.is_bill(event, notice.key):
            self._settle(_Waiting(header, notice, self.cell.clock(), as_json))
            return
        if isinstance(event, Loss):
            self._release(notice.key)
        repeated = self._happened(notice)
        ack = EventAck(ok=True, duplicate=repeated, late=event.late)
        self._confirm(header, ack, as_json=as_json)

    def _read(self, body: bytes) -> _Notice:
        """Read an event and the bid that it is about.

        Raises:
            MalformedEventError: It is no event.
            NoticeError: The bid is none that we signed, or too old.
        """
        event = decode_event(body)
        key = NoticeKey.decode(self._kit.secret, event.key)
        if is_rehearsal(event):
            key = msgspec.structs.replace(key, test=True)
        unix_s, terms = self._kit.unix_clock(), self._terms
        age_s = key.age_s(unix_s, self.cell.clock())
        expired = terms.why_expired(event, age_s)
        if expired:
            raise NoticeError(expired)
        price = terms.price_of(event, key)
        is_late = terms.is_late(event, age_s)
        return _Notice(as_told(event, key, price, unix_s, is_late=is_late), key, price)

    def _settle(self, waiting: _Waiting) -> None:
        """Have the ledger book a price; the sender is confirmed when it has."""
        key, price = waiting.notice.key, waiting.notice.price
        settle = Settle(
            key=key.key,
            campaign_id=key.campaign_id,
            lease_id=key.lease_id,
            price_micros=price.micros,
            bid_micros=key.bid_micros,
        )
        link = self._ledger.address
        if link is None:
            self._try_again(waiting)
            return
        self._waiting.setdefault(key.key, deque()).append(waiting)
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
        if not ack.repeated:
            self._kit.meter.spend_micros += ack.booked_micros
        # Also of a repeated one: the answer to the first settlement may be lost with a ledger.
        self.publish(Settled(ack.key, ack.booked_micros))
        if waiting is None:
            return  # its sender was told to try again; the next time it is a repeated one
        repeated = self._happened(waiting.notice) or ack.repeated
        ack_out = EventAck(ok=True, duplicate=repeated, late=waiting.notice.event.late)
        self._confirm(waiting.header, ack_out, as_json=waiting.as_json)

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

    def _happened(self, notice: _Notice) -> bool:
        """Log and publish an event, once as far as we remember; tells whether it is repeated.

        What counts is that *we* told it: its money may have been booked for another event, or for
        a predecessor of ours that died before it could log anything.
        """
        event = notice.event
        kind = type(event).__name__.lower()
        self._kit.meter.event(kind)
        if self._bids.was_told(event, notice.key.key):
            return True
        assert self._log is not None
        assert self._publisher is not None
        encoded = encode(event)
        self._log.append(encoded)
        self._publisher.publish(kind.encode(), encoded)
        self.publish(event)
        self._pass_on(notice, first_hand=True)
        return False

    def _pass_on(self, notice: _Notice, *, first_hand: bool) -> None:
        """Tell the cell what an event means: for those who count, and for those who learn."""
        event, key = notice.event, notice.key
        if self._terms.is_exposure(event, key):
            unix_s = self._kit.unix_clock()
            self.publish(
                Exposed(key.key, key.user, key.campaign_id, key.creative_id, unix_s, first_hand)
            )
        offered = self._bids.find(key.key)
        if offered is None or key.test:
            return  # another bidder's, or forgotten; of tests nothing is learnt
        if isinstance(event, Loss):
            self._bids.forget(key.key)
        self.publish(
            Feedback(
                type(event).__name__.lower(),
                key.key,
                offered.candidate,
                offered.opportunity,
                offered.vector,
                offered.bid_micros,
                self._price_to_learn(notice),
            )
        )

    def _price_to_learn(self, notice: _Notice) -> int | None:
        """Return what an event tells of the market, in micros of USD; None if nothing."""
        if isinstance(notice.event, Loss):
            return self._terms.least_price_of(notice.event, notice.key)
        return notice.price.micros if notice.price.is_known else None

    def _on_heard(self, heard: Heard) -> None:
        """Connect an event that a sibling received with the bid of ours that it is about."""
        event = heard.event
        try:
            key = NoticeKey.decode(self._kit.secret, event.key)
        except NoticeError:
            self._kit.meter.refused_events += 1
            return
        notice = _Notice(event, key, self._terms.price_of(event, key))
        self._pass_on(notice, first_hand=False)

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
