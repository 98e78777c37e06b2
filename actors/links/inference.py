"""The link to inference: questions of one turn in one frame, answers back, no waiting for the sick.

Principle: an interest vector is worth waiting for only until its deadline. A peer that is gone is
told at once to all who wait; a peer that is late too often in a row gets a rest, after which one
question probes it. An answer that comes too late is still handed over: it can fill a cache.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.messages import Forward, LinkDown
from supervision import LightActor
from transport.errors import MalformedEventError
from transport.frames import MAX_REQUEST_ID
from transport.messages import InferBatch, InferRequest, decode_infer_answers, encode
from transport.sealed import seal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.ref import Ref, Timer
    from transport.faults import Link
    from transport.frames import ClientLink, LinkFactory, Reply

DRAIN: Final = 256
MAX_FRAMES: Final = 1024
"""Frames without an answer that are remembered; the oldest are forgotten first."""
_NEVER: Final = float("inf")


class _Asked:
    """One question: who asked, and whether that one was told already that it is late."""

    __slots__ = ("asker", "late", "message", "peer")

    def __init__(self, message: InferRequest, asker: Ref) -> None:
        self.message = message
        self.asker = asker
        self.late = False
        self.peer: _Peer | None = None


class _Peer:
    """One inference process: its socket, what it was asked, how it behaves."""

    __slots__ = ("client", "frames", "queue", "resting_until_s", "strikes", "url")

    def __init__(self, client: ClientLink, url: str) -> None:
        self.client = client
        self.url = url
        self.queue: list[_Asked] = []
        self.frames: dict[int, dict[int, _Asked]] = {}
        self.strikes = 0
        self.resting_until_s = 0.0


class InferenceLink(LightActor):
    """Carries ``Forward(InferRequest)`` to an inference process.

    Args:
        links: Makes the sockets.
        urls: Where inference listens, the preferred device first; the others are its spares.
        strike_limit: Late answers in a row after which a peer gets a rest.
        cool_off_s: How long that rest is.
    """

    def __init__(
        self,
        links: LinkFactory,
        urls: Sequence[str],
        strike_limit: int = 20,
        cool_off_s: float = 0.25,
    ) -> None:
        self._links = links
        self._urls = tuple(urls)
        self._strike_limit = strike_limit
        self._cool_off_s = cool_off_s
        self._peers: list[_Peer] = []
        self._deadlines: list[tuple[float, int, _Asked]] = []
        self._count = 0
        self._armed_s = _NEVER
        self._timer: Timer | None = None
        self._down = 0

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Dial; a connection comes when its peer is there."""
        filenos: list[int] = []
        for url in self._urls:
            client = self._links.client()
            self._peers.append(_Peer(client, url))
            client.dial(url)
            filenos += [client.fileno(), client.change_fileno()]
        return ThespianWatch(filenos)

    def on_end(self) -> None:
        """Close the sockets."""
        for peer in self._peers:
            peer.client.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return tuple(peer.client for peer in self._peers)

    def describe(self) -> dict[str, Any]:
        """Tell how the peers do."""
        now_s = self.cell.clock()
        return {
            "down": self._down,
            "peers": [
                {
                    "url": peer.url,
                    "connected": peer.client.connected,
                    "frames": len(peer.frames),
                    "strikes": peer.strikes,
                    "resting": peer.resting_until_s > now_s,
                }
                for peer in self._peers
            ],
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Carry a question, or hear the sockets or the timer."""
        if isinstance(message, Forward):
            self._accept(message, sender)
        elif isinstance(message, _Peer):
            self._flush(message)
        elif isinstance(message, WatchMessage):
            for peer in self._peers:
                self._on_socket(peer)
        elif isinstance(message, WakeupMessage):
            self._armed_s = _NEVER
            self._on_deadline()

    # --- out -----------------------------------------------------------------------------------

    def _accept(self, forward: Forward, asker: Ref) -> None:
        assert isinstance(forward.message, InferRequest)
        asked = _Asked(forward.message, asker)
        peer = next((peer for peer in self._peers if self._may_ask(peer)), None)
        if peer is None:
            self._refuse(asked, "disconnected")
            return
        asked.peer = peer
        peer.queue.append(asked)
        if forward.deadline_s is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (forward.deadline_s, self._count, asked))
            self._arm()
        if len(peer.queue) == 1:
            # Behind whatever else is in the mailbox now: one frame for the whole turn.
            self.send(self.myAddress, peer)

    def _may_ask(self, peer: _Peer) -> bool:
        """Tell whether the peer is there and well, or may be probed with one question."""
        if not peer.client.connected:
            return False
        if peer.strikes < self._strike_limit:
            return True
        now_s = self.cell.clock()
        if now_s < peer.resting_until_s:
            return False
        peer.resting_until_s = now_s + self._cool_off_s
        return True

    def _refuse(self, asked: _Asked, reason: str) -> None:
        self._down += 1
        asked.late = True
        self.send(asked.asker, LinkDown(reason, asked.message))

    def _flush(self, peer: _Peer) -> None:
        queue, peer.queue = peer.queue, []
        if not queue:
            return
        batch = InferBatch(tuple(asked.message for asked in queue))
        self._count = self._count % MAX_REQUEST_ID + 1
        frame_id = self._count
        if not peer.client.send(frame_id, seal(encode(batch))):
            for asked in queue:
                self._refuse(asked, "full")
            return
        peer.frames[frame_id] = {asked.message.id: asked for asked in queue}
        if len(peer.frames) > MAX_FRAMES:
            del peer.frames[next(iter(peer.frames))]

    # --- in ------------------------------------------------------------------------------------

    def _on_socket(self, peer: _Peer) -> None:
        for reply in peer.client.drain(DRAIN):
            self._on_reply(peer, reply)
        # Any change may hide a death: what was asked of the old process has no answer any more.
        if peer.client.take_changes() and peer.frames:
            self._on_changed(peer)

    def _on_reply(self, peer: _Peer, reply: Reply) -> None:
        frame = peer.frames.pop(reply.request_id, {})
        try:
            answers = decode_infer_answers(reply.body).answers
        except MalformedEventError:
            answers = ()
        for answer in answers:
            asked = frame.pop(answer.id, None)
            if asked is not None:
                if not asked.late:
                    peer.strikes = 0
                asked.late = True
                self.send(asked.asker, answer)
        for asked in frame.values():
            if not asked.late:
                self._refuse(asked, "refused")

    def _on_changed(self, peer: _Peer) -> None:
        """Tell everybody who waits: the peer is gone, and its successor knows of nothing."""
        frames, peer.frames = peer.frames, {}
        for frame in frames.values():
            for asked in frame.values():
                if not asked.late:
                    self._refuse(asked, "disconnected")
        peer.strikes = 0

    # --- deadlines -----------------------------------------------------------------------------

    def _arm(self) -> None:
        """Have the timer ring at the earliest deadline."""
        due_s = self._deadlines[0][0]
        if due_s < self._armed_s:
            if self._timer is not None:
                self._timer.cancel()
            self._armed_s = due_s
            self._timer = self.wake_after(max(0.0, due_s - self.cell.clock()))

    def _on_deadline(self) -> None:
        now_s = self.cell.clock()
        deadlines = self._deadlines
        while deadlines and (deadlines[0][2].late or deadlines[0][0] <= now_s):
            asked = heapq.heappop(deadlines)[2]
            if not asked.late:
                self._refuse(asked, "late")
                self._strike(asked.peer, now_s)
        if deadlines:
            self._arm()

    def _strike(self, peer: _Peer | None, now_s: float) -> None:
        if peer is not None:
            peer.strikes += 1
            if peer.strikes >= self._strike_limit:
                peer.resting_until_s = now_s + self._cool_off_s
