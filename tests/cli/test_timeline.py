"""The timeline of a run: what happened in each quarter of a second."""

from __future__ import annotations

import io
import json
from typing import Any

from cli.play.summary import Tally
from cli.play.timeline import Timeline


def lines_of(file: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.getvalue().splitlines()]


def test_each_line_has_what_happened_since_the_last_one() -> None:
    file, tally = io.StringIO(), Tally()
    timeline = Timeline(file, lambda: 1_000.0, every_s=0.25)
    tally.sent, tally.answered = 10, 8
    tally.latencies_ms.extend([1.0, 2.0, 3.0, 90.0])
    timeline(0.3, tally)
    tally.sent, tally.answered, tally.late, tally.unanswered = 15, 12, 2, 1
    tally.latencies_ms.extend([5.0, 7.0])
    timeline(0.6, tally)
    first, second = lines_of(file)
    assert (first["sent"], first["answered"], first["in_flight"]) == (10, 8, 2)
    assert (first["p50_ms"], first["p99_ms"], first["max_ms"]) == (2.0, 90.0, 90.0)
    assert (second["sent"], second["answered"], second["late"]) == (5, 4, 2)
    assert (second["unanswered"], second["in_flight"], second["max_ms"]) == (1, 2, 7.0)
    assert (first["for_s"], second["for_s"]) == (0.3, 0.3)


def test_a_line_is_written_when_it_is_time_and_not_before() -> None:
    file = io.StringIO()
    timeline = Timeline(file, lambda: 1_000.0, every_s=0.25)
    for now_s in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6):
        timeline(now_s, Tally())
    assert [line["for_s"] for line in lines_of(file)] == [0.3, 0.3]


def test_a_time_without_an_answer_has_no_latency() -> None:
    file = io.StringIO()
    Timeline(file, lambda: 1_000.0).write(0.25, Tally())
    (line,) = lines_of(file)
    assert line["p99_ms"] is None
