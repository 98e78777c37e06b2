"""A whole bidder with real sockets and real time, in one process."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from actors.ledger.verify import verify
from supervision import monotonic_clock
from tests.actors.cells import World
from tests.actors.nodes import Node, bids_of
from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.integration]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    world = World(monotonic_clock(), NngLinks())
    made = Node(tmp_path, world, (free_port(), free_port()))
    world.cell.run(5.0, until=lambda: made.bids.connected and made.events.connected)
    yield made
    made.bids.close()
    made.events.close()
    made.close()


def test_requests_are_answered_and_wins_are_booked_over_real_sockets(node: Node) -> None:
    played = node.play(20)
    assert all(answer is not None for _, answer in played)
    won = [bid for _, answer in played for bid in bids_of(answer)]
    assert won
    for bid in won[:5]:
        event = {"type": "win", "key": bid["id"], "price_cpm": bid["price"]}
        ack = node.tell(event, 0.2)
        assert ack == {"ok": True}
    report = verify(node.paths.ledger_db)
    assert report.ok
    assert report.summary.settled_micros == sum(round(bid["price"] * 1000) for bid in won[:5])


def test_a_gateway_that_dies_opens_its_sockets_again_and_the_client_comes_back(node: Node) -> None:
    gateway = node.light_actors()["bidder-1/gateway"]
    node.world.cell.kill(gateway)
    node.world.cell.run(5.0, until=lambda: "bidder-1/gateway" in node.light_actors())
    node.world.run(0.3)
    assert all(bids_of(answer) or answer["nbr"] for _, answer in node.play(10))
