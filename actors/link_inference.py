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

if TYPE_CHECKING:
    from supervision.ref import Ref, Timer
    from transport.frames import ClientLink, LinkFactory, Reply

DRAIN: Final = 256
MAX_FRAMES: Final = 1024
"""Frames without an answer that are remembered; the oldest are forgotten first."""
_FLUSH: Final = object()
_NEVER: Final = float("inf")


class _Asked:
    """One question: who asked, and whether that one was told already that it is late."""

    __slots__ = ("asker", "late", "message")

    def __init__(self, message: InferRequest, asker: Ref) -> None:
        self.message = message
        self.asker = asker
        self.late = False


class InferenceLink(LightActor):
    """Carries ``Forward(InferRequest)`` to the inference process.

    Args:
        links: Makes the socket.
        url: Where inference listens.
        strike_limit: Late answers in a row after which the peer gets a rest.
        cool_off_s: How long that rest is.
    """

    def __init__(
        self, links: LinkFactory, url: str, strike_limit: int = 20, cool_off_s: float = 0.25
    ) -> None:
        self._links = links
        self._url = url
        self._strike_limit = strike_limit
        self._cool_off_s = cool_off_s
        self._strikes = 0
        self._resting_until_s = 0.0
        self._queue: list[_Asked] = []
        self._frames: dict[int, dict[int, _Asked]] = {}
        self._deadlines: list[tuple[float, int, _Asked]] = []
        self._count = 0
        self._armed_s = _NEVER
        self._timer: Timer | None = None
        self._client: ClientLink | None = None
        self._down = 0

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Dial; the connection comes when inference is there."""
        self._client = client = self._links.client()
        client.dial(self._url)
        return ThespianWatch([client.fileno(), client.change_fileno()])

    def on_end(self) -> None:
        """Close the socket."""
        if self._client is not None:
            self._client.close()

    def describe(self) -> dict[str, Any]:
        """Tell how the peer does."""
        return {
            "url": self._url,
            "connected": self._client is not None and self._client.connected,
            "frames": len(self._frames),
            "strikes": self._strikes,
            "resting": self._resting_until_s > self.cell.clock(),
            "down": self._down,
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Carry a question, or hear the socket or the timer."""
        if isinstance(message, Forward):
            self._accept(message, sender)
        elif message is _FLUSH:
            self._flush()
        elif isinstance(message, WatchMessage):
            self._on_socket()
        elif isinstance(message, WakeupMessage):
            self._armed_s = _NEVER
            self._on_deadline()

    # --- out -----------------------------------------------------------------------------------

    def _accept(self, forward: Forward, asker: Ref) -> None:
        assert isinstance(forward.message, InferRequest)
        assert self._client is not None
        asked = _Asked(forward.message, asker)
        if not self._client.connected:
            self._refuse(asked, "disconnected")
            return
        if not self._may_ask():
            self._refuse(asked, "late")
            return
        self._queue.append(asked)
        if forward.deadline_s is not None:
            self._count += 1
            heapq.heappush(self._deadlines, (forward.deadline_s, self._count, asked))
            self._arm()
        if len(self._queue) == 1:
            self.send(self.myAddress, _FLUSH)

    def _may_ask(self) -> bool:
        """Tell whether the peer is well, or may be probed with one question."""
        if self._strikes < self._strike_limit:
            return True
        now_s = self.cell.clock()
        if now_s < self._resting_until_s:
            return False
        self._resting_until_s = now_s + self._cool_off_s
        return True

    def _refuse(self, asked: _Asked, reason: str) -> None:
        self._down += 1
        asked.late = True
        self.send(asked.asker, LinkDown(reason, asked.message))

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        if not queue:
            return
        assert self._client is not None
        batch = InferBatch(tuple(asked.message for asked in queue))
        self._count = self._count % MAX_REQUEST_ID + 1
        frame_id = self._count
        if not self._client.send(frame_id, encode(batch)):
            for asked in queue:
                self._refuse(asked, "full")
            return
        self._frames[frame_id] = {asked.message.id: asked for asked in queue}
        if len(self._frames) > MAX_FRAMES:
            del self._frames[next(iter(self._frames))]

    # --- in ------------------------------------------------------------------------------------

    def _on_socket(self) -> None:
        assert self._client is not None
        for reply in self._client.drain(DRAIN):
            self._on_reply(reply)
        if self._client.take_changes() and not self._client.connected:
            self._on_disconnected()

    def _on_reply(self, reply: Reply) -> None:
        frame = self._frames.pop(reply.request_id, {})
        try:
            answers = decode_infer_answers(reply.body).answers
        except MalformedEventError:
            answers = ()
        in_time = False
        for answer in answers:
            asked = frame.pop(answer.id, None)
            if asked is not None:
                in_time = in_time or not asked.late
                asked.late = True
                self.send(asked.asker, answer)
        if in_time:
            self._strikes = 0
        for asked in frame.values():
            if not asked.late:
                self._refuse(asked, "refused")

    def _on_disconnected(self) -> None:
        """Tell everybody who waits: the peer is gone, and its successor knows of nothing."""
        frames, self._frames = self._frames, {}
        for frame in frames.values():
            for asked in frame.values():
                if not asked.late:
                    self._refuse(asked, "disconnected")
        self._strikes = 0

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
        late = 0
        while deadlines and (deadlines[0][2].late or deadlines[0][0] <= now_s):
            asked = heapq.heappop(deadlines)[2]
            if not asked.late:
                late += 1
                self._refuse(asked, "late")
        if late:
            self._strikes += late
            if self._strikes >= self._strike_limit:
                self._resting_until_s = now_s + self._cool_off_s
        if deadlines:
            self._arm()
