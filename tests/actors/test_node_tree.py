"""The node's tree as data, what is imported before it is started, and where its reports go."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from actors.node import _make_secret, node_spec
from actors.reports import ReporterRecipe
from config.paths import NodePaths
from config.settings import load_settings
from supervision import Report
from supervision.specs import check_specs
from transport import logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from config.settings import Settings
    from supervision import ChildSpec

ROOT = Path(__file__).resolve().parents[2]


def settings_for(folder: Path, **more: Any) -> Settings:
    return load_settings(None, {"node.data_dir": str(folder), "metrics.enabled": False, **more})


def tree(folder: Path, **more: Any) -> dict[str, ChildSpec]:
    """All specs of a node by path."""
    settings = settings_for(folder, **more)
    found: dict[str, ChildSpec] = {}

    def walk(spec: ChildSpec, path: str) -> None:
        found[path] = spec
        if spec.type == "supervisor":
            for child in spec.start.args[1]:
                walk(child, f"{path}/{child.id}")

    walk(node_spec(settings, NodePaths.of_node(folder)), "node")
    return found


def test_a_node_has_its_parts_in_the_order_in_which_they_depend_on_each_other(
    tmp_path: Path,
) -> None:
    assert list(tree(tmp_path, **{"node.bidders": 2, "inference.device": "cpu"})) == [
        "node",
        "node/ledger",
        "node/inference",
        "node/inference/inference@cpu",
        "node/recorder",
        "node/bidders",
        "node/bidders/bidder-1",
        "node/bidders/bidder-2",
        "node/edge",
    ]
    assert "node/edge" not in tree(tmp_path, **{"edge.enabled": False})


def test_every_part_is_permanent_in_a_process_of_its_own_and_can_travel_there(
    tmp_path: Path,
) -> None:
    specs = tree(tmp_path)
    check_specs(specs["node"].start.args[1])
    for spec in specs.values():
        assert (spec.restart, spec.placement) == ("permanent", "process")
        assert pickle.loads(pickle.dumps(spec)) == spec  # noqa: TID251 - our own bytes


def test_supervisors_restart_one_for_one_and_take_the_intensity_that_is_set(
    tmp_path: Path,
) -> None:
    more = {"supervision.intensity": 7, "supervision.period_s": 3}
    supervisors = [spec for spec in tree(tmp_path, **more).values() if spec.type == "supervisor"]
    assert len(supervisors) == 3
    for spec in supervisors:
        flags = spec.start.args[0]
        assert (flags.strategy, flags.intensity, flags.period_s) == ("one_for_one", 7, 3)
        assert spec.stop_within == "infinity"


@pytest.mark.slow
def test_what_a_part_is_made_of_has_been_imported_before_the_first_fork(tmp_path: Path) -> None:
    program = """
import importlib, json, sys
from actors.node import PRELOAD, _make_secret, build_bidder, build_edge, build_inference
from actors.node import build_ledger, build_recorder
from config.paths import NodePaths
from config.settings import load_settings
settings = load_settings(None, {"node.data_dir": sys.argv[1], "metrics.enabled": False})
paths = NodePaths(settings.node.data_dir, settings.node.data_dir / "run").make()
_make_secret(paths)
for module in PRELOAD:
    importlib.import_module(module)
before = set(sys.modules)
build_ledger(settings, paths)
build_inference(settings, paths, "cpu")
build_bidder(settings, paths, 1)
build_recorder(settings, paths)
build_edge(settings, paths)
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "data")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_the_secret_is_made_once_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    paths = NodePaths(tmp_path, tmp_path / "run").make()
    paths.secret_file.parent.mkdir(parents=True, exist_ok=True)
    _make_secret(paths)
    secret = paths.secret_file.read_bytes()
    assert len(secret) == 32
    assert stat.S_IMODE(paths.secret_file.stat().st_mode) == 0o600
    _make_secret(paths)
    assert paths.secret_file.read_bytes() == secret
    assert not list(paths.secret_file.parent.glob("*.new"))


# -- reports ---------------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[ReporterRecipe]:
    metrics = settings_for(tmp_path).metrics
    folder = tmp_path / "logs"
    log_file, events_file = folder / "node.jsonl", folder / "events.jsonl"
    yield ReporterRecipe(log_file, "info", "n-1", metrics, events_file)
    logs.close()


def lines(recipe: ReporterRecipe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in recipe.log_file.read_text().splitlines()]


def test_a_report_is_one_structured_line_that_says_who_why_and_about_whom(
    recipe: ReporterRecipe,
) -> None:
    report = pickle.loads(pickle.dumps(recipe))("node/bidders")  # noqa: TID251 - our own bytes
    offender = {"id": "bidder-1", "pid": 7, "restart": "permanent"}
    report(Report("node/bidders", "child_terminated", "killed", offender, "Traceback ..."))
    (line,) = lines(recipe)
    assert (line["node"], line["actor"]) == ("n-1", "node/bidders")
    assert line["event"] == "child_terminated"
    assert line["level"] == "error"
    assert (line["supervisor"], line["reason"]) == ("node/bidders", "killed")
    assert line["offender"] == offender
    assert line["detail"] == "Traceback ..."
    assert "Reason: killed. Offender: id=bidder-1,pid=7." in line["text"]


def test_a_reason_that_is_no_text_and_an_offender_without_a_name_are_reported_too(
    recipe: ReporterRecipe,
) -> None:
    recipe("node")(Report("node", "shutdown_error", ("shutdown", ("a", 1)), {"start": object}))
    (line,) = lines(recipe)
    assert line["reason"] == ["shutdown", ["a", 1]]
    assert "object" in str(line["offender"]["start"])


def test_what_is_an_event_also_stands_in_the_file_of_events_as_a_record_of_this_node(
    recipe: ReporterRecipe,
) -> None:
    report = recipe("node/bidders")
    report(Report("node/bidders", "child_terminated", "killed", {"id": "b-1"}, "Traceback ..."))
    report(Report("node/bidders", "restarted", "restart", {"id": "b-1"}, level="info"))
    report(Report("node/bidders", "started", "start_child", {"id": "b-2"}, level="debug"))
    report(Report("node/bidders", "on_end", "killed"))
    events = [json.loads(line) for line in recipe.events_file.read_text().splitlines()]
    assert [(event["kind"], event["address"]) for event in events] == [
        ("crashed", "n-1:node/bidders/b-1"),
        ("restarted", "n-1:node/bidders/b-1"),
    ]
    assert events[0]["detail"] == "Traceback ..."
    moment = dt.datetime.fromisoformat(events[0]["ts"])
    assert abs((dt.datetime.now(dt.UTC) - moment).total_seconds()) < 60
    levels = [(line["event"], line["level"]) for line in lines(recipe)]
    assert levels == [("child_terminated", "error"), ("restarted", "info"), ("on_end", "error")]


def test_a_crash_that_repeats_itself_does_not_push_all_else_out_of_the_events(
    recipe: ReporterRecipe,
) -> None:
    report = recipe("node")
    for _ in range(500):
        report(Report("cell/impressions", "child_terminated", "broken", {"id": "impression"}))
    written = len(recipe.events_file.read_text().splitlines())
    assert 20 <= written <= 60
    assert len(lines(recipe)) == 500
