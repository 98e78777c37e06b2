from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger import books
from actors.ledger.books import BudgetPlan, Campaign, Day, Lease, LeaseName, LeaseTerms
from transport.money import LeaseRequest, Settle

SHOP = "shop.example"
TODAY = Day("2027-01-15")
AUTUMN = Campaign("autumn", SHOP, 1_000)


def lease_of(
    granted: int = 500, drawn: int = 0, returned: int = 0, *, is_open: bool = True
) -> Lease:
    return Lease(
        1,
        "db-1",
        "r-1",
        "bidder-1",
        "autumn",
        TODAY.day,
        granted,
        35.0,
        drawn,
        returned,
        is_open=is_open,
    )


def win(price: int, bid: int = 0, lease_id: str = "db-1") -> Settle:
    return Settle("key", "autumn", lease_id, price, bid)


def grant(campaign: Campaign, micros: int, day: Day = TODAY, **terms: float) -> books.Granted:
    request = LeaseRequest("r-1", "bidder-1", "autumn", micros)
    return books.grant(campaign, day, request, LeaseName(1, "db-1"), LeaseTerms(**terms))  # type: ignore[arg-type]


def test_a_lease_is_as_large_as_asked_or_as_what_is_free() -> None:
    first = grant(AUTUMN, 700)
    second = grant(first.campaign, 700)
    assert (first.lease.granted_micros, second.lease.granted_micros) == (700, 300)
    assert second.campaign.free_micros == 0


def test_a_lease_is_a_share_of_what_is_free_but_enough_for_a_bid() -> None:
    assert grant(AUTUMN, 700, share=0.25).lease.granted_micros == 250
    assert grant(AUTUMN, 700, share=0.25, least_micros=400).lease.granted_micros == 400
    assert grant(AUTUMN, 700, share=0.25, least_micros=5_000).lease.granted_micros == 700


def test_no_more_is_leased_of_a_day_than_its_budget() -> None:
    campaign = Campaign("autumn", SHOP, 1_000, 300, settled_micros=150, leased_micros=50)
    day = Day("2027-01-15", leased_micros=50, spent_micros=150)
    assert grant(campaign, 700, day).lease.granted_micros == 100
    full = Day("2027-01-15", leased_micros=0, spent_micros=300)
    assert books.why_denied(campaign, full) == "day_spent"
    assert books.why_denied(campaign, Day("2027-01-16")) is None


@pytest.mark.parametrize(
    ("campaign", "reason"),
    [
        (None, "unknown_campaign"),
        (Campaign("autumn", SHOP, 1_000, active=False), "inactive"),
        (Campaign("autumn", SHOP, 1_000, settled_micros=1_000), "exhausted"),
        (Campaign("autumn", SHOP, 1_000, settled_micros=400, leased_micros=600), "all_leased"),
        (Campaign("autumn", SHOP, 1_000, settled_micros=400, leased_micros=599), None),
    ],
)
def test_a_denial_says_why(campaign: Campaign | None, reason: str | None) -> None:
    assert books.why_denied(campaign, TODAY) == reason


@pytest.mark.parametrize(
    ("lease", "settlement", "status", "booked", "drawn"),
    [
        (lease_of(500), win(300), "settled", 300, 300),
        (lease_of(500), win(300, bid=400), "settled", 300, 300),
        (lease_of(500), win(300, bid=200), "over_bid", 200, 200),
        (lease_of(500, drawn=400), win(300), "settled", 300, 100),
        (lease_of(500, is_open=False), win(300), "late", 300, 0),
        (lease_of(500, is_open=False), win(501), "unfunded", 0, 0),
        (None, win(300, lease_id="gone"), "unknown_lease", 300, 0),
        (None, win(900, lease_id="gone"), "unknown_lease", 0, 0),
    ],
)
def test_a_win_is_booked_on_its_lease_then_on_free_budget_or_recorded_as_unfunded(
    lease: Lease | None, settlement: Settle, status: str, booked: int, drawn: int
) -> None:
    leased = lease.outstanding_micros if lease else 0
    campaign = Campaign("autumn", SHOP, 1_000, settled_micros=500 - leased, leased_micros=leased)
    after = books.settle(campaign, lease, settlement, TODAY)
    assert after.settlement.status == status
    assert (after.settlement.booked_micros, after.settlement.drawn_micros) == (booked, drawn)
    assert after.campaign is not None
    assert after.campaign.settled_micros == campaign.settled_micros + booked
    assert after.campaign.leased_micros == leased - drawn
    assert bool(after.campaign.unfunded_micros) == (booked == 0)


