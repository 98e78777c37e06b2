"""The verdict on a run, from its journal alone.

The toolkit's own status will not do. It calls a run "completed, not deviated" whose action failed,
or whose steady state was not met before the method and which therefore did nothing at all. So:

* INVALID: nothing was learned. The steady state was not met before, the method was not played to
  its end, an activity or a rollback failed, a fault had no effect, the run was interrupted.
* WEAKNESS: the run is valid, and something that should hold did not: the steady state afterwards or
  meanwhile, or one of our checks (see :mod:`cli.chaos.checkers`).
* PASS: all else.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cli.chaos.checkers import Check

    Journal = Mapping[str, Any]

_UNFINISHED = ("aborted", "interrupted")


class Outcome(Enum):
    """What a run shows; the value is printed."""

    PASS = "PASS"  # noqa: S105 - no password
    WEAKNESS = "WEAKNESS"
    INVALID = "INVALID"

    @property
    def exit_code(self) -> Exit:
        """What the shell is told."""
        return {"PASS": Exit.OK, "WEAKNESS": Exit.DEGRADED, "INVALID": Exit.INVALID}[self.value]


class Verdict(NamedTuple):
    """The outcome, and why in a sentence."""

    outcome: Outcome
    why: str


def judge(journal: Journal, checks: Sequence[Check], idle: Sequence[str] = ()) -> Verdict:
    """Judge one run.

    Args:
        journal: Of the toolkit.
        checks: What our checkers found.
        idle: Faults that were in force and never struck, in words.
    """
    invalid = next(_faults_of_the_run(journal), "")
    if not invalid and idle:
        invalid = f"a fault never struck: {'; '.join(idle)}"
    if invalid:
        return Verdict(Outcome.INVALID, invalid)
    weaknesses = [*_deviations(journal), *(check.says for check in checks if not check.holds)]
    if weaknesses:
        return Verdict(Outcome.WEAKNESS, "; ".join(weaknesses))
    return Verdict(Outcome.PASS, "the steady state held, and all checks do")


def was_unsteady(journal: Journal) -> bool:
    """Tell whether a run did nothing because the steady state was not met before it."""
    before = (journal.get("steady_states") or {}).get("before")
    return before is not None and not before.get("steady_state_met")


def overall(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the verdict on several runs: a weakness outweighs an invalid run, that a pass."""
    found = set(outcomes)
    if Outcome.WEAKNESS in found:
        return Outcome.WEAKNESS
    return Outcome.INVALID if Outcome.INVALID in found or not found else Outcome.PASS


def _faults_of_the_run(journal: Journal) -> Iterator[str]:
    """Yield what makes a run worthless, the first cause first."""
    experiment = journal.get("experiment") or {}
    states = journal.get("steady_states") or {}
    looks = bool((experiment.get("steady-state-hypothesis") or {}).get("probes"))
    before = states.get("before")
    if looks and before is None:
        yield "the steady state was not looked at before the method"
    elif before is not None and not before.get("steady_state_met"):
        yield f"the steady state was not met before the method: {_first_unmet(before)}"
    yield from _unplayed("activity", journal.get("run"), experiment.get("method"))
    yield from _unplayed("rollback", journal.get("rollbacks"), experiment.get("rollbacks"))
    if journal.get("status") in _UNFINISHED:
        yield f"the run was {journal['status']}"
    if looks and states.get("after") is None:
        yield "the steady state was not looked at after the method"


def _unplayed(
    what: str, played: Sequence[Mapping[str, Any]] | None, wanted: Sequence[object] | None
) -> Iterator[str]:
    """Yield what of a method or of the rollbacks failed, or was not played at all."""
    for activity in played or ():
        if activity.get("status") != "succeeded":
            yield f"{what} {_name(activity)!r} failed: {_reason(activity)}"
    done, due = len(played or ()), len(wanted or ())
    if done < due:
        yield f"{what}: only {done} of {due} were played"


def _deviations(journal: Journal) -> Iterator[str]:
    states = journal.get("steady_states") or {}
    after = states.get("after")
    if after is not None and not after.get("steady_state_met"):
        yield f"the steady state was not met after the method: {_first_unmet(after)}"
    for during in states.get("during") or ():
        if not during.get("steady_state_met"):
            yield f"the steady state was not met during the method: {_first_unmet(during)}"
            return
    if journal.get("deviated") and after is None:
        yield "the toolkit says that the steady state deviated"


def _first_unmet(state: Mapping[str, Any]) -> str:
    """Say which probe was out of its tolerance, and what it had measured."""
    for probe in state.get("probes") or ():
        if probe.get("status") != "succeeded":
            return f"{_name(probe)!r} failed: {_reason(probe)}"
        if not probe.get("tolerance_met", True):
            tolerance = (probe.get("activity") or {}).get("tolerance")
            wanted = tolerance.get("range", tolerance) if isinstance(tolerance, dict) else tolerance
            return f"{_name(probe)!r} is {probe.get('output')!r}, tolerated is {wanted!r}"
    return "no probe says which"


def _name(run: Mapping[str, Any]) -> str:
    return str((run.get("activity") or {}).get("name", "?"))


def _reason(run: Mapping[str, Any]) -> str:
    lines = "".join(run.get("exception") or ()).strip().splitlines()
    return lines[-1].rpartition("ActivityFailed: ")[2] if lines else "it says no reason"
