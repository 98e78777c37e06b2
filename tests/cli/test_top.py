"""The full screen: what it shows of a node, how keys steer it, and that it never waits for one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Input, Static

from cli.exits import Exit
from cli.top.app import NOTHING_TOLD, Top
from cli.top.pane import Pane
from cli.top.poll import GONE, Line
from cli.top.screens import Details, Events, Help, Question
from config.paths import NodePaths
from tests.cli.conftest import FakeNode
from tests.cli.test_tree import actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from textual.pilot import Pilot

    Script = Callable[["Screen"], Awaitable[None]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

AGENTS = "node/bidders/bidder-1/cell/agents"
WINDOW = {"window_s": 10, "p50_ms": 1.5, "p99_ms": 12.25}


def tree(**profiler: Any) -> dict[str, Any]:
    """A node with one bidder, two agents, a gateway and a ledger."""
    told = WINDOW | {"answered": 90, "retried": 9, "fallbacks": 10}
    agents = actor(
        AGENTS,
        actor(f"{AGENTS}/user-profiler", **({"rate": 20.0, "details": told} | profiler)),
        actor(f"{AGENTS}/oversight", rate=30.0, details=told | {"fallbacks": 0}),
        allowance_left=2,
        allowance=10,
    )
    served = WINDOW | {"requests": 5000, "requests_per_s": 500.0, "bids": 3000}
    gateway = actor(
        "node/bidders/bidder-1/cell/gateway",
        rate=900.5,
        mailbox=150,
        details=served | {"shed": 0, "late": 4},
    )
    cell = actor("node/bidders/bidder-1/cell", agents, gateway)
    bidder = actor("node/bidders/bidder-1", cell, kind="worker", placement="process")
    ledger = actor("node/ledger", rate=7.0, restarts=3, state="suspended", last_error="disk full")
    return actor("node", actor("node/bidders", bidder), ledger)


STATUS = {"state": "ready", "node": "node-1", "pid": 77, "uptime_s": 7200.0, "rebuilds": 0}
PROCESSES = {
    "node/ledger": {
        "pid": 5,
        "cpu_s": 4.0,
        "rss_bytes": 64 << 20,
        "threads": 3,
        "fds": 20,
        "os_state": "stopped",
    },
    "node": {
        "pid": 4,
        "cpu_s": 1.0,
        "rss_bytes": 50 << 20,
        "threads": 2,
        "fds": 9,
        "os_state": "sleeping",
    },
}
DEAD = [
    {
        "ts": f"2026-01-02T03:04:0{number}.678Z",
        "address": f"node-1:{AGENTS}/user-profiler",
        "kind": "crashed",
        "reason": f"KeyError: {number}",
        "restarts": number,
    }
    for number in (1, 2)
]


class Clock:
    """A second passes with each look at it."""

    def __init__(self) -> None:
        self._now_s = 100.0

    def __call__(self) -> float:
        self._now_s += 1.0
        return self._now_s


class Screen:
    """A screen under test: it looks at the node only when it is told to."""

    def __init__(self, app: Top, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def filter(self, words: str) -> None:
        await self.press("slash")
        self.app.query_one("#filter", Input).value = words
        await self.press("enter")

    async def look(self) -> None:
        self.app.look()
        await self.settle()

    async def settle(self) -> None:
        """Wait until everything under way is done and drawn."""
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    def rows(self, pane: str = "actors") -> list[list[str]]:
        return self.app.screen_stack[0].query_one(f"#{pane}", Pane).texts()

    def names(self) -> list[str]:
        return [row[0].lstrip("│├└─ ") for row in self.rows()]

    def hint(self, pane: str) -> str:
        return str(self.app.screen_stack[0].query_one(f"#{pane}").border_subtitle)

    def text(self, selector: str = "#heading") -> str:
        return str(self.app.screen.query_one(selector, Static).content)

    def told(self) -> list[str]:
        """What was told in passing."""
        return [each.message for each in self.app._notifications]

    async def point_at(self, name: str) -> None:
        self.app.query_one("#actors", Pane).move_cursor(self.names().index(name))
        await self.pilot.pause()


def played(data_dir: Path, script: Script, size: tuple[int, int] = (150, 24)) -> None:
    async def play() -> None:
        app = Top(Line(data_dir).ask, Clock(), interval_s=3600.0)
        async with app.run_test(size=size) as pilot:
            screen = Screen(app, pilot)
            await screen.settle()
            await script(screen)
            await screen.settle()

    asyncio.run(play())


@pytest.fixture
def busy(node: FakeNode) -> FakeNode:
    node.tree, node.status = tree(), dict(STATUS)
    node.answers = {"processes": {"processes": PROCESSES}, "dead": {"dead": DEAD}}
    return node


# --- what it shows -------------------------------------------------------------------------------


def test_it_shows_the_tree_and_how_the_node_does(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        assert [row[:7] for row in screen.rows()][4:7] == [
            ["│        ├─ agents", "running", "0", "2/10", "", "0", "12.5 s"],
            ["│        │  ├─ user-profiler", "running", "0", "", "20", "0", "12.5 s"],
            ["│        │  └─ oversight", "running", "0", "", "30", "0", "12.5 s"],
        ]
        assert screen.rows()[-1][:8] == [
            *("└─ ledger", "suspended", "3", "", "7.0", "0", "12.5 s", "disk full")
        ]
        for words in (
            *("node-1 ready", "up 2.0 h", "rebuilds 0", "500 requests/s", "300 bids/s"),
            *("p50 1.5 ms", "p99 12.2 ms", "shed 0", "late 4", "8 running", "1 suspended"),
            *("restarts 3", "waiting 150, most at bidder-1/gateway"),
        ):
            assert words in screen.text()

    played(data_dir, script)


def test_it_shows_the_busiest_agents_processes_and_the_dead(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        assert screen.rows("busy")[:2] == [
            ["bidder-1/gateway", "900", "150"],
            ["bidder-1/oversight", "30", "0"],
        ]
        assert screen.rows("agents") == [
            ["user-profiler", "1.50", "12.25", "81.0%", "9.0%", "10.0%"],
            ["oversight", "1.50", "12.25", "90.0%", "10.0%", "0.0%"],
        ]
        assert screen.rows("dead") == [
            ["03:04:02", "bidder-1/user-profiler", "crashed", "KeyError: 2"],
            ["03:04:01", "bidder-1/user-profiler", "crashed", "KeyError: 1"],
        ]
        assert [row[2] for row in screen.rows("processes")] == ["", ""]
        more = {path: dict(facts) for path, facts in PROCESSES.items()}
        more["node"]["cpu_s"] = 1.5
        busy.answers["processes"] = {"processes": more}
        await screen.look()
        assert screen.rows("processes") == [
            ["node", "4", "50%", "50", "2", "9", "sleeping"],
            ["ledger", "5", "0%", "64", "3", "20", "stopped"],
        ]

    played(data_dir, script)


def test_a_node_that_cannot_tell_everything_leaves_panes_empty_and_is_asked_once(
    busy: FakeNode, data_dir: Path
) -> None:
    busy.missing = {"processes", "dead", "show", "events"}
    busy.tree = actor("node", actor("node/ledger"))

    async def script(screen: Screen) -> None:
        await screen.look()
        for pane in ("processes", "dead", "agents"):
            assert (screen.rows(pane), screen.hint(pane)) == ([], NOTHING_TOLD)
        assert screen.names() == ["node", "ledger"]
        assert [op for op, _ in busy.asked].count("dead") == 1
        await screen.press("enter")
        assert "tells no more" in str(screen.app.screen.query_one("#window").border_subtitle)
        assert "one_for_one" in screen.text("#facts")
        await screen.press("escape", "e")
        assert "keeps no events" in str(screen.app.screen.query_one("#window").border_subtitle)
        busy.status["pid"], busy.missing = 78, set()  # a newer node
        await screen.press("escape")
        await screen.look()
        assert screen.hint("dead") == ""

    played(data_dir, script)


def test_it_waits_for_a_node_that_is_away_and_shows_the_next_one(data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        assert GONE in screen.text()
        node = FakeNode(NodePaths(data_dir).make())
        node.tree, node.status = tree(), dict(STATUS)
        await screen.look()
        assert GONE not in screen.text()
        assert "ledger" in screen.names()
        node.close()
        await screen.look()
        assert GONE in screen.text()
        assert "ledger" in screen.names(), "the last picture stays"
        await screen.press("s")
        assert any("no node answers" in told for told in screen.told())

    played(data_dir, script)


def test_it_never_waits_for_the_node_and_never_has_two_looks_under_way() -> None:
    asked, answer_now = [], threading.Event()

    def ask(op: str, **_args: object) -> dict[str, Any]:
        asked.append(op)
        assert answer_now.wait(20)
        return {"status": STATUS, "tree": tree()}.get(op, {"dead": [], "processes": {}})

    async def play() -> None:
        app = Top(ask, Clock(), interval_s=3600.0)
        async with app.run_test(size=(160, 40)) as pilot:
            for _ in range(3):
                app.look()
            await pilot.press("question_mark")
            assert isinstance(app.screen, Help)
            assert asked == ["status"]
            answer_now.set()
            await app.workers.wait_for_complete()
            assert asked == ["status", "tree", "processes", "dead"]

    asyncio.run(play())


@pytest.mark.parametrize("size", [(80, 24), (146, 30)])
def test_it_fits_into_any_window(busy: FakeNode, data_dir: Path, size: tuple[int, int]) -> None:
    async def script(screen: Screen) -> None:
        assert screen.app.query_one("#actors").size.width <= size[0]
        wide = size[0] >= 146
        for pane in ("agents", "busy", "processes", "dead"):
            assert screen.app.query_one(f"#{pane}").display == (wide or pane == "agents")
        await screen.press("p")
        assert screen.app.query_one("#busy").display

    played(data_dir, script, size)


# --- looking around -----------------------------------------------------------------------------


def test_number_keys_sort_turn_round_and_go_back_to_the_tree(
    busy: FakeNode, data_dir: Path
) -> None:
    async def script(screen: Screen) -> None:
        drawn = screen.names()
        await screen.press("5")
        assert screen.names()[:2] == ["bidder-1/gateway", "bidder-1/oversight"]
        assert screen.app.query_one("#actors").border_title == "Actors by rate/s ▼"
        await screen.press("5")
        assert screen.names()[-1] == "bidder-1/gateway"
        await screen.press("5")
        assert screen.names() == drawn
        for key, first in (("1", "bidder-1"), ("2", "ledger"), ("3", "ledger"), ("4", "agents")):
            await screen.press(key)
            assert screen.names()[0].endswith(first), key

    played(data_dir, script)


def test_a_filter_keeps_matching_actors_and_the_way_to_them(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        await screen.filter("profiler")
        assert screen.names() == [
            *("node", "bidders", "bidder-1", "cell", "agents", "user-profiler")
        ]
        await screen.press("5")
        assert screen.names() == ["bidder-1/user-profiler"]
        assert "profiler" in screen.hint("actors")
        await screen.press("escape")
        assert len(screen.names()) == 9
        await screen.filter("suspended disk")
        assert screen.names() == ["ledger"]
        await screen.press("slash", "x")
        assert screen.app.query_one("#filter", Input).has_focus
        assert screen.names() == []

    played(data_dir, script)


def test_the_cursor_stays_on_its_actor_when_others_come_and_go(
    busy: FakeNode, data_dir: Path
) -> None:
    async def script(screen: Screen) -> None:
        await screen.point_at("ledger")
        busy.tree = tree()
        busy.tree["children"].insert(0, actor("node/newcomer"))
        await screen.look()
        assert screen.names()[1] == "newcomer"
        assert screen.app.query_one("#actors", Pane).selected == "node/ledger"
        busy.tree = actor("node")
        await screen.look()
        assert screen.app.query_one("#actors", Pane).selected == "node"

    played(data_dir, script)


def test_enter_tells_all_there_is_to_know_of_an_actor(busy: FakeNode, data_dir: Path) -> None:
    busy.answers["show"] = {
        "node": actor("node/ledger", address="node-1:node/ledger"),
        "account": {"settled_micros": 12345, "by": {"campaign": 3}},
        "account_error": None,
        "process": {"pid": 5, "os_state": "stopped"},
        "last_events": [DEAD[0] | {"detail": "Traceback of it"}],
    }

    async def script(screen: Screen) -> None:
        await screen.point_at("ledger")
        await screen.press("enter")
        assert isinstance(screen.app.screen, Details)
        assert ("show", {"name": "node/ledger"}) in busy.asked
        told = screen.text("#facts")
        for words in ("settled_micros", "12345", "by.campaign", "stopped", "Traceback of it"):
            assert words in told
        assert "account error" not in told
        await screen.press("enter")
        assert not isinstance(screen.app.screen, Details)

    played(data_dir, script)


def test_events_go_on_where_they_were_read_up_to(busy: FakeNode, data_dir: Path) -> None:
    busy.answers["events"] = {"events": DEAD, "cursor": "17"}

    async def script(screen: Screen) -> None:
        await screen.press("e")
        events = screen.app.screen
        assert isinstance(events, Events)
        assert screen.text("#events").count("crashed") == 2
        busy.answers["events"] = {"events": [], "cursor": "18"}
        events.look()
        await screen.settle()
        assert screen.text("#events").count("crashed") == 2
        asked = [args for op, args in busy.asked if op == "events"]
        assert asked == [{"limit": 100}, {"limit": 100, "cursor": "17"}]

    played(data_dir, script)


# --- steering ------------------------------------------------------------------------------------


def test_killing_and_restarting_are_confirmed(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        await screen.point_at("oversight")
        for key, no in (("k", "n"), ("R", "escape")):
            await screen.press(key)
            assert isinstance(screen.app.screen, Question)
            await screen.press(no)
        assert not {"kill", "restart"} & {op for op, _ in busy.asked}
        for key, op in (("k", "kill"), ("R", "restart")):
            await screen.press(key, "y")
            assert (op, {"name": f"{AGENTS}/oversight"}) in busy.asked
            assert f"{op}ed {AGENTS}/oversight" in screen.told()

    played(data_dir, script)


def test_suspending_and_resuming_happen_at_once(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        await screen.point_at("user-profiler")
        await screen.press("s", "r")
        done = [each for each in busy.asked if each[0] in {"suspend", "resume"}]
        name = {"name": f"{AGENTS}/user-profiler"}
        assert done == [("suspend", name), ("resume", name)]
        busy.missing = {"suspend"}
        await screen.press("s")
        assert "a node knows no operation 'suspend'" in screen.told()

    played(data_dir, script)


def test_keys_mean_the_actor_of_the_pane_that_has_the_focus(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        screen.app.query_one("#dead").focus()
        await screen.press("down", "s")
        assert ("suspend", {"name": f"{AGENTS}/user-profiler"}) in busy.asked
        busy.tree = actor("node")
        await screen.look()
        await screen.press("s", "k")
        assert screen.told().count("there is no actor under the cursor") == 2

    played(data_dir, script)


def test_q_ends_it_and_closes_windows_first(busy: FakeNode, data_dir: Path) -> None:
    async def script(screen: Screen) -> None:
        await screen.press("question_mark", "q")
        assert len(screen.app.screen_stack) == 1
        await screen.press("q")
        assert not screen.app.is_running

    played(data_dir, script)


def test_without_a_terminal_it_names_the_command_for_pipes(
    run: Callable[..., Any], node: FakeNode
) -> None:
    result = run("top")
    assert result.exit_code == Exit.ERROR
    assert "tree --watch" in result.stderr
