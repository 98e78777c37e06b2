"""Feeds: what other processes publish, brought into the cell.

Principle: inside a cell one subscribes to types, between processes to topics; a feed joins the two,
so that no agent knows whether its news come from next door or from the ledger. News may be lost
(a slow subscriber loses frames); nothing here is the only way for money to be known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WatchMessage

from actors.messages import Heard, Released, Settled
from supervision import LightActor
from transport.errors import MalformedEventError
from transport.messages import decode_event
from transport.money import (
    MONEY_TOPIC,
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    MoneyFrameError,
    MoneyNotice,
    ReleasedNotice,
    SettledNotice,
    decode_notices,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.ref import Ref
    from transport.faults import Link
    from transport.frames import LinkFactory, SubscriberLink

BURST: Final = 256


class _Feed(LightActor):
    """Subscribes to publishers and hands every frame to ``_on_frame``."""

    def __init__(self, links: LinkFactory, urls: Sequence[str], topic: bytes) -> None:
        self._links = links
        self._urls = tuple(urls)
        self._topic = topic
        self._subscriber: SubscriberLink | None = None
        self._frames = 0
        self._unreadable = 0

    def on_start(self) -> ThespianWatch:
        """Dial every publisher."""
        self._subscriber = subscriber = self._links.subscriber()
        subscriber.subscribe(self._topic)
        for url in self._urls:
            subscriber.dial(url)
        return ThespianWatch([subscriber.fileno()])

    def on_end(self) -> None:
        """Close the socket."""
        if self._subscriber is not None:
            self._subscriber.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return () if self._subscriber is None else (self._subscriber,)

    def describe(self) -> dict[str, Any]:
        """Tell how much came."""
        return {"urls": list(self._urls), "frames": self._frames, "unreadable": self._unreadable}

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Read what has come."""
        if isinstance(message, WatchMessage) and self._subscriber is not None:
            for published in self._subscriber.drain(BURST):
                self._frames += 1
                try:
                    self._on_frame(published.body)
                except (MoneyFrameError, MalformedEventError):
                    self._unreadable += 1

    def _on_frame(self, body: bytes) -> None:
        raise AssertionError("a feed says what its frames are")


class LedgerFeed(_Feed):
    """Publishes the ledger's notices in the cell.

    Args:
        links: Makes the socket.
        url: Where the ledger publishes.
    """

    def __init__(self, links: LinkFactory, url: str) -> None:
        super().__init__(links, (url,), MONEY_TOPIC)

    def _on_frame(self, body: bytes) -> None:
        for notice in decode_notices(body):
            self._publish_notice(notice)

    def _publish_notice(self, notice: MoneyNotice) -> None:
        match notice:
            case SettledNotice(key=key, booked_micros=micros, campaign_id=campaign_id):
                self.publish(Settled(key, micros, campaign_id))
            case ReleasedNotice(key=key, campaign_id=campaign_id):
                self.publish(Released(key, campaign_id))
            case LeaseClosed() | BudgetExhausted() | CampaignStanding():
                self.publish(notice)


class EventFeed(_Feed):
    """Publishes in the cell what sibling bidders heard of bids.

    Args:
        links: Makes the socket.
        urls: Where the siblings publish.
    """

    def __init__(self, links: LinkFactory, urls: Sequence[str]) -> None:
        super().__init__(links, urls, b"")

    def _on_frame(self, body: bytes) -> None:
        self.publish(Heard(decode_event(body)))
