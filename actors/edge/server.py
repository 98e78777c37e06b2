"""The thread in which the edge serves HTTP: one asyncio loop, one uvicorn server.

Principle: the thread looks after itself as little as possible. It says when it serves, answers a
ping, says when it has ended and why; what follows from that is decided by whoever watches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any, Final

import uvicorn
import uvloop

from actors.edge.access import Explained, Tokens
from actors.edge.age import LoopAge
from actors.edge.bid_route import BidRoute, Door
from actors.edge.bidders import Bidders
from actors.edge.numbers import Numbers
from actors.edge.protocol import EdgeProtocol
from actors.edge.routes import EdgeApp, OtherRoutes

if TYPE_CHECKING:
    import socket
    import ssl

    from actors.edge.options import EdgeOptions

KEEP_ALIVE_S: Final = 75
"""Exchanges keep their connections; opening one costs more than a bid."""
GRACE_S: Final = 1
"""How long requests in hand may still take after a polite request to stop."""
JOIN_S: Final = 1.0


class _Server(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, then say so."""
        await super().startup(sockets)
        self._started.set()


class HttpThread:
    """Serves HTTP on a listening socket, in a thread of its own.

    Args:
        listener: A bound socket; the thread owns it from now on.
        options: What to serve.
        tls: To speak TLS with; None = plain HTTP.

    Raises:
        AccessError: What says who may come in is not usable.
    """

    def __init__(
        self, listener: socket.socket, options: EdgeOptions, tls: ssl.SSLContext | None = None
    ) -> None:
        self._listener = listener
        self._options = options
        self._tls = tls
        self._door = _door(options)
        self._answering = threading.Event()
        self._over = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="edge-http", daemon=True)
        self.gateways: Bidders | None = None
        self.desks: Bidders | None = None
        self.error: BaseException | None = None
        self.stopping = False
        self.pong = 0

    # --- from the watcher's thread -------------------------------------------------------------

    def start(self, limit_s: float) -> bool:
        """Begin; tell whether it serves within ``limit_s``."""
        self._thread.start()
        self._answering.wait(limit_s)
        return self._server is not None and self._server.started and self.error is None

    def fileno(self) -> int:
        """Return a descriptor that is readable once the thread has ended."""
        return self._over

    def ping(self, number: int) -> None:
        """Ask the loop to set ``pong`` to ``number`` when it gets to it."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended
                self._loop.call_soon_threadsafe(self._set_pong, number)

    def stop(self) -> None:
        """Ask it to finish what it has in hand and end."""
        self.stopping = True
        if self._server is not None:
            self._server.should_exit = True

    def close(self) -> None:
        """End it now, whatever it has in hand, and free what it had."""
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True
        if self._thread.is_alive():
            self._thread.join(JOIN_S)
        self._listener.close()
        # A thread that hangs keeps its descriptor: it may still write to it when it comes round.
        if not self._thread.is_alive() and self._over >= 0:
            os.close(self._over)
            self._over = -1

    # --- in the thread -------------------------------------------------------------------------

    def _set_pong(self, number: int) -> None:
        self.pong = number

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - the watcher raises it in its own thread
            self.error = self.error or error
        finally:
            self._answering.set()
            os.eventfd_write(self._over, 1)

    async def _serve(self) -> None:
        self._loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._on_loop_error)
        options = self._options
        gateways = self.gateways = Bidders(
            options.links, options.gateway_urls, loop, options.max_waiting
        )
        desks = self.desks = Bidders(options.links, options.event_urls, loop)
        try:
            app = self._app(gateways, desks, loop)
            self._server = _Server(_config(app, self._tls), self._answering)
            await self._server.serve(sockets=[self._listener])
        finally:
            gateways.close()
            desks.close()

    def _app(self, gateways: Bidders, desks: Bidders, loop: asyncio.AbstractEventLoop) -> EdgeApp:
        options = self._options
        numbers = Numbers(gateways, desks)
        age = LoopAge(options.clock, loop.call_later)
        bid = BidRoute(gateways, numbers, options, self._door, age)
        numbers.watch_limit(lambda: bid.limit)
        others = OtherRoutes(
            gateways, desks, numbers, loop.time, options.unix_clock, options.landings
        )
        return EdgeApp(bid, others.application())

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Let it crash: an error in a callback is a bug, and the state behind it is not known."""
        error = context.get("exception")
        if "handle" not in context or error is None:
            loop.default_exception_handler(context)  # one connection's or one task's trouble
            return
        self.error = self.error or error
        if self._server is not None:
            self._server.should_exit = self._server.force_exit = True


def _door(options: EdgeOptions) -> Door:
    file = options.token_file
    tokens = None if file is None else Tokens(file, options.clock)
    return Door(tokens, Explained(options.explain_from))


def _config(app: EdgeApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=EdgeProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    config.ssl = tls
    return config
