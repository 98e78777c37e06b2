"""The tree as people see it: once, again and again, coloured or plain, wide or narrow."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from cli.exits import Exit
from cli.looking import (
    allowance_of,
    allowance_style,
    end_of,
    mailbox_style,
    pruned,
    rates_between,
    round_rate,
    state_style,
    walk,
    with_rates,
)
from cli.main import cli
from cli.patience import paced
from cli.tree import tree_table
from cli.watch import GONE, Seen, frame, watch
from tests.cli.conftest import FakeNode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

    Run = Callable[..., Result]

ROOT = Path(__file__).resolve().parents[2]
ESCAPE = "\x1b["


def actor(name: str, *children: dict[str, Any], **facts: Any) -> dict[str, Any]:
    made = {
        "id": name.rsplit("/", 1)[-1],
        "name": name,
        "kind": "supervisor" if children else "worker",
        "placement": "light",
        "pid": 4321,
        "state": "running",
        "strategy": "one_for_one" if children else None,
        "restarts": 0,
        "uptime_s": 12.5,
        "mailbox": 0,
        "handled": 100,
        "last_error": None,
        "children": list(children),
    }
    return made | facts


def small(**facts: Any) -> dict[str, Any]:
    return actor("node", actor("node/a", actor("node/a/b", **facts)), actor("node/c"))


def drawn(renderable: Any, width: int, **options: Any) -> str:
    with (console := Console(width=width, **options)).capture() as captured:
        console.print(renderable)
    return captured.get()


# --- one look ------------------------------------------------------------------------------------


def test_a_pipe_gets_no_colours(run: Run, node: FakeNode) -> None:
    assert ESCAPE not in run("tree").stdout


def test_colours_that_are_asked_for_reach_a_pipe_and_those_not_wanted_reach_nothing(
    run: Run, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert f"{ESCAPE}1;35msuspended" in run("tree").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert ESCAPE not in run("tree").stdout


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("running", "green"),
        ("restarting", "bold yellow"),
        ("suspended", "bold magenta"),
        ("stopped", "bold red"),
        ("something new", "bold red"),
    ],
)
def test_each_state_has_its_colour(state: str, colour: str) -> None:
    assert state_style(state) == colour


@pytest.mark.parametrize(
    ("facts", "text", "colour"),
    [
        ({}, "", ""),
        ({"allowance_left": 4}, "4", "dim"),
        ({"allowance_left": 10, "allowance": 10}, "10/10", "dim"),
        ({"allowance_left": 2, "allowance": 10}, "2/10", "yellow"),
        ({"allowance_left": 0, "allowance": 10}, "0/10", "bold red"),
    ],
)
def test_the_restarts_left_are_shown_and_warned_of(
    facts: dict[str, int], text: str, colour: str
) -> None:
    assert (allowance_of(facts), allowance_style(facts)) == (text, colour)


@pytest.mark.parametrize(
    ("waiting", "colour"), [(None, "dim"), (0, "dim"), (5, ""), (100, "yellow"), (1000, "bold red")]
)
def test_full_mailboxes_stand_out(waiting: int | None, colour: str) -> None:
    assert mailbox_style(waiting) == colour


def test_a_column_that_has_nothing_to_say_is_left_out(run: Run, node: FakeNode) -> None:
    node.tree = small()
    heading = run("tree").stdout.splitlines()[0].split()
    assert heading == ["actor", "state", "restarts", "mailbox", "handled", "up", "pid", "placement"]
    node.tree = small(rate=3.25, allowance_left=1, last_error="it broke")
    heading = run("tree").stdout.splitlines()[0].split()
    assert heading[3:5] == ["left", "rate/s"]
    assert heading[-2:] == ["last", "error"]


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160])
def test_no_line_of_the_tree_is_wider_than_the_terminal(width: int) -> None:
    tree = small(last_error="KeyError: " + "x" * 100, rate=12345.6, allowance_left=3, allowance=10)
    lines = drawn(tree_table(tree, width), width).splitlines()
    assert len([line for line in lines if line.strip()]) == 2 + 4
    assert max(map(len, lines)) <= width


def test_errors_that_have_no_column_are_told_below_the_table(
    run: Run, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.tree = small(last_error="KeyError: 'vector'")
    monkeypatch.setattr("cli.output.width_of_stdout", lambda: 60)
    printed = run("tree").stdout.splitlines()
    assert "last error" not in printed[0]
    assert printed[-1] == " node/a/b: KeyError: 'vector'"


def test_a_tree_can_be_cut_and_tells_how_much_is_hidden(run: Run, node: FakeNode) -> None:
    node.tree = small()
    assert "├─ a (+1)" in run("tree", "--depth", "1").stdout
    cut = json.loads(run("tree", "--depth", "0", "-o", "json").stdout)
    assert (cut["children"], cut["hidden"]) == ([], 3)
    assert pruned(small(), 9) == small()


def test_a_tree_is_one_line_for_scripts_that_like_lines(run: Run, node: FakeNode) -> None:
    (line,) = run("tree", "-o", "ndjson").stdout.splitlines()
    assert json.loads(line) == node.tree


# --- the dead ------------------------------------------------------------------------------------

DEAD = [
    {
        "ts": "2026-01-02T03:04:05.678Z",
        "address": "node-1:node/bidders/bidder-1",
        "kind": "crashed",
        "reason": "KeyError: 'vector'\n",
        "restarts": 3,
    }
]


def test_the_dead_are_shown_with_their_reasons(run: Run, node: FakeNode) -> None:
    node.answers["dead"] = {"dead": DEAD}
    printed = run("tree", "--dead").stdout.splitlines()[-1].split(maxsplit=4)
    assert printed == [
        "03:04:05",
        "node-1:node/bidders/bidder-1",
        "crashed",
        "3",
        "KeyError: 'vector'",
    ]
    assert json.loads(run("tree", "--dead", "-o", "json").stdout) == node.tree | {"dead": DEAD}


def test_a_node_without_dead_says_so(run: Run, node: FakeNode) -> None:
    node.answers["dead"] = {"dead": []}
    assert "nobody has died" in run("tree", "--dead").stdout


def test_a_node_that_keeps_no_dead_shows_its_tree_all_the_same(run: Run, node: FakeNode) -> None:
    node.missing = {"dead"}
    result = run("tree", "--dead")
    assert result.exit_code == Exit.OK
    assert "├─ bidders" in result.stdout
    assert "no account of its dead" in result.stderr


# --- rates ---------------------------------------------------------------------------------------


def test_rates_come_from_two_looks_unless_the_node_tells_them() -> None:
    before, after = small(handled=100), small(handled=130)
    rates = {node["name"]: node["rate"] for node in walk(with_rates(before, after, 2.0))}
    assert rates == {"node": 0.0, "node/a": 0.0, "node/a/b": 15.0, "node/c": 0.0}
    told = with_rates(before, small(handled=130, rate=7.0), 2.0)
    assert [node["rate"] for node in walk(told)] == [0.0, 0.0, 7.0, 0.0]


def test_who_is_new_has_no_rate() -> None:
    before = small(handled=100)
    assert "node/a/b" not in rates_between(before, small(handled=130, restarts=1), 1.0)
    assert "node/a/b" not in rates_between(before, small(handled=5), 1.0)
    assert "node/d" not in rates_between(before, actor("node", actor("node/d")), 1.0)
    assert rates_between(before, before, 0.0) == {}


@pytest.mark.parametrize(
    ("rate", "shown"), [(None, None), (0.0, 0), (0.26, 0.3), (9.96, 10.0), (1234.5, 1234)]
)
def test_rates_have_as_many_digits_as_people_read(rate: float | None, shown: float | None) -> None:
    assert round_rate(rate) == shown


def test_long_paths_show_their_end() -> None:
    assert end_of("node/a/b", 8) == "node/a/b"
    assert end_of("node/a/b", 4) == "…a/b"


# --- again and again -----------------------------------------------------------------------------


class Looks:
    """A look that is scripted: a tree to show, or an exception."""

    dead = False

    def __init__(self, *results: Any) -> None:
        self._results = iter(results)

    def __call__(self) -> dict[str, Any]:
        result = next(self._results)
        if isinstance(result, Exception):
            raise result
        return dict(result)


class Clock:
    def __init__(self) -> None:
        self.now_s = 50.0

    def __call__(self) -> float:
        self.now_s += 1.0
        return self.now_s


def looked(run: Run, node: FakeNode | None, *words: str, between: Any = None) -> Result:
    """Watch for two looks; ``between`` happens between them; then Ctrl-C."""

    def beats(_interval_s: float) -> Iterator[None]:
        yield
        if between is not None:
            between()
        yield
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.watch.paced", beats)
        return run("tree", "--watch", *words)


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_watching_prints_one_tree_a_line_for_scripts(run: Run, node: FakeNode, form: str) -> None:
    node.tree = small(handled=10)
    result = looked(run, node, "-o", form)
    assert result.exit_code == Exit.OK
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["id"] == second["id"] == "node"
    assert result.stderr == ""


def test_watching_survives_the_end_of_the_node_and_its_return(run: Run, data_dir: Path) -> None:
    from config.paths import NodePaths

    paths, born = NodePaths(data_dir).make(), []
    result = looked(run, None, "-o", "ndjson", between=lambda: born.append(FakeNode(paths)))
    born[0].close()
    assert result.exit_code == Exit.OK
    assert result.stderr == f"{GONE}\n"
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["id"] == "node"


def test_watching_into_a_file_prints_one_table_after_another(run: Run, node: FakeNode) -> None:
    node.answers["dead"] = {"dead": DEAD}
    result = looked(run, node, "--dead")
    assert result.stdout.count("├─ bidders") == result.stdout.count("KeyError: 'vector'") == 2
    assert ESCAPE not in result.stdout


@pytest.mark.parametrize("interval", ["0.5", "0", "nan"])
def test_nobody_looks_more_often_than_once_a_second(run: Run, interval: str) -> None:
    assert run("tree", "--watch", "--interval", interval).exit_code == Exit.USAGE


def test_a_picture_keeps_the_last_tree_and_tells_that_the_node_is_gone() -> None:
    from cli.errors import DegradedError, NodeNotRunningError

    seen = Seen(
        Looks(NodeNotRunningError("x"), small(), DegradedError("slow"), NodeNotRunningError("x")),
        Clock(),
    )
    pictures = []
    for _ in range(4):
        seen.again()
        pictures.append(drawn(frame(seen, 80, 20), 80))
    assert pictures[0].strip() == GONE
    assert "live" in pictures[1]
    assert all("├─ a" in picture for picture in pictures[1:])
    assert "slow" in pictures[2]
    assert GONE in pictures[3]


def test_a_picture_is_never_higher_than_the_window() -> None:
    seen = Seen(Looks(small()), Clock())
    seen.again()
    for height in (7, 8, 9, 20):
        picture = drawn(frame(seen, 100, height), 100).rstrip("\n").splitlines()
        assert len(picture) <= height
        assert any("more lines" in line for line in picture) == (height < 9)


def test_a_watch_looks_at_once_and_then_regularly_and_misses_turns_rather_than_hurry() -> None:
    now_s, naps = 0.0, []

    def sleep(nap_s: float) -> None:
        nonlocal now_s
        naps.append(nap_s)
        now_s += nap_s

    turns, came_s = paced(1.0, clock=lambda: now_s, sleep=sleep), []
    for work_s in (0.25, 0.0, 3.5, 0.0):
        next(turns)
        came_s.append(now_s)
        now_s += work_s
    assert came_s == [0.0, 1.0, 2.0, 5.5]
    assert naps == [0.75, 1.0, 0.0]


def test_watch_ends_with_the_beats() -> None:
    watch(Looks(small()), "ndjson", 1.0, beats=[None], clock=Clock())  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_ctrl_c_that_falls_into_a_finaliser_is_not_lost() -> None:
    class Finalised:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    turns: list[int] = []

    def beats() -> Iterator[None]:
        for turn in range(3):
            turns.append(turn)
            Finalised()
            yield

    watch(Looks(small()), "ndjson", 1.0, beats=beats(), clock=Clock())  # type: ignore[arg-type]
    assert turns == [0]


@pytest.mark.slow
def test_on_a_terminal_it_redraws_in_place_and_ctrl_c_ends_it_quietly(node: FakeNode) -> None:
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (30, 90))
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "tree", "--watch"],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    seen = b""
    while b"Ctrl-C ends" not in seen:
        assert select.select([master], [], [], 20)[0], seen
        seen += os.read(master, 65_536)
    process.send_signal(signal.SIGINT)
    while select.select([master], [], [], 20)[0]:
        try:
            seen += os.read(master, 65_536)
        except OSError:  # the other side is closed
            break
    os.close(master)
    assert process.wait(20) == Exit.OK
    text = seen.decode()
    assert "\x1b[?1049h" in text
    assert text.index("\x1b[?1049h") < text.index("bidders") < text.rindex("\x1b[?1049l")
    assert re.search(r"\x1b\[1;35msuspended", text)
    assert "Traceback" not in text


def test_the_command_has_all_its_options() -> None:
    shown = CliRunner().invoke(cli, ["tree", "--help"]).stdout
    assert all(f"--{name}" in shown for name in ("watch", "interval", "depth", "dead", "output"))
