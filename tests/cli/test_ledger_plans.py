"""Plan beside spend, as `ledger show` tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cli.ledger.plans import add_plans
from config.settings import Settings
from tests.models.helpers import campaign

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def shown(settings: Settings, **facts: Any) -> dict[str, Any]:
    row = {"campaign_id": "c1", "budget_micros": 1_000, "settled_micros": 100}
    day = {"campaign_id": "c1", "day": "2026-11-23", "spent_micros": 40}
    summary = {"campaigns": [row], "days": [day, day | {"day": "2026-11-22", "spent_micros": 60}]}
    add_plans(summary, (campaign(**facts),), settings, NOON)
    return row


def test_a_daily_budget_is_half_due_at_noon_of_an_even_day() -> None:
    even = Settings.model_validate({"pacing": {"plan": "even"}})
    row = shown(even, daily_budget_micros=200)
    assert (row["today_micros"], row["planned_micros"]) == (40, 100)


def test_by_traffic_less_is_due_before_noon_than_after() -> None:
    row = shown(Settings(), daily_budget_micros=200)
    assert 60 < row["planned_micros"] < 100


def test_a_flight_is_planned_by_what_was_left_this_morning() -> None:
    even = Settings.model_validate({"pacing": {"plan": "even"}})
    flight = {"starts_at": NOON - timedelta(days=2.5), "ends_at": NOON + timedelta(days=1.5)}
    assert shown(even, **flight)["planned_micros"] == 470 // 2


def test_a_campaign_without_a_plan_or_not_in_the_file_has_none() -> None:
    assert shown(Settings())["planned_micros"] is None
    assert shown(Settings(), id="another")["planned_micros"] is None
