from __future__ import annotations

from actors.ledger.books import LeaseTerms
from actors.ledger.clerk import Clerk
from tests.money.worlds import Ledger, MemoryStore, calendar, plans
from transport.money import (
    BudgetExhausted,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    LeaseReturned,
    MoneyReply,
    MoneyRequest,
    Release,
    ReleaseAck,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
)

TERMS = LeaseTerms(lease_s=5.0, win_window_s=30.0, max_lease_micros=600)
BUDGETS = {"autumn": 1_000}
AGAIN = SettleAck("key", "settled", 120, repeated=True)


def new_ledger(budgets: dict[str, int] | None = None) -> Ledger:
    return Ledger(MemoryStore(), BUDGETS if budgets is None else budgets, 0.0, TERMS)


def ask(ledger: Ledger, message: MoneyRequest, now_s: float = 0.0) -> MoneyReply:
    (reply,) = ledger.handle([message], now_s)
    return reply


def lease(ledger: Ledger, request_id: str = "r-1", micros: int = 500) -> LeaseGranted:
    reply = ask(ledger, LeaseRequest(request_id, "bidder-1", "autumn", micros))
    assert isinstance(reply, LeaseGranted)
    return reply


def test_a_repeated_request_gets_the_same_lease_and_no_second_one() -> None:
    ledger = new_ledger()
    assert lease(ledger) == lease(ledger)
    assert ledger.clerk.campaigns["autumn"].leased_micros == 500


def test_a_repeated_request_in_one_burst_gets_the_same_lease() -> None:
    request = LeaseRequest("r-1", "bidder-1", "autumn", 500)
    first, second = new_ledger().handle([request, request], 0.0)
    assert first == second


def test_a_request_whose_lease_is_over_gets_its_first_answer_and_no_other_lease() -> None:
    ledger = new_ledger()
    granted = lease(ledger)
    again = ask(ledger, LeaseRequest("r-1", "bidder-1", "autumn", 500), now_s=35.0)
    assert again == granted
    assert not ledger.clerk.leases


def test_a_request_repeated_at_another_pace_gets_its_first_answer() -> None:
    ledger = new_ledger()
    granted = lease(ledger)
    faster = LeaseRequest("r-1", "bidder-1", "autumn", 500, pace=0.8, goal=1.1)
    assert ask(ledger, faster) == granted
    assert ledger.clerk.conflicting == 0


def test_nobody_gets_anothers_lease_by_its_request_id() -> None:
    ledger = new_ledger()
    lease(ledger)
    reply = ask(ledger, LeaseRequest("r-1", "bidder-2", "autumn", 500))
    assert isinstance(reply, LeaseDenied)


def test_no_lease_is_larger_than_the_terms_allow() -> None:
    assert lease(new_ledger(), micros=900).micros == 600


def test_a_lease_closes_after_its_life_and_win_window_and_not_before() -> None:
    ledger = new_ledger()
    lease(ledger)
    ledger.expire(34.9)
    assert ledger.clerk.campaigns["autumn"].free_micros == 500
    ledger.expire(35.0)
    assert ledger.clerk.campaigns["autumn"].free_micros == 1_000


def test_a_clerk_that_takes_over_blocks_open_leases_for_their_whole_time_again() -> None:
    ledger = new_ledger()
    granted = lease(ledger)
    shorter = LeaseTerms(lease_s=1.0, win_window_s=1.0)
    heir = Ledger(ledger.store, BUDGETS, 20.0, shorter)
    heir.expire(54.9)
    assert granted.lease_id in heir.clerk.leases
    heir.expire(55.0)
    assert not heir.clerk.leases


def test_a_win_is_settled_once_however_often_it_comes() -> None:
    ledger = new_ledger()
    win = Settle("key", "autumn", lease(ledger).lease_id, 120, 200)
    twice = ledger.handle([win, win], 1.0)
    assert twice == [
        SettleAck("key", "settled", 120),
        AGAIN,
    ]
    heir = Ledger(ledger.store, BUDGETS, 2.0, TERMS)
    assert ask(heir, win) == AGAIN
    assert heir.clerk.campaigns["autumn"].settled_micros == 120


