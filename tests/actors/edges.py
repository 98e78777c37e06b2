"""An asyncio loop, a memory hub, and bidders that stand at their ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from actors.edge.bid_route import BidRoute
from actors.edge.bidders import Bidders
from actors.edge.numbers import Numbers
from actors.edge.routes import EdgeApp, OtherRoutes
from transport.memory import MemoryHub

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from transport.memory import MemoryServer

UNIX_S = 1_800_000_000.0
MAX_BODY_BYTES = 1000


class Bidder:
    """Answers by a rule; ``None`` leaves the question without an answer."""

    def __init__(
        self, hub: MemoryHub, url: str, rule: Callable[[bytes], bytes | None] | None = None
    ) -> None:
        self.url = url
        self.asked: list[bytes] = []
        self._rule = rule or (lambda _body: None)
        self._loop = asyncio.get_running_loop()
        self.server: MemoryServer = hub.server()
        self.server.listen(url)
        self._loop.add_reader(self.server.fileno(), self._serve)

    def _serve(self) -> None:
        for header, body in self.server.drain(64):
            self.asked.append(body)
            answer = self._rule(body)
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

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = MemoryHub()
        self.gateways = Bidders(self.hub, ["memory://g1", "memory://g2"], self.loop)
        self.desks = Bidders(self.hub, ["memory://e1"], self.loop)
        self.numbers = Numbers(self.gateways, self.desks)
        bid = BidRoute(self.gateways, self.numbers, self.loop.time, MAX_BODY_BYTES, 5_000)
        others = OtherRoutes(
            self.gateways, self.desks, self.numbers, self.loop.time, lambda: UNIX_S
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
    ) -> Answer:
        waiting = [
            {"type": "http.request", "body": part, "more_body": number < len(parts)}
            for number, part in enumerate(parts, start=1)
        ] or [{"type": "http.request", "body": b"", "more_body": False}]
        answer = await self.exchange(method, path, waiting, query=query, headers=headers)
        return Answer(answer)

    async def exchange(
        self,
        method: str,
        path: str,
        messages: list[dict[str, Any]],
        *,
        query: bytes = b"",
        headers: tuple[tuple[bytes, bytes], ...] = (),
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


def in_world(story: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    """Run ``story`` in a world of its own, within a limit."""

    async def run() -> None:
        world = World()
        try:
            async with asyncio.timeout(10):
                await story(world)
        finally:
            world.close()

    asyncio.run(run())
