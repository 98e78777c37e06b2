"""The journal read again from its first entry: what every balance, lease and win must be.

Principle: believe nothing but the entries. The auditor keeps its own sums, in its own words, and
shares no rule with the clerk who wrote them; each entry must be allowed by what came before it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from actors.ledger import accounts
from actors.ledger.journal import first_seal, seal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.ledger.journal import Entry, Head, Posting

#: What an operation may move: from which part of a campaign's accounts to which. An opening may
#: move everything: it tells what was before there was a journal.
_ROADS = {
    "budget": {("advertiser", "free"), ("free", "advertiser"), ("advertiser", "advertiser")},
    "lease": {("free", "leased")},
    "return": {("leased", "free"), ("leased", "advertiser")},
    "close": {("leased", "free"), ("leased", "advertiser")},
    "settle": {("leased", "spent"), ("free", "spent"), ("house", "unfunded")},
    "refund": {("spent", "free"), ("spent", "advertiser")},
    "adjust": {("spent", "free"), ("spent", "advertiser"), ("free", "spent")},
}


class Violation(msgspec.Struct, frozen=True):
    """A broken rule: its name, the row that breaks it, and the figures."""

    rule: str
    subject: str
    detail: str


class Won(NamedTuple):
    """What the journal says of one win, in micros."""

    booked_micros: int
    refunded_micros: int = 0


class Auditor:
    """Reads entries in order.

    Args:
        ledger_id: Whose journal it is.
        remembered: An end of the journal that someone wrote down earlier.
    """

    def __init__(self, ledger_id: str, remembered: Head | None = None) -> None:
        self.balances: dict[str, int] = defaultdict(int)
        self.leases: dict[str, int] = {}
        self.won: dict[str, Won] = {}
        self._remembered = remembered
        self._seen = remembered is None or remembered.chain == first_seal(ledger_id)
        self._seq = 0
        self._chain = first_seal(ledger_id)
        self._limits: dict[str, int | None] = {}

    def read(self, entry: Entry) -> Iterator[Violation]:
        """Take an entry in, and say what is wrong with it."""
        yield from self._check_seal(entry)
        yield from self._check_postings(entry)
        for posting in entry.postings:
            self.balances[posting.account] += posting.micros
        yield from self._check_balances(entry)
        match entry.kind:
            case "lease" | "return" | "close":
                self._follow_lease(entry)
            case "settle":
                self._follow_win(entry)
            case "refund":
                self._follow_refund(entry)
            case "budget" | "opening" if entry.request:
                limit = msgspec.json.decode(entry.request).get("daily_budget_micros")
                self._limits[entry.campaign_id] = limit
            case _:
                pass
        yield from self._check_day(entry)

    def end(self) -> Iterator[Violation]:
        """Say what is wrong with the journal as a whole, after its last entry."""
        if not self._seen:
            yield Violation(
                "remembered_end_is_part_of_it",
                str(self._remembered),
                "no such entry: the journal was cut, or it is another one",
            )
        if sum(self.balances.values()):
            yield Violation("balances_sum_to_0", "journal", str(sum(self.balances.values())))

    # --- one entry -------------------------------------------------------------------------------

    def _check_seal(self, entry: Entry) -> Iterator[Violation]:
        if entry.seq != self._seq + 1:
            detail = f"comes after entry {self._seq}"
            yield Violation("no_entry_is_missing", str(entry.seq), detail)
        if seal_of(self._chain, entry) != entry.chain:
            detail = "its seal is not that of what it says after the entry before it"
            yield Violation("no_entry_was_changed", str(entry.seq), detail)
        self._seq, self._chain = entry.seq, entry.chain
        if self._remembered is not None and entry.seq == self._remembered.seq:
            self._seen = entry.chain == self._remembered.chain

    def _check_postings(self, entry: Entry) -> Iterator[Violation]:
        total = sum(posting.micros for posting in entry.postings)
        if total:
            yield Violation("postings_sum_to_0", entry.key, f"sum={total}")
        allowed = _ROADS.get(entry.kind)
        for road in _roads(entry.postings):
            if allowed is not None and road not in allowed:
                detail = f"{entry.kind} moved money from {road[0]} to {road[1]}"
                yield Violation("money_moves_by_rule", entry.key, detail)

    def _check_balances(self, entry: Entry) -> Iterator[Violation]:
        for account, micros in (
            (each.account, self.balances[each.account]) for each in entry.postings
        ):
            if micros < 0 and not accounts.may_be_negative(account):
                yield Violation("never_overspent", entry.key, f"{account}={micros}")

    def _check_day(self, entry: Entry) -> Iterator[Violation]:
        limit = self._limits.get(entry.campaign_id)
        if limit is None or entry.kind not in {"lease", "settle", "adjust"}:
            return
        places = [
            accounts.place(posting.account) for posting in entry.postings if posting.micros > 0
        ]
        for day in {place.day for place in places if place.day}:
            leased = self.balances[accounts.leased(entry.campaign_id, day)]
            out = leased + self.balances[accounts.spent(entry.campaign_id, day)]
            moved = sum(-each.micros for each in entry.postings if each.account.endswith("/free"))
            if out > limit and moved > 0:
                detail = f"day={day}, leased_and_spent={out}, daily_budget={limit}"
                yield Violation("never_more_than_a_days_budget", entry.key, detail)

    # --- what becomes of leases and wins ---------------------------------------------------------

    def _follow_lease(self, entry: Entry) -> None:
        moved = _micros_of(entry.postings, "leased")
        self.leases[entry.lease_id] = self.leases.get(entry.lease_id, 0) + moved

    def _follow_win(self, entry: Entry) -> None:
        key = entry.key.partition(":")[2]
        self.won[key] = Won(_micros_of(entry.postings, "spent"))
        drawn = _micros_of(entry.postings, "leased")
        if drawn:
            self.leases[entry.lease_id] = self.leases.get(entry.lease_id, 0) + drawn

    def _follow_refund(self, entry: Entry) -> None:
        key = msgspec.json.decode(entry.request)["settle_key"]
        won = self.won.get(key, Won(0))
        back = -_micros_of(entry.postings, "spent")
        self.won[key] = won._replace(refunded_micros=won.refunded_micros + back)


def _micros_of(postings: tuple[Posting, ...], part: str) -> int:
    return sum(each.micros for each in postings if accounts.place(each.account).part == part)


def _roads(postings: tuple[Posting, ...]) -> Iterator[tuple[Any, Any]]:
    """Yield from which part to which money moved."""
    parts = [(accounts.place(each.account).part, each.micros) for each in postings]
    for giver in (part for part, micros in parts if micros < 0):
        for taker in (part for part, micros in parts if micros > 0):
            yield giver, taker
