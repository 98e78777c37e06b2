from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from cli import bid as bid_command
from cli.exits import Exit
from cli.looking import drawn_lines, short_time
from cli.main import COMMANDS, cli
from cli.node import addresses
from cli.output import columns_that_fit, print_table
from cli.tree import print_tree
from config.paths import NodePaths
from tests.cli.conftest import TREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.cli.conftest import FakeNode

    Run = Callable[..., Result]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that lives until it is told to end."""
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


# --- the command itself ------------------------------------------------------------------------


def test_help_lists_every_command(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == Exit.OK
    assert all(f"  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(run: Run, name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == Exit.OK
    assert result.stdout.startswith(f"Usage: bidwright {name}")


def test_an_unknown_command_is_a_usage_error_that_names_the_nearest(run: Run) -> None:
    result = run("tre")
    assert result.exit_code == Exit.USAGE
    assert "Did you mean 'tree'?" in result.stderr


def test_a_faulty_setting_ends_any_command_with_its_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDWRIGHT_NODE__BIDERS", "2")
    result = run("status")
    assert result.exit_code == Exit.INVALID
    assert "node.biders: no such setting" in result.stderr


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "make room"), (errno.EROFS, "choose another place")]
)
def test_what_the_system_refuses_is_a_sentence_with_a_way_out(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def refuse(_self: Path, *_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), "/full/settings.json")

    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    monkeypatch.setattr("cli.up.refuse_taken_ports", lambda _settings: None)
    result = run("up", "--detach")
    assert result.exit_code == Exit.ERROR
    assert f"/full/settings.json: {os.strerror(number)}" in result.stderr
    assert advice in result.stderr


def test_a_reader_that_has_seen_enough_is_no_error_of_ours(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_value: object) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr("cli.output.print_json", refuse)
    assert run("config", "show", "-o", "json").stderr == ""


def test_a_command_that_is_interrupted_ends_as_shells_expect(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_value: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.output.print_json", interrupt)
    result = run("config", "show", "-o", "json")
    assert result.exit_code == Exit.INTERRUPTED
    assert result.stderr == "interrupted\n"


def test_the_table_of_commands_leads_to_commands_of_the_same_name() -> None:
    context = cli.make_context("bidwright", ["status"], resilient_parsing=True)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name


# --- no node -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("tree",), ("down",), ("actor", "kill", "ledger"), ("status", "-o", "json")],
)
def test_without_a_node_commands_say_so_with_their_own_code(
    run: Run, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments)
    assert result.exit_code == Exit.NOT_RUNNING
    assert result.stdout == ""
    assert "bidwright up" in result.stderr


def test_an_address_of_many_parts_stands_in_brackets() -> None:
    assert addresses("::1", [7400]) == ["tcp://[::1]:7400"]
    assert addresses("0.0.0.0", [1, 2]) == ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"]


def test_a_doctor_says_whether_the_ledgers_database_can_be_reached(run: Run) -> None:
    def verdict(*more: str) -> dict[str, str]:
        findings = json.loads(run("doctor", "-o", "json", *more).stdout)
        found: dict[str, str] = next(each for each in findings if each["check"] == "ledger")
        return found

    assert verdict()["verdict"] == "ok"
    lost = verdict("--set", "money.database=postgresql+psycopg://me:hunter2@127.0.0.1:1/ledger")
    assert lost["verdict"] == "fault"
    assert "check the server" in lost["found"]
    assert "hunter2" not in lost["found"]


def test_a_doctor_warns_of_notices_that_nobody_can_reach(run: Run) -> None:
    def notices(*more: str) -> list[str]:
        findings = json.loads(run("doctor", "-o", "json", *more).stdout)
        return [each["advice"] for each in findings if each["check"] == "notices"]

    everywhere = ("--set", "edge.host=0.0.0.0")
    assert "edge.public_url" in notices(*everywhere)[0]
    assert notices(*everywhere, "--set", "edge.public_url=http://bid.example") == []
    assert notices() == []


def test_status_does_not_name_ports_that_there_are_none_of(run: Run, node: FakeNode) -> None:
    node.status["ports"] = {"gateway": [7400], "http": []}
    assert "gateway 7400\n" in run("status").stdout


def test_a_node_that_died_is_remembered_by_its_last_words(run: Run, data_dir: Path) -> None:
    console = NodePaths(data_dir).make().console_file
    console.write_text("bidwright: the tree fell over 6 times\n\n")
    result = run("status")
    assert result.exit_code == Exit.NOT_RUNNING
    assert "ended with: bidwright: the tree fell over 6 times" in result.stderr
    console.write_text("x" * 1000)
    assert len(run("status").stderr) < 600


def test_there_is_no_ledger_before_the_first_start(run: Run) -> None:
    result = run("ledger", "verify")
    assert result.exit_code == Exit.ERROR
    assert "there is no ledger" in result.stderr


# --- status and tree ---------------------------------------------------------------------------


def test_status_of_a_ready_node_is_success(run: Run, node: FakeNode) -> None:
    node.tree = {"id": "node", "state": "running", "children": []}
    node.paths.lock_file.touch()
    result = run("status", "-o", "json")
    assert result.exit_code == Exit.OK
    assert json.loads(result.stdout) == {**node.status, "unwell": []}
    assert "node-1" in run("status").stdout
    assert "unwell" not in run("status").stdout


def test_status_names_the_parts_that_do_not_work(run: Run, node: FakeNode) -> None:
    node.paths.lock_file.touch()
    result = run("status", "-o", "json")
    assert result.exit_code == Exit.DEGRADED
    told = json.loads(result.stdout)
    assert (told["state"], told["unwell"]) == ("degraded", ["ledger is suspended"])
    assert "ledger is suspended" in run("status").stdout


def test_status_tells_which_bidder_has_slowed_down_and_why(run: Run, node: FakeNode) -> None:
    node.paths.lock_file.touch()
    manager = {
        "name": "bidder-1/agents/budget-manager",
        "state": "running",
        "details": {"silent": ["ledger", ""]},
    }
    node.tree = {"id": "node", "state": "running", "details": {"silent": []}, "children": [manager]}
    result = run("status", "-o", "json")
    assert result.exit_code == Exit.DEGRADED
    (complaint,) = json.loads(result.stdout)["unwell"]
    assert complaint == (
        "bidder-1/agents/budget-manager bids slowly: nothing is heard of its bids from ledger, an"
        " exchange without a name"
    )


def test_status_tells_that_the_folder_of_a_node_was_removed(run: Run, node: FakeNode) -> None:
    result = run("status", "-o", "json")
    assert result.exit_code == Exit.DEGRADED
    (complaint,) = json.loads(result.stdout)["unwell"]
    assert f"{node.paths.data_dir} was removed" in complaint


def test_status_of_a_node_that_is_not_well_is_degraded(run: Run, node: FakeNode) -> None:
    node.status = {"state": "degraded", "restarting": ["ledger"]}
    result = run("status", "-o", "json")
    assert result.exit_code == Exit.DEGRADED
    assert json.loads(result.stdout)["state"] == "degraded"


def test_the_tree_as_json_is_what_the_node_says(run: Run, node: FakeNode) -> None:
    assert json.loads(run("tree", "-o", "json").stdout) == node.tree


def test_the_tree_as_a_table_has_a_line_for_each_actor(run: Run, node: FakeNode) -> None:
    lines = run("tree").stdout.splitlines()
    (bidders,) = [line for line in lines if "├─ bidders" in line]
    assert "process, one_for_one" in bidders
    assert "1,234" in bidders
    assert "5 min" in bidders
    assert any("└─ ledger" in line and "suspended" in line for line in lines)


def test_an_error_of_several_lines_takes_one_in_the_tree(run: Run, node: FakeNode) -> None:
    node.tree = {"id": "node", "state": "running", "last_error": "it broke\n  (see there)"}
    assert "it broke (see there)" in run("tree").stdout


def test_a_narrow_terminal_shows_the_tree_without_breaking_its_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.output.width_of_stdout", lambda: 60)
    print_tree(TREE)
    heading, _, *lines = capsys.readouterr().out.splitlines()
    assert "placement" not in heading
    assert "restarts" in heading
    assert [line.split()[0] for line in lines if line.strip().startswith(("node", "├─", "└─"))]
    assert any("├─ bidders" in line for line in lines)


def test_a_wide_table_is_whole_and_a_narrow_one_does_without_the_spare_columns() -> None:
    headings, rows = ("name", "size", "note"), [["one", 1, "x" * 30]]
    assert columns_that_fit(headings, rows, ("size", "note"), 60) == [0, 1, 2]
    assert columns_that_fit(headings, rows, ("size", "note"), 42) == [0, 2]
    assert columns_that_fit(headings, rows, ("size", "note"), 10) == [0]


def test_amounts_stand_on_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("campaign", "spent"), [("a", "$1,000.00"), ("b", "$2.00")])
    first, second = capsys.readouterr().out.splitlines()[-2:]
    assert len(first) == len(second)


def test_lines_connect_children_to_their_parents() -> None:
    tree = {
        "id": "a",
        "children": [
            {"id": "b", "children": [{"id": "c"}, {"id": "d", "children": [{"id": "e"}]}]},
            {"id": "f", "children": [{"id": "g"}]},
        ],
    }
    assert [drawn for drawn, _ in drawn_lines(tree)] == [
        "a",
        "├─ b",
        "│  ├─ c",
        "│  └─ d",
        "│     └─ e",
        "└─ f",
        "   └─ g",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.0, "0.0 s"), (59.94, "59.9 s"), (300.0, "5 min"), (5400.0, "1.5 h")],
)
def test_times_are_said_as_people_say_them(seconds: float | None, text: str) -> None:
    assert short_time(seconds) == text


# --- actor -------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["kill", "suspend", "resume"])
def test_an_actor_is_named_to_the_node(run: Run, node: FakeNode, verb: str) -> None:
    result = run("actor", verb, "bidders/bidder-1/cell/agents/user-profiler")
    assert result.exit_code == Exit.OK
    assert node.asked == [(verb, {"name": "bidders/bidder-1/cell/agents/user-profiler"})]


def test_an_actor_that_is_not_there_is_an_error(run: Run, node: FakeNode) -> None:
    result = run("actor", "kill", "nobody")
    assert result.exit_code == Exit.ERROR
    assert "no actor called nobody" in result.stderr


# --- up and down -------------------------------------------------------------------------------


def test_a_second_node_on_the_same_folder_is_refused(run: Run, node: FakeNode) -> None:
    result = run("up", "--detach")
    assert result.exit_code == Exit.ERROR
    assert f"already (pid {os.getpid()})" in result.stderr
    assert "bidwright down" in result.stderr


def test_a_taken_port_is_named_with_a_way_out(run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = run("up", "--detach", "--set", f"gateway.port={port}")
    assert result.exit_code == Exit.ERROR
    assert f"{port} (gateway.port)" in result.stderr
    assert "--set gateway.port=" in result.stderr


def test_every_taken_port_gets_a_replacement_that_is_free(run: Run) -> None:
    with socket.socket() as one, socket.socket() as two:
        for other in (one, two):
            other.bind(("127.0.0.1", 0))
            other.listen()
        bids, http = one.getsockname()[1], two.getsockname()[1]
        settings = [f"gateway.port={bids}", f"gateway.event_port={bids + 100}", f"edge.port={http}"]
        result = run("up", "--detach", *(each for text in settings for each in ("--set", text)))
    advised = dict(re.findall(r"--set (\S+)=(\d+)", result.stderr))
    assert advised.keys() == {"gateway.port", "edge.port"}
    assert int(advised["gateway.port"]) not in {bids, bids + 100, http}


def test_an_address_of_another_machine_is_refused_with_the_settings_to_look_at(run: Run) -> None:
    result = run("up", "--detach", "--set", "gateway.host=192.0.2.1")
    assert result.exit_code == Exit.ERROR
    assert "192.0.2.1:7400" in result.stderr
    assert "gateway.host" in result.stderr


@pytest.mark.parametrize("key", ["campaigns", "profiles"])
def test_a_node_is_not_started_with_a_file_that_is_not_there(
    run: Run, data_dir: Path, key: str
) -> None:
    result = run("up", "--detach", "--set", f"node.{key}=/nowhere/file.toml")
    assert result.exit_code == Exit.INVALID
    assert "/nowhere/file.toml: No such file" in result.stderr
    assert not data_dir.exists()


def test_a_node_is_not_started_on_a_full_disk(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.up.refuse_taken_ports", lambda _settings: None)
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=3 << 20))
    result = run("up", "--detach")
    assert result.exit_code == Exit.ERROR
    assert "3 MiB left" in result.stderr
    assert "--data-dir" in result.stderr


@pytest.mark.parametrize("text", ["gateway.port", "port=1", "=1", ".=1", "gateway.=1", ".port=1"])
def test_an_assignment_must_name_a_section_and_a_key(run: Run, text: str) -> None:
    assert run("up", "--set", text).exit_code == Exit.USAGE


@pytest.mark.slow
def test_down_waits_until_the_processes_are_gone(
    run: Run, node: FakeNode, child: subprocess.Popen[bytes]
) -> None:
    node.status["pid"] = child.pid
    node.on_down = child.kill
    result = run("down")
    assert result.exit_code == Exit.OK
    assert child.poll() == -signal.SIGKILL
    assert ("down", {}) in node.asked


@pytest.mark.slow
def test_down_names_the_processes_that_do_not_end_and_force_ends_them(
    run: Run, node: FakeNode, child: subprocess.Popen[bytes]
) -> None:
    node.status["pid"] = child.pid
    result = run("down", "--timeout", "0.1")
    assert result.exit_code == Exit.ERROR
    assert str(child.pid) in result.stderr
    assert child.poll() is None
    assert run("down", "--timeout", "0.1", "--force").exit_code == Exit.OK
    assert child.wait(timeout=5) == -signal.SIGKILL


# --- config ------------------------------------------------------------------------------------


def test_config_shows_what_a_node_would_start_with(run: Run, data_dir: Path) -> None:
    shown = json.loads(run("config", "show", "--set", "gateway.port=7500", "-o", "json").stdout)
    assert shown["gateway"]["port"] == 7500
    assert shown["node"]["data_dir"] == str(data_dir)


def test_config_tells_where_each_value_comes_from(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[logs]\nlevel = 'debug'\n")
    result = run("config", "show", "--origin", "--config", str(file), "-o", "json")
    shown = json.loads(result.stdout)
    assert shown["logs.level"] == {"value": "debug", "origin": f"file {file}"}
    assert shown["node.data_dir"]["origin"] == "environment variable BIDWRIGHT_NODE__DATA_DIR"
    assert "debug" in run("config", "show", "--config", str(file)).stdout


def test_the_folder_on_the_command_line_beats_the_environment(run: Run, tmp_path: Path) -> None:
    result = run("config", "show", "--data-dir", str(tmp_path), "-o", "json")
    assert json.loads(result.stdout)["node"]["data_dir"] == str(tmp_path)


# --- bid ---------------------------------------------------------------------------------------

ANSWER: dict[str, Any] = {
    "id": "r1",
    "cur": "USD",
    "seatbid": [
        {"bid": [{"id": "b", "impid": "1", "price": 1.234, "cid": "shoes", "w": 300, "h": 250}]}
    ],
    "ext": {
        "bidwright": {
            "impressions": [
                {
                    "imp_id": "1",
                    "bid_micros": 1234,
                    "candidates": [{"campaign": "shoes", "creative": "c"}],
                    "steps": [{"step": "vet", "kind": "fallback", "ms": 0.25}],
                }
            ]
        }
    },
}


class Gateway:
    """Answers every request with the same; ``bodies`` keeps what came."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.bodies: list[bytes] = []
        self.urls: list[str] = []

    def __call__(self, urls: list[str], bodies: list[bytes]) -> list[dict[str, Any]]:
        self.urls = urls
        self.bodies = bodies
        return [self.answer for _ in bodies]


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    answering = Gateway(ANSWER)
    monkeypatch.setattr(bid_command, "ask_gateway", answering)
    return answering


