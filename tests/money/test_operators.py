from __future__ import annotations

from actors.ledger.books import LeaseTerms
from actors.ledger.clerk import Clerk
from tests.money.worlds import Ledger, MemoryStore, calendar, plans
from transport.money import LeaseGranted, LeaseRequest, MoneyRefused, MoneyReply, Settle
from transport.money_operators import Adjust, Adjusted, Refund, Refunded

TERMS = LeaseTerms(lease_s=5.0, win_window_s=30.0, max_lease_micros=1_000)


def ledger_with_a_win(booked: int = 300) -> Ledger:
    """A budget of 1000 of which one win has taken ``booked``."""
    ledger = Ledger(MemoryStore(), {"autumn": 1_000}, 0.0, TERMS)
    ledger.handle([Settle("win", "autumn", "", booked)], 0.0)
    return ledger


def ask(ledger: Ledger, message: Refund | Adjust) -> MoneyReply:
    (reply,) = ledger.handle([message], 1.0)
    return reply


def refused(reply: MoneyReply) -> str:
    assert isinstance(reply, MoneyRefused), reply
    return reply.error


def state(ledger: Ledger) -> tuple[int, int]:
    """What is spent and free."""
    campaign = ledger.clerk.campaigns["autumn"]
    return campaign.settled_micros, campaign.free_micros


def test_a_refund_without_an_amount_gives_all_of_a_booking_back() -> None:
    ledger = ledger_with_a_win()
    assert ask(ledger, Refund("r", "win")) == Refunded("r", "win", "autumn", 300)
    assert state(ledger) == (0, 1_000)


def test_parts_of_a_booking_are_refunded_up_to_all_of_it_and_not_a_micro_more() -> None:
    ledger = ledger_with_a_win()
    assert isinstance(ask(ledger, Refund("r1", "win", 100)), Refunded)
    assert "200" in refused(ask(ledger, Refund("r2", "win", 201)))
    assert isinstance(ask(ledger, Refund("r3", "win", 200)), Refunded)
    assert "given back" in refused(ask(ledger, Refund("r4", "win")))
    assert state(ledger) == (0, 1_000)


def test_a_refund_is_done_once_for_its_key_and_answered_alike_for_ever() -> None:
    ledger = ledger_with_a_win()
    first = ask(ledger, Refund("r", "win", 100))
    assert ledger.handle([Refund("r", "win", 100)] * 2, 1.0) == [first, first]
    heir = Ledger(ledger.store, {"autumn": 1_000}, 2.0, TERMS)
    assert ask(heir, Refund("r", "win", 100)) == first
    assert state(heir) == (200, 800)


def test_a_key_that_was_used_for_something_else_is_refused() -> None:
    ledger = ledger_with_a_win()
    ask(ledger, Refund("r", "win", 100))
    assert "was used for something else" in refused(ask(ledger, Refund("r", "win", 50)))
    ask(ledger, Adjust("a", "autumn", 10))
    assert "was used for something else" in refused(ask(ledger, Adjust("a", "autumn", 11)))
    assert state(ledger) == (210, 790)


def test_a_refused_order_leaves_its_key_free_for_the_right_one() -> None:
    ledger = ledger_with_a_win()
    refused(ask(ledger, Refund("r", "win", 301)))
    assert isinstance(ask(ledger, Refund("r", "win", 300)), Refunded)


def test_a_refund_in_the_burst_of_its_win_finds_it() -> None:
    ledger = Ledger(MemoryStore(), {"autumn": 1_000}, 0.0, TERMS)
    replies = ledger.handle([Settle("win", "autumn", "", 300), Refund("r", "win", 100)], 0.0)
    assert replies[1] == Refunded("r", "win", "autumn", 100)
    assert state(ledger) == (200, 800)


def test_a_win_that_nobody_settled_is_not_refunded() -> None:
    assert "no win 'other'" in refused(ask(ledger_with_a_win(), Refund("r", "other")))


def test_a_win_that_no_budget_covered_has_nothing_to_give_back() -> None:
    ledger = ledger_with_a_win(booked=1_001)
    assert isinstance(ask(ledger, Refund("r", "win")), MoneyRefused)
    assert state(ledger) == (0, 1_000)


def test_a_refund_after_a_cut_of_the_budget_goes_home_to_the_advertiser() -> None:
    store = ledger_with_a_win().store
    ledger = Ledger(store, {"autumn": 200}, 2.0, TERMS)
    assert isinstance(ask(ledger, Refund("r", "win")), Refunded)
    assert state(ledger) == (0, 200)
    assert isinstance(store, MemoryStore)
    assert store.balances["advertiser/shop.example"] == -200


def test_refunded_money_is_leased_again() -> None:
    ledger = ledger_with_a_win(booked=1_000)
    ask(ledger, Refund("r", "win", 400))
    (granted,) = ledger.handle([LeaseRequest("q", "bidder-1", "autumn", 900)], 1.0)
    assert isinstance(granted, LeaseGranted)
    assert granted.micros == 400


def test_a_charge_takes_what_is_free_and_a_credit_gives_back_what_was_spent() -> None:
    ledger = ledger_with_a_win()
    assert ask(ledger, Adjust("a", "autumn", 200)) == Adjusted("a", "autumn", 200)
    assert state(ledger) == (500, 500)
    assert ask(ledger, Adjust("b", "autumn", -500)) == Adjusted("b", "autumn", -500)
    assert state(ledger) == (0, 1_000)


def test_nothing_is_charged_that_is_not_free_nor_credited_that_was_not_spent() -> None:
    ledger = ledger_with_a_win()
    ledger.handle([LeaseRequest("q", "bidder-1", "autumn", 600)], 1.0)
    assert "between -300 and 100" in refused(ask(ledger, Adjust("a", "autumn", 101)))
    assert "between -300 and 100" in refused(ask(ledger, Adjust("b", "autumn", -301)))
    assert state(ledger) == (300, 100)


def test_a_campaign_that_nobody_knows_is_not_charged() -> None:
    assert "no campaign 'winter'" in refused(ask(ledger_with_a_win(), Adjust("a", "winter", 1)))


def test_a_charge_counts_for_the_budget_of_its_day() -> None:
    store = MemoryStore()
    clerk = Clerk(TERMS, store.snapshot(), 0.0, calendar())
    clerk.seed(plans({"autumn": 1_000}, daily=100))
    orders: list[Adjust] = [Adjust("a", "autumn", 101), Adjust("b", "autumn", 100)]
    found = store.find(clerk.wanted(orders))
    replies = clerk.handle(orders, found, 0.0)
    assert [type(reply) for reply in replies] == [MoneyRefused, Adjusted]


def test_a_win_whose_booking_was_credited_otherwise_is_refunded_only_so_far() -> None:
    ledger = ledger_with_a_win()
    ask(ledger, Adjust("a", "autumn", -200))
    assert "100" in refused(ask(ledger, Refund("r", "win")))
    assert isinstance(ask(ledger, Refund("r", "win", 100)), Refunded)
    assert state(ledger) == (0, 1_000)
