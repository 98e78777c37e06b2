"""What the transport tests share: waiting for descriptors, and links of both kinds."""

from __future__ import annotations

import itertools
import select
from typing import TYPE_CHECKING, Protocol

import pytest

from transport.memory import MemoryHub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from transport.frames import (
        ClientLink,
        LinkFactory,
        PublisherLink,
        ServerLink,
        SubscriberLink,
    )

DEADLINE_S = 5.0


class Closable(Protocol):
    def close(self) -> None: ...


def readable(descriptor: int, timeout_s: float = DEADLINE_S) -> bool:
    """Wait until ``descriptor`` is readable; False when it is not in time."""
    return bool(select.select([descriptor], [], [], timeout_s)[0])


class World:
    """Links of one kind, closed at the end of the test."""

    def __init__(self, factory: LinkFactory, new_url: Callable[[], str]) -> None:
        self.factory = factory
        self.new_url = new_url
        self._made: list[Closable] = []

    def server(self, url: str, **limits: int) -> ServerLink:
        link = self.factory.server(**limits)
        self._made.append(link)
        link.listen(url)
        return link

    def client(self, *urls: str, connected: bool = True, **limits: int) -> ClientLink:
        link = self.factory.client(**limits)
        self._made.append(link)
        for url in urls:
            link.dial(url)
        if connected:
            wait_connected(link)
        return link

    def publisher(self, url: str) -> PublisherLink:
        link = self.factory.publisher()
        self._made.append(link)
        link.listen(url)
        return link

    def subscriber(self, url: str, *topics: bytes) -> SubscriberLink:
        link = self.factory.subscriber()
        self._made.append(link)
        for topic in topics:
            link.subscribe(topic)
        link.dial(url)
        return link

    def close(self) -> None:
        for link in reversed(self._made):
            link.close()


def wait_connected(link: ClientLink) -> None:
    """Wait until ``link`` has a peer, and forget how that came."""
    while not link.connected:
        assert readable(link.change_fileno()), "no peer in time"
        link.take_changes()
    link.take_changes()


@pytest.fixture(params=["memory", pytest.param("nng", marks=pytest.mark.integration)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Every test of links runs in memory and over real sockets."""
    numbers = itertools.count()
    factory: LinkFactory = MemoryHub()
    if request.param == "nng":
        from transport.nng import NngLinks

        factory = NngLinks()
    made = World(factory, lambda: f"ipc://{tmp_path}/{next(numbers)}.sock")
    yield made
    made.close()
