"""Frequency caps in a whole bidder: counted over every restart, and without a disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.actors.nodes import Node, bids_of
from tests.cases.cell import node_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CASE: dict[str, Any] = {
    "name": "caps",
    "campaigns": [{"caps": [{"impressions": 1, "window_s": 3_600}], "when_uncounted": "skip"}],
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = node_of(CASE, tmp_path / "node")
    yield made
    made.close()


def outcome(node: Node, user: str, number: int = 0) -> dict[str, Any]:
    """The bid that this user's request gets, or why there is none."""
    request = {
        "id": f"{user}-{number}-{node.world.clock()}",
        "imp": [{"id": "1", "banner": {"w": 300, "h": 250}}],
        "site": {"domain": "news.example"},
        "user": {"id": user},
        "device": {"ua": "Mozilla/5.0 (Windows NT 10.0)", "devicetype": 2, "ip": "198.18.0.1"},
    }
    sent = node.send(request)
    node.world.run(0.15)
    answer = node.answers()[sent]
    bids = bids_of(answer)
    return dict(bids[0]) if bids else dict(answer["ext"])


def see(node: Node, user: str) -> None:
    bid = outcome(node, user)
    ack = node.tell({"type": "billing", "key": bid["id"], "price_cpm": 1.0})
    assert ack == {"ok": True}


def restart(node: Node, *paths: str) -> None:
    found = node.light_actors()
    for path in paths:
        node.world.cell.kill(next(ref for name, ref in found.items() if name.endswith(path)))
    node.world.run(0.5)


CAPPED = {"reason": "no_candidate:frequency_cap"}


@pytest.mark.parametrize(
    "killed",
    [
        ("agents/user-profiler",),
        ("links/exposures",),
        ("links/exposures", "agents/user-profiler"),
        ("/links",),
    ],
)
def test_what_a_user_has_seen_is_known_whoever_was_restarted(
    node: Node, killed: tuple[str, ...]
) -> None:
    see(node, "u1")
    assert outcome(node, "u1") == CAPPED
    node.world.run(1.5)
    restart(node, *killed)
    node.world.run(6.0)
    assert outcome(node, "u1", 1) == CAPPED
    assert "price" in outcome(node, "u2")


def test_a_node_that_begins_anew_knows_what_was_seen_before(tmp_path: Path) -> None:
    first = node_of(CASE, tmp_path / "node")
    see(first, "u1")
    settings = first.settings.model_dump(mode="json")
    first.world.run(1.5)
    first.close()
    heir = Node(first.paths.data_dir, settings={"node": settings["node"]})
    heir.world.run(6.0)
    assert outcome(heir, "u1", 1) == CAPPED
    assert "price" in outcome(heir, "u2")
    heir.close()


def test_a_disk_without_room_for_views_stops_no_bid(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "exposures.sqlite3").mkdir()
    made = node_of(CASE, tmp_path / "node")
    settings = made.settings.model_dump(mode="json")
    made.close()
    settings["node"]["data_dir"] = str(tmp_path / "data")
    node = Node(tmp_path / "data", settings={"node": settings["node"]})
    see(node, "u1")
    assert outcome(node, "u1") == CAPPED
    assert "price" in outcome(node, "u2")
    node.close()
