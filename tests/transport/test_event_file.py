"""The file of events: appended by many, bounded, read on from where a reader was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from transport.event_file import START, EventFile, read_after, read_last
from transport.generations import old_generation

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, *numbers: int, max_bytes: int = 10_000) -> EventFile:
    file = EventFile(path, max_bytes)
    for number in numbers:
        file.append({"n": number})
    return file


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["n"] for event in events]


def test_what_was_appended_is_read_in_order_and_on_from_the_cursor(path: Path) -> None:
    write(path, 1, 2, 3)
    first = read_after(path, START, limit=2)
    assert numbers(first.events) == [1, 2]
    second = read_after(path, first.cursor, limit=2)
    assert numbers(second.events) == [3]
    assert read_after(path, second.cursor, limit=2) == ([], second.cursor)
    write(path, 4)
    assert numbers(read_after(path, second.cursor, limit=2).events) == [4]


def test_without_a_file_there_is_nothing_and_the_cursor_stays_the_first(path: Path) -> None:
    assert read_after(path, START, limit=9) == ([], START)
    assert read_last(path, 9) == ([], START)
    write(path, 1)
    assert numbers(read_after(path, START, limit=9).events) == [1]


def test_the_last_that_are_wanted_are_returned_with_the_cursor_behind_all(path: Path) -> None:
    write(path, *range(10))
    page = read_last(path, 3, lambda event: event["n"] % 2 == 0)
    assert numbers(page.events) == [4, 6, 8]
    assert read_after(path, page.cursor, limit=9).events == []
    assert read_last(path, 0).events == []


def test_a_file_that_is_full_becomes_the_old_one_of_which_one_is_kept(path: Path) -> None:
    write(path, *range(1000), max_bytes=200)
    assert path.parent.stat()
    kept = [path, old_generation(path)]
    assert sorted(path.parent.iterdir()) == sorted(each for each in kept if each.exists())
    assert sum(each.stat().st_size for each in kept if each.exists()) < 450
    last = numbers(read_last(path, 1000).events)
    assert last == list(range(last[0], 1000))


def test_a_cursor_survives_that_its_file_becomes_the_old_one(path: Path) -> None:
    write(path, 1, 2)
    page = read_after(path, START, limit=1)
    write(path, 3, 4, max_bytes=1)  # 3 closes the first generation, 4 a generation of its own
    assert numbers(read_after(path, page.cursor, limit=9).events) == [4]
    write(path, 5)
    assert numbers(read_after(path, page.cursor, limit=9).events) == [4, 5], "the oldest there is"


def test_a_reader_meets_each_event_once_however_often_the_file_is_full(path: Path) -> None:
    cursor, seen = START, []
    for number in range(300):
        write(path, number, max_bytes=300)
        page = read_after(path, cursor, limit=50)
        cursor = page.cursor
        seen += numbers(page.events)
    assert seen == list(range(300))


@pytest.mark.parametrize("cursor", ["", "nonsense", "12345678-99", "-", "0-x", "ffffffff--1"])
def test_a_cursor_that_means_nothing_means_the_oldest_event(path: Path, cursor: str) -> None:
    write(path, 1, 2)
    assert numbers(read_after(path, cursor, limit=9).events) == [1, 2]


def test_a_line_that_is_torn_or_no_event_is_left_out_and_one_being_written_waits(
    path: Path,
) -> None:
    write(path, 1)
    with path.open("ab") as file:
        file.write(b'{"n": 2, "torn{"n": 3}\n[4]\n\xff\n{"n": 5}\n{"n": 6')
    page = read_after(path, START, limit=9)
    assert numbers(page.events) == [1, 5]
    with path.open("ab") as file:
        file.write(b"}\n")
    assert numbers(read_after(path, page.cursor, limit=9).events) == [6]


def test_a_disk_that_refuses_costs_records_and_raises_nothing(tmp_path: Path) -> None:
    file = write(tmp_path / "no such folder" / "events.jsonl", 1, 2)
    assert file.dropped == 2


def test_what_json_does_not_know_is_written_in_words(path: Path) -> None:
    EventFile(path).append({"n": object})
    assert "object" in read_last(path, 1).events[0]["n"]


@pytest.mark.slow
def test_several_processes_append_at_once_and_no_record_is_lost_or_mixed(path: Path) -> None:
    """The size lets the file be full often, and both generations together hold the last writes."""
    program = (
        "import sys; from pathlib import Path; from transport.event_file import EventFile\n"
        "file = EventFile(Path(sys.argv[1]), 60_000)\n"
        "for number in range(1500): file.append({'who': sys.argv[2], 'n': number, 'x': 'y' * 40})\n"
        "assert file.dropped == 0\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), str(who)], cwd=ROOT)
        for who in range(3)
    ]
    assert [writer.wait(timeout=30) for writer in writers] == [0, 0, 0]
    files = (old_generation(path), path)
    lines = [line for each in files if each.exists() for line in each.read_text().splitlines()]
    assert len(lines) > 600
    of_each: dict[str, list[int]] = {}
    for line in lines:
        event = json.loads(line)
        of_each.setdefault(event["who"], []).append(event["n"])
    for found in of_each.values():
        assert sorted(found) == list(range(min(found), 1500))


def test_marks_only_pass_over_lines_that_are_not_wanted_and_the_search_goes_back_to_the_old_file(
    path: Path,
) -> None:
    file = EventFile(path, max_bytes=1500)
    for number in range(100):
        file.append({"n": number, "kind": "rare" if number % 30 == 0 else "usual"})
    assert old_generation(path).exists()

    def is_rare(event: dict[str, Any]) -> bool:
        return bool(event["kind"] == "rare")

    plainly = read_last(path, 2, is_rare)
    assert numbers(plainly.events) == [60, 90]
    assert read_last(path, 2, is_rare, ["rare", "never"]) == plainly
    assert read_last(path, 2, is_rare, ["never"]) == ([], plainly.cursor)
    assert plainly.cursor == read_after(path, START, limit=-1).cursor
