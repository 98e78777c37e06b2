"""The journal: every operation on money, in order, for ever, each sealed with all before it.

Principle: an operation is one entry with postings that sum to 0, and the entry's seal is a SHA-256
over the seal before it and all that the entry says. Whoever wrote one seal down can prove later
that no entry up to it was changed, removed or put in between; balances are only a cache of the
journal's sums.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind: TypeAlias = Literal[
    "opening", "budget", "lease", "return", "close", "settle", "refund", "adjust"
]


class Posting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A change of one account's balance, in micros; never 0."""

    account: str
    micros: int


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One operation that was done.

    Attributes:
        seq: Its place, from 1 without gaps.
        key: Its idempotency key with its kind, ``settle:KEY``; unique.
        kind: What was done.
        campaign_id: To which campaign.
        lease_id: By or to which lease; "" without one.
        at_micros: When, in microseconds of Unix time. For people and reports: no rule reads it.
        request: What was asked, as JSON.
        answer: What was answered, as JSON: a repeated request gets it again.
        postings: What moved; they sum to 0, and an operation that moved nothing has none.
        chain: The seal, hexadecimal.
    """

    seq: int
    key: str
    kind: Kind
    campaign_id: str
    lease_id: str
    at_micros: int
    request: str
    answer: str
    postings: tuple[Posting, ...]
    chain: str


class Head(msgspec.Struct, frozen=True):
    """Where a journal ends: its last entry's number and seal (0 and the first seal when empty)."""

    seq: int
    chain: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.chain}"


def first_seal(ledger_id: str) -> str:
    """Return the seal before the first entry, which ties a journal to its ledger."""
    return hashlib.sha256(ledger_id.encode()).hexdigest()


def sealed(previous: str, entry: Entry) -> Entry:
    """Return the entry with its seal.

    Args:
        previous: The seal of the entry before it.
        entry: What it says; its own ``chain`` does not count.
    """
    return msgspec.structs.replace(entry, chain=seal_of(previous, entry))


def seal_of(previous: str, entry: Entry) -> str:
    """Return the seal that an entry must have: SHA-256 of the last seal and of all it says."""
    said = _encode(
        (
            entry.seq,
            entry.key,
            entry.kind,
            entry.campaign_id,
            entry.lease_id,
            entry.at_micros,
            entry.request,
            entry.answer,
            entry.postings,
        )
    )
    return hashlib.sha256(bytes.fromhex(previous) + said).hexdigest()


def is_balanced(postings: Iterable[Posting]) -> bool:
    """Whether postings move money without making or losing any."""
    return sum(posting.micros for posting in postings) == 0


_encode: Final = msgspec.msgpack.Encoder().encode
