from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger import accounts
from actors.ledger.accounts import HOUSE
from actors.ledger.bookkeeping import Bookkeeper, Calendar, Days, Operation, postings_of
from actors.ledger.books import Campaign, Day, LeaseTerms
from actors.ledger.journal import Head, Posting, first_seal, seal_of
from tests.money.worlds import NOON, Ledger, MemoryStore, calendar
from transport.money import LeaseGranted, LeaseRequest, LeaseReturn, Settle
from transport.money_operators import Adjust, Refund

if TYPE_CHECKING:
    from transport.money import MoneyRequest

SHOP = "shop.example"
AUTUMN = Campaign("autumn", SHOP, 1_000)
MONDAY, TUESDAY = "2027-01-18", "2027-01-19"
BOTH = Days(MONDAY, MONDAY)
EMPTY = Head(0, first_seal("db"))

AMOUNTS = st.integers(0, 2_000)
CAMPAIGNS = st.builds(
    Campaign,
    campaign_id=st.just("autumn"),
    advertiser=st.sampled_from([SHOP, "other.example"]),
    budget_micros=AMOUNTS,
    settled_micros=AMOUNTS,
    leased_micros=AMOUNTS,
    unfunded_micros=AMOUNTS,
)


def sums_of(campaign: Campaign) -> dict[str, int]:
    """What the accounts of a campaign that was always like this hold; written anew."""
    given_micros = max(campaign.budget_micros, campaign.settled_micros + campaign.leased_micros)
    held = {
        f"advertiser/{campaign.advertiser}": -given_micros,
        "campaign/autumn/free": given_micros - campaign.settled_micros - campaign.leased_micros,
        f"campaign/autumn/leased/{MONDAY}": campaign.leased_micros,
        f"campaign/autumn/spent/{MONDAY}": campaign.settled_micros,
        "campaign/autumn/unfunded": campaign.unfunded_micros,
        "house/unfunded": -campaign.unfunded_micros,
    }
    return {account: micros for account, micros in held.items() if micros}


@given(before=st.none() | CAMPAIGNS, after=CAMPAIGNS)
def test_postings_lead_from_one_state_to_the_next_and_sum_to_nothing(
    before: Campaign | None, after: Campaign
) -> None:
    balances = sums_of(before) if before else {}
    postings = postings_of(before, after, BOTH)
    for posting in postings:
        assert posting.micros
        balances[posting.account] = balances.get(posting.account, 0) + posting.micros
    assert {account: micros for account, micros in balances.items() if micros} == sums_of(after)
    assert sum(posting.micros for posting in postings) == 0
    assert len({posting.account for posting in postings}) == len(postings)


def test_what_does_not_change_has_no_postings() -> None:
    assert postings_of(AUTUMN, msgspec.structs.replace(AUTUMN, active=False), BOTH) == ()


def test_money_that_is_leased_on_one_day_may_be_spent_on_another() -> None:
    leased = msgspec.structs.replace(AUTUMN, leased_micros=300)
    spent = msgspec.structs.replace(AUTUMN, settled_micros=300)
    assert postings_of(leased, spent, Days(MONDAY, TUESDAY)) == (
        Posting(accounts.leased("autumn", MONDAY), -300),
        Posting(accounts.spent("autumn", TUESDAY), 300),
    )


def new_book() -> Bookkeeper:
    return Bookkeeper(EMPTY, {}, calendar())


def test_entries_are_numbered_and_sealed_one_after_the_other() -> None:
    book = new_book()
    book.record(Operation("budget", "autumn:1", "autumn"), None, AUTUMN, BOTH)
    leased = msgspec.structs.replace(AUTUMN, leased_micros=300)
    book.record(Operation("lease", "r-1", "autumn"), AUTUMN, leased, BOTH)
    (first, second), balances = book.take()
    assert (first.seq, second.seq) == (1, 2)
    assert first.chain == seal_of(EMPTY.chain, first)
    assert second.chain == seal_of(first.chain, second)
    assert book.head == Head(2, second.chain)
    assert balances == {
        f"advertiser/{SHOP}": -1_000,
        "campaign/autumn/free": 700,
        f"campaign/autumn/leased/{MONDAY}": 300,
    }
    assert first.at_micros == int(NOON * 1_000_000)


