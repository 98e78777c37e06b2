"""Fraud rules: strong signs refuse, weak signs add up, people pass; counting is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from models.fraud import FraudRules, RecentCounts, source_of
from tests.models.helpers import opportunity

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
PERSON = {"user_agent": PHONE, "ip": "203.0.113.9", "device_kind": "phone"}


@pytest.mark.parametrize(
    ("changes", "recent", "reason", "valid"),
    [
        (
            {"user_agent": "Googlebot/2.1 (+http://www.google.com/bot.html)"},
            1,
            "bot_user_agent",
            False,
        ),
        ({"user_agent": "python-requests/2.31"}, 1, "bot_user_agent", False),
        ({"ip": "52.1.2.3"}, 1, "datacenter_ip", True),
        ({"ip": "35.191.255.255"}, 1, "datacenter_ip", True),
        ({"ip": "127.0.0.1"}, 1, "impossible_address", True),
        ({"ip": "239.1.1.1"}, 1, "impossible_address", True),
        ({"device_kind": "desktop"}, 1, "device_contradicts_agent", True),
        ({"user_agent": ""}, 1, "no_user_agent", True),
        ({"user_agent": "", "ip": ""}, 1, "no_address", True),
        ({}, 120, "many_requests", True),
        ({}, 600, "too_many_requests", False),
        ({"device_kind": "desktop", "ip": "52.1.2.3"}, 120, "datacenter_ip", False),
    ],
)
def test_a_sign_is_named_and_strong_evidence_refuses(
    changes: dict[str, Any], recent: int, reason: str, *, valid: bool
) -> None:
    verdict = FraudRules().score(opportunity(**{**PERSON, **changes}), recent)
    assert reason in verdict.reasons
    assert verdict.valid is valid
    assert 0.0 < verdict.score < 1.0


def test_a_computing_centre_is_refused_with_a_second_sign_only_and_is_then_the_reason() -> None:
    alone = FraudRules().score(opportunity(**{**PERSON, "ip": "52.1.2.3"}), 1)
    both = opportunity(**{**PERSON, "ip": "52.1.2.3", "device_kind": "desktop"})
    verdict = FraudRules().score(both, 1)
    assert alone.valid
    assert not verdict.valid
    assert verdict.reasons[0] == "datacenter_ip"


@pytest.mark.parametrize(
    "address", ["203.0.113.9", "203.0.113", "52.0.0", "2001:db8::1", "not an address", ""]
)
def test_a_person_passes_whatever_the_exchange_cuts_off(address: str) -> None:
    verdict = FraudRules().score(opportunity(**{**PERSON, "ip": address}), 1)
    assert (verdict.score, verdict.valid, verdict.reasons) == (0.0, True, ())


def test_an_address_beside_a_hosting_range_is_clean() -> None:
    assert FraudRules().score(opportunity(**{**PERSON, "ip": "46.5.0.1"}), 1).reasons == ()


def test_reasons_come_strongest_first() -> None:
    asked = opportunity(user_agent="curl/8.0", ip="46.4.1.1", device_kind="phone")
    assert FraudRules().score(asked, 120).reasons[0] == "bot_user_agent"


def test_a_user_is_a_better_source_than_an_address() -> None:
    assert source_of(opportunity(user_id="u", ip="1.2.3.4")) == "u"
    assert source_of(opportunity(ip="1.2.3.4")) == "1.2.3.4"


def test_requests_are_counted_within_the_window() -> None:
    counts = RecentCounts(window_s=10.0)
    assert [counts.count("a", now_s) for now_s in (100.0, 101.0, 109.0)] == [1, 2, 3]
    assert counts.count("b", 109.0) == 1
    assert counts.count("a", 115.0) == 2  # one new, half of the three before
    assert counts.count("a", 200.0) == 1


def test_a_source_without_a_name_is_not_counted() -> None:
    assert RecentCounts().count("", 5.0) == 0


def test_memory_of_sources_is_bounded() -> None:
    counts = RecentCounts(window_s=10.0, max_sources=3)
    for name in "abcd":
        counts.count(name, 1.0)
    assert counts.count("a", 2.0) == 1  # was forgotten
    assert counts.count("d", 2.0) == 2
