"""Views, clicks and conversions: what browsers call when an ad of ours is shown and used.

A browser is answered at once, with a pixel or the way to the landing page; the event goes to the
bidders behind its back. Only names of bids that we signed are listened to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from actors.edge.errors import NoticeFormError
from actors.edge.notices import fields_of, read_notice
from transport.errors import NoticeError
from transport.messages import encode_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from actors.edge.bidders import Bidders
    from actors.edge.landings import Landings
    from actors.edge.numbers import Numbers

EVENT_WAIT_S: Final = 2.5
"""How long a bidder is asked to take an event; nobody waits for it."""
PIXEL: Final = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
"""A transparent GIF of one pixel."""
_FRESH: Final = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
"""Each view and click must reach us, and a bid's name is nobody else's business."""


class Tracking:
    """The handlers of ``/view``, ``/click`` and ``/conversion``.

    Args:
        desks: Who takes events.
        landings: Where clicks may lead, and whose names are ours.
        numbers: Where answers are counted.
        clock: Seconds, of the loop that ``desks`` lives in.
        unix_clock: Seconds since 1970.
    """

    def __init__(
        self,
        desks: Bidders,
        landings: Landings,
        numbers: Numbers,
        clock: Callable[[], float],
        unix_clock: Callable[[], float],
    ) -> None:
        self._desks = desks
        self._landings = landings
        self._numbers = numbers
        self._clock = clock
        self._unix_clock = unix_clock

    def routes(self) -> list[Route]:
        """Return the routes of a Starlette application."""
        return [
            Route("/view", self._view),
            Route("/click", self._click),
            Route("/conversion", self._conversion, methods=["GET", "POST"]),
        ]

    async def _view(self, request: Request) -> Response:
        return self._counted(request, "view", self._pixel(request, "impression"))

    async def _conversion(self, request: Request) -> Response:
        return self._counted(request, "conversion", self._pixel(request, "conversion"))

    async def _click(self, request: Request) -> Response:
        return self._counted(request, "click", self._way_on(request))

    def _counted(self, request: Request, kind: str, response: Response) -> Response:
        self._numbers.answered(kind, response.status_code, 0.0)
        if request.method == "HEAD" or _is_prefetch(request):
            response.background = None  # somebody looks ahead; nobody has seen or clicked yet
        return response

    def _pixel(self, request: Request, kind: str) -> Response:
        try:
            telling = self._telling(request, kind)
        except (NoticeFormError, NoticeError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        return Response(PIXEL, 200, _FRESH, "image/gif", telling)

    def _way_on(self, request: Request) -> Response:
        try:
            telling = self._telling(request, "click")
            fields = fields_of(_query(request))
            target = self._landings.target(fields["key"], fields.get("u", ""))
        except (NoticeFormError, NoticeError) as error:
            return PlainTextResponse(f"{error}\n", 400)
        if not target:
            why = "this ad has no landing page, and the address is not on the list of this node"
            return PlainTextResponse(f"{why}\n", 404, _FRESH, background=telling)
        return Response(status_code=302, headers={**_FRESH, "location": target}, background=telling)

    def _telling(self, request: Request, kind: str) -> BackgroundTask | None:
        """Return what tells the bidders of an event; None of a rehearsal.

        Raises:
            NoticeFormError: It is no notice.
            NoticeError: It names no bid of ours.
        """
        query = _query(request)
        event = read_notice(kind, query, self._unix_clock())
        self._landings.read(fields_of(query)["key"])
        return None if event is None else BackgroundTask(self._tell, encode_event(event))

    async def _tell(self, body: bytes) -> None:
        await self._desks.ask(body, self._clock() + EVENT_WAIT_S)


def _query(request: Request) -> bytes:
    query: bytes = request.scope["query_string"]
    return query


def _is_prefetch(request: Request) -> bool:
    purpose = request.headers.get("sec-purpose") or request.headers.get("purpose") or ""
    return purpose.lower().startswith(("prefetch", "preview"))
