"""Looking into a real node: what answers while parts of it have hung, crashed or been killed."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from supervision.inspection.tree import walk
from tests.cli.test_top import Screen, played
from tests.integration.asker import Line
from tests.integration.node import Node
from tests.integration.waiting import eventually
from transport.control import ControlClient
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(150)]

PROFILER = "node/bidders/bidder-1/cell/agents/user-profiler"
LIMIT_S = 15.0
PRIVATE = {
    "user": "u5er-4711-ada",
    "buyer": "buy3r-4712-ada",
    "ip": "203.0.113.77",
    "ifa": "1fa0c0de-4713-4713-4713-00000000beef",
    "agent": "Mozilla/5.0 (X11; Linux x86_64; 4714) Chrome/120.0 Safari/537.36",
    "consent": "CPc0n5entSTR1NG4715AAA",
}
REQUEST = {
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.01}],
    "site": {"domain": "news.example", "cat": ["IAB17"]},
    "device": {
        "ua": PRIVATE["agent"],
        "ip": PRIVATE["ip"],
        "ifa": PRIVATE["ifa"],
        "devicetype": 2,
        "geo": {"country": "DEU", "lat": 48.4716, "lon": 9.4717},
    },
    "user": {
        "id": PRIVATE["user"],
        "buyeruid": PRIVATE["buyer"],
        "consent": PRIVATE["consent"],
        "ext": {"consent": PRIVATE["consent"]},
    },
    "regs": {"gdpr": 0},
    "tmax": 900,
}


class Watched(Node):
    """A node whose hung processes are left alone for a while, so that one can look at them."""

    def ask(self, op: str, **args: Any) -> Any:
        return ControlClient(self.control_socket).call(op, 5.0, **args)

    def bid(self, number: int) -> dict[str, Any]:
        line = Line(f"tcp://127.0.0.1:{self.port}")
        try:
            return line.ask(json.dumps({**REQUEST, "id": f"look-{number}"}).encode())
        finally:
            line.close()

    def kinds(self, path: str) -> list[str]:
        """The kinds of the events about ``path`` since the node was started."""
        address = f"node-1:{path}"
        found = self.ask("events", limit=1000)["events"]
        return [event["kind"] for event in found if event["address"] == address]

    def restarts(self, name: str) -> int:
        return int(self.ask("show", name=name)["node"]["restarts"])

    def pid_of(self, name: str) -> int:
        return int(self.ask("show", name=name)["node"]["pid"])

    @contextmanager
    def stopped(self, name: str) -> Iterator[int]:
        """Stop a process for a while."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(
                lambda: self.ask("processes")["processes"][name]["os_state"] == "stopped",
                LIMIT_S,
                f"{name} is stopped",
            )
            yield pid
        finally:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def node() -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="bw-", ignore_cleanup_errors=True) as folder:
        node = Watched(Path(folder))
        node.environment["BIDWRIGHT_SUPERVISION__HANG_S"] = "60"
        try:
            node.up()
            yield node
            runtime = node.control_socket.parent
            assert node.run("down").returncode == 0
            assert not runtime.exists(), "the folder of the sockets goes with the node"
        finally:
            node.destroy()


def test_the_tree_has_addresses_rates_and_allowances(node: Watched) -> None:
    nodes = walk(node.ask("tree"))
    assert all(each["address"] == f"node-1:{each['name']}" for each in nodes)
    assert all(isinstance(each["rate"], float) for each in nodes)
    for each in nodes:
        if each["kind"] == "supervisor":
            assert 0 <= each["allowance_left"] <= each["allowance"]
            assert each["allowance_period_s"] > 0
    processes = node.ask("processes")["processes"]
    assert set(processes) == {x["name"] for x in nodes if x["placement"] == "process"}
    assert all(each["rss_bytes"] > 1_000_000 and each["fds"] > 3 for each in processes.values())


def test_nothing_private_is_seen_in_states_traces_accounts_or_events(node: Watched) -> None:
    names = [each["name"] for each in walk(node.ask("tree"))]
    traced = [name for name in names if name.startswith("node/bidders/bidder-1/cell")]
    for name in traced:
        node.ask("trace", name=name, for_s=30.0, limit=1000)
    for number in range(20):
        node.bid(number)
    traces = {name: node.ask("trace", name=name, since=0, stop=True) for name in traced}
    types = {each["type"] for trace in traces.values() for each in trace["messages"]}
    assert {"Vet", "Profile", "Profiled", "Fund", "StartChild", "Decided"} <= types
    seen = [traces, node.ask("events", limit=1000), node.ask("tree")]
    for name in names:
        seen += [node.ask("state", name=name), node.ask("show", name=name)]
    text = json.dumps(seen)
    assert [word for word in PRIVATE.values() if word in text] == []
    assert "48.4716" not in text
    assert len(text) > 10_000


def test_a_stopped_bidder_is_told_of_though_it_cannot_speak(node: Watched) -> None:
    with node.stopped("node/bidders/bidder-1") as pid:
        begun_s = time.monotonic()
        for name in ("bidder-1", "user-profiler", "bidder-1/cell"):
            shown = node.ask("show", name=name)
            assert shown["account"] is None
            assert f"node/bidders/bidder-1 ({pid}) is stopped" in shown["account_error"]
            assert shown["process"]["os_state"] == "stopped"
            assert shown["node"]["pid"] == pid
        told = node.run("actor", "stack", "user-profiler")
        assert told.returncode == 3
        assert "the process is stopped: none of its code runs" in told.stderr
        with pytest.raises(ControlError, match=r"cannot answer: the process of .* is stopped"):
            node.ask("state", name="gateway")
        assert time.monotonic() - begun_s < LIMIT_S
    eventually(
        lambda: node.ask("show", name="user-profiler")["account"] is not None, LIMIT_S, "it is back"
    )


