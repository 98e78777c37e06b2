"""Settings of the trade: money, pace, the market's terms, the law, and what is told of bids."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from config.sections import (
    FileName,
    Gain,
    HourWeights,
    Names,
    Positive,
    Purposes,
    Seconds,
    Section,
    Share,
    Timezone,
)


class MoneySettings(Section):
    """Leases, reservations and caps; all amounts in micros of a US dollar per impression."""

    lease_s: Seconds = 5.0
    """How long a bidder may spend from a lease."""
    win_window_s: Seconds = 30.0
    """How long a win may come after its bid."""
    lease_micros: Positive = 2_000_000
    """Size of one lease."""
    lease_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    """No lease is larger than this share of what is free, unless that is less than one bid."""
    database: str = ""
    """URL of a PostgreSQL database; empty means a SQLite file in the data folder."""
    database_password_file: FileName = ""
    """File with the database's password; empty means that the URL or libpq's own means have it."""
    timezone: Timezone = "UTC"
    """Where a campaign's day begins at midnight, as the IANA names it."""
    group_commit_ms: Annotated[int, Field(ge=0)] = 2
    """How long the ledger may wait to commit several frames together."""
    silence_s: Seconds = 120.0
    """Without news of wins or losses for so long, although it bids, a bidder slows down."""
    silence_bids: Annotated[int, Field(ge=0)] = 500
    """Bids that must be without news for that; 0 means never to slow down."""
    slow_micros_per_s: Positive = 100_000
    """What a slow node's bids to an exchange may reserve in a second."""
    price_cap_micros: Positive = 50_000
    """No bid is above this (50,000 is a CPM of $50)."""
    unvetted_cap_micros: Positive = 2_000
    """No bid on traffic that could not be vetted is above this."""


class PacingSettings(Section):
    """How fast budgets are spent."""

    plan: Literal["traffic", "even"] = "traffic"
    """How a day's money is spread: as the traffic comes, or the same in each hour."""
    hours: HourWeights = (
        0.55, 0.42, 0.35, 0.32, 0.34, 0.45, 0.66, 0.90, 1.08, 1.17, 1.21, 1.24,
        1.27, 1.24, 1.18, 1.15, 1.18, 1.27, 1.41, 1.55, 1.60, 1.45, 1.11, 0.80,
    )  # fmt: skip
    """The traffic that is expected in each hour of the day (UTC), in any unit: 24 numbers."""
    controller: Literal["pid", "dual"] = "pid"
    """What moves bids: how far spend is from its plan, or what the budget left allows."""
    proportional: Gain = 1.0
    """Gain on how far spend is from its plan; of the dual descent its rate."""
    integral: Gain = 0.5
    """Gain on how long it has been so; the dual descent has none."""
    derivative: Gain = 0.0
    """Gain on how fast that changes; the dual descent has none."""
    horizon_s: Seconds = 600.0
    """Time within which a deviation should be made good; at most a 96th of the plan."""
    start: Share = 0.2
    """What values are multiplied with before anything is known of a campaign's spend."""
    goal_window: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0
    """Conversions within whose cost a campaign comes back to its goal."""


class ShadingSettings(Section):
    """First-price bids below their value."""

    control_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of the first-price bids that are left unshaded, to tell what shading earns."""


class MarketSettings(Section):
    """Currencies and deals."""

    rates: FileName = ""
    """Table of exchange rates; empty means the sample of the package."""
    rates_check_s: Seconds = 30.0
    """How often the table is looked at, and read again when it has changed."""
    max_deals: Annotated[int, Field(ge=0, le=64)] = 8
    """Deals of one impression that are bid on at most."""

    @property
    def rate_file(self) -> Path | None:
        """The table of exchange rates, None for the sample of the package."""
        return Path(self.rates) if self.rates else None


class PrivacySettings(Section):
    """What may be known of a user."""

    vendor_id: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Our number in the IAB's Global Vendor List; with 0 nobody can consent to us under GDPR."""
    consent_purposes: Purposes = (1, 3, 4)
    """Purposes of the TCF to which a user under GDPR must have consented."""
    interest_purposes: Purposes = (2, 7)
    """Purposes for which a legitimate interest does as well as a consent."""
    without_consent: Literal["contextual", "no_bid"] = "contextual"
    """What is done where the law or the user forbids personal data: bid without, or not at all."""


class SupplySettings(Section):
    """Whom we buy from."""

    incomplete_chain: Literal["refuse", "bid"] = "refuse"
    """What is done with a supply chain that says that sellers are missing."""
    blocked_sellers: Names = ()
    """Sellers (`asi`, or `asi/sid`) that nothing is bought through."""


class NoticeSettings(Section):
    """What exchanges and browsers tell us of our bids."""

    books: Literal["billing", "win"] = "billing"
    """The notice that books spend; the other one is only noted."""
    life_s: Seconds = 86_400.0
    """How long after the bid a win, loss or billing notice is still taken."""
    click_life_s: Seconds = 2_592_000.0
    """How long after the bid a click or conversion is still taken."""
