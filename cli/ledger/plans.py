"""What campaigns should have spent today by now, beside what they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from models.pacing.flights import Account, Flight
from models.pacing.plan import EVEN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from config.campaigns import Campaign
    from config.settings import Settings


def add_plans(
    summary: dict[str, Any], campaigns: Iterable[Campaign], settings: Settings, now: datetime
) -> None:
    """Add to each campaign of a summary what it has spent today, and what it should have by now.

    Args:
        summary: Of the ledger; its campaigns get ``today_micros`` and ``planned_micros``, which is
            None for those without a plan.
        campaigns: Of the campaign file.
        settings: Of the node.
        now: With a time zone.
    """
    zone = ZoneInfo(settings.money.timezone)
    weights = EVEN if settings.pacing.plan == "even" else settings.pacing.hours
    day = now.astimezone(zone).date().isoformat()
    spent = {
        each["campaign_id"]: each["spent_micros"] for each in summary["days"] if each["day"] == day
    }
    known = {each.id: each for each in campaigns}
    for row in summary["campaigns"]:
        row["today_micros"] = today = spent.get(row["campaign_id"], 0)
        campaign = known.get(row["campaign_id"])
        daily = None if campaign is None else campaign.daily_budget_micros
        account = Account(row["budget_micros"], daily, row["settled_micros"], today)
        planned = (
            None if campaign is None else Flight.of(campaign, weights, zone).day_plan(day, account)
        )
        row["planned_micros"] = None if planned is None else planned.due_micros(now.timestamp())