def test_behind_a_stopped_supervisor_the_table_and_the_system_still_answer(node: Watched) -> None:
    bidder, restarts, kinds = node.pid_of("bidder-1"), node.restarts(PROFILER), node.kinds(PROFILER)
    with node.stopped("node/bidders") as pid:
        shown = node.ask("show", name="user-profiler")
        assert f"node/bidders ({pid}) is stopped" in shown["account_error"]
        assert shown["process"]["pid"] == bidder
        assert shown["process"]["os_state"] in ("running", "sleeping")
        assert "in select" in node.ask("stack", name="bidder-1")["stack"]
        # An order that nobody has taken in time is not carried out later.
        with pytest.raises(ControlError, match="did not answer"):
            node.ask("kill", name="user-profiler")
    eventually(
        lambda: node.ask("show", name="user-profiler")["account"] is not None, LIMIT_S, "it is back"
    )
    assert node.restarts(PROFILER) == restarts
    assert node.kinds(PROFILER).count("killed") == kinds.count("killed")


def test_a_process_of_the_tree_sheds_what_it_was_started_with_from_its_collections(
    node: Watched,
) -> None:
    for name in ("bidders", "ledger", "bidder-1"):
        assert node.ask("show", name=name)["account"]["frozen_objects"] > 10_000


def test_a_crash_is_seen_with_its_traceback_and_the_dead_are_remembered(node: Watched) -> None:
    before = node.restarts(PROFILER)
    node.ask("fault", name=PROFILER, kind="crash", args={}, ttl_s=20)
    node.bid(100)
    eventually(lambda: node.restarts(PROFILER) > before, LIMIT_S, "it crashed and is back")
    kinds = [kind for kind in node.kinds(PROFILER) if kind in ("crashed", "restarted")]
    assert kinds[-2:] == ["crashed", "restarted"]
    shown = node.run("events", "--kind", "crashed", "-n", "1")
    assert "Traceback (most recent call last)" in shown.stdout
    assert PROFILER in shown.stdout
    dead = node.json("events", "--dead", "-n", "1")
    assert dead[0]["address"] == f"node-1:{PROFILER}"
    assert "Traceback" in dead[0]["detail"]
    assert dead[0]["restarts"] == before


def test_a_suspension_and_the_fallback_that_answers_meanwhile_are_events(node: Watched) -> None:
    assert node.run("actor", "suspend", "node-1:user-profiler").returncode == 0
    assert "nbr" in node.bid(200) or "seatbid" in node.bid(201)
    assert node.ask("show", name=PROFILER)["account"]["run_state"] == "suspended"
    assert node.run("actor", "resume", "user-profiler").returncode == 0
    eventually(lambda: node.kinds(PROFILER)[-1] == "fallback_off", LIMIT_S, "it answers again")
    since = node.kinds(PROFILER)
    since = since[len(since) - since[::-1].index("suspended") - 1 :]
    assert sorted(since) == ["fallback_off", "fallback_on", "resumed", "suspended"]
    audit = next(e for e in node.ask("events")["events"][::-1] if e["kind"] == "suspended")
    assert f"(uid {os.getuid()}, pid " in audit["reason"]


def test_a_restart_by_order_says_who_wanted_it(node: Watched) -> None:
    before = node.pid_of("edge")
    assert node.run("actor", "restart", "edge").returncode == 0
    eventually(lambda: node.kinds("node/edge")[-1] == "restarted", LIMIT_S, "it is back")
    assert node.pid_of("edge") != before
    grave = node.ask("dead")["dead"][-1]
    assert (grave["address"], grave["pid"]) == ("node-1:node/edge", before)
    assert grave["reason"].startswith("restarted by ")


def test_the_dead_outlive_the_tree_and_events_are_read_on_from_a_cursor(node: Watched) -> None:
    cursor = node.ask("events", limit=0)["cursor"]
    graves = node.ask("dead")["dead"]
    node.ask("kill", name="node")
    eventually(lambda: "rebuilt" in node.kinds("node"), 60.0, "the tree is rebuilt")
    dead = node.ask("dead")["dead"]
    assert dead[: len(graves)] == graves
    assert [grave["address"] for grave in dead[len(graves) :]] == ["node-1:node"]
    new = [event["kind"] for event in node.ask("events", cursor=cursor, limit=1000)["events"]]
    assert new[:2] == ["killed", "crashed"]
    assert new[-1] == "rebuilt"
    assert node.ask("events", cursor=node.ask("events")["cursor"])["events"] == []


def test_top_shows_the_node_and_steers_it(node: Watched) -> None:
    def is_now(state: str) -> bool:
        return bool(node.ask("show", name=PROFILER)["node"]["state"] == state)

    async def script(screen: Screen) -> None:
        assert "ready" in screen.text()
        assert {"ledger", "edge"} <= {row[0] for row in screen.rows("processes")}
        assert "user-profiler" in [row[0] for row in screen.rows("agents")]
        await screen.point_at("user-profiler")
        await screen.press("s")
        eventually(lambda: is_now("suspended"), LIMIT_S, "the profiler is suspended")
        await screen.press("r")
        eventually(lambda: is_now("running"), LIMIT_S, "the profiler goes on")
        await screen.press("enter")
        assert "actors.profiler.agent:UserProfiler" in screen.text("#facts")

    played(node.folder / "data", script)
