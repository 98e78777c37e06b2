"""The verdict, on journals as the toolkit writes them, its three traps among them."""

from __future__ import annotations

from typing import Any

import pytest

from cli.chaos.checkers import Check
from cli.chaos.verdict import Outcome, judge, overall, was_unsteady
from cli.exits import Exit

PROBE: dict[str, Any] = {"type": "probe", "name": "late", "tolerance": {"range": [0, 0.1]}}
ACTION: dict[str, Any] = {"type": "action", "name": "kill"}
ROLLBACK: dict[str, Any] = {"type": "action", "name": "heal"}
HELD = Check("answers", holds=True, says="all answered")
BROKEN = Check("answers", holds=False, says="7 of 9 requests answered")


def looked(output: object = 0.0, *, met: bool = True, status: str = "succeeded") -> dict[str, Any]:
    probe = {"activity": PROBE, "output": output, "status": status, "tolerance_met": met}
    return {"steady_state_met": met, "probes": [probe]}


def done(activity: dict[str, Any], *, failed: str = "") -> dict[str, Any]:
    run: dict[str, Any] = {"activity": activity, "status": "failed" if failed else "succeeded"}
    if failed:
        run["exception"] = ["Traceback\n", f"chaoslib.exceptions.ActivityFailed: {failed}\n"]
    return run


def journal(**changes: Any) -> dict[str, Any]:
    """A journal of a run in which all went well, with these changes."""
    states = {"before": looked(), "after": looked(), "during": []}
    return {
        "experiment": {
            "steady-state-hypothesis": {"title": "t", "probes": [PROBE]},
            "method": [ACTION],
            "rollbacks": [ROLLBACK],
        },
        "status": "completed",
        "deviated": False,
        "steady_states": {**states, **changes.pop("states", {})},
        "run": [done(ACTION)],
        "rollbacks": [done(ROLLBACK)],
        **changes,
    }


def test_a_run_in_which_all_held_passes() -> None:
    verdict = judge(journal(), [HELD])
    assert verdict.outcome is Outcome.PASS
    assert verdict.outcome.exit_code is Exit.OK


def test_trap_one_an_action_that_failed_is_invalid_although_the_toolkit_calls_it_completed() -> (
    None
):
    verdict = judge(journal(run=[done(ACTION, failed="no such process")]), [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.why == "activity 'kill' failed: no such process"
    assert verdict.outcome.exit_code is Exit.INVALID


def test_trap_two_a_steady_state_that_was_not_met_before_is_invalid_although_nothing_deviated() -> (
    None
):
    states = {"before": looked(0.4, met=False), "after": None}
    found = journal(states=states, run=[], rollbacks=[done(ROLLBACK)])
    verdict = judge(found, [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert "before the method: 'late' is 0.4, tolerated is [0, 0.1]" in verdict.why
    assert was_unsteady(found)
    assert not was_unsteady(journal())


def test_trap_three_rollbacks_that_were_skipped_are_invalid() -> None:
    verdict = judge(journal(rollbacks=[]), [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.why == "rollback: only 0 of 1 were played"


def test_a_failed_rollback_is_invalid() -> None:
    verdict = judge(journal(rollbacks=[done(ROLLBACK, failed="gone")]), [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.why == "rollback 'heal' failed: gone"


def test_a_method_that_was_not_played_to_its_end_is_invalid() -> None:
    verdict = judge(journal(run=[]), [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.why == "activity: only 0 of 1 were played"


@pytest.mark.parametrize("status", ["interrupted", "aborted"])
def test_a_run_that_was_cut_short_is_invalid(status: str) -> None:
    assert judge(journal(status=status), [HELD]).why == f"the run was {status}"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_steady_state_that_nobody_looked_at_is_invalid(when: str) -> None:
    verdict = judge(journal(states={when: None}), [HELD])
    assert verdict.outcome is Outcome.INVALID
    assert verdict.why == f"the steady state was not looked at {when} the method"


def test_a_fault_that_never_struck_is_invalid() -> None:
    verdict = judge(journal(), [HELD], idle=["link drop=0.3 of node/ledger"])
    assert verdict.outcome is Outcome.INVALID
    assert "link drop=0.3 of node/ledger" in verdict.why


def test_a_steady_state_that_is_not_met_afterwards_is_a_weakness() -> None:
    verdict = judge(journal(states={"after": looked(0.5, met=False)}, deviated=True), [HELD])
    assert verdict.outcome is Outcome.WEAKNESS
    assert "'late' is 0.5" in verdict.why
    assert verdict.outcome.exit_code is Exit.DEGRADED


def test_a_probe_that_cannot_look_afterwards_is_a_weakness() -> None:
    after = looked(None, met=False, status="failed")
    verdict = judge(journal(states={"after": after}, status="failed", deviated=True), [HELD])
    assert verdict.outcome is Outcome.WEAKNESS
    assert "'late' failed" in verdict.why


def test_a_steady_state_that_is_not_met_meanwhile_is_a_weakness() -> None:
    during = [looked(), looked(0.9, met=False)]
    verdict = judge(journal(states={"during": during}), [HELD])
    assert verdict.outcome is Outcome.WEAKNESS
    assert "during the method: 'late' is 0.9" in verdict.why


def test_what_the_toolkit_alone_calls_deviated_is_a_weakness() -> None:
    found = journal(states={"before": None, "after": None}, deviated=True)
    del found["experiment"]["steady-state-hypothesis"]
    assert judge(found, [HELD]).outcome is Outcome.WEAKNESS


def test_a_broken_check_is_a_weakness_however_well_the_hypothesis_held() -> None:
    verdict = judge(journal(), [HELD, BROKEN])
    assert verdict.outcome is Outcome.WEAKNESS
    assert verdict.why == "7 of 9 requests answered"


def test_an_experiment_without_hypothesis_is_judged_by_the_checks_alone() -> None:
    found = journal(states={"before": None, "after": None})
    del found["experiment"]["steady-state-hypothesis"]
    assert judge(found, [HELD]).outcome is Outcome.PASS
    assert judge(found, [BROKEN]).outcome is Outcome.WEAKNESS


def test_of_several_verdicts_the_worst_counts_and_none_proves_nothing() -> None:
    good, weak, void = Outcome.PASS, Outcome.WEAKNESS, Outcome.INVALID
    assert overall([good, good]) is good
    assert overall([good, void, weak]) is weak
    assert overall([good, void]) is void
    assert overall([]) is void
