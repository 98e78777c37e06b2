"""HTTP/1.1 as uvicorn speaks it, with a short way for what is refused unread.

Principle: the more is refused, the less a refusal may cost, or the door drowns in saying no. What
uvicorn would make for a request (a task, a cycle of messages, headers checked one by one) costs
several times what the answer does, which is the same bytes for all. So the application is asked
before any of it is made. Everything else goes uvicorn's own way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from starlette.types import Scope

    from actors.edge.wire import HttpReply


class Doorkeeper(Protocol):
    """An application that can say no before it is called."""

    def turns_away(self, scope: Scope) -> HttpReply | None:
        """Return the answer to a request that is refused unread, None for one that comes in."""


class EdgeProtocol(HttpToolsProtocol):
    """One connection."""

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """Begin a request whose headers are there; its body may still be to come.

        Once a response is complete, uvicorn passes over what is left of its request.
        """
        reply = app.turns_away(cycle.scope) if cycle.keep_alive else None
        if reply is None:
            super()._start_asgi_task(cycle, app)
            return
        self.transport.write(as_bytes(reply, self.server_state.default_headers))
        cycle.response_started = cycle.response_complete = True
        self.on_response_complete()


def as_bytes(reply: HttpReply, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """Return an answer without a body as it stands on the wire.

    Args:
        reply: Of status 204, which is never followed by a body (RFC 9110, section 15.3.5).
        default_headers: Of every answer of the server.
    """
    parts = [b"HTTP/1.1 204 No Content\r\n"]
    for name, value in (*default_headers, *reply.headers):
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)
