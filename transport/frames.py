"""What a link is: frames in, frames out, nothing ever blocks, everything is selectable.

A *server* link answers requests by repeating their opaque header; a *client* link names its
requests with numbers of its own and may have many in flight. A *publisher* sends frames on topics
to whoever subscribed. ``transport.nng`` implements the four over nng sockets and
``transport.memory`` in memory; the same tests run over both.

Delivery is at most once, in order per connection. What a full queue or a lost peer drops, the
caller hears of from ``False`` or from ``on change``; nothing is retried here.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

MAX_FRAME_BYTES = 1 << 20
MAX_REQUEST_ID = 0x7FFF_FFFF


class Received(NamedTuple):
    """A request: give ``header`` back unchanged with the reply."""

    header: bytes
    body: bytes


class Reply(NamedTuple):
    """The answer to the request that was sent as ``request_id``."""

    request_id: int
    body: bytes


class Published(NamedTuple):
    """A frame published on ``topic``."""

    topic: bytes
    body: bytes


@runtime_checkable
class ServerLink(Protocol):
    """Takes requests from many peers and answers each at most once, in any order."""

    def listen(self, url: str) -> str:
        """Accept peers at ``url`` too; may be called for several addresses.

        Returns:
            The address in fact listened on (a ``tcp`` port 0 becomes a real port).

        Raises:
            LinkError: The address is bad or in use.
        """

    def fileno(self) -> int:
        """Return a descriptor that is readable while a request waits (level-triggered)."""

    def drain(self, limit: int) -> list[Received]:
        """Return up to ``limit`` waiting requests, without blocking."""

    def reply(self, header: bytes, body: bytes) -> bool:
        """Answer the request that came with ``header``, without blocking.

        Returns:
            False when the reply could not be queued. True does not promise delivery: a peer that
            has gone takes its reply with it, silently.
        """

    def hold_replies(self) -> None:
        """Keep replies that a peer is not ready for, instead of waiting for it or dropping them.

        Whoever calls this calls ``push`` while that says that there are some.
        """

    def push(self) -> bool:
        """Hand over kept replies, as many as their peers take; tell whether some are left."""

    def close(self) -> None:
        """Stop listening and free everything; further calls of ``close`` do nothing."""


@runtime_checkable
class ClientLink(Protocol):
    """Sends numbered requests to its peers and gets their answers in any order."""

    def dial(self, url: str) -> None:
        """Connect in the background, and again whenever the peer comes back.

        Raises:
            LinkError: The address is bad.
        """

    @property
    def connected(self) -> bool:
        """Whether at least one peer is there now."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while an answer waits (level-triggered)."""

    def change_fileno(self) -> int:
        """Return a descriptor that becomes readable when a peer comes or goes."""

    def take_changes(self) -> int:
        """Make ``change_fileno`` unreadable again and return how many peers came or went."""

    def send(self, request_id: int, body: bytes) -> bool:
        """Send a request without blocking.

        Args:
            request_id: 0 .. ``MAX_REQUEST_ID``, unique among the requests in flight.
            body: The frame.

        Returns:
            False when it was not taken: no peer, or its queue is full.
        """

    def drain(self, limit: int) -> list[Reply]:
        """Return up to ``limit`` waiting answers, without blocking."""

    def close(self) -> None:
        """Disconnect and free everything; further calls of ``close`` do nothing."""


@runtime_checkable
class PublisherLink(Protocol):
    """Sends frames on topics to all subscribers that are there."""

    def listen(self, url: str) -> str:
        """Accept subscribers at ``url``; returns the address in fact listened on.

        Raises:
            LinkError: The address is bad or in use.
        """

    def publish(self, topic: bytes, body: bytes) -> bool:
        """Send ``body`` to the subscribers of ``topic``; slow ones lose frames.

        Args:
            topic: Any bytes but NUL.
            body: The frame.
        """

    def close(self) -> None:
        """Stop listening and free everything; further calls of ``close`` do nothing."""


@runtime_checkable
class SubscriberLink(Protocol):
    """Gets the frames of the topics it subscribed to."""

    def dial(self, url: str) -> None:
        """Connect in the background, and again whenever the publisher comes back.

        Raises:
            LinkError: The address is bad.
        """

    def subscribe(self, prefix: bytes) -> None:
        """Get frames whose topic starts with ``prefix`` (``b""`` for all)."""

    def fileno(self) -> int:
        """Return a descriptor that is readable while a frame waits (level-triggered)."""

    def drain(self, limit: int) -> list[Published]:
        """Return up to ``limit`` waiting frames, without blocking."""

    def close(self) -> None:
        """Disconnect and free everything; further calls of ``close`` do nothing."""


class LinkFactory(Protocol):
    """Makes links; actors are handed one, so that a test can hand in memory twins."""

    def server(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> ServerLink:
        """Make a server link that refuses requests larger than ``recv_max_bytes``."""

    def client(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> ClientLink:
        """Make a client link that refuses answers larger than ``recv_max_bytes``."""

    def publisher(self) -> PublisherLink:
        """Make a publisher."""

    def subscriber(self, recv_max_bytes: int = MAX_FRAME_BYTES) -> SubscriberLink:
        """Make a subscriber that refuses frames larger than ``recv_max_bytes``."""
