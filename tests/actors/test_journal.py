"""The journal: unusual requests leave a line that names them; a flood does not flood the log."""

from __future__ import annotations

from actors.gateway.journal import LINES_PER_S, Journal
from supervision import VirtualClock
from tests.actors.lines import Lines


def test_every_line_names_its_request() -> None:
    lines = Lines()
    journal = Journal(lines, VirtualClock())  # type: ignore[arg-type]
    journal.refused("r1", "invalid_request")
    journal.undecided("r2", "i1", "decider_died")
    journal.unlogged("r3")
    assert [line["request_id"] for line in lines.lines] == ["r1", "r2", "r3"]
    assert lines.lines[1] == {
        "level": "error",
        "event": "impression_undecided",
        "request_id": "r2",
        "imp_id": "i1",
        "reason": "decider_died",
    }


def test_a_flood_is_counted_and_told_by_the_next_line() -> None:
    lines, clock = Lines(), VirtualClock()
    journal = Journal(lines, clock)  # type: ignore[arg-type]
    for number in range(LINES_PER_S + 7):
        journal.refused(f"r{number}", "overloaded")
    assert len(lines.lines) == LINES_PER_S
    clock.advance(1.0)
    journal.refused("later", "overloaded")
    assert lines.lines[-1]["left_out"] == 7