def test_a_second_price_for_the_same_win_changes_nothing() -> None:
    ledger = new_ledger()
    lease_id = lease(ledger).lease_id
    ask(ledger, Settle("key", "autumn", lease_id, 120))
    assert ask(ledger, Settle("key", "autumn", lease_id, 150)) == AGAIN
    assert (ledger.clerk.repeated, ledger.clerk.conflicting) == (1, 1)


def test_a_win_told_again_by_one_who_does_not_know_the_bid_is_no_conflict() -> None:
    ledger = new_ledger()
    lease_id = lease(ledger).lease_id
    ask(ledger, Settle("key", "autumn", lease_id, 120, 200))
    assert ask(ledger, Settle("key", "autumn", "", 120)) == AGAIN
    assert (ledger.clerk.repeated, ledger.clerk.conflicting) == (1, 0)


def test_a_late_win_is_booked_from_free_budget() -> None:
    ledger = new_ledger()
    win = Settle("key", "autumn", lease(ledger).lease_id, 120)
    assert ask(ledger, win, now_s=36.0) == SettleAck("key", "late", 120)


def test_a_late_win_that_no_budget_is_left_for_is_recorded_and_not_booked() -> None:
    ledger = new_ledger()
    early = lease(ledger, "r-1", 500)
    ledger.expire(35.0)
    ask(ledger, LeaseRequest("r-2", "bidder-1", "autumn", 600), 36.0)
    ask(ledger, LeaseRequest("r-3", "bidder-1", "autumn", 400), 36.0)
    win = Settle("key", "autumn", early.lease_id, 120)
    assert ask(ledger, win, now_s=36.0) == SettleAck("key", "unfunded", 0)
    assert ask(ledger, win, now_s=36.0) == SettleAck("key", "unfunded", 0, repeated=True)
    assert ledger.clerk.campaigns["autumn"].unfunded_micros == 120


def test_money_given_back_can_be_leased_by_another() -> None:
    ledger = new_ledger()
    lease_id = lease(ledger, "r-1", 600).lease_id
    lease(ledger, "r-2", 400)
    assert ask(ledger, LeaseReturn(lease_id, 250)) == LeaseReturned(lease_id, 250)
    assert ask(ledger, LeaseReturn(lease_id, 250)) == LeaseReturned(lease_id, 250)
    assert lease(ledger, "r-3", 400).micros == 250


def test_a_return_for_a_closed_lease_is_acknowledged_and_moves_nothing() -> None:
    ledger = new_ledger()
    lease_id = lease(ledger).lease_id
    assert ask(ledger, LeaseReturn(lease_id, 100), now_s=40.0) == LeaseReturned(lease_id, 100)
    assert ledger.clerk.campaigns["autumn"].free_micros == 1_000


def test_campaigns_that_are_named_no_more_get_no_lease_and_their_wins_are_booked() -> None:
    ledger = new_ledger()
    lease_id = lease(ledger).lease_id
    heir = Ledger(ledger.store, {"winter": 10}, 1.0, TERMS)
    denied = ask(heir, LeaseRequest("r-9", "bidder-1", "autumn", 10))
    assert isinstance(denied, LeaseDenied)
    assert denied.reason == "inactive"
    assert ask(heir, Settle("key", "autumn", lease_id, 7)) == SettleAck("key", "settled", 7)


def test_others_hear_of_wins_losses_closings_and_of_a_budget_that_is_spent() -> None:
    store = MemoryStore()
    clerk = Clerk(TERMS, store.snapshot(), 0.0, calendar())
    clerk.seed(plans({"autumn": 120}))
    found = store.find(clerk.wanted([]))
    (granted,) = clerk.handle([LeaseRequest("r-1", "b", "autumn", 120)], found, 0.0)
    assert isinstance(granted, LeaseGranted)
    lease_id = granted.lease_id
    burst: list[MoneyRequest] = [
        Settle("key", "autumn", lease_id, 120),
        Release("other", "autumn", lease_id),
    ]
    assert clerk.handle(burst, found, 0.0)[1] == ReleaseAck("other")
    clerk.expire(35.0)
    assert clerk.take_notices() == [
        SettledNotice("key", "autumn", lease_id, 120),
        BudgetExhausted("autumn", 120, 120),
        ReleasedNotice("other", "autumn", lease_id),
        LeaseClosed(lease_id, "autumn", 0),
    ]
    assert clerk.take_notices() == []
