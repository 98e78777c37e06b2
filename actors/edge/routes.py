"""Everything at the edge but bids: notices, health, readiness, numbers.

A notice is confirmed (204) only when a bidder has confirmed the event, that is, when its money is
booked; who gets anything else but 204 and 400 should call again, which harms nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.edge.bid_route import BID_PATH
from actors.edge.errors import NoticeFormError
from actors.edge.notices import read_notice, status_of
from actors.edge.numbers import CONTENT_TYPE, Numbers
from actors.edge.tracking import Tracking
from transport.messages import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from actors.edge.bid_route import BidRoute
    from actors.edge.bidders import Bidders
    from actors.edge.landings import Landings
    from actors.edge.wire import HttpReply

EVENT_WAIT_S: Final = 2.5
"""How long a notice waits for a bidder's confirmation; a little longer than bidders themselves."""


class OtherRoutes:
    """The handlers of a Starlette application.

    Args:
        gateways: Who takes bid requests.
        desks: Who takes events.
        numbers: Where answers are counted.
        clock: Seconds, of the loop that ``desks`` lives in.
        unix_clock: Seconds since 1970.
        landings: Where clicks may lead.
    """

    def __init__(
        self,
        gateways: Bidders,
        desks: Bidders,
        numbers: Numbers,
        clock: Callable[[], float],
        unix_clock: Callable[[], float],
        landings: Landings,
    ) -> None:
        self._tracking = Tracking(desks, landings, numbers, clock, unix_clock)
        self._gateways = gateways
        self._desks = desks
        self._numbers = numbers
        self._clock = clock
        self._unix_clock = unix_clock

    def application(self) -> Starlette:
        """Return the application with all routes."""
        notice = ["GET", "POST"]
        return Starlette(
            routes=[
                Route("/notice/{kind}", self._notice, methods=notice),
                Route("/events/{kind}", self._notice, methods=notice),
                *self._tracking.routes(),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics),
            ]
        )

    async def _notice(self, request: Request) -> Response:
        begun_s = self._clock()
        response = await self._heard(request, begun_s)
        self._numbers.answered("notice", response.status_code, self._clock() - begun_s)
        return response

    async def _heard(self, request: Request, begun_s: float) -> Response:
        query: bytes = request.scope["query_string"]
        try:
            event = read_notice(request.path_params["kind"], query, self._unix_clock())
        except NoticeFormError as error:
            return PlainTextResponse(f"{error}\n", 400)
        if event is None:
            return Response(status_code=204)
        answer = await self._desks.ask(encode_event(event), begun_s + EVENT_WAIT_S)
        status = status_of(answer)
        return Response(status_code=status, headers={"retry-after": "1"} if status == 503 else None)  # noqa: PLR2004 - of HTTP

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        connected = self._gateways.connected
        if connected:
            return PlainTextResponse(f"ready: {connected} gateways connected\n")
        return PlainTextResponse("not ready: no gateway is connected\n", 503)

    async def _metrics(self, _request: Request) -> Response:
        return Response(self._numbers.text(), headers={"content-type": CONTENT_TYPE})


class EdgeApp:
    """The whole edge as one ASGI application: bids by the short way, the rest by Starlette.

    Args:
        bid: Takes ``BID_PATH`` and what is below it.
        others: Takes everything else.
    """

    def __init__(self, bid: BidRoute, others: ASGIApp) -> None:
        self._bid = bid
        self._others = others
        self._below = f"{BID_PATH}/"

    def turns_away(self, scope: Scope) -> HttpReply | None:
        """See `actors.edge.protocol.Doorkeeper`."""
        return self._bid.turns_away(scope) if self._is_bid(scope) else None

    def _is_bid(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return scope["type"] == "http" and (path == BID_PATH or path.startswith(self._below))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on by its path."""
        if self._is_bid(scope):
            await self._bid(scope, receive, send)
        else:
            await self._others(scope, receive, send)
