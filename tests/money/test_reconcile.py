from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger.reconcile import QUESTIONS, Bid, Bill, Booking, Books, Reconciliation

NOW_S = 1_000.0


def bid(key: str = "b-1", micros: int = 900, campaign_id: str = "autumn", *, test: int = 0) -> Bid:
    return Bid(key, campaign_id, micros, test, 100.0)


def bill(key: str = "b-1", micros: int = 700) -> Bill:
    return Bill(key, micros, 101.0)


def booking(
    key: str = "b-1", price: int = 700, booked: int = 700, campaign_id: str = "autumn"
) -> Booking:
    return Booking(key, campaign_id, price, booked, 102.0)


def compared(
    bids: list[Bid], bills: list[Bill], bookings: list[Booking], until_s: float = NOW_S
) -> Reconciliation:
    with closing(Books(until_s)) as books:
        books.add_bids(bids)
        books.add_bills(bills)
        books.add_bookings(bookings)
        return books.compare()


def test_books_that_agree_say_so() -> None:
    found = compared([bid(), bid("b-2")], [bill()], [booking()])
    assert found.ok
    assert (found.bids, found.bills, found.bookings, found.unresolved) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("kind", "books"),
    [
        ("billed_but_not_booked", ([bid()], [bill()], [])),
        (
            "booked_but_not_billed",
            ([bid(), bid("b-0")], [bill("b-0")], [booking("b-0"), booking()]),
        ),
        ("booked_without_a_bid", ([bid("b-0")], [bill()], [booking()])),
        ("booked_at_another_price", ([bid()], [bill(micros=650)], [booking()])),
        ("booked_above_the_bid", ([bid(micros=600)], [bill()], [booking()])),
        ("booked_to_another_campaign", ([bid()], [bill()], [booking(campaign_id="winter")])),
        ("booked_a_test", ([bid(test=1)], [bill()], [booking()])),
    ],
)
def test_each_difference_is_found_and_nothing_else(
    kind: str, books: tuple[list[Bid], list[Bill], list[Booking]]
) -> None:
    found = compared(*books)
    assert not found.ok
    assert found.counts == {kind: 1}
    assert [each.kind for each in found.differences] == [kind]
    assert kind in QUESTIONS


def test_a_bill_without_a_price_is_not_another_price() -> None:
    assert compared([bid()], [bill(micros=-1)], [booking(price=900, booked=900)]).ok


def test_a_bill_that_came_twice_at_two_prices_is_found() -> None:
    found = compared([bid()], [bill(), bill(micros=800)], [booking()])
    assert found.counts == {"booked_at_another_price": 1}


def test_what_was_booked_a_moment_ago_or_before_the_logs_is_not_missed() -> None:
    recent = compared([bid("b-0")], [bill("b-0")], [booking("b-0"), booking()], until_s=101.5)
    assert recent.ok
    old = booking("old")._replace(unix_s=50.0)
    found = compared([bid()], [bill()], [booking(), old])
    assert found.ok
    assert found.not_covered == 1


@given(
    wins=st.lists(st.integers(0, 900), max_size=20),
    lost=st.sets(st.integers(0, 19)),
    forgotten=st.sets(st.integers(0, 19)),
)
def test_the_counts_are_those_of_the_bids_one_by_one(
    wins: list[int], lost: set[int], forgotten: set[int]
) -> None:
    keys = [f"b-{number}" for number in range(len(wins))]
    booked = [key for number, key in enumerate(keys) if number not in lost]
    told = [key for number, key in enumerate(keys) if number not in forgotten]
    prices = dict(zip(keys, wins, strict=True))
    found = compared(
        [bid(key) for key in keys],
        [bill(key, prices[key]) for key in told],
        [booking(key, prices[key], prices[key]) for key in booked],
    )
    missing = len(set(told) - set(booked))
    unbilled = len(set(booked) - set(told)) if told else 0
    assert found.counts.get("billed_but_not_booked", 0) == missing
    assert found.counts.get("booked_but_not_billed", 0) == unbilled
    assert found.unresolved == len(set(keys) - set(booked) - set(told))


def test_of_many_differences_the_first_are_named_and_all_are_counted() -> None:
    found = compared([], [bill(f"b-{number}") for number in range(250)], [])
    assert found.counts == {"billed_but_not_booked": 250}
    assert len(found.differences) == 100
