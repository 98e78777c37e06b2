"""From rows to entries: what a rule changed, as postings of the journal.

Principle: the rules of ``books`` say what a campaign looks like before and after an operation; the
difference, account by account, is what the journal keeps. Nothing else is ever written there, so
balances and rows tell the same story or one of them is wrong, which ``verify`` finds out.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from actors.ledger import accounts
from actors.ledger.books import Day
from actors.ledger.journal import Entry, Head, Kind, Posting, is_balanced, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import tzinfo

    from actors.ledger.books import Campaign


class Calendar(NamedTuple):
    """What time it is for people.

    Attributes:
        unix_clock: Seconds since 1970.
        zone: Where a day begins at midnight.
    """

    unix_clock: Callable[[], float]
    zone: tzinfo

    def today(self) -> str:
        """Return the ISO date of the present day."""
        return datetime.fromtimestamp(self.unix_clock(), self.zone).date().isoformat()


class Operation(NamedTuple):
    """What is to be written of an operation, besides its postings; see ``journal.Entry``."""

    kind: Kind
    name: str
    campaign_id: str
    lease_id: str = ""
    request: str = ""
    answer: str = ""

    @property
    def key(self) -> str:
        """Its idempotency key: unique among all operations, because kinds have their own."""
        return f"{self.kind}:{self.name}"


class Days(NamedTuple):
    """On which days money was leased and spent that an operation moves."""

    leased: str
    spent: str


class Bookkeeper:
    """Writes entries and keeps the balances.

    Args:
        head: The journal's end so far.
        balances: Every account's balance in micros; accounts that are not there have 0.
        calendar: Stamps the entries.
    """

    def __init__(self, head: Head, balances: Mapping[str, int], calendar: Calendar) -> None:
        self.head = head
        self.calendar = calendar
        self._balances = dict(balances)
        self._entries: dict[str, Entry] = {}
        self._dirty: set[str] = set()

    def day(self, campaign_id: str, day: str) -> Day:
        """Return what is out of a campaign's budget on a day."""
        leased = self._balances.get(accounts.leased(campaign_id, day), 0)
        return Day(day, leased, self._balances.get(accounts.spent(campaign_id, day), 0))

    def record(
        self, done: Operation, before: Campaign | None, after: Campaign | None, days: Days
    ) -> None:
        """Write what an operation did to a campaign; without one nothing moved."""
        postings = postings_of(before, after, days) if after else ()
        entry = Entry(
            seq=self.head.seq + 1,
            key=done.key,
            kind=done.kind,
            campaign_id=done.campaign_id,
            lease_id=done.lease_id,
            at_micros=int(self.calendar.unix_clock() * 1_000_000),
            request=done.request,
            answer=done.answer,
            postings=postings,
            chain="",
        )
        entry = sealed(self.head.chain, entry)
        for posting in postings:
            self._post(posting)
        self._entries[entry.key] = entry
        self.head = Head(entry.seq, entry.chain)

    def fresh(self, key: str) -> Entry | None:
        """Return the entry of this key if it was written since ``take``."""
        return self._entries.get(key)

    def take(self) -> tuple[list[Entry], dict[str, int]]:
        """Return the entries since the last call, and the balances that they changed."""
        entries = list(self._entries.values())
        changed = {account: self._balances[account] for account in sorted(self._dirty)}
        self._entries.clear()
        self._dirty.clear()
        return entries, changed

    def _post(self, posting: Posting) -> None:
        balance = self._balances.get(posting.account, 0) + posting.micros
        # Invariant: nobody owes but those whom money comes from; a breach is our bug.
        assert balance >= 0 or accounts.may_be_negative(posting.account), (posting, balance)
        self._balances[posting.account] = balance
        self._dirty.add(posting.account)


def postings_of(before: Campaign | None, after: Campaign, days: Days) -> tuple[Posting, ...]:
    """Return what moved between two states of a campaign.

    Args:
        before: None if it is new.
        after: The same campaign.
        days: On which days money was leased and spent that moved.
    """
    name = after.campaign_id
    moved: dict[str, int] = {}
    for state, sign in ((before, -1), (after, 1)):
        if state is None:
            continue
        for account, micros in (
            (accounts.advertiser(state.advertiser), -state.funded_micros),
            (accounts.free(name), state.free_micros),
            (accounts.leased(name, days.leased), state.leased_micros),
            (accounts.spent(name, days.spent), state.settled_micros),
            (accounts.unfunded(name), state.unfunded_micros),
            (accounts.HOUSE, -state.unfunded_micros),
        ):
            moved[account] = moved.get(account, 0) + sign * micros
    postings = tuple(Posting(account, micros) for account, micros in moved.items() if micros)
    assert is_balanced(postings), postings
    return postings
