"""Journals as one HTML page that needs nothing else: no script, no font, no file beside it."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from cli.chaos.charts import chart
from cli.chaos.style import STYLE
from cli.errors import InvalidInputError
from cli.output import dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    Record = Mapping[str, Any]

_MOST_EVENTS = 400
_QUIET = frozenset({"fault_on", "fault_off"})


def read_journal(file: Path) -> dict[str, Any]:
    """Return the journal in a file.

    Raises:
        InvalidInputError: It is no journal of `bidwright chaos`.
    """
    try:
        journal = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"can't read the journal {file}: {error}") from error
    if not isinstance(journal, dict) or "verdict" not in journal.get("bidwright", {}):
        raise InvalidInputError(
            f"{file} is no journal of `bidwright chaos run`; the Chaos Toolkit's own has no verdict"
        )
    return journal


def page(journals: Sequence[Record]) -> str:
    """Return the page about some runs, in their order."""
    runs = [journal["bidwright"] for journal in journals]
    title = "Chaos: " + (runs[0]["name"] if len(runs) == 1 else f"{len(runs)} runs")
    body = [_overview(runs)] if len(runs) > 1 else []
    body += [_section(journal) for journal in journals]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{''.join(body)}</main></body></html>\n"
    )


def _overview(runs: Sequence[Record]) -> str:
    headings = ("run", "verdict", "requests", "unanswered", "late", "restarts", "whole again")
    rows = []
    for run in runs:
        measured = run["measured"]
        link = f'<a href="#{escape(run["name"])}">{escape(run["name"])}</a>'
        cells = [measured.get(name, "-") for name in ("requests", "unanswered")]
        cells += [_share(measured.get("late_share")), measured.get("restarts", "-")]
        rows.append([link, _badge(run["verdict"]), *cells, _seconds(measured.get("recover_s"))])
    return _table(headings, rows)


def _section(journal: Record) -> str:
    run = journal["bidwright"]
    experiment = journal.get("experiment") or {}
    parts = [
        f'<section id="{escape(run["name"])}">',
        f"<h2>{escape(run['name'])} {_badge(run['verdict'])}</h2>",
        f"<p>{escape(str(experiment.get('title', '')))}</p>",
        f'<p class="why">{escape(run["why"])}</p>',
    ]
    if run.get("timeline"):
        parts += [_tiles(run["measured"]), f"<figure>{chart(run)}</figure>"]
    parts += [_hypothesis(journal), _checks(run), _monkey(run["measured"])]
    if run.get("timeline"):
        parts += [_money(run), _faults(run), _events(run)]
    return "".join([*parts, "</section>"])


def _tiles(measured: Record) -> str:
    shown = (
        ("requests", f"{measured['requests']:,}"),
        ("unanswered", f"{measured['unanswered']:,}"),
        ("late", _share(measured["late_share"])),
        ("p99 before", _ms(measured["p99_before_ms"])),
        ("worst p99", _ms(measured["p99_worst_ms"])),
        ("noticed after", _seconds(measured["detect_s"])),
        ("whole after", _seconds(measured["recover_s"])),
        ("restarts", f"{measured['restarts']:,}"),
        ("wins", f"{measured['wins']:,}"),
        ("booked", f"{measured['settlements']:,}"),
    )
    tiles = (f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in shown)
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _hypothesis(journal: Record) -> str:
    hypothesis = (journal.get("experiment") or {}).get("steady-state-hypothesis") or {}
    if not hypothesis.get("probes"):
        return ""
    states = journal.get("steady_states") or {}
    before, after = _outputs(states.get("before")), _outputs(states.get("after"))
    rows = []
    for probe in hypothesis["probes"]:
        name = str(probe.get("name"))
        cells = [_cell(before.get(name)), _cell(after.get(name))]
        rows.append([escape(name), escape(_tolerance(probe.get("tolerance"))), *cells])
    title = escape(str(hypothesis.get("title", "")))
    return f"<h3>Hypothesis: {title}</h3>" + _table(("probe", "tolerated", "before", "after"), rows)


def _outputs(state: Record | None) -> dict[str, Record]:
    probes = (state or {}).get("probes") or ()
    return {str((each.get("activity") or {}).get("name")): each for each in probes}


def _cell(probe: Record | None) -> str:
    if probe is None:
        return '<span class="muted">not looked at</span>'
    good = probe.get("status") == "succeeded" and probe.get("tolerance_met", True)
    return f"{_mark(good=bool(good))} {escape(str(probe.get('output')))}"


def _tolerance(tolerance: object) -> str:
    if isinstance(tolerance, dict) and tolerance.get("type") == "range":
        low, high = tolerance["range"]
        return f"{low} to {high}"
    return str(tolerance)


def _checks(run: Record) -> str:
    rows = [
        [_mark(good=check["holds"]), escape(check["name"]), escape(check["says"])]
        for check in run["checks"]
    ]
    return "<h3>What must always hold</h3>" + _table(("", "check", "found"), rows) if rows else ""


def _monkey(measured: Record) -> str:
    if "hurts" not in measured:
        return ""
    hurts = [[escape(name), f"{times:,}"] for name, times in measured["hurts"].items()]
    back = [
        [escape(level), f"{each['number']:,}", _seconds(each["median_s"]), _seconds(each["p95_s"])]
        for level, each in measured["mttr"].items()
    ]
    return (
        f"<h3>{measured['kills']:,} kills</h3>"
        + _table(("what it did", "times"), hurts)
        + "<h3>Time until it was back</h3>"
        + _table(("level", "times", "median", "p95"), back)
    )


def _money(run: Record) -> str:
    before, after = run["money"]["before"], run["money"]["after"]
    names = {
        "settled_micros": "spent",
        "leased_micros": "leased",
        "unfunded_micros": "won without budget",
        "budget_micros": "budget",
    }
    rows = [
        [name, dollars(int(before[key])), dollars(int(after[key]))] for key, name in names.items()
    ]
    rows.append(["settlements", f"{before['settlements']:,}", f"{after['settlements']:,}"])
    return "<h3>Money</h3>" + _table(("", "before", "after"), rows)


def _faults(run: Record) -> str:
    begun_ts = float(run["window"]["begun_ts"])
    rows = [
        [
            _moment(fault["at_ts"], begun_ts),
            escape(f"{fault['kind']} {fault['says']}".strip()),
            escape(", ".join(fault["targets"])),
            _seconds(
                None if fault["recovered_ts"] is None else fault["recovered_ts"] - fault["at_ts"]
            ),
        ]
        for fault in run["faults"][:_MOST_EVENTS]
    ]
    table = _table(("at", "fault", "whom", "whole after"), rows)
    return f"<h3>Faults</h3>{_folded(len(run['faults']), table)}"


def _events(run: Record) -> str:
    begun_ts = float(run["window"]["begun_ts"])
    events = [event for event in run["events"] if event.get("kind") not in _QUIET]
    rows = [
        [
            _moment(event["at_ts"], begun_ts),
            escape(str(event.get("kind"))),
            escape(str(event.get("address")).partition(":")[2]),
            escape(str(event.get("reason"))[:120]),
        ]
        for event in events[:_MOST_EVENTS]
    ]
    more = len(events) - len(rows)
    note = f'<p class="muted">{more} more stand in the journal.</p>' if more > 0 else ""
    table = _table(("at", "event", "part", "reason"), rows) + note
    return f"<h3>Events</h3>{_folded(len(events), table)}"


def _folded(number: int, table: str) -> str:
    """Fold long tables; short ones stand open."""
    is_open = " open" if number <= 12 else ""  # noqa: PLR2004 - what fits beside the rest
    return f"<details{is_open}><summary>{number:,} in all</summary>{table}</details>"


def _table(headings: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _badge(verdict: str) -> str:
    return f'<span class="badge {escape(verdict.lower())}">{escape(verdict)}</span>'


def _mark(*, good: bool) -> str:
    return '<span class="good">✓</span>' if good else '<span class="bad">✗</span>'


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} ms"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _moment(ts: float, begun_ts: float) -> str:
    return f"{float(ts) - begun_ts:.2f} s"