def test_what_was_taken_is_not_taken_again_and_only_new_entries_are_fresh() -> None:
    book = new_book()
    book.record(Operation("budget", "autumn:1", "autumn"), None, AUTUMN, BOTH)
    assert book.fresh("budget:autumn:1") is not None
    book.take()
    assert book.fresh("budget:autumn:1") is None
    assert book.take() == ([], {})


def test_a_day_holds_what_was_leased_and_spent_on_it_alone() -> None:
    book = new_book()
    out = msgspec.structs.replace(AUTUMN, leased_micros=300, settled_micros=100)
    book.record(Operation("opening", "autumn", "autumn"), None, out, Days(MONDAY, TUESDAY))
    assert book.day("autumn", MONDAY) == Day(MONDAY, 300, 0)
    assert book.day("autumn", TUESDAY) == Day(TUESDAY, 0, 100)
    assert book.day("winter", MONDAY) == Day(MONDAY)


def test_nothing_is_written_that_would_let_a_campaign_owe() -> None:
    book = new_book()
    book.record(Operation("budget", "autumn:1", "autumn"), None, AUTUMN, BOTH)
    leased = msgspec.structs.replace(AUTUMN, leased_micros=300)
    spent = msgspec.structs.replace(AUTUMN, settled_micros=300)
    with pytest.raises(AssertionError):
        # Nothing is leased on that day.
        book.record(Operation("settle", "win", "autumn"), leased, spent, Days(TUESDAY, MONDAY))


@pytest.mark.parametrize(
    ("zone", "unix_s", "day"),
    [
        ("UTC", 1_800_057_599.0, "2027-01-15"),
        ("UTC", 1_800_057_600.0, "2027-01-16"),
        ("Europe/Berlin", 1_800_053_999.0, "2027-01-15"),
        ("Europe/Berlin", 1_800_054_000.0, "2027-01-16"),
        ("America/New_York", 1_800_057_600.0, "2027-01-15"),
    ],
)
def test_a_day_begins_at_midnight_where_the_money_lives(zone: str, unix_s: float, day: str) -> None:
    assert Calendar(lambda: unix_s, ZoneInfo(zone)).today() == day


def message_of(kind: int, number: int, micros: int, lease_id: str) -> MoneyRequest:
    """Some request; numbers are few, so keys are repeated."""
    campaign_id = ("autumn", "winter")[number % 2]
    choices: list[MoneyRequest] = [
        LeaseRequest(f"r-{number}", "bidder-1", campaign_id, micros + 1),
        Settle(f"win-{number}", campaign_id, lease_id, micros),
        LeaseReturn(lease_id or "none", micros),
        Refund(f"refund-{number}", f"win-{number}", micros // 2),
        Adjust(f"adjust-{number}", campaign_id, micros - 200),
    ]
    return choices[kind]


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 600), st.floats(0.0, 20.0)),
        max_size=40,
    )
)
def test_after_any_operations_rows_balances_and_journal_tell_the_same(
    steps: list[tuple[int, int, int, float]],
) -> None:
    store = MemoryStore()
    ledger, now_s = Ledger(store, {"autumn": 1_000, "winter": 500}, 0.0, LeaseTerms()), 0.0
    leases = [""]
    for kind, number, micros, passed_s in steps:
        now_s += passed_s
        message = message_of(kind, number, micros, leases[number % len(leases)])
        (reply,) = ledger.handle([message], now_s)
        if isinstance(reply, LeaseGranted):
            leases.append(reply.lease_id)
    sums: dict[str, int] = {}
    for entry in store.journal.values():
        for posting in entry.postings:
            sums[posting.account] = sums.get(posting.account, 0) + posting.micros
    assert sums == store.balances
    assert sum(sums.values()) == 0
    day = calendar().today()
    for name, campaign in store.campaigns.items():
        assert sums[accounts.free(name)] == campaign.free_micros
        assert sums.get(accounts.leased(name, day), 0) == campaign.leased_micros
        assert sums.get(accounts.spent(name, day), 0) == campaign.settled_micros
        assert sums.get(accounts.unfunded(name), 0) == campaign.unfunded_micros
    unfunded = sum(campaign.unfunded_micros for campaign in store.campaigns.values())
    assert sums.get(HOUSE, 0) == -unfunded
    assert [entry.seq for entry in store.journal.values()] == list(range(1, len(store.journal) + 1))
