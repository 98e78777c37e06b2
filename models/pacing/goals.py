"""What a conversion may cost: a cap on the cost per conversion, or on spend per return.

Principle: a goal is a plan, too. By now a campaign may have spent what its conversions allow (so
much a conversion, or a share of what they brought), and its level answers to how far its spend is
from that, as with any plan; only that time is counted in money. At level 0 an impression may cost
its chance of a conversion times what a conversion may cost: if the chances are right, the goal is
kept. The level makes good what is wrong with the chances, or uses what prices below the bid leave.

Conversions come later than the spend they belong to, so a campaign that has just begun looks as if
it had spent in vain. The first of its money, what `grace` conversions may cost, is therefore
forgiven in part: it counts as spent within the goal until conversions say otherwise.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from models.pacing.controllers import DualDescent, Pid, Reading

LOWEST_GOAL_LEVEL: Final = -4.0
#: A goal never makes an impression look more than three times as good as its chances say.
HIGHEST_GOAL_LEVEL: Final = math.log(3.0)


class GoalState(msgspec.Struct, frozen=True, gc=False):
    """All that is remembered of a goal.

    Attributes:
        level: Logarithm of what the goal's worth of an impression is multiplied with.
        spent_micros: Until the last look.
        behind: What conversions allowed less what was spent, in windows.
    """

    level: float = 0.0
    spent_micros: int = 0
    behind: float = 0.0

    @property
    def multiplier(self) -> float:
        """What the goal's worth of an impression is multiplied with."""
        return math.exp(self.level)


class GoalKeeper(msgspec.Struct, frozen=True):
    """Keeps spend to what conversions allow.

    Attributes:
        controller: Says how the level moves.
        window: Conversions within whose cost a deviation should be made good.
        grace: Conversions whose cost is forgiven at the start.
        highest: Bound of the level.
    """

    controller: Pid | DualDescent = Pid(1.0, 0.25)
    window: float = 10.0
    grace: float = 3.0
    highest: float = HIGHEST_GOAL_LEVEL

    def step(
        self, state: GoalState, each_micros: float, allowed_micros: float, spent_micros: int
    ) -> GoalState:
        """Return the state after a look.

        Args:
            state: After the last look.
            each_micros: What a typical conversion may cost.
            allowed_micros: What all conversions so far may cost together.
            spent_micros: So far; a look at no new spend and no new conversion changes nothing.
        """
        unit = self.window * each_micros
        forgiven = min(float(spent_micros), self.grace * each_micros)
        behind = (allowed_micros + forgiven - spent_micros) / unit
        elapsed = max(spent_micros - state.spent_micros, 0) / unit
        moved = behind - state.behind
        if not elapsed and not moved:
            return state
        change = self.controller.step(
            Reading(elapsed, elapsed, elapsed + moved, behind, state.behind, 0.0, 0.0, 1.0)
        )
        level = min(max(state.level + change, LOWEST_GOAL_LEVEL), self.highest)
        return GoalState(level, spent_micros, behind)