def test_a_win_of_a_campaign_that_nobody_knows_is_recorded_and_books_nothing() -> None:
    after = books.settle(None, None, win(300), TODAY)
    assert after.settlement.status == "unknown_lease"
    assert after.settlement.booked_micros == 0
    assert after.settlement.price_micros == 300


@given(totals=st.lists(st.integers(0, 600), min_size=1, max_size=6))
def test_returns_come_to_the_same_in_any_order_and_number(totals: list[int]) -> None:
    campaign = Campaign("autumn", SHOP, 1_000, leased_micros=500)
    lease = lease_of(500)
    for total in totals + sorted(totals):
        campaign, lease, _ = books.give_back(campaign, lease, total)
    assert lease.outstanding_micros == 500 - min(500, max(totals))
    assert campaign.leased_micros == lease.outstanding_micros


def test_closing_a_lease_frees_what_it_still_blocked_and_no_more() -> None:
    lease = lease_of(500, drawn=100, returned=150)
    campaign = Campaign("autumn", SHOP, 1_000, settled_micros=100, leased_micros=250)
    after = books.close(campaign, lease)
    assert after.freed_micros == 250
    assert after.campaign.leased_micros == 0
    assert books.close(after.campaign, after.lease).freed_micros == 0


def test_a_budget_that_is_cut_below_what_is_out_lends_nothing_more_but_still_pays_wins() -> None:
    campaign = Campaign("autumn", SHOP, 1_000, settled_micros=300, leased_micros=500)
    cut = books.seed(campaign, "autumn", BudgetPlan(SHOP, 400))
    assert books.why_denied(cut, TODAY) == "all_leased"
    paid = books.settle(cut, lease_of(500), win(500), TODAY)
    assert paid.settlement.status == "settled"
    assert paid.campaign is not None
    assert paid.campaign.settled_micros == 800
    raised = books.seed(paid.campaign, "autumn", BudgetPlan(SHOP, 2_000))
    assert (raised.free_micros, raised.funded_micros) == (1_200, 2_000)


def test_seeding_again_keeps_what_was_settled_and_wakes_a_retired_campaign() -> None:
    campaign = Campaign("autumn", SHOP, 1_000, settled_micros=300)
    seeded = books.seed(books.retire(campaign), "autumn", BudgetPlan(SHOP, 2_000))
    assert seeded == Campaign("autumn", SHOP, 2_000, settled_micros=300)


def test_money_that_comes_back_after_a_cut_goes_home_to_the_advertiser() -> None:
    campaign = Campaign("autumn", SHOP, 400, settled_micros=300, leased_micros=500)
    assert campaign.funded_micros == 800
    moved = books.give_back(campaign, lease_of(500), 450)
    assert (moved.campaign.funded_micros, moved.campaign.free_micros) == (400, 50)


def test_a_refund_frees_what_was_booked() -> None:
    booked = books.settle(AUTUMN, None, win(300, lease_id=""), TODAY)
    assert booked.campaign is not None
    campaign, settlement = books.refund(booked.campaign, booked.settlement, 100)
    assert (campaign.settled_micros, campaign.free_micros) == (200, 800)
    assert settlement.refunded_micros == 100


def test_a_win_counts_for_the_day_of_its_open_lease_and_else_for_today() -> None:
    assert books.day_of(lease_of(), "2027-01-16") == "2027-01-15"
    assert books.day_of(lease_of(is_open=False), "2027-01-16") == "2027-01-16"
    assert books.day_of(None, "2027-01-16") == "2027-01-16"
