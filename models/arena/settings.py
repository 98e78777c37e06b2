"""What an arena is like; nothing here depends on a run's seed."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

#: How an advertiser bids. `truthful`: its value. `shaded`: what pays best in first price against
#: the landscape, its value in second price. `paced`: shaded, and dual descent holds its spend to
#: its plan. `learning`: paced, and the action given moves its level within a bound.
Kind = Literal["truthful", "shaded", "paced", "learning"]

KINDS: Final = get_args(Kind)

#: Ticks of a day: quarters of an hour.
TICKS: Final = 96


class ArenaSettings(msgspec.Struct, frozen=True):
    """An arena.

    Attributes:
        kinds: How each advertiser bids; their number is A.
        first_price: The winner pays its bid, not the highest other bid.
        auctions: Expected auctions of a day.
        days: How many days a run has; they begin with a Monday.
        creatives: Ads of each advertiser, C.
        users: Size of the population.
        budget_share: Budget of an advertiser, as a share of its fair part of what all impressions
            cost on average (1 / A).
        margin: Mean value of an impression / mean market price.
        rate: Step of the dual descent: level per horizon that was spent above the plan.
        horizon_ticks: Ticks within which a deviation should be made good.
        bound: A learning advertiser's action moves its level by at most this, up or down.
        click_delay_ticks: Mean delay of a click.
        conversion_delay_ticks: Mean delay of a conversion after the impression.
        noise: Standard deviation of the log of predicted / true chances.
        prior_clicks: Clicks that the prior of a creative's appeal, 1, is worth.
    """

    kinds: tuple[Kind, ...] = (
        *("truthful", "shaded", "paced", "paced"),
        *("learning", "learning", "learning", "learning"),
    )
    first_price: bool = True
    auctions: int = 50_000
    days: int = 1
    creatives: int = 3
    users: int = 2_000
    budget_share: float = 1.0
    margin: float = 1.5
    rate: float = 1.0
    horizon_ticks: float = 8.0
    bound: float = 0.5
    click_delay_ticks: float = 0.2
    conversion_delay_ticks: float = 4.0
    noise: float = 0.2
    prior_clicks: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what can't be played.

        Raises:
            ValueError: A number is out of range, or a kind is none of `KINDS`.
        """
        unknown = [kind for kind in self.kinds if kind not in KINDS]
        if unknown or not self.kinds:
            raise ValueError(f"kinds must be one or more of {KINDS}, not {self.kinds}")
        for name in (
            "auctions",
            "days",
            "creatives",
            "users",
            "budget_share",
            "margin",
            "prior_clicks",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("rate", "bound", "click_delay_ticks", "conversion_delay_ticks", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, not {getattr(self, name)}")
        if self.horizon_ticks < 1:
            raise ValueError(f"horizon_ticks must be at least 1, not {self.horizon_ticks}")

    @property
    def ticks(self) -> int:
        """Ticks of a run, T."""
        return TICKS * self.days

    @property
    def advertisers(self) -> int:
        """Number of advertisers, A."""
        return len(self.kinds)
