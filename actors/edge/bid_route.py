"""The hot route: ``POST /openrtb2/bid``, without a framework in between.

Principle: an answer always leaves, and never after the request's own time. The request's body goes
to a bidder as it came, in an envelope with what only the edge knows of it; the bidder's answer goes
back as it came; ``wire`` decides what HTTP makes of it. Where more waits than can be answered in
time, a request is answered without a bid, unread; its connection stays open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.decision import reasons
from actors.decision.reasons import nbr_of
from actors.edge.wire import (
    HttpReply,
    answer_time_s,
    head_of,
    inflate,
    no_bid,
    packed,
    refusal,
    reply_to_bid,
    wishes_of,
)
from actors.gateway.overload import Limiter
from transport.envelope import NAME, Envelope, enclose

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from actors.edge.access import Explained, Tokens
    from actors.edge.age import LoopAge
    from actors.edge.bidders import Bidders
    from actors.edge.numbers import Numbers
    from actors.edge.options import EdgeOptions
    from actors.edge.wire import Wishes

BID_PATH: Final = "/openrtb2/bid"
BODY_LIMIT_S: Final = 2.0
"""A sender that has not finished its request by then is told so and cut off."""
LEAST_S: Final = 0.001
"""With less time than this a bidder need not be asked."""
_ENCODINGS: Final = (b"gzip", b"x-gzip", b"deflate")
_CLOSE: Final = (b"connection", b"close")
_TOO_LATE: Final = nbr_of(reasons.INSUFFICIENT_TIME)
_TOO_MUCH: Final = nbr_of(reasons.OVERLOADED)


class Door(NamedTuple):
    """Who comes in, and with which rights; ``tokens`` None = everybody."""

    tokens: Tokens | None
    explained: Explained


class BidRoute:
    """An ASGI application for one path and what is below it.

    Args:
        gateways: Who decides.
        numbers: Where answers are counted.
        options: Bounds, margins, the seal.
        door: Who comes in.
        age: Since when what is served now may have waited.
    """

    def __init__(
        self,
        gateways: Bidders,
        numbers: Numbers,
        options: EdgeOptions,
        door: Door,
        age: LoopAge,
    ) -> None:
        self._gateways = gateways
        self._numbers = numbers
        self._options = options
        self._door = door
        self._age = age
        self._clock = options.clock
        self._limiter = Limiter(options.clock, options.max_waiting)
        self._coming = 0  # let in, and not begun: a loop reads all its connections first

    @property
    def limit(self) -> int:
        """How many requests may wait for bidders, as things are."""
        return int(self._limiter.limit) if self._options.sheds else self._options.max_waiting

    def turns_away(self, scope: Scope) -> HttpReply | None:
        """Return the answer to a request for which there is no room, None for any other.

        Args:
            scope: The request's head; what is wrong with it is for `__call__` to say.
        """
        exchange = scope["path"][len(BID_PATH) + 1 :]
        if not self._is_full() or self._refused(scope, exchange, wishes_of(scope["headers"])):
            self._coming += 1
            return None
        arrived_s = self._age.arrived_s()
        reply = no_bid(_TOO_MUCH)
        self._count(reply, arrived_s)
        return reply

    def _is_full(self) -> bool:
        if not self._options.sheds:
            return False
        in_hand = self._gateways.waiting + self._coming
        return not self._limiter.has_room(in_hand) or self._age.is_behind()

    def _count(self, reply: HttpReply, arrived_s: float) -> None:
        self._numbers.answered("bid", reply.status, self._clock() - arrived_s)
        if reply.nbr is not None:
            self._numbers.no_bid(reply.nbr)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._coming = max(0, self._coming - 1)
        arrived_s = self._age.arrived_s() if self._options.sheds else self._clock()
        reply = await self._reply(scope, receive, arrived_s)
        if reply is None:
            return
        self._count(reply, arrived_s)
        start = {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
        await send(start)
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive, arrived_s: float) -> HttpReply | None:
        """Return the answer, or ``None`` when nobody is there any more to get it."""
        exchange = scope["path"][len(BID_PATH) + 1 :]
        wishes = wishes_of(scope["headers"])
        refused = self._refused(scope, exchange, wishes)
        if refused is not None:
            return refused
        body = await self._body(receive)
        if not isinstance(body, bytes):
            return body
        if self._is_full():
            return no_bid(_TOO_MUCH)
        if wishes.encoding:
            body = inflate(body, self._options.max_body_bytes) or b""
        if not body:
            return refusal(400)
        client = scope.get("client")
        may_explain = client is not None and self._door.explained.admits(client[0])
        reply = await self._decided(body, Envelope(exchange, arrived_s, may_explain))
        return packed(reply) if wishes.takes_gzip else reply

    def _refused(self, scope: Scope, exchange: str, wishes: Wishes) -> HttpReply | None:
        """Return the answer to a request whose head alone is wrong, else ``None``."""
        if exchange and not NAME.match(exchange):
            return refusal(404)
        if scope["method"] != "POST":
            return refusal(405, (b"allow", b"POST"))
        if self._door.tokens is not None and not self._door.tokens.admits(scope["headers"]):
            return refusal(401, (b"www-authenticate", b"Bearer"))
        if wishes.encoding and wishes.encoding not in _ENCODINGS:
            return refusal(415, (b"accept-encoding", b"gzip"), _CLOSE)
        return None

    async def _decided(self, body: bytes, envelope: Envelope) -> HttpReply:
        """Have a bidder decide, within the request's own time."""
        options, arrived_s = self._options, envelope.arrived_s
        head = head_of(body)
        time_s = answer_time_s(head.tmax_ms, options.default_tmax_ms, options.margin_s)
        begun_s = self._clock()
        left_s = arrived_s + time_s - begun_s
        if left_s < LEAST_S:
            return no_bid(_TOO_LATE)
        frame = enclose(envelope, body, options.seal)
        answer = await self._gateways.ask(frame, arrived_s + time_s)
        self._limiter.answered(self._clock() - begun_s, left_s, self._age.awake_s)
        return reply_to_bid(answer, explain=head.explain and envelope.may_explain)

    async def _body(self, receive: Receive) -> bytes | HttpReply | None:
        """Read the body: all of it, within bounds of size and time."""
        try:
            async with asyncio.timeout(BODY_LIMIT_S):
                return await self._whole_body(receive)
        except TimeoutError:
            return refusal(408, _CLOSE)

    async def _whole_body(self, receive: Receive) -> bytes | HttpReply | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._options.max_body_bytes:
                return refusal(413, _CLOSE)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
