from __future__ import annotations

import msgspec
import pytest

from actors.budget.sizing import Demand, LeaseSizes
from actors.budget.wallet import Reservation, Wallet, WalletTerms
from transport.money import LeaseDenied, LeaseGranted, LeaseRequest, LeaseReturn, LeaseReturned

TERMS = WalletTerms(
    lease_s=5.0,
    lease_micros=1_000,
    max_lease_micros=4_000,
    low_share=0.5,
    renew_share=0.3,
    keep_s=5.0,
    resend_s=0.5,
)


def new_wallet(terms: WalletTerms = TERMS) -> Wallet:
    return Wallet(terms, "bidder-1", "life-1")


def requests(wallet: Wallet) -> list[LeaseRequest]:
    return [sent for sent in wallet.take_requests() if isinstance(sent, LeaseRequest)]


def returns(wallet: Wallet) -> list[LeaseReturn]:
    return [sent for sent in wallet.take_requests() if isinstance(sent, LeaseReturn)]


def grant_of(request: LeaseRequest, lease_id: str = "db-1", micros: int = 1_000) -> LeaseGranted:
    return LeaseGranted(
        request.request_id, lease_id, request.campaign_id, micros, 5.0, 30.0, 80_000, 100_000
    )


def funded(lease_id: str = "db-1", micros: int = 1_000) -> Wallet:
    """Return a wallet with a lease that it asked for at 0 s and got at 0.1 s."""
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request, lease_id, micros), 0.1)
    return wallet


def test_nothing_may_be_spent_before_a_lease_was_granted() -> None:
    wallet = new_wallet()
    assert wallet.spendable(["autumn"], 0.0) == {}
    assert wallet.reserve("key", "autumn", 1, 0.0) == Reservation(ok=False, reason="no_lease")


def test_the_first_question_about_a_campaign_asks_for_one_lease() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn", "winter"], 0.0)
    wallet.spendable(["autumn", "winter"], 0.1)
    assert requests(wallet) == [
        LeaseRequest("bidder-1:life-1:1", "bidder-1", "autumn", 1_000),
        LeaseRequest("bidder-1:life-1:2", "bidder-1", "winter", 1_000),
    ]


def test_a_lease_ends_counted_from_the_sending_of_its_request() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request), 4.9)
    assert wallet.reserve("early", "autumn", 10, 4.99).ok
    assert not wallet.reserve("late", "autumn", 10, 5.0).ok


def test_a_lease_that_came_after_its_end_is_given_back_unused() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request), 5.1)
    assert wallet.spendable(["autumn"], 5.1) == {}
    wallet.tick(5.2)
    assert returns(wallet) == [LeaseReturn("db-1", 1_000)]


def test_a_grant_that_comes_again_when_its_lease_is_forgotten_is_given_back_whole() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request), 0.1)
    wallet.tick(35.0)
    wallet.take_requests()
    assert wallet.held() == {}
    wallet.granted(grant_of(request), 36.0)
    assert returns(wallet) == [LeaseReturn("db-1", 1_000)]


def test_a_grant_that_comes_twice_is_money_only_once() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request), 0.1)
    wallet.granted(grant_of(request), 0.2)
    assert wallet.spendable(["autumn"], 0.3) == {"autumn": 1_000}
    assert returns(wallet) == []


def test_a_grant_for_an_earlier_life_is_left_alone() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    earlier = msgspec.structs.replace(request, request_id="bidder-1:life-0:1")
    wallet.granted(grant_of(earlier), 0.1)
    assert wallet.spendable(["autumn"], 0.1) == {}
    assert wallet.take_requests() == []


def test_a_reservation_is_made_once_per_key() -> None:
    wallet = funded()
    first = wallet.reserve("key", "autumn", 300, 1.0)
    assert wallet.reserve("key", "autumn", 300, 1.0) == first
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 700}


@pytest.mark.parametrize("ended", [False, True])
def test_a_key_is_never_used_for_a_second_bid(ended: bool) -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    if ended:
        wallet.released("key")
    assert wallet.reserve("key", "autumn", 200, 1.0) == Reservation(ok=False, reason="key_used")


