"""The shipped experiments, and files of one's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from cli.chaos import toolkit
from cli.chaos.catalogue import Experiment, find, shipped, steps
from cli.chaos.errors import FaultError
from cli.chaos.lab import current
from cli.errors import CommandError, InvalidInputError
from supervision.faults.catalog import KINDS, read_request

if TYPE_CHECKING:
    from pathlib import Path

ALL = shipped()
PROCESSES = ("ledger", "inference", "bidder", "bidders", "recorder", "edge", "top")
WHOLE_NODE = {"insult_sockets", "close_statsd", "kill_node", "spoil_model"}


def actions(experiment: Experiment) -> list[dict[str, Any]]:
    providers = [activity["provider"] for activity in experiment.content["method"]]
    return [each for each in providers if each["func"] == "fault"]


@pytest.fixture(params=ALL, ids=[experiment.name for experiment in ALL])
def experiment(request: pytest.FixtureRequest) -> Experiment:
    found: Experiment = request.param
    return found


def test_the_toolkit_takes_it(experiment: Experiment) -> None:
    toolkit.validate(experiment)


def test_it_says_what_it_is_about(experiment: Experiment) -> None:
    content = experiment.content
    assert content["title"]
    assert len(content["description"]) > 60
    assert content["tags"]
    assert len(content["steady-state-hypothesis"]["probes"]) >= 5


def test_each_fault_of_it_has_a_selector_a_mode_and_a_time_limit(experiment: Experiment) -> None:
    for provider in actions(experiment):
        arguments = provider["arguments"]
        assert {"select", "mode", "kind", "ttl_s"} <= set(arguments), arguments
        read_request("f1", arguments, 1)  # the node takes it: kind, arguments and time limit
        assert arguments["kind"] in KINDS
    others = {each["provider"]["func"] for each in experiment.content["method"]}
    assert actions(experiment) or others & WHOLE_NODE


def test_it_has_a_blast_radius_and_a_rollback(experiment: Experiment) -> None:
    block = next(each for each in experiment.content["extensions"] if each["name"] == "bidwright")
    assert block["blast_radius"] >= 1
    assert experiment.content["rollbacks"]


def test_it_demands_that_every_request_is_answered_and_no_money_is_lost(
    experiment: Experiment,
) -> None:
    probes = experiment.content["steady-state-hypothesis"]["probes"]
    tolerances = {probe["provider"]["func"]: probe["tolerance"] for probe in probes}
    assert tolerances["unanswered"] == 0
    assert tolerances["money_is_right"] is True
    assert tolerances["recovery_s"]["range"][0] == 0
    assert experiment.plan.allow.unanswered == experiment.plan.allow.event_errors == 0


def test_its_pauses_and_limits_fit_into_a_minute(experiment: Experiment) -> None:
    pauses = [
        sum((activity.get("pauses") or {}).values()) for activity in experiment.content["method"]
    ]
    assert sum(pauses) + experiment.plan.allow.whole_within_s <= 40


def test_every_process_kind_is_killed_and_stopped_by_one_of_them() -> None:
    names = {experiment.name for experiment in ALL}
    assert {f"{how}-{kind}" for how in ("kill", "stop") for kind in PROCESSES} <= names
    assert len(names) >= 15


def test_every_kind_of_fault_of_the_issue_is_there() -> None:
    done = {step.what.split()[0] for experiment in ALL for step in steps(experiment.content)}
    assert {"crash", "crash_on_start", "slow", "flood", "link", "point", "clock", "signal"} <= done
    assert done >= WHOLE_NODE


# --- files of one's own -----------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(CommandError, match="did you mean 'kill-ledger'"):
        find("kil-ledger")


def test_a_file_of_ones_own_is_read_as_json_and_as_yaml(tmp_path: Path) -> None:
    content = {"title": "t", "description": "d", "method": []}
    as_json, as_yaml = tmp_path / "mine.json", tmp_path / "mine.yaml"
    as_json.write_text(json.dumps(content))
    as_yaml.write_text("title: t\ndescription: d\nmethod: []\n")
    for file in (as_json, as_yaml):
        found = find(str(file))
        assert (found.name, found.content) == ("mine", content)
        toolkit.validate(found)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"title": "no method"}'])
def test_a_file_that_is_no_experiment_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(text)
    with pytest.raises(InvalidInputError, match=r"mine\.json"):
        find(str(file))


def test_what_the_toolkit_would_not_take_is_refused_with_its_reason(tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    provider = {"type": "python", "module": "cli.chaos.actions", "func": "no_such"}
    step = {"type": "action", "name": "a", "provider": provider}
    file.write_text(json.dumps({"title": "t", "description": "d", "method": [step]}))
    with pytest.raises(InvalidInputError, match="no_such"):
        toolkit.validate(find(str(file)))


def test_a_file_that_is_not_there_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no file"):
        find(str(tmp_path / "mine.yaml"))


def test_actions_without_a_lab_refuse() -> None:
    with pytest.raises(FaultError, match="bidwright chaos run"):
        current()
