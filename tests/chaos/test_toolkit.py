"""The toolkit itself, played for real: what its journal says of its traps, and what we say then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.chaos import toolkit
from cli.chaos.catalogue import Experiment
from cli.chaos.plan import plan_of
from cli.chaos.verdict import Outcome, judge
from cli.errors import InvalidInputError


class FakeLab:
    """Notes how far the run is."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def begin_method(self) -> None:
        self.phases.append("method")

    def end_method(self) -> None:
        self.phases.append("after")


def step(kind: str, name: str, func: str, path: str, **more: Any) -> dict[str, Any]:
    """An activity that asks for a file's existence or, which fails without one, for its size."""
    arguments = {"path": path} if func == "exists" else {"filename": path}
    provider = {"type": "python", "module": "os.path", "func": func, "arguments": arguments}
    return {"type": kind, "name": name, "provider": provider, **more}


def experiment(steady: str, acted_on: str, **more: Any) -> Experiment:
    probe = step("probe", "it is there", "exists", steady, tolerance=True)
    content = {
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": {"title": "h", "probes": [probe]},
        "method": [step("action", "act", "getsize", acted_on)],
        "rollbacks": [step("action", "undo", "exists", "/")],
        **more,
    }
    return Experiment("mine", Path("mine.json"), content, plan_of(content))


def play(mine: Experiment) -> tuple[dict[str, Any], FakeLab, list[str]]:
    toolkit.validate(mine)
    lab, told = FakeLab(), list[str]()
    return toolkit.run(mine, lab, told.append), lab, told  # type: ignore[arg-type]


def test_a_run_in_which_all_goes_well_passes_and_tells_how_far_it_is() -> None:
    journal, lab, told = play(experiment("/", "/"))
    assert judge(journal, []).outcome is Outcome.PASS
    assert lab.phases == ["method", "after"]
    assert told == ["steady state before", "act", "steady state after", "undo"]


def test_an_action_that_fails_is_completed_to_the_toolkit_and_invalid_to_us() -> None:
    journal, _, _ = play(experiment("/", "/no/such/file"))
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    verdict = judge(journal, [])
    assert verdict.outcome is Outcome.INVALID
    assert "No such file" in verdict.why


def test_a_steady_state_not_met_before_is_completed_to_the_toolkit_and_invalid_to_us() -> None:
    journal, lab, _ = play(experiment("/no/such/file", "/"))
    assert (journal["status"], journal["deviated"]) == ("completed", False)
    assert judge(journal, []).outcome is Outcome.INVALID
    assert lab.phases == []
    assert len(journal["rollbacks"]) == 1


def test_rollbacks_are_played_when_the_steady_state_is_lost(tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.write_text("")
    mine = experiment(str(file), "/")
    mine.content["method"].append(
        {
            "type": "action",
            "name": "take it away",
            "provider": {
                "type": "python",
                "module": "shutil",
                "func": "move",
                "arguments": {"src": str(file), "dst": str(tmp_path / "away")},
            },
        }
    )
    journal, _, _ = play(mine)
    assert journal["deviated"]
    assert len(journal["rollbacks"]) == 1
    verdict = judge(journal, [])
    assert verdict.outcome is Outcome.WEAKNESS
    assert "'it is there' is False" in verdict.why


def test_the_hypothesis_can_be_looked_at_during_the_method() -> None:
    block = {"name": "bidwright", "hypothesis": "continuously"}
    journal, _, _ = play(experiment("/", "/", extensions=[block]))
    assert judge(journal, []).outcome is Outcome.PASS
    assert journal["steady_states"]["during"]


def test_what_its_configuration_lacks_is_a_plain_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    configuration = {"x": {"type": "env", "key": "NO_SUCH_VARIABLE"}}
    with pytest.raises(InvalidInputError, match="NO_SUCH_VARIABLE"):
        play(experiment("/", "/", configuration=configuration))
