"""The command that sets the learned team beside the rules, and its place in the demo."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.evaluate.team import print_teams
from cli.main import cli

pytestmark = pytest.mark.slow


def test_the_learned_team_is_set_beside_the_rules_and_a_person_can_read_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["evaluate", "team", "--requests", "60", "--seeds", "1", "--quick", "-o", "json"]
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    teams = [(row["budgets"], row["team"]) for row in found["teams"]]
    assert teams == [(b, t) for b in ("ample", "scarce") for t in ("learned", "rules")]
    assert found["teams"][1]["learned_gain"]["low"] < found["teams"][1]["learned_gain"]["high"]
    print_teams(found)
    table = capsys.readouterr().out
    assert "the learned team earns" in table
    assert "per 1,000 requests" in table
    assert next(row["campaign"] for row in found["campaigns"] if row["learned_spent"]) in table
    print_teams(found, campaigns=False)
    assert "campaign" not in capsys.readouterr().out