def test_a_bid_is_printed_as_the_gateway_gave_it(run: Run, gateway: Gateway) -> None:
    result = run("bid", "-", "-o", "json", text='{"id": "r1"}')
    assert json.loads(result.stdout) == ANSWER
    assert json.loads(gateway.bodies[0]) == {"id": "r1"}
    assert gateway.urls == ["tcp://127.0.0.1:7400"]


def test_explain_asks_for_the_story_and_tells_it(run: Run, gateway: Gateway) -> None:
    result = run("bid", "-", "--explain", text='{"id": "r1"}')
    assert json.loads(gateway.bodies[0])["ext"] == {"bidwright": {"explain": 1}}
    for word in ("shoes", "1.234 USD", "300x250", "vet", "fallback", "$1.234 CPM"):
        assert word in result.stdout


@pytest.mark.parametrize("content", [b"", b" \n\n"])
def test_a_file_without_a_request_is_not_sent(run: Run, gateway: Gateway, content: bytes) -> None:
    result = run("bid", "-", text=content)
    assert result.exit_code == Exit.INVALID
    assert "it is empty" in result.stderr
    assert gateway.bodies == []


def test_a_request_that_the_gateway_would_drop_is_refused_with_its_size(
    run: Run, gateway: Gateway
) -> None:
    result = run("bid", "-", text=b"{}\n" + b"x" * 262_145)
    assert result.exit_code == Exit.INVALID
    assert "request 2 has 262,145 bytes" in result.stderr
    assert gateway.bodies == []


