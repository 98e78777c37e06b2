"""How fast each campaign may spend: one multiplier of its values, the same in all bidders.

Principle: a bidder paces by what the ledger says of a campaign, which every bidder hears, and never
by what it has spent itself. Two bidders that heard the same therefore bid the same, and none needs
to know how many there are. What a bidder has come to is told to the ledger with its requests for
leases and comes back with the ledger's word, so a bidder that starts goes on where the others are,
and what lost news made of two bidders grows together again.

All that is remembered of a campaign is one frozen value, replaced as a whole: who dies in the
middle of a step leaves the state before it or the state after it to its successor.
"""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import msgspec

from config.trade import PacingSettings
from models.pacing.controllers import DualDescent, Pid
from models.pacing.flights import Account, DayPlan, Flight
from models.pacing.goals import GoalKeeper, GoalState
from models.pacing.pacer import HORIZON_BIDS, LOWEST_MULTIPLIER, Pacer, PaceState
from models.pacing.plan import EVEN, SpendPlan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from config.campaigns import Campaign
    from transport.money import CampaignStanding

#: Share of the way to what others bid at that is gone at each word of the ledger.
PULL: Final = 0.1
#: So many horizons away from its plan a campaign gets a new one: the rest of the money over the
#: rest of the day, instead of a rush.
TOO_FAR: Final = 12.0


