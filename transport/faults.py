"""Faults of frames, put on one link while it is in use: lost, doubled, spoilt and late frames.

A link without faults is not touched at all: a fault replaces the methods of that one object that
frames go through, and takes itself off again. So it works on every kind of link and costs nothing
before and after. Frames never overtake each other, in either direction.
"""

from __future__ import annotations

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from transport.errors import LinkError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from transport.frames import ClientLink, PublisherLink, ServerLink, SubscriberLink

    Link = ServerLink | ClientLink | PublisherLink | SubscriberLink

_NEVER: Final = float("inf")
OUTWARD: Final = ("reply", "send", "publish")
"""What a link sends with, whichever of these it has; the frame is the last argument."""


@dataclass(frozen=True, slots=True)
class FrameRules:
    """What happens to frames.

    Attributes:
        drop: Share of frames that are lost, from 0 to 1 ...
        duplicate: ... that come twice ...
        corrupt: ... of which a bit is wrong or the end is missing.
        delay_s: All frames are so late, ...
        jitter_s: ... and up to so much later.
        inward: It happens to what comes in.
        outward: It happens to what goes out.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    inward: bool = True
    outward: bool = True


class FaultyFrames:
    """One fault on one link, in force until :meth:`end`.

    Args:
        link: Any link that is open. It should bear one fault at a time.
        rules: What happens.
        rng: Decides to which frames.
        clock: Monotonic seconds.
        later: Called with a number of seconds, to have :meth:`due` called after them.

    Attributes:
        hits: Frames that were lost, doubled, spoilt or held back.
    """

    def __init__(
        self,
        link: Link,
        rules: FrameRules,
        rng: random.Random,
        clock: Callable[[], float],
        later: Callable[[float], None],
    ) -> None:
        self.link: Any = link
        self.hits = 0
        self._rules = rules
        self._rng = rng
        self._clock = clock
        self._later = later
        self._is_over = False
        self._asked_s = _NEVER
        self._in: deque[tuple[float, Any]] = deque()
        self._out: deque[tuple[float, Callable[[], object]]] = deque()
        self._drain: Callable[[int], list[Any]] | None = None
        if rules.inward and hasattr(self.link, "drain"):
            self._drain = self.link.drain
            self.link.drain = self._take  # type: ignore[method-assign]
        self._senders = {name: getattr(link, name) for name in OUTWARD if hasattr(link, name)}
        if rules.outward:
            for name in self._senders:
                setattr(link, name, self._sender(name))

    def due(self) -> bool:
        """Send what has waited long enough; tell whether something waits to be drained."""
        now_s = self._clock()
        while self._out and self._out[0][0] <= now_s:
            with contextlib.suppress(LinkError):  # closed meanwhile: then nothing is to be sent
                self._out.popleft()[1]()
        self._asked_s = _NEVER
        waits = bool(self._in) and self._in[0][0] <= now_s
        self._ask(now_s, self._out)
        if not waits:
            self._ask(now_s, self._in)
        return waits

    def end(self) -> bool:
        """Let frames pass as they are; those held back pass first.

        Returns:
            Whether something waits to be drained.
        """
        self._is_over = True
        now_s = self._clock()
        self._out = deque((now_s, send) for _due_s, send in self._out)
        self._in = deque((now_s, frame) for _due_s, frame in self._in)
        self.due()
        for name in self._senders:
            vars(self.link).pop(name, None)
        if not self._in:
            vars(self.link).pop("drain", None)
        return bool(self._in)

    def _ask(self, now_s: float, line: deque[tuple[float, Any]]) -> None:
        """Be called when the first of ``line`` is due, unless that is arranged already."""
        if line and line[0][0] < self._asked_s:
            self._asked_s = line[0][0]
            self._later(max(0.0, self._asked_s - now_s))

    # -- frames ---------------------------------------------------------------------------------

    def _take(self, limit: int) -> list[Any]:
        """Drain the link: what has waited long enough, and no frame before another."""
        assert self._drain is not None
        for frame in self._drain(limit):
            for body, due_s in self._fate(frame.body, self._in):
                self._in.append((due_s, frame._replace(body=body)))
        taken: list[Any] = []
        now_s = self._clock()
        while self._in and len(taken) < limit and self._in[0][0] <= now_s:
            taken.append(self._in.popleft()[1])
        self._ask(now_s, self._in)
        if self._is_over and not self._in:
            vars(self.link).pop("drain", None)
        return taken

    def _sender(self, name: str) -> Callable[..., bool]:
        send = self._senders[name]

        def spoil(*args: Any) -> bool:
            *address, body = args
            taken = True
            for spoilt, due_s in self._fate(body, self._out):
                if due_s <= self._clock() and not self._out:
                    taken = send(*address, spoilt)
                else:
                    words = (*address, spoilt)
                    self._out.append((due_s, lambda words=words: send(*words)))  # type: ignore[misc]
            self._ask(self._clock(), self._out)
            return taken

        return spoil

    def _fate(self, body: bytes, line: deque[tuple[float, Any]]) -> list[tuple[bytes, float]]:
        """Decide what becomes of a frame: copies of it, and when each goes on."""
        rules, rng, now_s = self._rules, self._rng, self._clock()
        if self._is_over:
            return [(body, now_s)]
        lost, doubled, spoilt = (
            rng.random() < share for share in (rules.drop, rules.duplicate, rules.corrupt)
        )
        copies: list[tuple[bytes, float]] = []
        for _ in range(0 if lost else 1 + doubled):
            due_s = now_s + rules.delay_s + rng.random() * rules.jitter_s
            copies.append((spoil(body, rng) if spoilt else body, max(due_s, _last(copies, line))))
        self.hits += lost or doubled or spoilt or copies[0][1] > now_s
        return copies


def _last(copies: list[tuple[bytes, float]], line: deque[tuple[float, Any]]) -> float:
    if copies:
        return copies[-1][1]
    return line[-1][0] if line else 0.0


def spoil(body: bytes, rng: random.Random) -> bytes:
    """Return a frame that differs from ``body``: a bit is wrong, or the end is missing."""
    if not body:
        return b"\0"
    place = rng.randrange(len(body))
    if rng.random() < 0.25:  # noqa: PLR2004 - most faults leave the length as it is
        return body[:place]
    wrong = body[place] ^ (1 << rng.randrange(8))
    return body[:place] + bytes((wrong,)) + body[place + 1 :]
