"""The link to the ledger: money messages out, each one's answer back, across lost connections.

Principle: everything that goes to the ledger may be delivered twice without harm (that is how
``transport.money`` is made), so what has no answer is simply sent again: after a reconnection at
once, and after a while without one. Messages of one loop turn travel in one frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.messages import Forward, LinkDown
from supervision import LightActor
from transport.frames import MAX_REQUEST_ID
from transport.money import (
    MAX_MESSAGES,
    MoneyFrameError,
    MoneyRefused,
    decode_replies,
    encode_requests,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.ref import Ref
    from transport.faults import Link
    from transport.frames import ClientLink, LinkFactory, Reply

RESEND_S: Final = 1.0
"""A frame without an answer for so long is sent again."""
TICK_S: Final = 0.1
_UNREADABLE: Final = MoneyRefused("the answer cannot be read")
DRAIN: Final = 256
_FLUSH: Final = object()
_NEVER: Final = float("inf")


class _Asked:
    """One message and who waits for its answer; ``asker`` is None once that one was told "late"."""

    __slots__ = ("asker", "deadline_s", "message")

    def __init__(self, forward: Forward, asker: Ref) -> None:
        self.message = forward.message
        self.asker: Ref | None = asker
        self.deadline_s = _NEVER if forward.deadline_s is None else forward.deadline_s


class _Frame:
    """Messages that travel together until the ledger has answered them."""

    __slots__ = ("asked", "body", "sent_s")

    def __init__(self, asked: list[_Asked], body: bytes) -> None:
        self.asked = asked
        self.body = body
        self.sent_s = -_NEVER


class LedgerLink(LightActor):
    """Carries ``Forward`` messages of ``transport.money`` to the ledger.

    Args:
        links: Makes the socket.
        url: Where the ledger listens.
        max_waiting: Messages without an answer at most; more are refused with ``LinkDown("full")``.
    """

    def __init__(self, links: LinkFactory, url: str, max_waiting: int = 65_536) -> None:
        self._links = links
        self._url = url
        self._max_waiting = max_waiting
        self._waiting = 0
        self._queue: list[_Asked] = []
        self._frames: dict[int, _Frame] = {}
        self._last_id = 0
        self._ticking = False
        self._refused = 0
        self._client: ClientLink | None = None

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Dial; the connection comes when the ledger is there."""
        self._client = client = self._links.client()
        client.dial(self._url)
        return ThespianWatch([client.fileno(), client.change_fileno()])

    def on_end(self) -> None:
        """Close the socket."""
        if self._client is not None:
            self._client.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return () if self._client is None else (self._client,)

    def describe(self) -> dict[str, Any]:
        """Tell how much waits for the ledger."""
        return {
            "url": self._url,
            "connected": self._client is not None and self._client.connected,
            "waiting": self._waiting,
            "frames": len(self._frames),
            "refused": self._refused,
        }

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Carry a message, or hear the socket or the timer."""
        if isinstance(message, Forward):
            self._accept(message, sender)
        elif message is _FLUSH:
            self._flush()
        elif isinstance(message, WatchMessage):
            self._on_socket()
        elif isinstance(message, WakeupMessage):
            self._tick()

    # --- out -----------------------------------------------------------------------------------

    def _accept(self, forward: Forward, asker: Ref) -> None:
        if self._waiting >= self._max_waiting:
            self._refused += 1
            self.send(asker, LinkDown("full", forward.message))
            return
        self._waiting += 1
        self._queue.append(_Asked(forward, asker))
        if len(self._queue) == 1:
            # Behind whatever else is in the mailbox now: one frame for the whole turn.
            self.send(self.myAddress, _FLUSH)

    def _flush(self) -> None:
        queue, self._queue = self._queue, []
        for start in range(0, len(queue), MAX_MESSAGES):
            asked = queue[start : start + MAX_MESSAGES]
            body = encode_requests([each.message for each in asked])  # type: ignore[misc]
            self._last_id = self._last_id % MAX_REQUEST_ID + 1
            self._frames[self._last_id] = frame = _Frame(asked, body)
            self._send(self._last_id, frame)
        if self._frames and not self._ticking:
            self._ticking = True
            self.wake_after(TICK_S)

    def _send(self, frame_id: int, frame: _Frame) -> None:
        assert self._client is not None
        if self._client.send(frame_id, frame.body):
            frame.sent_s = self.cell.clock()

    # --- in ------------------------------------------------------------------------------------

    def _on_socket(self) -> None:
        assert self._client is not None
        for reply in self._client.drain(DRAIN):
            self._on_reply(reply)
        if self._client.take_changes() and self._client.connected:
            for frame_id, frame in self._frames.items():
                self._send(frame_id, frame)

    def _on_reply(self, reply: Reply) -> None:
        frame = self._frames.pop(reply.request_id, None)
        if frame is None:
            return  # the second answer to a frame that was sent twice
        self._waiting -= len(frame.asked)
        try:
            answers = decode_replies(reply.body)
        except MoneyFrameError:
            answers = ()
        if len(answers) != len(frame.asked):
            answers = (_UNREADABLE,) * len(frame.asked)
        for asked, answer in zip(frame.asked, answers, strict=True):
            if isinstance(answer, MoneyRefused):
                self._refused += 1
                self._answer(asked, LinkDown("refused", asked.message))
            else:
                self._answer(asked, answer)

    def _answer(self, asked: _Asked, answer: object) -> None:
        if asked.asker is not None:
            self.send(asked.asker, answer)

    def _tick(self) -> None:
        """Send again what has waited long; tell those who no longer wait."""
        now_s = self.cell.clock()
        for frame_id, frame in self._frames.items():
            if now_s - frame.sent_s >= RESEND_S:
                self._send(frame_id, frame)
            for asked in frame.asked:
                if asked.deadline_s <= now_s and asked.asker is not None:
                    self._answer(asked, LinkDown("late", asked.message))
                    asked.asker = None
        self._ticking = bool(self._frames)
        if self._ticking:
            self.wake_after(TICK_S)
