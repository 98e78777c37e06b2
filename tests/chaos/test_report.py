"""The report: one page that needs nothing else, and says what the journal says."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest

from cli.chaos.charts import chart
from cli.chaos.report import page, read_journal
from cli.errors import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path


TOTALS = {
    "settlements": 3,
    "settled_micros": 1_500_000,
    "unfunded_micros": 0,
    "leased_micros": 0,
    "budget_micros": 9_000_000,
}
FAULT = {
    "kind": "signal",
    "says": "KILL",
    "targets": ["node/ledger"],
    "at_ts": 101.2,
    "ends_ts": 101.6,
    "recovered_ts": 101.6,
    "hits": None,
}
EVENTS = [
    {"at_ts": 101.3, "kind": "crashed", "address": "n:node/ledger", "reason": "<killed>"},
    {"at_ts": 101.4, "kind": "restarted", "address": "n:node/ledger", "reason": "restart"},
]
MEASURED = {
    "requests": 240,
    "unanswered": 0,
    "late": 6,
    "late_share": 0.025,
    "p99_before_ms": 12.5,
    "p99_worst_ms": 800.0,
    "detect_s": 0.1,
    "recover_s": 0.4,
    "restarts": 1,
    "settlements": 3,
    "wins": 3,
}


def row(ts: float, **more: Any) -> dict[str, Any]:
    counts = {"answered": 20, "late": 0, "explained": 4, "with_fallback": 0}
    return {"ts": ts, "for_s": 0.25, **counts, "p99_ms": 12.5, **more}


def run(**more: Any) -> dict[str, Any]:
    """Our block of a journal of three seconds in which the ledger was killed after one."""
    rows = [row(100 + number / 4) for number in range(1, 13)]
    rows[5] = row(101.5, answered=8, late=6, with_fallback=2, p99_ms=800.0)
    rows[6] = row(101.75, answered=0, p99_ms=None, explained=0)
    return {
        "name": "kill-ledger",
        "verdict": "PASS",
        "why": "all held",
        "checks": [{"name": "every request is answered", "holds": True, "says": "240 of 240"}],
        "measured": MEASURED,
        "window": {"begun_ts": 100.0, "method_ts": 101.0, "ended_ts": 103.0},
        "timeline": rows,
        "faults": [FAULT],
        "events": EVENTS,
        "money": {"before": TOTALS, "after": {**TOTALS, "settlements": 6}, "violations": []},
        **more,
    }


def journal(**more: Any) -> dict[str, Any]:
    probe = {"name": "late answers", "tolerance": {"type": "range", "range": [0, 0.1]}}
    before = {"activity": probe, "status": "succeeded", "output": 0.0, "tolerance_met": True}
    after = {"activity": probe, "status": "succeeded", "output": 0.7, "tolerance_met": False}
    return {
        "experiment": {
            "title": "SIGKILL of the ledger <b>",
            "steady-state-hypothesis": {"title": "it bids", "probes": [probe]},
        },
        "steady_states": {"before": {"probes": [before]}, "after": {"probes": [after]}},
        "bidwright": run(**more),
    }


def test_a_page_needs_nothing_else_and_runs_nothing() -> None:
    text = page([journal()])
    assert not re.search(r"<script|<link|@import|https?://|url\(|\bsrc=", text)


def test_a_page_tells_verdict_hypothesis_checks_money_and_events() -> None:
    text = page([journal()])
    for words in (
        '<span class="badge pass">PASS</span>',
        "0 to 0.1",
        "✓</span> 0.0",
        "✗</span> 0.7",
        "every request is answered",
        "$1.50",
        "restarted",
        "signal KILL",
        "400 ms",
    ):
        assert words in text, words


def test_what_stands_in_a_journal_is_never_taken_for_markup() -> None:
    text = page([journal()])
    assert "&lt;killed&gt;" in text
    assert "<b>" not in text


def test_the_picture_is_whole_and_has_the_four_panels_and_the_fault() -> None:
    picture = ET.fromstring(chart(run()))  # a broken one would not be read
    words = " ".join("".join(text.itertext()) for text in picture.iter("text"))
    for title in ("answers a second", "99th percentile", "fallback", "restarts"):
        assert title in words
    bands = [each for each in picture.iter("rect") if each.get("class") == "band"]
    assert len(bands) == 1
    assert "node/ledger" in "".join(bands[0].itertext())


def test_a_band_stands_where_its_fault_was() -> None:
    picture = ET.fromstring(chart(run()))
    (band,) = [each for each in picture.iter("rect") if each.get("class") == "band"]
    left, width = float(band.attrib["x"]), float(band.attrib["width"])
    drawn = 960 - 56 - 16
    assert left == pytest.approx(56 + drawn * 1.2 / 3, abs=0.2)
    assert width == pytest.approx(drawn * 0.4 / 3, abs=0.2)


def test_where_nothing_was_answered_the_line_of_latency_has_a_gap() -> None:
    picture = ET.fromstring(chart(run()))
    lines = [each for each in picture.iter("polyline") if "latency" in each.attrib["class"]]
    assert len(lines) == 2


def test_hundreds_of_faults_become_ticks_without_words() -> None:
    many = [{**run()["faults"][0], "at_ts": 100 + number / 100} for number in range(300)]
    picture = ET.fromstring(chart(run(faults=many)))
    assert sum(each.get("class") == "tick" for each in picture.iter("rect")) == 300
    assert not [each for each in picture.iter("text") if each.get("class") == "fault"]


def test_several_runs_have_an_overview_that_leads_to_each() -> None:
    text = page([journal(), journal(name="kill-top", verdict="WEAKNESS", why="late")])
    assert '<a href="#kill-top">' in text
    assert 'id="kill-top"' in text


def test_a_run_that_could_not_begin_is_told_all_the_same() -> None:
    block = {"name": "x", "verdict": "INVALID", "why": "no node", "checks": [], "measured": {}}
    assert "no node" in page([{"bidwright": block}])


def test_what_the_monkey_did_is_part_of_its_page() -> None:
    measured = {
        **run()["measured"],
        "kills": 312,
        "hurts": {"SIGKILL": 300, "SIGTERM": 12},
        "mttr": {"light": {"number": 9, "median_s": 0.002, "p95_s": 0.02}},
    }
    text = page([journal(measured=measured)])
    assert "312 kills" in text
    assert "2 ms" in text


def test_a_file_that_is_no_journal_of_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "journal.json"
    file.write_text(json.dumps({"status": "completed"}))
    with pytest.raises(InvalidInputError, match="has no verdict"):
        read_journal(file)
    file.write_text("{")
    with pytest.raises(InvalidInputError, match="can't read"):
        read_journal(file)
