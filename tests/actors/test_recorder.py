"""The recorder: every decision that was logged is in a table, once, whatever happened meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from actors.decision.steps import NAMES
from actors.recorder import Recorder
from tests.actors.cells import World
from transport.messages import Click, DecisionRecord, StepTaken, encode
from transport.segments import SegmentWriter

if TYPE_CHECKING:
    from pathlib import Path


def record(number: int) -> bytes:
    return encode(
        DecisionRecord(
            request_id=f"r{number}",
            imp_id="1",
            ts=1.5,
            bidder="b",
            outcome="bid",
            bid_micros=3_000,
            vector=(0.5, 0.25),
            steps=tuple(StepTaken(step, "live", 0.5) for step in NAMES),
            versions={"profiler": "p1"},
        )
    )


def write(folder: Path, prefix: str, count: int) -> None:
    writer = SegmentWriter(folder, prefix, lambda: 0.0, max_bytes=1 << 20, max_age_s=1e9)
    for number in range(count):
        writer.append(record(number))
    writer.close()


def convert(tmp_path: Path, seconds: float = 0.0) -> dict[str, object]:
    world = World()
    recorder = world.spawn(Recorder(tmp_path / "segments", tmp_path / "parquet", 5.0), "recorder")
    world.run(seconds)
    told: dict[str, object] = recorder.actor.describe()
    return told


@pytest.mark.slow
def test_a_sealed_segment_becomes_a_table_with_everything_that_was_decided(tmp_path: Path) -> None:
    write(tmp_path / "segments", "bidder-1", 3)
    assert convert(tmp_path)["records"] == 3
    (path,) = (tmp_path / "parquet" / "decisions").iterdir()
    rows = pq.read_table(path).to_pylist()
    assert [row["request_id"] for row in rows] == ["r0", "r1", "r2"]
    assert rows[0]["bid_micros"] == 3_000
    assert rows[0]["vector"] == [0.5, 0.25]
    assert [step["step"] for step in rows[0]["steps"]] == list(NAMES)
    assert dict(rows[0]["versions"]) == {"profiler": "p1"}


def test_events_have_a_table_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "segments"
    writer = SegmentWriter(folder, "events-b", lambda: 0.0, max_bytes=1 << 20, max_age_s=1e9)
    writer.append(encode(Click("key", request_id="r1")))
    writer.close()
    convert(tmp_path)
    (path,) = (tmp_path / "parquet" / "events").iterdir()
    (row,) = pq.read_table(path).to_pylist()
    assert (row["type"], row["key"], row["request_id"]) == ("click", "key", "r1")


def test_a_converted_segment_is_not_converted_again_and_its_number_not_used_again(
    tmp_path: Path,
) -> None:
    for _ in range(3):
        write(tmp_path / "segments", "bidder-1", 1)
        convert(tmp_path)
    tables = sorted(path.name for path in (tmp_path / "parquet" / "decisions").iterdir())
    assert tables == [f"bidder-1-0000000{number}.parquet" for number in (1, 2, 3)]
    assert list((tmp_path / "segments").glob("*.seg")) == []


def test_a_torn_tail_costs_only_itself(tmp_path: Path) -> None:
    write(tmp_path / "segments", "bidder-1", 2)
    (segment,) = (tmp_path / "segments").glob("*.seg")
    segment.write_bytes(segment.read_bytes()[:-7])
    told = convert(tmp_path)
    assert told["records"] == 1
    assert told["torn_bytes"]


def test_a_segment_that_makes_no_sense_is_put_aside_and_the_others_go_on(tmp_path: Path) -> None:
    write(tmp_path / "segments", "bidder-1", 1)
    bad = tmp_path / "segments" / "bidder-0-00000001.seg"
    bad.write_bytes(encode({"ts": "not a time", "vector": 7}))
    told = convert(tmp_path)
    assert (told["records"], told["broken"]) == (1, 1)
    assert bad.with_suffix(".broken").exists()


@pytest.mark.parametrize(
    "field",
    [
        {"value_micros": 2**64 - 1},
        {"loss_code": 2**40},
        {"key": 7},
        {"price_cpm": "free"},
    ],
)
def test_whatever_a_record_holds_the_recorder_goes_on(
    tmp_path: Path, field: dict[str, object]
) -> None:
    writer = SegmentWriter(
        tmp_path / "segments", "events-b", lambda: 0.0, max_bytes=1 << 20, max_age_s=1e9
    )
    writer.append(encode(field))
    writer.close()
    write(tmp_path / "segments", "z", 1)
    told = convert(tmp_path)
    assert (told["records"], told["broken"]) == (1, 1)


def test_a_table_that_cannot_be_written_is_written_later_and_its_segment_kept(
    tmp_path: Path,
) -> None:
    world = World()
    recorder = world.spawn(Recorder(tmp_path / "segments", tmp_path / "parquet", 5.0), "recorder")
    world.run()
    tables = tmp_path / "parquet" / "decisions"
    tables.rename(tmp_path / "gone")
    for number in range(6):
        write(tmp_path / "segments", f"bidder-{number}", 1)
    world.run(6.0)
    told = recorder.actor.describe()
    assert (told["segments"], told["broken"]) == (0, 0)
    assert told["postponed"]
    (tmp_path / "gone").rename(tables)
    world.run(6.0)
    assert recorder.actor.describe()["segments"] == 6


def test_segments_that_come_later_are_found_later_and_open_ones_left_alone(tmp_path: Path) -> None:
    world = World()
    recorder = world.spawn(Recorder(tmp_path / "segments", tmp_path / "parquet", 5.0), "recorder")
    world.run()
    folder = tmp_path / "segments"
    writer = SegmentWriter(folder, "bidder-1", lambda: 0.0, max_bytes=1 << 20, max_age_s=1e9)
    writer.append(record(1))
    writer.flush()
    world.run(6.0)
    assert recorder.actor.describe()["segments"] == 0
    writer.close()
    world.run(6.0)
    assert recorder.actor.describe()["segments"] == 1


def test_a_polite_stop_converts_what_is_sealed(tmp_path: Path) -> None:
    world = World()
    recorder = world.spawn(Recorder(tmp_path / "segments", tmp_path / "parquet", 5.0), "recorder")
    world.run()
    for number in range(6):
        write(tmp_path / "segments", f"bidder-{number}", 1)
    world.cell.stop(recorder)
    world.run()
    assert len(list((tmp_path / "parquet" / "decisions").iterdir())) == 6
