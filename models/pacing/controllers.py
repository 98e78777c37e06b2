"""Two ways to move the level of a campaign's bids so that its spend follows its plan.

The actuator is exponential (Zhang et al., WSDM 2016, equation 7): a bid is ``value * exp(level)``,
so a step of the level is a step in per cent wherever it stands. Amounts are measured in *horizons*:
what the plan spends in the time within which a deviation should be made good. That makes the gains
the same for all budgets and flights.

`Pid` answers to how far the spend is behind its plan. `DualDescent` is the dual mirror descent of
adaptive pacing (Balseiro and Gur, Management Science 2019; entropic mirror map): its level is minus
the logarithm of the price of budget, and answers to the last step's spend against what the budget
that is left allows for it. Without the replanning and without the integral term the two are the
same rule, since the sum of the steps' deviations is how far the spend is from its plan.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Reading(NamedTuple):
    """What a controller sees of one step; amounts in horizons.

    Attributes:
        elapsed: Time since the last reading.
        spent: Spend in that time.
        planned: Plan for that time.
        behind: Plan so far less spend so far; below 0 when the campaign is ahead.
        behind_before: The same at the last reading.
        drift: How fast it falls behind, in horizons per horizon of time.
        drift_before: The same at the last reading.
        thrift: Budget that is left / budget that should be left; 1 on plan.
    """

    elapsed: float
    spent: float
    planned: float
    behind: float
    behind_before: float
    drift: float
    drift_before: float
    thrift: float


class Controller(Protocol):
    """Moves a level."""

    def step(self, reading: Reading) -> float:
        """Return by how much the level changes."""


class Pid(NamedTuple):
    """Proportional, integral and derivative gain over how far spend is behind plan.

    In the form of increments, so that the level itself is the whole state: who takes over a level
    from somebody else goes on where that one stood.

    Attributes:
        proportional: Level per horizon behind.
        integral: Level per horizon behind and horizon of time.
        derivative: Level per horizon that it falls behind in a horizon of time.
    """

    proportional: float = 1.0
    integral: float = 0.5
    derivative: float = 0.0

    def step(self, reading: Reading) -> float:
        """Return by how much the level changes."""
        return (
            self.proportional * (reading.behind - reading.behind_before)
            + self.integral * reading.behind * reading.elapsed
            + self.derivative * (reading.drift - reading.drift_before)
        )


class DualDescent(NamedTuple):
    """Mirror descent on the price of budget.

    Attributes:
        rate: Level per horizon that was spent above what the budget left allows.
    """

    rate: float = 1.0

    def step(self, reading: Reading) -> float:
        """Return by how much the level changes."""
        return self.rate * (reading.planned * reading.thrift - reading.spent)