def test_an_answer_of_something_else_is_shown_as_such(run: Run, gateway: Gateway) -> None:
    gateway.answer = {"ok": False, "error": "not an event"}
    result = run("bid", "-", text="{}")
    assert result.exit_code == Exit.ERROR
    assert "no gateway" in result.stderr
    assert "not an event" in result.stderr


def test_what_is_no_address_is_refused_with_an_example(run: Run) -> None:
    result = run("bid", "-", "--url", "nonsense", text="{}")
    assert result.exit_code == Exit.ERROR
    assert "cannot dial nonsense" in result.stderr
    assert "tcp://127.0.0.1:7400" in result.stderr


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "command",
    [
        ("load", "--rate"),
        ("load", "--duration"),
        ("load", "--patience"),
        ("down", "--timeout"),
        ("demo", "--duration"),
        ("train", "selector", "--scale"),
    ],
)
def test_what_is_no_finite_number_is_a_usage_error(
    run: Run, command: tuple[str, ...], number: str
) -> None:
    result = run(*command, number)
    assert result.exit_code == Exit.USAGE
    assert f"'{command[-1]}'" in result.stderr


def test_a_world_has_no_negative_seed(run: Run) -> None:
    assert run("load", "--seed", "-5").exit_code == Exit.USAGE


def test_many_requests_are_answered_one_a_line(run: Run, gateway: Gateway) -> None:
    result = run("bid", "-", "-o", "json", text='{"id": "1"}\n\nnonsense\n{"id": "2"}\n')
    assert [json.loads(line) for line in result.stdout.splitlines()] == [ANSWER] * 3
    assert [json.loads(gateway.bodies[0]), gateway.bodies[1]] == [{"id": "1"}, b"nonsense"]


