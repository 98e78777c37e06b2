"""One decision as a state machine without a world: events in, questions out.

Principle: every rule of an impression's life is here and in ``steps``, and nothing else is.
The machine knows neither actors nor timers; whoever drives it tells it what happened and what time
it is, sends the questions that it leaves in ``outbox`` and calls ``tick`` at ``alarm_s``. So each
rule can be tested by a table, and the whole by random programs.

    vet -> profile || fund -> select -> price -> clear -> reserve -> outcome

Each step has a slice of the decision's time. Half of the slice belongs to the first attempt, the
rest to one retry; then its fallback answers, which for money and rules means "no bid". A step that
has nobody to ask goes to its fallback at once where that is harmless (enrichment), and waits a
moment for the agent's restart where it would cost the bid (money, rules).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actors.decision import reasons
from actors.decision.steps import COUNT, FAILS_OPEN, FALL_BACK, NAMES, QUESTION, RESERVE, TAKE, VET
from transport.messages import StepTaken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from actors.decision.eligible import Eligible
    from actors.decision.fallbacks import Fallbacks
    from actors.messages import AnswerKind, Bid, BudgetView, Question
    from models.eligibility import Candidate
    from models.opportunity import Opportunity, Slot

NEVER: Final = float("inf")
FIRST_ATTEMPT_SHARE: Final = 0.5
_PAUSED: Final = -1


@dataclass(frozen=True, slots=True)
class DecisionRules:
    """What all decisions of a bidder have in common.

    Attributes:
        shares: The slice of each step, a share of the decision's time, by step number.
        retry_pause_s: How long to wait for the restart of an agent that is gone.
        price_cap_micros: No bid is above it.
        unvetted_cap_micros: No bid on traffic that could not be vetted is above it.
        fallbacks: What answers in an agent's place ...
        falls_back: ... unless this is false: then there is no bid without an agent.
    """

    shares: tuple[float, ...]
    retry_pause_s: float
    price_cap_micros: int
    unvetted_cap_micros: int
    fallbacks: Fallbacks
    falls_back: bool = True


def _has_price(slot: Slot) -> bool:
    floor = slot.floor
    return bool(floor.base_micros or floor.per_s_micros or floor.by_duration)


class Decision:
    """The state of one impression's decision.

    Args:
        rules: What all decisions share.
        opportunity: The impression.
        eligible: The ads that may be shown.
        key: Our name for the bid; also the name of its reservation.
        started_s: When the request came, on the driver's clock.
        deadline_s: When the answer must be there, on the same clock.

    Attributes:
        outbox: Questions to send now, as (step, question); whoever sends them empties it.
        finished: True once there is an outcome: ``bid``, or a ``reason`` why there is none.
        alarm_s: No later than the first moment at which ``tick`` has something to do.
        reports: What each finished step did, in order of completion.
    """

    __slots__ = (
        "affordable",
        "alarm_s",
        "asked_s",
        "attempts",
        "bid",
        "bid_micros",
        "budgets",
        "candidate",
        "capped",
        "deadline_s",
        "due_s",
        "eligible",
        "ends_s",
        "expected_value_micros",
        "finished",
        "fraud_reasons",
        "key",
        "lease_id",
        "opportunity",
        "outbox",
        "predicted_ctr",
        "profile_source",
        "propensity",
        "reason",
        "reports",
        "rules",
        "shading_control",
        "spendable",
        "time_s",
        "unshaded_micros",
        "vector",
        "versions",
        "vetted",
    )

    def __init__(
        self,
        rules: DecisionRules,
        opportunity: Opportunity,
        eligible: Eligible,
        key: str,
        started_s: float,
        deadline_s: float,
    ) -> None:
        self.rules = rules
        self.opportunity = opportunity
        self.eligible = eligible
        self.key = key
        self.time_s = deadline_s - started_s
        self.deadline_s = deadline_s
        self.outbox: list[tuple[int, Question]] = []
        self.reports: list[StepTaken] = []
        self.finished = False
        self.bid: Bid | None = None
        self.reason = ""
        # Invariant: a step waits for an answer or a retry exactly while its due time is not NEVER.
        self.due_s = [NEVER] * COUNT
        self.ends_s = [NEVER] * COUNT
        self.asked_s = [0.0] * COUNT
        self.attempts = [0] * COUNT
        # Invariant: never later than the earliest due time; a finished step may leave it too early.
        self.alarm_s = deadline_s
        self._reset_findings()

    def _reset_findings(self) -> None:
        self.versions: dict[str, str] = {}
        self.vetted = True
        self.fraud_reasons: tuple[str, ...] = ()
        self.vector: NDArray[np.float32] | None = None
        self.profile_source = ""
        self.capped: frozenset[str] = frozenset()
        self.spendable: Mapping[str, int] | None = None
        self.budgets: Mapping[str, BudgetView] = {}
        self.affordable: Sequence[Candidate] = ()
        self.candidate: Candidate | None = None
        self.propensity = 0.0
        self.predicted_ctr = 0.0
        self.bid_micros = 0
        self.expected_value_micros = 0.0
        self.unshaded_micros = 0
        self.shading_control = False
        self.lease_id = ""

    @property
    def pace(self) -> float:
        """What the worth of the impression is multiplied with, so that spend follows its plan."""
        if self.candidate is None:
            return 1.0
        budget = self.budgets.get(self.candidate.campaign.id)
        return 1.0 if budget is None else budget.pace

    # --- what may happen -----------------------------------------------------------------------

    def begin(self, now_s: float) -> None:
        """Ask the first question, or end at once when nothing is eligible."""
        if not self.eligible.ads:
            self.no_bid(reasons.detailed(reasons.NO_CANDIDATE, self.eligible.why_none))
            return
        opportunity, deal = self.opportunity, self.opportunity.deal
        if opportunity.floor_micros > self.rules.price_cap_micros:
            self.no_bid(reasons.BELOW_FLOOR)
            return
        if deal is not None and deal.fixed and not any(map(_has_price, opportunity.slots)):
            self.no_bid(reasons.NO_AGREED_PRICE)
            return
        self.open(VET, now_s)

    def answered(self, answer: object, now_s: float) -> int:
        """Take an agent's answer; a stale one (its step is closed) changes nothing.

        Returns:
            The step that it closed, or -1.
        """
        taking = TAKE.get(type(answer))
        if taking is None or self.finished:
            return -1
        step: int
        step, take = taking
        if self.due_s[step] == NEVER:
            return -1
        self.close(step, "live" if self.attempts[step] == 1 else "retried", now_s)
        take(self, answer, now_s)
        return step

    def lost(self, step: int, now_s: float) -> None:
        """Note that nobody answers the question of ``step``: the agent is gone or overloaded."""
        if self.finished or self.due_s[step] == NEVER:
            return
        retry_s = now_s + self.rules.retry_pause_s
        if self.attempts[step] == 1 and retry_s < self.ends_s[step]:
            self.attempts[step] = _PAUSED
            self.due_s[step] = retry_s
            self.alarm_s = min(self.alarm_s, retry_s)
        elif self.attempts[step] != _PAUSED:
            self._fall_back(step, now_s)

    def absent(self, step: int, now_s: float) -> None:
        """Note that there is nobody to ask: the route to the agent is closed.

        Enrichment goes to its fallback at once, so that a sick agent costs no time; money and
        rules wait once for a restart.
        """
        if not FAILS_OPEN[step]:
            self.lost(step, now_s)
        elif not self.finished and self.due_s[step] != NEVER:
            self._fall_back(step, now_s)

    def tick(self, now_s: float) -> list[int]:
        """Let time pass: ask again after a pause, give up on what is late.

        Returns:
            The steps whose agent was late, for its route's record.
        """
        late: list[int] = []
        if not self.finished and now_s >= self.deadline_s:
            self.no_bid(reasons.OUT_OF_TIME)
        for step in range(COUNT):
            if self.finished:
                break
            if self.due_s[step] <= now_s and self._overdue(step, now_s):
                late.append(step)
        self.alarm_s = NEVER if self.finished else min(self.deadline_s, *self.due_s)
        return late

    @property
    def may_hold_money(self) -> bool:
        """Whether a reservation may exist under ``key`` although there is no bid."""
        return self.bid is None and self.attempts[RESERVE] != 0

    # --- opening and closing a step (for ``steps``) --------------------------------------------

    def open(self, step: int, now_s: float) -> None:
        """Begin a step: ask its first question."""
        ends_s = now_s + self.rules.shares[step] * self.time_s
        if ends_s > self.deadline_s:  # noqa: PLR1730 - min() would cost more than the step itself
            ends_s = self.deadline_s
        self.asked_s[step] = now_s
        self.ends_s[step] = ends_s
        self._ask(step, 1, now_s + FIRST_ATTEMPT_SHARE * (ends_s - now_s))

    def close(self, step: int, kind: AnswerKind, now_s: float) -> None:
        """End a step and report who answered it."""
        self.due_s[step] = NEVER
        self.reports.append(StepTaken(NAMES[step], kind, 1000.0 * (now_s - self.asked_s[step])))

    def no_bid(self, reason: str) -> None:
        """End the decision without a bid."""
        self.reason = reason
        self.finish()

    def finish(self) -> None:
        """End the decision; nothing more is asked."""
        self.finished = True
        self.outbox.clear()

    def _ask(self, step: int, attempt: int, due_s: float) -> None:
        self.attempts[step] = attempt
        self.due_s[step] = due_s
        if due_s < self.alarm_s:  # noqa: PLR1730 - as above
            self.alarm_s = due_s
        self.outbox.append((step, QUESTION[step](self, due_s, attempt)))

    def _overdue(self, step: int, now_s: float) -> bool:
        """Go on with a step whose time has come; tells whether its agent was late."""
        attempt = self.attempts[step]
        if attempt == _PAUSED:
            self._ask(step, 2, self.ends_s[step])
            return False
        if attempt == 1 and now_s < self.ends_s[step]:
            self._ask(step, 2, self.ends_s[step])
        else:
            self._fall_back(step, now_s)
        return True

    def _fall_back(self, step: int, now_s: float) -> None:
        if FAILS_OPEN[step] and not self.rules.falls_back:
            self.no_bid(reasons.detailed(reasons.NO_FALLBACK, NAMES[step]))
            return
        self.close(step, "fallback", now_s)
        FALL_BACK[step](self, now_s)
