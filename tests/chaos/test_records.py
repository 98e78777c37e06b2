"""The decision log as a witness: what stands in it twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from actors.recorder import write_parquet
from cli.chaos.records import logged_twice
from config.paths import NodePaths
from transport.segments import SegmentWriter, read_segment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path) -> NodePaths:
    paths = NodePaths(tmp_path / "data", tmp_path / "run")
    for folder in (paths.segments_dir, paths.parquet_dir / "decisions"):
        folder.mkdir(parents=True)
    return paths


def write(paths: NodePaths, prefix: str, *records: dict[str, Any], seal: bool = False) -> None:
    writer = SegmentWriter(
        paths.segments_dir, prefix, lambda: 0.0, max_bytes=1 << 20, max_age_s=60.0
    )
    for record in records:
        writer.append(msgspec.msgpack.encode(record))
    writer.flush()
    if seal:
        writer.seal()


def decision(request: str, bidder: str = "bidder-1", ts: float = 100.0) -> dict[str, Any]:
    return {"request_id": request, "imp_id": "1", "bidder": bidder, "ts": ts}


def event(kind: str, key: str) -> dict[str, Any]:
    return {"type": kind, "key": key, "ts": 100.0}


def test_each_decision_and_each_event_once_is_nothing_twice(paths: NodePaths) -> None:
    write(paths, "bidder-1", decision("a"), decision("b"))
    write(paths, "events-bidder-1", event("win", "k"), event("billing", "k"))
    assert logged_twice(paths, 0.0) == 0


def test_what_a_bidder_decided_or_told_again_counts(paths: NodePaths) -> None:
    write(paths, "bidder-1", decision("a"), decision("a"), decision("a"))
    write(paths, "events-bidder-1", event("win", "k"), event("win", "k"))
    assert logged_twice(paths, 0.0) == 3


def test_another_bidder_may_decide_the_same_request_and_an_ad_may_be_clicked_twice(
    paths: NodePaths,
) -> None:
    write(paths, "bidder-1", decision("a"))
    write(paths, "bidder-2", decision("a", "bidder-2"))
    write(paths, "events-bidder-1", event("click", "k"), event("click", "k"))
    assert logged_twice(paths, 0.0) == 0


def test_what_was_before_is_left_out(paths: NodePaths) -> None:
    write(paths, "bidder-1", decision("a", ts=50.0), decision("a", ts=60.0), decision("b"))
    assert logged_twice(paths, 70.0) == 0


def test_a_converted_segment_is_read_as_parquet_and_one_in_both_forms_once(
    paths: NodePaths,
) -> None:
    write(paths, "bidder-1", decision("a"), decision("b"), seal=True)
    (segment,) = paths.segments_dir.glob("*.seg")
    file = paths.parquet_dir / "decisions" / f"{segment.stem}.parquet"
    write_parquet(list(read_segment(segment)), "decisions", file)
    assert logged_twice(paths, 0.0) == 0
    segment.unlink()
    write(paths, "bidder-9", decision("a"))
    assert logged_twice(paths, 0.0) == 1
