"""From what a campaign has spent by when to the multiplier of its bids.

Principle: the whole state is one small frozen value, so it can be written down, sent and taken up
by another; a step is a pure function of state, plan and spend. Money that is late (a win is booked
some time after its bid) is part of what a controller has to live with, so nothing here guesses it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from models.pacing.controllers import DualDescent, Pid, Reading

if TYPE_CHECKING:
    from models.pacing.plan import SpendPlan

#: No multiplier is lower: a campaign that is far ahead still buys what is nearly given away.
LOWEST_MULTIPLIER: Final = 0.001
LOWEST_LEVEL: Final = math.log(LOWEST_MULTIPLIER)
#: To offer more than an impression is worth loses money.
HIGHEST_LEVEL: Final = 0.0

#: A horizon is at least so long that the plan spends so many usual bids in it: on a thin market
#: that buys a sixth more for the same money and follows the plan as well; with more bids the plan
#: is followed ever more loosely.
HORIZON_BIDS: Final = 5.0

#: Nobody tells a budget that is gone from one that is never to be spent by dividing by it.
_TINY: Final = 1e-9


class PaceState(msgspec.Struct, frozen=True, gc=False):
    """All that a pacer remembers of one campaign.

    Attributes:
        at_s: When it last looked, Unix seconds.
        spent_micros: What was spent by then, of this plan's budget.
        level: Logarithm of the multiplier.
        behind: Plan less spend at that time, in horizons.
        drift: How fast that grew, in horizons per horizon of time.
    """

    at_s: float
    spent_micros: int
    level: float
    behind: float = 0.0
    drift: float = 0.0

    @property
    def multiplier(self) -> float:
        """What a value is multiplied with before a bid is made of it, above 0."""
        return math.exp(self.level)


class Pacer(msgspec.Struct, frozen=True):
    """Follows plans.

    Attributes:
        controller: Says how the level moves.
        horizon_s: Time within which a deviation should be made good ...
        horizon_share: ... which is no longer than this share of the plan's length ...
        horizon_micros: ... but long enough to spend this: single wins must not look like waves.
        lowest: Bound of the level.
        highest: Bound of the level.
    """

    controller: Pid | DualDescent = Pid()
    horizon_s: float = 600.0
    horizon_share: float = 1.0 / 96.0
    horizon_micros: float = 0.0
    lowest: float = LOWEST_LEVEL
    highest: float = HIGHEST_LEVEL

    def begin(
        self, level: float, plan: SpendPlan, budget_micros: int, at_s: float, spent_micros: int
    ) -> PaceState:
        """Return the state of who begins to follow a plan, which may have begun before.

        What is behind or ahead at that moment moves the level only as long as it lasts.

        Args:
            level: To begin with.
            plan: Of the budget.
            budget_micros: All that the plan spends.
            at_s: Now, Unix seconds.
            spent_micros: Of the budget, until now.
        """
        behind = 0.0
        if budget_micros > 0 and at_s < plan.ends_s and plan.starts_s < plan.ends_s:
            _, unit = self._horizon(plan, budget_micros, at_s)
            behind = (budget_micros * plan.share(at_s) - spent_micros) / unit
        return PaceState(at_s, spent_micros, self._within(level), behind)

    def _within(self, level: float) -> float:
        return min(max(level, self.lowest), self.highest)

    def _horizon(self, plan: SpendPlan, budget_micros: int, at_s: float) -> tuple[float, float]:
        """Return a horizon's length in seconds, and what the plan spends in it, in micros."""
        horizon_s = min(self.horizon_s, self.horizon_share * (plan.ends_s - plan.starts_s))
        unit = budget_micros * _pace_of(plan, at_s, horizon_s)
        longer = max(1.0, self.horizon_micros / unit)
        return longer * horizon_s, longer * unit

    def step(
        self, state: PaceState, plan: SpendPlan, budget_micros: int, at_s: float, spent_micros: int
    ) -> PaceState:
        """Return the state after a look at the spend.

        Args:
            state: After the last look.
            plan: Of the budget.
            budget_micros: All that the plan spends.
            at_s: Now, Unix seconds; a look at or before the last one changes nothing, and none
                does after the end of the plan.
            spent_micros: Of the budget, until now.
        """
        elapsed_s = at_s - state.at_s
        if elapsed_s <= 0.0 or budget_micros <= 0 or not plan.starts_s < plan.ends_s > at_s:
            return state
        horizon_s, unit = self._horizon(plan, budget_micros, at_s)
        share = plan.share(at_s)
        planned = budget_micros * plan.between(state.at_s, at_s) / unit
        spent = (spent_micros - state.spent_micros) / unit
        elapsed = elapsed_s / horizon_s
        behind = (budget_micros * share - spent_micros) / unit
        drift = (planned - spent) / elapsed
        due = budget_micros * max(1.0 - share, _TINY)
        thrift = max(budget_micros - spent_micros, 0) / due
        change = self.controller.step(
            Reading(elapsed, spent, planned, behind, state.behind, drift, state.drift, thrift)
        )
        level = self._within(state.level + change)
        return PaceState(at_s, spent_micros, level, behind, drift)


def _pace_of(plan: SpendPlan, at_s: float, horizon_s: float) -> float:
    """Return the share of the budget that the plan spends in a horizon around a moment.

    Never less than a tenth of an even plan's: an hour of next to no weight must not make a
    deviation of a few micros look like many horizons.
    """
    length_s = max(plan.ends_s - plan.starts_s, _TINY)
    even = horizon_s / length_s
    centre = min(max(at_s, plan.starts_s + horizon_s / 2), plan.ends_s - horizon_s / 2)
    here = plan.between(centre - horizon_s / 2, centre + horizon_s / 2)
    return max(here, 0.1 * even, _TINY)
