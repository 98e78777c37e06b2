"""What a campaign may spend on one day of its flight, and by when on that day.

Principle: each day is planned by itself, from what is left. The money that is left at the start of
a day is spread over the days of the flight that are left, by their weight; a daily budget limits
the day's part. What one day missed or overdid is thereby made good over the rest of the flight, not
in the first hours of the next morning. A campaign without an end spends its daily budget each day;
without that, too, it has no plan and bids what impressions are worth until its budget is gone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from models.pacing.plan import EVEN, SpendPlan

if TYPE_CHECKING:
    from datetime import tzinfo

    from config.campaigns import Campaign


class Account(NamedTuple):
    """How a campaign's money stands, in micros.

    Attributes:
        budget_micros: Of the campaign.
        daily_micros: That may be spent on one day; None is no limit.
        settled_micros: Spent in all.
        day_settled_micros: Of it, on the day in question.
    """

    budget_micros: int
    daily_micros: int | None
    settled_micros: int
    day_settled_micros: int


class DayPlan(NamedTuple):
    """The plan of a day.

    Attributes:
        plan: Which share of the allowance belongs before which moment.
        allowance_micros: Of the day.
    """

    plan: SpendPlan
    allowance_micros: int

    def due_micros(self, at_s: float) -> int:
        """Return what should have been spent on this day by a moment.

        Args:
            at_s: Unix seconds.
        """
        return round(self.allowance_micros * self.plan.share(at_s))


class Flight:
    """When a campaign may run, and in which hours it should spend.

    Args:
        starts_s: First moment, Unix seconds; None is "already running".
        ends_s: End, Unix seconds; None is "until the budget is gone".
        weights: Of the 24 hours of the UTC day.
        zone: Whose midnight begins a day.
    """

    __slots__ = ("_day", "_ends_s", "_part", "_starts_s", "_weights", "_zone")

    def __init__(
        self,
        starts_s: float | None,
        ends_s: float | None,
        weights: tuple[float, ...] = EVEN,
        zone: tzinfo = UTC,
    ) -> None:
        self._starts_s = starts_s
        self._ends_s = ends_s
        self._weights = weights
        self._zone = zone
        # Of the day that was asked for last: a day is asked for thousands of times.
        self._day = ""
        self._part: tuple[SpendPlan, float] | None = None

    @classmethod
    def of(cls, campaign: Campaign, weights: tuple[float, ...], zone: tzinfo = UTC) -> Flight:
        """Return a campaign's flight.

        Args:
            campaign: Whose; its own hours count, if it has some.
            weights: Of the hours of campaigns that don't say.
            zone: Whose midnight begins a day.
        """
        starts, ends = campaign.starts_at, campaign.ends_at
        return cls(
            None if starts is None else starts.timestamp(),
            None if ends is None else ends.timestamp(),
            campaign.hour_weights or weights,
            zone,
        )

    def is_planned(self, daily_micros: int | None) -> bool:
        """Whether there is a plan at all.

        Args:
            daily_micros: That may be spent on one day, if that is limited.
        """
        return self._ends_s is not None or daily_micros is not None

    def day_plan(self, day: str, account: Account) -> DayPlan | None:
        """Return the plan of a day; None where nothing limits what is spent on it.

        Args:
            day: ISO date.
            account: How the money stands on that day.
        """
        if not self.is_planned(account.daily_micros):
            return None
        if self._part is None or day != self._day:
            self._part = self._part_on(date.fromisoformat(day))
            self._day = day
        plan, share = self._part
        left = account.budget_micros - account.settled_micros + account.day_settled_micros
        if share < 1.0:
            left = int(left * share)
        if account.daily_micros is not None:
            left = min(left, account.daily_micros)
        return DayPlan(plan, max(left, 0))

    def _part_on(self, day: date) -> tuple[SpendPlan, float]:
        """Return the part of the flight on a day, and its share of all that is left by then."""
        begins_s = datetime.combine(day, time(), self._zone).timestamp()
        over_s = datetime.combine(day + timedelta(days=1), time(), self._zone).timestamp()
        if self._starts_s is not None:
            begins_s = max(begins_s, self._starts_s)
        if self._ends_s is not None:
            over_s = min(over_s, self._ends_s)
        plan = SpendPlan(begins_s, max(over_s, begins_s), self._weights)
        if self._ends_s is None or over_s >= self._ends_s:
            return plan, 1.0
        return plan, SpendPlan(begins_s, self._ends_s, self._weights).share(over_s)
