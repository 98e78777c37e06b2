from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger.journal import (
    Entry,
    Head,
    Posting,
    first_seal,
    is_balanced,
    seal_of,
    sealed,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY = Entry(
    seq=7,
    key="settle:win-1",
    kind="settle",
    campaign_id="autumn",
    lease_id="db-1",
    at_micros=1_800_014_400_000_000,
    request="{}",
    answer="{}",
    postings=(Posting("campaign/autumn/free", -5), Posting("campaign/autumn/spent/d", 5)),
    chain="",
)
OTHERS: dict[str, Any] = {
    "seq": 8,
    "key": "settle:win-2",
    "kind": "refund",
    "campaign_id": "winter",
    "lease_id": "",
    "at_micros": 1,
    "request": "{ }",
    "answer": "",
    "postings": (Posting("campaign/autumn/free", -6), Posting("campaign/autumn/spent/d", 6)),
}


def chained(entries: Sequence[Entry], ledger_id: str = "db") -> list[Entry]:
    """Seal entries one after the other."""
    seal, made = first_seal(ledger_id), []
    for entry in entries:
        made.append(sealed(seal, entry))
        seal = made[-1].chain
    return made


@pytest.mark.parametrize("field", [name for name in Entry.__struct_fields__ if name != "chain"])
def test_a_seal_is_broken_by_a_change_of_anything_that_the_entry_says(field: str) -> None:
    changed = msgspec.structs.replace(ENTRY, **{field: OTHERS[field]})
    assert seal_of(first_seal("db"), changed) != seal_of(first_seal("db"), ENTRY)


def test_what_moves_between_two_fields_breaks_the_seal() -> None:
    moved = msgspec.structs.replace(ENTRY, campaign_id="autumndb-1", lease_id="")
    assert seal_of(first_seal("db"), moved) != seal_of(first_seal("db"), ENTRY)


def test_a_seal_does_not_depend_on_what_stood_in_its_place() -> None:
    once = sealed(first_seal("db"), ENTRY)
    assert sealed(first_seal("db"), once) == once


@given(
    count=st.integers(2, 6),
    at=st.integers(0, 4),
    amount=st.integers(1, 9),
)
def test_a_change_of_an_early_entry_shows_in_every_later_seal(
    count: int, at: int, amount: int
) -> None:
    entries = [msgspec.structs.replace(ENTRY, seq=seq) for seq in range(1, count + 1)]
    at %= count
    forged = list(entries)
    moved = tuple(
        Posting(posting.account, posting.micros * (amount + 1)) for posting in ENTRY.postings
    )
    forged[at] = msgspec.structs.replace(entries[at], postings=moved)
    differs = [
        true.chain != false.chain
        for true, false in zip(chained(entries), chained(forged), strict=True)
    ]
    assert differs == [place >= at for place in range(count)]


def test_the_same_entries_in_another_ledger_have_other_seals() -> None:
    assert chained([ENTRY], "db")[0].chain != chained([ENTRY], "other")[0].chain


def test_the_seal_of_a_known_entry_stays_what_it_was() -> None:
    """Journals that exist must be readable by every later version."""
    assert sealed(first_seal("db"), ENTRY).chain == (
        "2ec6627bbcafc0f9978d9885c891d52680705d7f2d61b4308c1f3860cdd51442"
    )


def test_a_journals_end_is_written_as_number_and_seal() -> None:
    assert str(Head(3, "ab")) == "3:ab"


def test_postings_are_balanced_if_they_sum_to_nothing() -> None:
    assert is_balanced(ENTRY.postings)
    assert not is_balanced(ENTRY.postings[:1])
    assert is_balanced(())
