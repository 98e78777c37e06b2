"""The learned team beside the rules, on whole bidders in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from actors.rehearsal.bidder import RehearsedBidder, without_roles
from actors.rehearsal.team import (
    _DAWN,
    OPTIMIZER,
    PROFILER,
    SELECTOR,
    TEAMS,
    TeamSettings,
    _settings,
    evaluate_team,
    play,
    scarce_budgets,
)
from config.campaigns import load_campaigns
from models.market import MarketSimulator
from supervision import ChildSpec, Start, Supervisor, SupervisorFlags

if TYPE_CHECKING:
    from pathlib import Path

    from actors.rehearsal.team import Played, TeamReport

pytestmark = pytest.mark.slow
SMALL = TeamSettings(requests=150, seeds=(1,), users=20, teams=("learned", "rules"))
STEP_OF = {PROFILER: "profile", SELECTOR: "select", OPTIMIZER: "price"}


@pytest.fixture(scope="module")
def report() -> TeamReport:
    return evaluate_team(SMALL)


def run(team: str) -> Played:
    return play(team, 4, TeamSettings(requests=40, users=20), load_campaigns())


def test_both_teams_buy_and_the_learned_one_is_compared_with_each(report: TeamReport) -> None:
    rows = {(row.budgets, row.team): row for row in report.teams}
    assert set(rows) == {(b, t) for b in ("ample", "scarce") for t in SMALL.teams}
    learned, rules = rows["ample", "learned"], rows["ample", "rules"]
    assert learned.wins > 0
    assert rules.wins > 0
    gain_of_all = (learned.reward - rules.reward) / SMALL.requests * 1_000
    assert rules.learned_gain.mean == pytest.approx(gain_of_all)
    assert rules.learned_gain.low < rules.learned_gain.mean < rules.learned_gain.high
    assert learned.learned_gain.mean == 0.0


def test_no_campaign_spends_more_than_its_scarce_budget(report: TeamReport) -> None:
    assert all(row.overspent == 0 for row in report.teams)
    spent = [(row.learned_spent, row.rules_spent, row.budget) for row in report.campaigns]
    assert all(max(learned, rules) <= budget for learned, rules, budget in spent)
    assert any(learned for learned, _, _ in spent)


def test_a_run_can_be_repeated() -> None:
    first, second = run("learned"), run("learned")
    assert (first.reward == second.reward).all()
    assert first.wins.sum() > 0


def test_a_request_that_is_not_won_neither_costs_nor_earns() -> None:
    played = run("rules")
    lost = played.wins == 0
    assert lost.any()
    assert not played.spent[lost].any()
    assert not played.reward[lost].any()


def test_scarce_budgets_are_half_of_the_least_and_ample_where_a_team_bought_nothing() -> None:
    rules, learned = run("rules"), run("learned")
    ample = np.full(learned.spent.shape[1], 77_000_000)
    found = scarce_budgets([rules, learned], ample)
    for column, budget in enumerate(found):
        least = min(each.spent[:, column].sum() for each in (rules, learned))
        assert budget == (int(least / 2) if least else 77_000_000)


def test_a_team_without_agents_is_the_same_tree_without_them() -> None:
    def worker(role: str) -> ChildSpec:
        return ChildSpec(id=role, start=Start(object), role=role)

    inner = ChildSpec(
        id="agents",
        start=Start(Supervisor, (SupervisorFlags(), tuple(map(worker, (PROFILER, OPTIMIZER))))),
        type="supervisor",
    )
    outer = ChildSpec(
        id="cell",
        start=Start(Supervisor, (SupervisorFlags(), (inner, worker(SELECTOR)))),
        type="supervisor",
    )
    left = without_roles(outer, (PROFILER, SELECTOR))
    assert [each.id for each in left.start.args[1]] == ["agents"]
    assert [each.id for each in left.start.args[1][0].start.args[1]] == [OPTIMIZER]
    assert without_roles(outer, ()) == outer


@pytest.mark.parametrize("team", TEAMS)
def test_the_decisions_own_fallbacks_answer_for_the_agents_that_a_team_does_without(
    team: str, tmp_path: Path
) -> None:
    campaigns = load_campaigns()
    request = next(MarketSimulator(2, campaigns, users=20).requests())
    bidder = RehearsedBidder(_settings(tmp_path), campaigns, _DAWN, TEAMS[team])
    answer = bidder.ask({**request, "ext": {"explain": 1}})
    bidder.close()
    assert answer is not None
    steps = answer["ext"]["bidwright"]["impressions"][0]["steps"]
    fell_back = {step["step"] for step in steps if step["kind"] == "fallback"}
    assert fell_back == {STEP_OF[role] for role in TEAMS[team]}
    assert {step["kind"] for step in steps} <= {"live", "fallback"}