@pytest.mark.parametrize("content", [b"\x81\xa2id\xa1x", b"{broken"])
def test_what_is_no_json_goes_to_the_gateway_as_it_is(
    run: Run, gateway: Gateway, content: bytes
) -> None:
    assert run("bid", "-", text=content).exit_code == Exit.OK
    assert gateway.bodies == [content]


@pytest.mark.parametrize(
    ("ext", "reason"),
    [
        ({"reason": "no_budget"}, "no_budget"),
        ({"error": "not JSON"}, "not JSON"),
        ({}, "no reason"),
    ],
)
def test_a_no_bid_is_printed_with_its_reason(
    run: Run, gateway: Gateway, ext: dict[str, str], reason: str
) -> None:
    gateway.answer = {"id": "r1", "nbr": 2, "ext": ext}
    result = run("bid", "-", text="{}")
    assert "no bid (nbr 2)" in result.stdout
    assert reason in result.stdout


def test_commands_find_the_ports_of_the_node_that_was_started(
    run: Run, gateway: Gateway, data_dir: Path
) -> None:
    started = run(
        "config", "show", "--set", "gateway.port=7555", "--set", "node.bidders=2", "-o", "json"
    )
    NodePaths(data_dir).make().settings_file.write_text(started.stdout)
    run("bid", "-", text="{}")
    assert gateway.urls == ["tcp://127.0.0.1:7555", "tcp://127.0.0.1:7556"]
