from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from actors.ledger.audit import Auditor
from actors.ledger.books import LeaseTerms
from actors.ledger.clerk import Clerk
from actors.ledger.journal import Entry, Head, Posting, first_seal, sealed
from actors.ledger.rows import NOTHING_FOUND
from tests.money.worlds import MemoryStore, calendar, plans
from transport.money import LeaseGranted, LeaseRequest, LeaseReturn, Settle
from transport.money_operators import Adjust, Refund

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DAY = "2027-01-15"
ADVERTISER = "advertiser/shop.example"
FREE = "campaign/autumn/free"
LEASED, SPENT = f"campaign/autumn/leased/{DAY}", f"campaign/autumn/spent/{DAY}"


def honest() -> list[Entry]:
    """A journal with every kind of operation, as the clerk writes it; keys by their places.

    1 budget 1000, 600 a day; 2 lease 400; 3 win 100; 4 return 50; 5 refund 30; 6 charge 20;
    7 close (what was left of the lease is free again).
    """
    clerk = Clerk(LeaseTerms(), MemoryStore().snapshot(), 0.0, calendar())
    clerk.seed(plans({"autumn": 1_000}, daily=600))
    (lease,) = clerk.handle([LeaseRequest("r", "bidder-1", "autumn", 400)], NOTHING_FOUND, 0.0)
    assert isinstance(lease, LeaseGranted)
    clerk.handle(
        [
            Settle("win", "autumn", lease.lease_id, 100),
            LeaseReturn(lease.lease_id, 50),
            Refund("refund", "win", 30),
            Adjust("adjust", "autumn", 20),
        ],
        NOTHING_FOUND,
        0.0,
    )
    clerk.expire(100.0)
    return list(clerk.take_changes().entries)


def resealed(entries: Iterable[Entry]) -> list[Entry]:
    """Seal and number a forged journal as if it were true."""
    seal, made = first_seal("db"), []
    for number, entry in enumerate(entries, 1):
        made.append(sealed(seal, msgspec.structs.replace(entry, seq=number)))
        seal = made[-1].chain
    return made


def with_postings(place: int, *postings: Posting) -> list[Entry]:
    """The honest journal, with other postings at one place (from 1), sealed again."""
    entries = honest()
    entries[place - 1] = msgspec.structs.replace(entries[place - 1], postings=postings)
    return resealed(entries)


def broken(entries: Iterable[Entry], remembered: Head | None = None) -> list[str]:
    """Which rules a journal breaks, in the order in which that is found out."""
    auditor = Auditor("db", remembered)
    found = [violation.rule for entry in entries for violation in auditor.read(entry)]
    return [*found, *(violation.rule for violation in auditor.end())]


def changed_answer() -> list[Entry]:
    entries = honest()
    entries[2] = msgspec.structs.replace(entries[2], answer="{}")
    return entries


def two_swapped() -> list[Entry]:
    entries = honest()
    entries[2], entries[3] = entries[3], entries[2]
    return entries


def test_what_the_clerk_writes_breaks_no_rule() -> None:
    entries = honest()
    assert [entry.kind for entry in entries] == [
        "budget",
        "lease",
        "settle",
        "return",
        "refund",
        "adjust",
        "close",
    ]
    assert broken(entries) == []
    assert broken([]) == []


def test_the_auditor_knows_what_became_of_money_leases_and_wins() -> None:
    auditor = Auditor("db")
    for entry in honest():
        assert not list(auditor.read(entry))
    held = {account: micros for account, micros in auditor.balances.items() if micros}
    assert held == {ADVERTISER: -1_000, FREE: 910, SPENT: 90}
    assert set(auditor.leases.values()) == {0}
    assert auditor.won == {"win": (100, 30)}


@pytest.mark.parametrize(
    ("forge", "rule"),
    [
        (lambda: honest()[1:], "no_entry_is_missing"),
        (lambda: honest()[:2] + honest()[3:], "no_entry_is_missing"),
        (two_swapped, "no_entry_is_missing"),
        (changed_answer, "no_entry_was_changed"),
        (lambda: with_postings(3, Posting(SPENT, 100)), "postings_sum_to_0"),
        (lambda: with_postings(3, Posting(SPENT, 100)), "balances_sum_to_0"),
        (
            lambda: with_postings(3, Posting(ADVERTISER, -100), Posting(SPENT, 100)),
            "money_moves_by_rule",
        ),
        (
            lambda: with_postings(6, Posting(LEASED, -20), Posting(SPENT, 20)),
            "money_moves_by_rule",
        ),
        (lambda: with_postings(3, Posting(LEASED, -401), Posting(SPENT, 401)), "never_overspent"),
        (lambda: with_postings(5, Posting(SPENT, -101), Posting(FREE, 101)), "never_overspent"),
        (
            lambda: with_postings(2, Posting(FREE, -601), Posting(LEASED, 601)),
            "never_more_than_a_days_budget",
        ),
        (
            lambda: with_postings(6, Posting(FREE, -300), Posting(SPENT, 300)),
            "never_more_than_a_days_budget",
        ),
    ],
)
def test_a_journal_that_breaks_a_rule_is_found_out(
    forge: Callable[[], list[Entry]], rule: str
) -> None:
    assert rule in broken(forge())


def test_a_journal_that_was_forged_and_sealed_again_is_betrayed_by_an_end_written_down() -> None:
    entries = honest()
    heads = [Head(entry.seq, entry.chain) for entry in entries]
    forged = resealed(entries[:2] + entries[3:])
    assert "no_entry_was_changed" not in broken(forged)
    assert all(broken(entries, head) == [] for head in heads)
    told = ["remembered_end_is_part_of_it" in broken(forged, head) for head in heads]
    assert told == [False, False, True, True, True, True, True]


def test_a_journal_that_was_cut_is_betrayed_by_an_end_written_down() -> None:
    entries = honest()
    head = Head(entries[-1].seq, entries[-1].chain)
    assert broken(entries[:-1]) == []
    assert broken(entries[:-1], head) == ["remembered_end_is_part_of_it"]


def test_a_journal_of_another_ledger_is_no_part_of_this_one() -> None:
    auditor = Auditor("other")
    assert [each.rule for each in auditor.read(honest()[0])] == ["no_entry_was_changed"]
