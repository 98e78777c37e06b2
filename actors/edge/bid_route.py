"""The hot route: ``POST /openrtb2/bid``, without a framework in between.

Principle: an answer always leaves, and never after the request's own time. The request's body goes
to a bidder as it came, the bidder's answer goes back as it came; ``wire`` decides what HTTP makes
of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.edge.wire import (
    HttpReply,
    answer_time_s,
    encoding_of,
    head_of,
    inflate,
    refusal,
    reply_to_bid,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from actors.edge.bidders import Bidders
    from actors.edge.numbers import Numbers

BODY_LIMIT_S: Final = 2.0
"""A sender that has not finished its request by then is told so and cut off."""
_ENCODINGS: Final = (b"gzip", b"x-gzip", b"deflate")
_CLOSE: Final = (b"connection", b"close")


class BidRoute:
    """An ASGI application for one path.

    Args:
        gateways: Who decides.
        numbers: Where answers are counted.
        clock: Seconds, of the loop that ``gateways`` lives in.
        max_body_bytes: Larger bodies are refused unread; also once they are uncompressed.
        default_tmax_ms: Time for requests that name none.
    """

    def __init__(
        self,
        gateways: Bidders,
        numbers: Numbers,
        clock: Callable[[], float],
        max_body_bytes: int,
        default_tmax_ms: float,
    ) -> None:
        self._gateways = gateways
        self._numbers = numbers
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._default_tmax_ms = default_tmax_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun_s = self._clock()
        reply = await self._reply(scope, receive, begun_s)
        if reply is None:
            return
        self._numbers.answered("bid", reply.status, self._clock() - begun_s)
        if reply.nbr is not None:
            self._numbers.no_bid(reply.nbr)
        start = {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
        await send(start)
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Scope, receive: Receive, begun_s: float) -> HttpReply | None:
        """Return the answer, or ``None`` when nobody is there any more to get it."""
        if scope["method"] != "POST":
            return refusal(405, (b"allow", b"POST"))
        encoding = encoding_of(scope["headers"])
        if encoding and encoding not in _ENCODINGS:
            return refusal(415, (b"accept-encoding", b"gzip"), _CLOSE)
        body = await self._body(receive)
        if not isinstance(body, bytes):
            return body
        if encoding:
            plain = inflate(body, self._max_body_bytes)
            if plain is None:
                return refusal(400)
            body = plain
        if not body:
            return refusal(400)
        head = head_of(body)
        deadline_s = begun_s + answer_time_s(head.tmax_ms, self._default_tmax_ms)
        answer = await self._gateways.ask(body, deadline_s)
        return reply_to_bid(answer, explain=head.explain)

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
            if size > self._max_body_bytes:
                return refusal(413, _CLOSE)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)