def test_more_than_is_left_is_refused() -> None:
    wallet = funded()
    wallet.reserve("first", "autumn", 900, 1.0)
    assert wallet.reserve("second", "autumn", 101, 1.0) == Reservation(
        ok=False, reason="lease_spent"
    )


def test_a_win_frees_what_it_cost_less_than_its_bid() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    wallet.settled("key", 120)
    wallet.settled("key", 120)
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 880}


def test_a_loss_frees_its_reservation_once() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    wallet.released("key")
    wallet.released("key")
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 1_000}


def test_a_win_after_its_loss_is_taken_from_the_free_money_of_its_lease() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    wallet.released("key")
    wallet.settled("key", 120)
    wallet.settled("key", 120)
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 880}


def test_news_of_bids_that_are_not_ours_change_nothing() -> None:
    wallet = funded()
    wallet.settled("another's", 120)
    wallet.released("another's")
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 1_000}


def test_a_new_lease_is_asked_for_before_the_money_runs_out() -> None:
    wallet = funded()
    wallet.reserve("first", "autumn", 400, 1.0)
    wallet.tick(1.0)
    assert requests(wallet) == []
    wallet.reserve("second", "autumn", 100, 1.0)
    wallet.tick(1.0)
    assert len(requests(wallet)) == 1
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 500}


def test_a_new_lease_is_asked_for_before_the_time_runs_out() -> None:
    wallet = funded()
    wallet.spendable(["autumn"], 3.4)
    assert requests(wallet) == []
    wallet.spendable(["autumn"], 3.6)
    assert len(requests(wallet)) == 1


@pytest.mark.parametrize(
    ("reserved", "after_s", "asked"), [(600, 2.0, 3_000), (900, 0.5, 4_000), (500, 3.4, 1_470)]
)
def test_a_new_lease_lasts_twice_its_time_at_the_present_pace_within_bounds(
    reserved: int, after_s: float, asked: int
) -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", reserved, after_s)
    wallet.tick(after_s)
    (request,) = requests(wallet)
    assert request.micros == asked


def test_a_new_lease_at_a_slow_pace_has_the_smallest_size() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 10, 3.6)
    wallet.tick(3.6)
    (request,) = requests(wallet)
    assert request.micros == TERMS.lease_micros


def test_where_little_is_spent_a_lease_is_as_small_as_is_allowed() -> None:
    wallet = new_wallet(msgspec.structs.replace(TERMS, least_micros=50))
    sizes = []
    for number in range(8):
        now_s = 4.0 * number
        wallet.reserve(f"bid-{number}", "autumn", 10, now_s)
        wallet.tick(now_s)
        (request,) = requests(wallet)
        sizes.append(request.micros)
        wallet.granted(grant_of(request, f"db-{number}", request.micros), now_s)
    assert sizes == [1_000, 50, 50, 50, 50, 50, 50, 50]


def test_a_rise_of_spend_counts_at_once_and_a_fall_by_halves() -> None:
    demand, sizes = Demand(), LeaseSizes(5.0, 100, 100_000)
    asked = []
    for number, taken in enumerate((0, 400, 4_000, 400, 400, 400, 0, 0, 0)):
        demand.taken_micros += taken
        asked.append(demand.next_size(sizes, 700, 4.0 * number))
    assert asked == [700, 1_000, 10_000, 5_500, 3_250, 2_125, 1_062, 531, 265]


def test_a_lease_that_nobody_asks_about_goes_home_before_its_end() -> None:
    wallet = new_wallet(msgspec.structs.replace(TERMS, lease_s=60.0))
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.granted(msgspec.structs.replace(grant_of(request), lease_s=60.0), 0.1)
    wallet.reserve("key", "autumn", 10, 1.0)
    wallet.tick(5.9)
    assert returns(wallet) == []
    wallet.tick(6.0)
    assert returns(wallet) == [LeaseReturn("db-1", 990)]
    wallet.released("key")
    wallet.tick(6.1)
    assert returns(wallet) == [LeaseReturn("db-1", 1_000)]


