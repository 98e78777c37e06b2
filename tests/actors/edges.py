"""An asyncio loop, a memory hub, and bidders that stand at their ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.edge.access import Explained
from actors.edge.age import LoopAge
from actors.edge.bid_route import BidRoute, Door
from actors.edge.bidders import Bidders
from actors.edge.landings import Landings
from actors.edge.numbers import Numbers
from actors.edge.options import EdgeOptions
from actors.edge.routes import EdgeApp, OtherRoutes
from transport.envelope import opened, seal_of
from transport.memory import MemoryHub

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from actors.edge.access import Tokens
    from transport.envelope import Envelope
    from transport.memory import MemoryServer

UNIX_S = 1_800_000_000.0
MAX_BODY_BYTES = 1000
SECRET = b"the secret of the node"
SEAL = seal_of(SECRET)
PAGES = {"shoes-1": "https://shoes.example/new?from=ad", "plain": ""}
HOSTS = ("Outlet.example", "local.example:8443")


class Bidder:
    """Answers by a rule; ``None`` leaves the question without an answer."""

    def __init__(
        self, hub: MemoryHub, url: str, rule: Callable[[bytes], bytes | None] | None = None
    ) -> None:
        self.url = url
        self.asked: list[bytes] = []
        self.envelopes: list[Envelope | None] = []
        self._rule = rule or (lambda _body: None)
        self._loop = asyncio.get_running_loop()
        self.server: MemoryServer = hub.server()
        self.server.listen(url)
        self._loop.add_reader(self.server.fileno(), self._serve)

    def _serve(self) -> None:
        for header, body in self.server.drain(64):
            envelope, plain = opened(body, SEAL)
            self.envelopes.append(envelope)
            self.asked.append(plain)
            answer = self._rule(plain)
            if answer is not None:
                self.server.reply(header, answer)

    def die(self) -> None:
        self._loop.remove_reader(self.server.fileno())
        self.server.close()


class Answer:
    """What an ASGI application sent."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        assert [message["type"] for message in sent] == [
            "http.response.start",
            "http.response.body",
        ]
        self.status: int = sent[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        self.body: bytes = sent[1].get("body", b"")


class World:
    """The edge's application and its bidders in one loop, without a port."""

    def __init__(self, tokens: Tokens | None = None, **options: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = MemoryHub()
        self.gateways = Bidders(self.hub, ["memory://g1", "memory://g2"], self.loop)
        self.desks = Bidders(self.hub, ["memory://e1"], self.loop)
        self.numbers = Numbers(self.gateways, self.desks)
        self.options = EdgeOptions(
            links=self.hub,
            gateway_urls=(),
            event_urls=(),
            max_body_bytes=MAX_BODY_BYTES,
            default_tmax_ms=5_000,
            unix_clock=lambda: UNIX_S,
            clock=self.loop.time,
            seal=SEAL,
            landings=Landings(PAGES, HOSTS, SECRET),
            **options,
        )
        door = Door(tokens, Explained(self.options.explain_from))
        age = LoopAge(self.loop.time, self.loop.call_later)
        self.bids = bid = BidRoute(self.gateways, self.numbers, self.options, door, age)
        others = OtherRoutes(
            self.gateways,
            self.desks,
            self.numbers,
            self.loop.time,
            lambda: UNIX_S,
            self.options.landings,
        )
        self.app = EdgeApp(bid, others.application())
        self._bidders: list[Bidder] = []

    def bidder(self, name: str, rule: Callable[[bytes], bytes | None] | None = None) -> Bidder:
        bidder = Bidder(self.hub, f"memory://{name}", rule)
        self._bidders.append(bidder)
        return bidder

    async def call(
        self,
        method: str,
        path: str,
        *parts: bytes,
        query: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        client: str | None = "127.0.0.1",
    ) -> Answer:
        waiting = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        answer = await self.exchange(
            method, path, waiting, query=query, headers=headers, client=client
        )
        return Answer(answer)

    async def exchange(
        self,
        method: str,
        path: str,
        messages: list[dict[str, Any]],
        *,
        query: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
        client: str | None = "127.0.0.1",
    ) -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        waiting = list(messages)

        async def receive() -> dict[str, Any]:
            return waiting.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": list(headers),
            "root_path": "",
            "client": client and (client, 1),
        }
        await self.app(scope, receive, send)
        return sent

    async def settle(self) -> None:
        """Let the loop hear of everything that has happened."""
        for _ in range(5):
            await asyncio.sleep(0)

    def close(self) -> None:
        self.gateways.close()
        self.desks.close()
        for bidder in self._bidders:
            self.loop.remove_reader(bidder.server.fileno())
            bidder.server.close()


def in_world(story: Callable[[World], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run ``story`` in a world of its own, within a limit.

    ``options`` are the world's tokens and the edge's own options.
    """

    async def run() -> None:
        world = World(**options)
        try:
            async with asyncio.timeout(10):
                await story(world)
        finally:
            world.close()

    asyncio.run(run())