class Track(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of one campaign.

    Attributes:
        day: ISO date that `plan_from_s` and `spent_before` belong to.
        plan_from_s: When the plan that is followed began, Unix seconds.
        spent_before: Spent on that day before, in micros.
        pace: Of the plan; None where nothing limits a day.
        is_spent: All that the day allows is spent.
        settled_at_first: Spent in all when conversions were first counted, in micros.
        conversions_micros: What the conversions since then may cost together.
        goal: Of conversions.
    """

    day: str = ""
    plan_from_s: float = 0.0
    spent_before: int = 0
    pace: PaceState | None = None
    is_spent: bool = False
    settled_at_first: int = 0
    conversions_micros: float = 0.0
    goal: GoalState | None = None


class _Paced:
    """The terms of one campaign."""

    __slots__ = ("_rest", "campaign", "flight", "pacer")

    def __init__(self, campaign: Campaign, flight: Flight, pacer: Pacer) -> None:
        self.campaign = campaign
        self.flight = flight
        self.pacer = pacer
        self._rest: SpendPlan | None = None

    def rest_of(self, plan: SpendPlan, from_s: float) -> SpendPlan:
        """Return the part of a plan after a moment, the same one as long as it is asked for."""
        rest = self._rest
        if rest is None or (rest.starts_s, rest.ends_s) != (from_s, plan.ends_s):
            self._rest = rest = SpendPlan(from_s, plan.ends_s, plan.weights)
        return rest

    @property
    def is_planned(self) -> bool:
        """Whether its spend has a plan."""
        return self.flight.is_planned(self.campaign.daily_budget_micros)

    @property
    def has_goal(self) -> bool:
        """Whether it says what conversions may cost."""
        return self.campaign.goal_cpa_micros is not None or self.campaign.goal_roas is not None

    @property
    def each_micros(self) -> float:
        """What a typical conversion may cost."""
        return self.allowed_micros(self.campaign.value_per_conversion_micros)

    def allowed_micros(self, value_micros: int) -> float:
        """Return what a conversion of this worth may cost."""
        if self.campaign.goal_cpa_micros is not None:
            return self.campaign.goal_cpa_micros
        return value_micros / (self.campaign.goal_roas or 1.0)


class Pacing:
    """The multipliers of all campaigns of a bidder.

    It outlives the budget manager that uses it, which only ever calls it.

    Args:
        campaigns: To be paced.
        settings: How.
        zone: Whose midnight begins a day.
    """

    def __init__(
        self, campaigns: Iterable[Campaign], settings: PacingSettings, zone: tzinfo
    ) -> None:
        weights = EVEN if settings.plan == "even" else settings.hours
        self._paced = {
            each.id: _Paced(each, Flight.of(each, weights, zone), _pacer(each, settings))
            for each in campaigns
        }
        self._keeper = GoalKeeper(window=settings.goal_window)
        self._start = settings.start
        self._tracks: dict[str, Track] = {}
        self._multipliers = {
            name: self._multiplier(paced, Track()) for name, paced in self._paced.items()
        }

    @classmethod
    def of_nothing(cls) -> Pacing:
        """Return what paces no campaign."""
        return cls((), PacingSettings(), UTC)

    def multiplier(self, campaign_id: str) -> float:
        """Return what values of a campaign are multiplied with, 0 < it <= 1.

        Args:
            campaign_id: A campaign that is not known is not paced.
        """
        return self._multipliers.get(campaign_id, 1.0)

    def levels(self, campaign_id: str) -> tuple[float, float]:
        """Return the multipliers of plan and goal, to be told to others; 0 is "not known yet".

        Args:
            campaign_id: Of the campaign.
        """
        track = self._tracks.get(campaign_id)
        if track is None:
            return 0.0, 0.0
        pace = 0.0 if track.pace is None else track.pace.multiplier
        return pace, 0.0 if track.goal is None else track.goal.multiplier

    def hear(self, standing: CampaignStanding) -> None:
        """Take the ledger's word on how a campaign stands.

        Args:
            standing: What all bidders hear.
        """
        paced = self._paced.get(standing.campaign_id)
        if paced is None:
            return
        track = self._tracks.get(standing.campaign_id, Track())
        track = self._follow_goal(paced, self._follow_plan(paced, track, standing), standing)
        self._tracks[standing.campaign_id] = track
        self._multipliers[standing.campaign_id] = self._multiplier(paced, track)

    def converted(self, campaign_id: str, value_micros: int | None) -> None:
        """Count a conversion.

        Args:
            campaign_id: Whose.
            value_micros: Its worth; None is what the campaign's usually are worth.
        """
        paced, track = self._paced.get(campaign_id), self._tracks.get(campaign_id)
        if paced is None or track is None or not paced.has_goal:
            return
        worth = value_micros or paced.campaign.value_per_conversion_micros
        allowed = track.conversions_micros + paced.allowed_micros(worth)
        self._tracks[campaign_id] = msgspec.structs.replace(track, conversions_micros=allowed)

    def describe(self) -> dict[str, Any]:
        """Return the multipliers of the campaigns that are held back."""
        return {
            name: round(multiplier, 4)
            for name, multiplier in self._multipliers.items()
            if multiplier < 1.0
        }

    # --- plan ----------------------------------------------------------------------------------

    def _follow_plan(self, paced: _Paced, track: Track, standing: CampaignStanding) -> Track:
        account = Account(
            standing.budget_micros,
            standing.daily_budget_micros,
            standing.settled_micros,
            standing.day_settled_micros,
        )
        whole = paced.flight.day_plan(standing.day, account)
        if whole is None:
            return msgspec.structs.replace(track, day=standing.day, pace=None, is_spent=False)
        if track.pace is None or track.day != standing.day:
            return self._begin(paced, track, whole, standing)
        if standing.day_settled_micros >= whole.allowance_micros:
            # Tomorrow begins with today's level: what can't be spent says nothing of the market.
            return msgspec.structs.replace(track, is_spent=True)
        state = track.pace
        followed = paced.pacer.step(
            state if standing.at <= state.at_s else self._pulled(state, standing.pace),
            paced.rest_of(whole.plan, track.plan_from_s),
            whole.allowance_micros - track.spent_before,
            standing.at,
            standing.day_settled_micros - track.spent_before,
        )
        if abs(followed.behind) > TOO_FAR:
            return self._begin(paced, track, whole, standing)
        return msgspec.structs.replace(track, pace=followed, is_spent=False)

    def _begin(
        self, paced: _Paced, track: Track, whole: DayPlan, standing: CampaignStanding
    ) -> Track:
        """Follow the day's plan, at the level that was reached or that others have reached.

        Where spend is too far from it, the rest of the money gets a plan of its own.
        """
        known = standing.pace or self._start
        level = math.log(known) if track.pace is None else track.pace.level
        at_s, spent = standing.at, standing.day_settled_micros
        plan, from_s, before = whole.plan, whole.plan.starts_s, 0
        state = paced.pacer.begin(level, plan, whole.allowance_micros, at_s, spent)
        if abs(state.behind) > TOO_FAR:
            from_s, before = max(at_s, from_s), spent
            state = PaceState(at_s, 0, state.level)
        return msgspec.structs.replace(
            track,
            day=standing.day,
            plan_from_s=from_s,
            spent_before=before,
            pace=state,
            is_spent=spent >= whole.allowance_micros,
        )

    @staticmethod
    def _pulled(state: PaceState, pace: float) -> PaceState:
        """Return a state that has come a little nearer to the multiplier of others."""
        if pace <= 0.0:
            return state
        others = math.log(min(max(pace, LOWEST_MULTIPLIER), 1.0))
        level = state.level + PULL * (others - state.level)
        return msgspec.structs.replace(state, level=level)

    # --- goals ---------------------------------------------------------------------------------

    def _follow_goal(self, paced: _Paced, track: Track, standing: CampaignStanding) -> Track:
        if not paced.has_goal:
            return track
        if track.goal is None:
            level = math.log(standing.goal) if standing.goal > 0.0 else 0.0
            spent = standing.settled_micros
            return msgspec.structs.replace(track, settled_at_first=spent, goal=GoalState(level))
        goal = self._keeper.step(
            track.goal,
            paced.each_micros,
            track.conversions_micros,
            standing.settled_micros - track.settled_at_first,
        )
        return msgspec.structs.replace(track, goal=goal)

    def _multiplier(self, paced: _Paced, track: Track) -> float:
        """Return what both plan and goal allow."""
        multiplier = 1.0
        if track.is_spent:
            return LOWEST_MULTIPLIER
        if track.pace is not None:
            multiplier = track.pace.multiplier
        elif not track.day and paced.is_planned:
            multiplier = self._start
        if paced.has_goal:
            goal = 1.0 if track.goal is None else track.goal.multiplier
            worth = paced.each_micros / paced.campaign.value_per_conversion_micros
            multiplier = min(multiplier, goal * worth)
        return multiplier


def _pacer(campaign: Campaign, settings: PacingSettings) -> Pacer:
    return Pacer(
        _controller(settings),
        settings.horizon_s,
        horizon_micros=HORIZON_BIDS * campaign.default_bid_micros,
    )


def _controller(settings: PacingSettings) -> Pid | DualDescent:
    if settings.controller == "dual":
        return DualDescent(settings.proportional)
    return Pid(settings.proportional, settings.integral, settings.derivative)