def test_the_oldest_lease_is_used_up_first() -> None:
    wallet = funded("db-1")
    wallet.spendable(["autumn"], 3.6)
    (request,) = requests(wallet)
    wallet.granted(grant_of(request, "db-2"), 3.7)
    assert wallet.reserve("a", "autumn", 900, 4.0).lease_id == "db-1"
    assert wallet.reserve("b", "autumn", 900, 4.0).lease_id == "db-2"


def test_an_unanswered_request_is_repeated_under_its_id_after_longer_and_longer_waits() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    repeated_at = []
    for tenths in range(1, 300):
        wallet.tick(tenths / 10)
        for again in requests(wallet):
            assert again == request
            repeated_at.append(tenths / 10)
    assert repeated_at == [0.5, 1.5, 3.5, 7.5, 15.5, 25.5]


def test_a_lease_is_waited_for_only_while_it_may_come_soon() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    assert wallet.is_waiting(["autumn"], 0.4)
    assert not wallet.is_waiting(["winter"], 0.4)
    assert not wallet.is_waiting(["autumn"], 0.5)


def test_a_campaign_that_nobody_asks_about_gets_no_new_lease() -> None:
    wallet = funded()
    wallet.tick(4.0)
    assert len(requests(wallet)) == 1
    idle = funded()
    idle.tick(5.1)
    assert requests(idle) == []


def test_after_a_denial_the_ledger_is_left_alone_for_as_long_as_it_said() -> None:
    wallet = new_wallet()
    wallet.spendable(["autumn"], 0.0)
    (request,) = requests(wallet)
    wallet.denied(LeaseDenied(request.request_id, "autumn", "exhausted", 1.0, 0, 100_000), 0.1)
    assert wallet.spendable(["autumn"], 1.0) == {}
    assert requests(wallet) == []
    assert wallet.reserve("key", "autumn", 1, 1.0).reason == "budget_exhausted"
    wallet.spendable(["autumn"], 1.2)
    assert len(requests(wallet)) == 1


def test_a_denial_of_another_request_changes_nothing() -> None:
    wallet = funded()
    wallet.denied(LeaseDenied("bidder-1:life-1:99", "autumn", "exhausted", 1.0, 5, 10), 0.2)
    assert wallet.spendable(["autumn"], 1.0) == {"autumn": 1_000}


def test_unused_money_goes_home_at_the_end_of_its_lease_until_the_ledger_has_it() -> None:
    wallet = funded()
    wallet.tick(5.0)
    assert returns(wallet) == [LeaseReturn("db-1", 1_000)]
    wallet.tick(5.1)
    assert returns(wallet) == []
    wallet.tick(5.5)
    assert returns(wallet) == [LeaseReturn("db-1", 1_000)]
    wallet.returned(LeaseReturned("db-1", 1_000))
    wallet.returned(LeaseReturned("unknown", 1))
    wallet.tick(6.1)
    assert returns(wallet) == []
    assert wallet.held() == {}


def test_what_comes_free_after_the_end_of_a_lease_goes_home_as_a_new_total() -> None:
    wallet = funded()
    wallet.reserve("lost", "autumn", 300, 1.0)
    wallet.reserve("won", "autumn", 200, 1.0)
    wallet.tick(5.0)
    assert returns(wallet) == [LeaseReturn("db-1", 500)]
    wallet.released("lost")
    wallet.settled("won", 120)
    wallet.tick(5.1)
    assert returns(wallet) == [LeaseReturn("db-1", 880)]


def test_a_reservation_stays_until_the_win_window_is_over() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    wallet.tick(34.9)
    assert wallet.held()["db-1"].held_micros == 300
    wallet.tick(35.0)
    assert wallet.held() == {}
    assert wallet.expired == 1
    wallet.released("key")
    wallet.settled("key", 300)


def test_a_polite_end_sends_all_free_money_home_and_reserves_nothing_more() -> None:
    wallet = funded()
    wallet.reserve("key", "autumn", 300, 1.0)
    wallet.give_all_back(1.0)
    assert returns(wallet) == [LeaseReturn("db-1", 700)]
    assert not wallet.reserve("next", "autumn", 10, 1.0).ok
