from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transport.errors import SegmentError
from transport.segments import SegmentWriter, read_segment

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def writer_in(
    folder: Path, clock: Callable[[], float] | None = None, max_bytes: int = 1000
) -> SegmentWriter:
    return SegmentWriter(folder, "b-1", clock or Clock(), max_bytes=max_bytes, max_age_s=10.0)


def record(number: int) -> bytes:
    return msgspec.msgpack.encode({"n": number})


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".last")


def numbers_in(path: Path) -> list[int]:
    return [found["n"] for found in read_segment(path)]


def test_nothing_is_written_before_flush_and_everything_after(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.append(record(1))
    writer.append(record(2))
    assert names_in(tmp_path) == []
    assert writer.flush() == 2
    assert numbers_in(tmp_path / "b-1-00000001.open") == [1, 2]


def test_a_flush_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = os.write

    def counting(descriptor: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(descriptor, data)

    writer = writer_in(tmp_path)
    for number in range(50):
        writer.append(record(number))
    monkeypatch.setattr(os, "write", counting)
    writer.flush()
    assert len(sizes) == 1


def test_a_full_segment_is_sealed_and_the_next_one_has_the_next_number(tmp_path: Path) -> None:
    writer = writer_in(tmp_path, max_bytes=4)
    for number in range(2):
        writer.append(record(number))
        writer.append(record(number))
        writer.flush()
    assert names_in(tmp_path) == ["b-1-00000001.seg", "b-1-00000002.seg"]
    assert numbers_in(tmp_path / "b-1-00000002.seg") == [1, 1]


def test_an_old_segment_is_sealed_by_a_flush_of_nothing(tmp_path: Path) -> None:
    clock = Clock()
    writer = writer_in(tmp_path, clock)
    writer.append(record(1))
    writer.flush()
    clock.now_s += 9.9
    writer.flush()
    assert names_in(tmp_path) == ["b-1-00000001.open"]
    clock.now_s += 0.1
    writer.flush()
    assert names_in(tmp_path) == ["b-1-00000001.seg"]


def test_close_writes_and_seals_the_rest_and_may_be_repeated(tmp_path: Path) -> None:
    writer = writer_in(tmp_path)
    writer.append(record(1))
    writer.close()
    writer.close()
    assert names_in(tmp_path) == ["b-1-00000001.seg"]
    assert numbers_in(tmp_path / "b-1-00000001.seg") == [1]


def test_a_successor_seals_what_a_killed_writer_left_and_goes_on_counting(tmp_path: Path) -> None:
    killed = writer_in(tmp_path)
    killed.append(record(1))
    killed.flush()
    (tmp_path / "b-10-00000007.open").touch()  # somebody else's
    successor = writer_in(tmp_path)
    successor.append(record(2))
    successor.flush()
    assert names_in(tmp_path) == ["b-1-00000001.seg", "b-1-00000002.open", "b-10-00000007.open"]


def test_a_number_is_never_used_again_even_when_readers_delete_segments(tmp_path: Path) -> None:
    seen: list[str] = []
    for _ in range(2):
        writer = writer_in(tmp_path)
        writer.append(record(1))
        writer.close()
        seen += names_in(tmp_path)
        (tmp_path / seen[-1]).unlink()
    assert seen == ["b-1-00000001.seg", "b-1-00000002.seg"]


def test_a_disk_that_is_full_when_a_segment_begins_costs_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_in(tmp_path)
    writer.append(record(1))
    writer.close()
    (tmp_path / "b-1-00000001.seg").unlink()  # read and gone

    def disk_full(path: Path, text: str) -> int:
        path.touch()  # it is opened, and emptied, before anything is written
        path.open("w").close()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", disk_full)
        writer.append(record(2))
        with pytest.raises(SegmentError, match="No space left"):
            writer.flush()
    successor = writer_in(tmp_path)
    successor.append(record(3))
    successor.flush()
    assert "b-1-00000002.open" in names_in(tmp_path)


def test_a_damaged_counter_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "b-1.last").write_text("")
    writer = writer_in(tmp_path)
    writer.append(record(1))
    assert writer.flush() == 1


def test_a_refused_write_raises_forgets_the_records_and_leaves_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = writer_in(tmp_path)
    writer.append(record(1))
    writer.flush()
    write, calls = os.write, 0

    def disk_full(descriptor: int, data: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", disk_full)
        writer.append(record(2))
        with pytest.raises(SegmentError, match="No space left"):
            writer.flush()
    writer.append(record(3))
    assert writer.flush() == 1
    assert numbers_in(tmp_path / "b-1-00000001.open") == [1, 3]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SegmentError, match="cannot use"):
        writer_in(tmp_path / "file")


def test_a_prefix_that_could_leave_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match="prefix"):
        SegmentWriter(tmp_path, "../x", Clock(), max_bytes=1, max_age_s=1.0)


def test_a_missing_segment_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SegmentError, match="cannot read"):
        list(read_segment(tmp_path / "none.seg"))


RECORDS = st.lists(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
        st.integers(-(2**63), 2**63) | st.text(max_size=5) | st.binary(max_size=5),
        max_size=4,
    ),
    max_size=6,
)


def read_bytes(data: bytes) -> tuple[list[dict[str, Any]], int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.seg"
        path.write_bytes(data)
        reader = read_segment(path)
        return list(reader), reader.torn_bytes


@given(RECORDS, st.data())
def test_wherever_a_segment_is_torn_all_whole_records_before_are_read(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    frames = [msgspec.msgpack.encode(entry) for entry in records]
    whole = b"".join(frames)
    cut = data.draw(st.integers(0, len(whole)))
    expected = 0
    while expected < len(frames) and len(b"".join(frames[: expected + 1])) <= cut:
        expected += 1
    found, torn_bytes = read_bytes(whole[:cut])
    assert found == records[:expected]
    assert torn_bytes == cut - len(b"".join(frames[:expected]))


@given(RECORDS, st.binary(max_size=40))
def test_whatever_follows_the_records_they_are_read_and_nothing_is_raised(
    records: list[dict[str, Any]], tail: bytes
) -> None:
    whole = b"".join(msgspec.msgpack.encode(entry) for entry in records)
    found, torn_bytes = read_bytes(whole + tail)
    assert found[: len(records)] == records
    assert 0 <= torn_bytes <= len(tail)


def test_nothing_after_damage_is_trusted() -> None:
    assert read_bytes(record(1) + b"\xc1" + record(2)) == ([{"n": 1}], 1 + len(record(2)))
    assert read_bytes(record(1) + b"\x05" + record(2)) == ([{"n": 1}], 1 + len(record(2)))


def test_a_record_larger_than_a_read_is_whole(tmp_path: Path) -> None:
    big = msgspec.msgpack.encode({"big": b"x" * (3 << 20)})
    (tmp_path / "x.seg").write_bytes(big * 2)
    assert [len(entry["big"]) for entry in read_segment(tmp_path / "x.seg")] == [3 << 20] * 2
