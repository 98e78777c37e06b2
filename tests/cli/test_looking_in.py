"""``bidwright actor`` and ``bidwright events`` against a node that says what it is told to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli import events as events_command
from cli.event_lines import COLOURS
from cli.exits import Exit
from config.paths import NodePaths
from supervision.inspection.records import EVENT_KINDS
from transport.event_file import EventFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

    from tests.cli.conftest import FakeNode

    Run = Callable[..., Result]

NAME = "node-1:node/edge"
CRASH = {
    "ts": "2026-01-02T03:04:05.678Z",
    "kind": "crashed",
    "address": NAME,
    "reason": "ValueError: broken\nmore",
    "detail": "Traceback (most recent call last):\n  File x\nValueError: broken",
    "restarts": 0,
}
RESTART = {**CRASH, "kind": "restarted", "reason": "restart", "detail": "", "restarts": 1}
SHOWN: dict[str, Any] = {
    "node": {
        "id": "edge",
        "address": NAME,
        "state": "running",
        "restarts": 2,
        "uptime_s": 3.5,
        "allowance": 5,
        "allowance_left": 3,
        "allowance_period_s": 10,
        "mailbox": 0,
    },
    "account": {"behaviour": "actors:Edge", "run_state": "running", "details": {"asked": 17}},
    "account_error": None,
    "process": {
        "pid": 4711,
        "cpu_s": 1.5,
        "rss_bytes": 3 << 20,
        "threads": 2,
        "fds": 9,
        "os_state": "sleeping",
    },
    "last_events": [CRASH],
}


# --- show, state, stack, restart ---------------------------------------------------------------


def test_show_prints_the_table_the_process_the_account_and_the_past(
    run: Run, node: FakeNode
) -> None:
    node.answers["show"] = SHOWN
    shown = run("actor", "show", "edge")
    assert shown.exit_code == Exit.OK
    for text in (NAME, "3 of 5 within 10 s", "pid", "4711", "3.0 MiB", "asked", "17", "crashed"):
        assert text in shown.stdout
    assert "Traceback" not in shown.stdout
    assert node.asked[-1] == ("show", {"name": "edge"})
    assert json.loads(run("actor", "show", "edge", "-o", "json").stdout) == SHOWN


def test_show_says_why_there_is_no_account(run: Run, node: FakeNode) -> None:
    why = "it did not answer within 0.5 s"
    node.answers["show"] = {**SHOWN, "account": None, "account_error": why, "process": None}
    shown = run("actor", "show", "edge")
    assert shown.exit_code == Exit.OK
    assert why in shown.stdout
    assert "4711" not in shown.stdout


def test_state_is_printed_as_deep_as_it_goes(run: Run, node: FakeNode) -> None:
    node.answers["state"] = {
        "name": "node/edge",
        "state": {"count": 1, "deep": {"list": [1, {"a": None}], "empty": {}}, "none": []},
    }
    assert run("actor", "state", "edge").stdout.splitlines() == [
        "count: 1",
        "deep:",
        "  list:",
        "    - 1",
        "    -",
        "      a: None",
        "  empty: {}",
        "none: []",
    ]
    node.answers["state"] = {"state": "<dict that cannot be shown: TypeError>"}
    assert "cannot be shown" in run("actor", "state", "edge").stdout


def test_a_stack_is_printed_and_its_absence_is_degraded(run: Run, node: FakeNode) -> None:
    told = {"process": "node/edge", "pid": 7, "os_state": "running", "error": None}
    node.answers["stack"] = {**told, "stack": "Thread 1\n  File a.py, line 1 in busy"}
    shown = run("actor", "stack", "edge")
    assert shown.exit_code == Exit.OK
    assert "node/edge (pid 7), running" in shown.stdout
    assert "in busy" in shown.stdout
    node.answers["stack"] = {**told, "stack": None, "error": "the process is stopped"}
    absent = run("actor", "stack", "edge")
    assert absent.exit_code == Exit.DEGRADED
    assert "no stack of node/edge: the process is stopped" in absent.stderr
    as_json = run("actor", "stack", "edge", "-o", "json")
    assert as_json.exit_code == Exit.DEGRADED
    assert json.loads(as_json.stdout)["stack"] is None


@pytest.mark.parametrize("verb", ["kill", "restart", "suspend", "resume"])
def test_an_order_is_passed_on_and_said(run: Run, node: FakeNode, verb: str) -> None:
    done = run("actor", verb, "node-1:edge")
    assert done.exit_code == Exit.OK
    assert node.asked[-1] == (verb, {"name": "node-1:edge"})
    assert "node-1:edge" in done.stdout
    assert json.loads(run("actor", verb, "edge", "-o", "json").stdout) == {"done": verb}
    refused = run("actor", verb, "nobody")
    assert refused.exit_code == Exit.ERROR
    assert "no actor called nobody" in refused.stderr


# --- trace -------------------------------------------------------------------------------------


def message(number: int) -> dict[str, Any]:
    return {
        "at_s": float(number),
        "direction": "in" if number % 2 else "out",
        "type": "Question",
        "peer": "node/x",
        "message": {"type": "Question", "n": number},
    }


def test_a_trace_is_read_until_it_ends(run: Run, node: FakeNode) -> None:
    pages = [
        {"messages": [], "next": 0, "active": True},
        {"messages": [message(1), message(2)], "next": 2, "active": True},
        {"messages": [message(3)], "next": 3, "active": False},
    ]
    node.answers["trace"] = lambda _args: pages.pop(0)
    shown = run("actor", "trace", "edge", "--limit", "3", "--for", "5")
    assert shown.stdout.splitlines() == [
        "  1.000000 <- Question node/x: (n=1)",
        "  2.000000 -> Question node/x: (n=2)",
        "  3.000000 <- Question node/x: (n=3)",
    ]
    assert [args for _, args in node.asked] == [
        {"name": "edge", "limit": 3, "for_s": 5.0},
        {"name": "edge", "since": 0},
        {"name": "edge", "since": 2},
    ]


def test_a_trace_that_is_broken_off_is_switched_off(
    run: Run, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.answers["trace"] = {"messages": [message(1)], "next": 1, "active": True}

    def interrupt(_value: object, **_how: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.actor.print_json", interrupt)
    assert run("actor", "trace", "edge", "-o", "json").exit_code == Exit.INTERRUPTED
    assert node.asked[-1] == ("trace", {"name": "edge", "since": 1, "stop": True})


def test_a_trace_in_json_is_an_object_a_line(run: Run, node: FakeNode) -> None:
    node.answers["trace"] = {"messages": [message(1), message(2)], "next": 2, "active": False}
    lines = run("actor", "trace", "edge", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["at_s"] for line in lines] == [1.0, 2.0]


# --- events ------------------------------------------------------------------------------------


def test_every_kind_of_event_has_a_colour_and_can_be_asked_for() -> None:
    assert set(COLOURS) == EVENT_KINDS


def test_events_are_lines_with_their_traceback_below(run: Run, node: FakeNode) -> None:
    node.answers["events"] = {"events": [CRASH, RESTART], "cursor": "c"}
    shown = run("events", "-n", "7", "--kind", "crashed", "--kind", "restarted")
    assert node.asked[-1] == ("events", {"limit": 7, "kinds": ["crashed", "restarted"]})
    first, *traceback, last = shown.stdout.splitlines()
    assert first.split() == [
        "2026-01-02", "03:04:05.678", "crashed", NAME, "ValueError:", "broken",
    ]  # fmt: skip
    assert [line[4:] for line in traceback] == str(CRASH["detail"]).splitlines()
    assert last.endswith(f"{NAME}  restart 1")
    assert len(run("events", "--brief").stdout.splitlines()) == 2


def test_who_gave_up_is_said_with_whom_it_was_too_much(run: Run, node: FakeNode) -> None:
    gave_up = {**CRASH, "kind": "gave_up", "reason": "too many", "offender": {"id": "profiler"}}
    node.answers["events"] = {"events": [{**gave_up, "suppressed": 4}], "cursor": "c"}
    line = run("events", "--brief").stdout
    assert "too many, because of profiler, 4 more like it are not shown" in line


@pytest.mark.parametrize("output", ["json", "ndjson"])
def test_events_for_scripts_are_a_list_or_an_object_a_line(
    run: Run, node: FakeNode, output: str
) -> None:
    node.answers["events"] = {"events": [CRASH, RESTART], "cursor": "c"}
    text = run("events", "-o", output).stdout
    found = json.loads(text) if output == "json" else [json.loads(x) for x in text.splitlines()]
    assert found == [CRASH, RESTART]


def test_the_dead_are_shown_with_their_reason(run: Run, node: FakeNode) -> None:
    node.answers["dead"] = {"dead": [CRASH, {**CRASH, "kind": "start_failed"}]}
    assert run("events", "--dead").stdout.count("ValueError: broken") == 4
    only = run("events", "--dead", "--kind", "start_failed", "-o", "json")
    assert [grave["kind"] for grave in json.loads(only.stdout)] == ["start_failed"]
    assert json.loads(run("events", "--dead", "-n", "0", "-o", "json").stdout) == []


def test_following_goes_on_from_the_cursor_until_the_node_is_gone(
    run: Run, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_command, "_POLL_S", 0.0)
    pages = [
        {"events": [CRASH], "cursor": "c1"},
        {"events": [], "cursor": "c1"},
        {"events": [RESTART], "cursor": "c2"},
    ]

    def answer(_args: dict[str, object]) -> object:
        if not pages:
            raise KeyboardInterrupt
        return pages.pop(0)

    monkeypatch.setattr("cli.node.Node.ask", lambda _node, op, **args: heard(op, args))
    asked: list[dict[str, object]] = []

    def heard(_op: str, args: dict[str, object]) -> object:
        asked.append(args)
        return answer(args)

    shown = run("events", "--follow", "-o", "json", "-n", "1")
    assert shown.exit_code == Exit.INTERRUPTED
    assert [json.loads(line)["kind"] for line in shown.stdout.splitlines()] == [
        "crashed",
        "restarted",
    ]
    assert [args.get("cursor") for args in asked] == [None, "c1", "c1", "c2"]


def test_to_follow_the_dead_is_no_use(run: Run) -> None:
    assert run("events", "--follow", "--dead").exit_code == Exit.USAGE
    assert run("events", "--kind", "exploded").exit_code == Exit.USAGE


def test_of_a_node_that_is_gone_the_past_is_read_from_its_file(run: Run, data_dir: Path) -> None:
    assert run("events").exit_code == Exit.NOT_RUNNING
    file = EventFile(NodePaths(data_dir).make().events_file)
    file.append({**CRASH, "context": "child_terminated"})
    file.append({**RESTART, "context": "restarted"})
    for how, kinds in (((), ["crashed", "restarted"]), (("--dead",), ["crashed"])):
        past = run("events", "-o", "json", *how)
        assert past.exit_code == Exit.OK
        assert "no node runs" in past.stderr
        assert [event["kind"] for event in json.loads(past.stdout)] == kinds
    assert len(json.loads(run("events", "-o", "json", "-k", "restarted").stdout)) == 1
    assert run("events", "--follow").exit_code == Exit.NOT_RUNNING
