"""Targeting that no request could ever meet is refused when the file is read, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from config.campaigns import load_campaigns
from config.errors import ConfigError
from config.targeting import Targeting, targeting_complaint
from tests.models.test_campaigns import GOOD, written

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("countries", "DEU", "DE"),
        ("countries", "USA", "usa"),
        ("regions", "USA-CA", "CA"),
        ("cities", "DEU-bad homburg", "DEU-Berlin"),
        ("os", "ios", "iOS"),
        ("languages", "de", "de-AT"),
        ("categories", "IAB26-4", "IAB27"),
        ("blocked_categories", "IAB25", "gambling"),
        ("domains", "a.example", "https://a.example"),
        ("domains", "a.example", "a.example/page"),
        ("domains", "a.example", "localhost"),
        ("blocked_domains", "B.example", "b.example:80"),
        ("bundles", "com.a", "com a"),
        ("blocked_bundles", "389801252", ""),
        ("segments", "dmp:x y", ""),
        ("blocked_segments", "1", ""),
        ("exchanges", "adx-2", "AdX"),
        ("hours", 23, 24),
        ("hours", 0, -1),
        ("days", 6, 7),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_field(field: str, good: Any, bad: Any) -> None:
    fine: dict[str, Any] = {field: (good,)}
    broken: dict[str, Any] = {field: (good, bad)}
    assert targeting_complaint(Targeting(**fine)) is None
    complaint = targeting_complaint(Targeting(**broken))
    assert complaint is not None
    assert complaint.startswith(f"targeting.{field} ")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("targeting = { hours = [24] }", "targeting.hours are 0 to 23"),
        ('targeting = { device_kinds = ["mobile"] }', "targeting.device_kinds"),
        ('targeting = { categories_in = { 1 = ["IAB1"] } }', "taxonomies other than 1"),
        ('categories_in = { 1 = ["IAB1"] }', "belong in categories"),
        ("open_auction = false", "it would never bid"),
        ('deals = [""]', "need names"),
        ('seat = ""', "need names"),
    ],
)
def test_a_campaign_that_could_not_run_is_refused(tmp_path: Path, line: str, message: str) -> None:
    file = written(tmp_path, GOOD + line + "\n")
    with pytest.raises(ConfigError, match=message):
        load_campaigns(file)


def test_good_targeting_is_read(tmp_path: Path) -> None:
    text = 'targeting = { regions = ["USA-CA"], categories_in = { 6 = ["680"] }, days = [0, 6] }'
    (campaign,) = load_campaigns(written(tmp_path, GOOD + text + '\ndeals = ["d1"]\n'))
    assert campaign.targeting.categories_in == {6: ("680",)}
    assert campaign.targeting.days == (0, 6)
