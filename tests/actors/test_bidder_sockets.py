"""A whole bidder with real sockets and real time, in one process."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from actors.ledger.verify import verify
from cli.chaos.sandbox import free_ports
from supervision import monotonic_clock
from tests.actors.cells import World
from tests.actors.nodes import Node, bids_of
from transport.nng import NngLinks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.integration]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    world = World(monotonic_clock(), NngLinks())
    made = Node(tmp_path, world, (free_ports(1), free_ports(1)))
    world.cell.run(5.0, until=lambda: made.bids.connected and made.events.connected)
    yield made
    made.bids.close()
    made.events.close()
    made.close()


def test_requests_are_answered_and_bills_are_booked_over_real_sockets(node: Node) -> None:
    played = node.play(20)
    assert all(answer is not None for _, answer in played)
    won = [bid for _, answer in played for bid in bids_of(answer)]
    assert won
    for bid in won[:5]:
        event = {"type": "billing", "key": bid["id"], "price_cpm": bid["price"]}
        ack = node.tell(event, 0.2)
        assert ack == {"ok": True}
    report = verify(node.paths.ledger_db)
    assert report.ok
    assert report.summary.settled_micros == sum(round(bid["price"] * 1000) for bid in won[:5])


def test_a_burst_above_what_can_be_decided_is_answered_to_the_last_with_the_right_ids(
    node: Node,
) -> None:
    requests = {node.send({**next(node.traffic), "id": f"b{i}"}): f"b{i}" for i in range(1_500)}
    answers: dict[int, dict[str, Any]] = {}

    def are_all_there() -> bool:
        answers.update(node.answers())
        return len(answers) == len(requests)

    node.world.cell.run(10.0, until=are_all_there)
    assert {number: told["id"] for number, told in answers.items()} == requests
    outcomes = Counter(told.get("nbr", "bid") for told in answers.values())
    assert outcomes["bid"] > 16
    assert outcomes[503] > 100, "more than it has room for is not begun"


def test_a_gateway_that_dies_opens_its_sockets_again_and_the_client_comes_back(node: Node) -> None:
    gateway = node.light_actors()["bidder-1/gateway"]
    node.world.cell.kill(gateway)
    node.world.cell.run(5.0, until=lambda: "bidder-1/gateway" in node.light_actors())
    node.world.run(0.3)
    assert all(bids_of(answer) or answer["nbr"] for _, answer in node.play(10))
