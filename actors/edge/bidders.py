"""The way from an asyncio loop to the bidders: one question, one answer, by a deadline.

Principle: every question ends exactly once, with an answer or with the reason why there is none. A
question goes to the bidder with the fewest in hand; one whose bidder goes away before it answers is
sent once more, elsewhere if possible; one that finds no bidder waits for the first to come back.
All of it happens in the loop's own thread.
"""

from __future__ import annotations

from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Final

from transport.frames import MAX_REQUEST_ID

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future, TimerHandle
    from collections.abc import Sequence

    from transport.frames import ClientLink, LinkFactory

BURST: Final = 64
"""Answers taken from one bidder before the loop looks at others."""
MAX_WAITING: Final = 8192
"""Questions without an answer at most; more are refused at once."""


class NoAnswer(Enum):
    """Why a question got no answer."""

    LATE = "late"
    """A bidder had it and did not answer in time."""
    UNREACHABLE = "unreachable"
    """No bidder was there, or two went away with it."""
    OVERLOADED = "overloaded"
    """Too many questions wait already, or no bidder's queue has room."""


class _Asked:
    """One question in hand."""

    __slots__ = ("body", "future", "number", "peer", "resends_left", "timer")

    def __init__(self, number: int, body: bytes, future: Future[bytes | NoAnswer]) -> None:
        self.number = number
        self.body = body
        self.future = future
        self.peer: _Peer | None = None
        self.resends_left = 1
        self.timer: TimerHandle | None = None


class _Peer:
    """One bidder: the link to it and what it has been asked."""

    __slots__ = ("asked", "link", "up", "url")

    def __init__(self, url: str, link: ClientLink) -> None:
        self.url = url
        self.link = link
        self.asked: dict[int, _Asked] = {}
        self.up = False


class Bidders:
    """Asks whichever bidder is there.

    Args:
        links: Makes the sockets.
        urls: One address for each bidder; dialled now, and again whenever a bidder comes back.
        loop: The loop in whose thread everything happens.
        max_waiting: Questions without an answer at most.
    """

    def __init__(
        self,
        links: LinkFactory,
        urls: Sequence[str],
        loop: AbstractEventLoop,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._loop = loop
        self._max_waiting = max_waiting
        self._numbers = count(1)
        self._turn = 0
        self._waiting: dict[int, _Asked] = {}
        self._parked: dict[int, _Asked] = {}
        self.resent = 0
        self._peers = [self._dial(links.client(), url) for url in urls]

    def _dial(self, link: ClientLink, url: str) -> _Peer:
        peer = _Peer(url, link)
        self._loop.add_reader(link.fileno(), self._drain, peer)
        self._loop.add_reader(link.change_fileno(), self._changed, peer)
        link.dial(url)
        return peer

    # --- looked at from outside ----------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """How many questions wait for an answer."""
        return len(self._waiting)

    @property
    def connected(self) -> int:
        """How many bidders are there."""
        return sum(peer.up for peer in self._peers)

    # --- out -----------------------------------------------------------------------------------

    def ask(self, body: bytes, deadline_s: float) -> Future[bytes | NoAnswer]:
        """Send ``body`` to a bidder.

        Args:
            body: The frame.
            deadline_s: On the loop's clock; then the result is ``NoAnswer``, whatever happens.

        Returns:
            What has the answer's frame, or the reason why there is none, as its result.
        """
        future: Future[bytes | NoAnswer] = self._loop.create_future()
        if len(self._waiting) >= self._max_waiting:
            future.set_result(NoAnswer.OVERLOADED)
            return future
        asked = _Asked(next(self._numbers) & MAX_REQUEST_ID, body, future)
        asked.timer = self._loop.call_at(deadline_s, self._expire, asked)
        self._waiting[asked.number] = asked
        self._place(asked)
        return future

    def _place(self, asked: _Asked, lost: _Peer | None = None) -> None:
        """Give a question to the bidder with the fewest in hand; ``lost`` only if it must be."""
        up = self._in_order(lost)
        for peer in up:
            if peer.link.send(asked.number, asked.body):
                peer.asked[asked.number] = asked
                asked.peer = peer
                return
        asked.peer = None
        # Who refuses and is still there is full; otherwise news of some bidder is on its way.
        if any(peer.link.connected for peer in up):
            self._finish(asked, NoAnswer.OVERLOADED)
        else:
            self._parked[asked.number] = asked

    def _in_order(self, lost: _Peer | None) -> list[_Peer]:
        """Return who is there, the best choice first; equals take turns."""
        up = [peer for peer in self._peers if peer.up]
        if len(up) > 1:
            self._turn = (self._turn + 1) % len(up)
            up = up[self._turn :] + up[: self._turn]
            up.sort(key=lambda peer: (peer is lost, len(peer.asked)))
        return up

    # --- in ------------------------------------------------------------------------------------

    def _drain(self, peer: _Peer) -> int:
        replies = peer.link.drain(BURST)
        for number, body in replies:
            asked = peer.asked.pop(number, None)
            if asked is not None:
                self._finish(asked, body)
        return len(replies)

    def _changed(self, peer: _Peer) -> None:
        """Hear that a bidder came or went; what it still had is asked again."""
        if not peer.link.take_changes():
            return
        while self._drain(peer) == BURST:
            pass
        # A link has one peer: a change while it has been asked something means that this one went,
        # even if its successor is there already.
        lost, peer.asked = peer.asked, {}
        peer.up = peer.link.connected
        for asked in lost.values():
            self._again(asked, peer)
        if peer.up:
            parked, self._parked = self._parked, {}
            for asked in parked.values():
                self._place(asked)

    def _again(self, asked: _Asked, lost: _Peer) -> None:
        if not asked.resends_left:
            self._finish(asked, NoAnswer.UNREACHABLE)
            return
        asked.resends_left -= 1
        self.resent += 1
        self._place(asked, lost)

    def _expire(self, asked: _Asked) -> None:
        reached = asked.peer is not None
        self._finish(asked, NoAnswer.LATE if reached else NoAnswer.UNREACHABLE)

    def _finish(self, asked: _Asked, result: bytes | NoAnswer) -> None:
        del self._waiting[asked.number]
        if asked.peer is not None:
            asked.peer.asked.pop(asked.number, None)
        self._parked.pop(asked.number, None)
        assert asked.timer is not None
        asked.timer.cancel()
        if not asked.future.done():  # who asked may have been cancelled
            asked.future.set_result(result)

    # --- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Give up every question and disconnect."""
        for asked in tuple(self._waiting.values()):
            self._finish(asked, NoAnswer.UNREACHABLE)
        for peer in self._peers:
            self._loop.remove_reader(peer.link.fileno())
            self._loop.remove_reader(peer.link.change_fileno())
            peer.link.close()
        self._peers.clear()
