"""The edge's actor: binds the port, starts the thread that serves HTTP, and watches it.

Principle: HTTP belongs to asyncio, life and death to supervision. The cell's loop and the server's
loop share nothing but a descriptor that tells the end and a number that tells the pulse; when
either is wrong the actor fails, its process ends, and its supervisor starts a fresh one.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, Final

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.edge.errors import AccessError, ServerDiedError, ServerHungError
from actors.edge.options import recall_tls_context
from actors.edge.pulse import Pulse
from actors.edge.server import HttpThread
from supervision import LightActor
from supervision.actor import STOPPING
from supervision.errors import StartError
from transport.logs import get_logger

if TYPE_CHECKING:
    import ssl

    from actors.edge.options import EdgeOptions
    from supervision.ref import Ref

START_S: Final = 10.0
PULSE_S: Final = 0.1
PULSE_LIMIT_S: Final = 1.0
BACKLOG: Final = 2048


class Edge(LightActor):
    """Takes bid requests and notices over HTTP and carries them to the bidders.

    Args:
        host: Address to listen on.
        port: 0 picks a free one; ``describe`` tells which.
        options: What to serve, and how.
    """

    def __init__(self, host: str, port: int, options: EdgeOptions) -> None:
        self._host = host
        self._port = port
        self._options = options
        self._pulse = Pulse(PULSE_S, PULSE_LIMIT_S)
        self._http: HttpThread | None = None
        self._stop_reason: Any = "shutdown"
        self._certificate_error = ""

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Bind the port and start to serve.

        Raises:
            StartError: The port is taken, the server does not come up, or a file that it needs is
                not usable.
        """
        listener = listen(self._host, self._port)
        self._port = listener.getsockname()[1]
        self._http = http = self._thread(listener)
        if not http.start(START_S):
            why = http.error or f"not within {START_S:g} s"
            raise StartError(f"edge_not_serving: {why}") from http.error
        self._pulse.beat_s = self.cell.clock()
        self.wake_after(PULSE_S)
        return ThespianWatch([http.fileno()])

    def _thread(self, listener: socket.socket) -> HttpThread:
        try:
            return HttpThread(listener, self._options, self._tls())
        except AccessError as error:
            listener.close()
            raise StartError(f"edge_misconfigured: {error}") from error

    def _tls(self) -> ssl.SSLContext | None:
        certificate, key = self._options.certificate, self._options.key
        if certificate is None:
            return None
        context, error = recall_tls_context(certificate, key)
        if error is not None:
            self._certificate_error = str(error)
            get_logger(actor="edge").error("certificate_spoilt", reason=str(error))
        return context

    def on_stop(self, reason: Any) -> Any:
        """Take no more requests; end when those in hand are answered."""
        assert self._http is not None
        self._stop_reason = reason
        self._http.stop()
        return STOPPING

    def on_end(self) -> None:
        """Close the port."""
        if self._http is not None:
            self._http.close()

    def describe(self) -> dict[str, Any]:
        """Tell where it listens and who is behind it."""
        http = self._http
        scheme = "http" if self._options.certificate is None else "https"
        host = f"[{self._host}]" if ":" in self._host else self._host
        gateways = http.gateways if http is not None else None
        desks = http.desks if http is not None else None
        spoilt = {"certificate_error": self._certificate_error} if self._certificate_error else {}
        return {
            "url": f"{scheme}://{host}:{self._port}",
            **spoilt,
            "gateways": 0 if gateways is None else gateways.connected,
            "event_desks": 0 if desks is None else desks.connected,
            "in_flight": 0 if gateways is None else gateways.waiting,
        }

    # --- watching ------------------------------------------------------------------------------

    def receiveMessage(self, message: Any, sender: Ref) -> None:
        """Feel the pulse, or hear that the thread has ended."""
        if isinstance(message, WakeupMessage):
            self._feel()
        elif isinstance(message, WatchMessage):
            self._ended()

    def _feel(self) -> None:
        """Ping the server's loop.

        Raises:
            ServerHungError: It has not answered for too long.
        """
        assert self._http is not None
        before = self._pulse.number
        if not self._pulse.beat(self.cell.clock(), self._http.pong):
            raise ServerHungError(
                f"the loop that serves HTTP has not gone round for {PULSE_LIMIT_S:g} s"
            )
        if self._pulse.number != before:
            self._http.ping(self._pulse.number)
        self.wake_after(PULSE_S)

    def _ended(self) -> None:
        """Follow the thread: in good order after a polite stop, otherwise as a failure.

        Raises:
            ServerDiedError: It ended by itself.
        """
        assert self._http is not None
        if self._http.error is None and self._http.stopping:
            self.stop(self._stop_reason)
            return
        raise ServerDiedError(f"the thread that serves HTTP has ended: {self._http.error!r}")


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Raises:
        StartError: The address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise StartError(
            f"edge_cannot_listen: {host}:{port}: {why}; stop what uses it, or set another edge.port"
        ) from error
