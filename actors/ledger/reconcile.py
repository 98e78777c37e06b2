"""Does the ledger agree with what we bid and with what we were told? Three books, compared by bid.

Principle: the decision log says what was offered, the log of notices what was billed, the journal
what was booked; none was made from another. Their rows are put into tables of a temporary database,
so that books of any size can be compared, and each kind of difference is one question to it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: So many differences are named; the others are counted.
MAX_NAMED: Final = 100


class Bid(NamedTuple):
    """What the decision log says: a bid left at ``unix_s`` for ``micros`` in all."""

    key: str
    campaign_id: str
    micros: int
    test: int
    unix_s: float


class Bill(NamedTuple):
    """What the log of notices says: at ``unix_s`` a bid was billed; -1 for an unknown price."""

    key: str
    micros: int
    unix_s: float


class Booking(NamedTuple):
    """What the journal says: at ``unix_s`` a win at ``price_micros`` was booked."""

    key: str
    campaign_id: str
    price_micros: int
    booked_micros: int
    unix_s: float


class Difference(msgspec.Struct, frozen=True):
    """One bid on which the books differ, and their figures."""

    kind: str
    key: str
    detail: str


class Reconciliation(msgspec.Struct, frozen=True):
    """The verdict: ``ok`` means that no book contradicts another.

    ``unresolved`` bids have no bill and no booking: lost, or not told yet. ``not_covered`` bookings
    are older than the logs. ``counts`` has all differences, ``differences`` the first of them.
    """

    ok: bool
    bids: int
    bills: int
    bookings: int
    unresolved: int
    not_covered: int
    counts: dict[str, int]
    differences: tuple[Difference, ...]


class Books:
    """Three books, side by side.

    Args:
        settled_until_s: Bookings after this instant (Unix) may have notices that are not in the log
            yet, so nobody misses these.
    """

    def __init__(self, settled_until_s: float) -> None:
        # An empty name is a database that may go to disk and is gone when it is closed.
        self._tables = sqlite3.connect("")
        self._tables.executescript(_TABLES)
        self._until = {"until": settled_until_s}

    def add_bids(self, bids: Iterable[Bid]) -> None:
        """Take in bids of the decision log; one that is logged twice is one."""
        self._tables.executemany("INSERT OR IGNORE INTO bids VALUES (?, ?, ?, ?, ?)", bids)

    def add_bills(self, bills: Iterable[Bill]) -> None:
        """Take in bills of the log of notices."""
        self._tables.executemany("INSERT INTO bills VALUES (?, ?, ?)", bills)

    def add_bookings(self, bookings: Iterable[Booking]) -> None:
        """Take in wins of the journal."""
        self._tables.executemany("INSERT INTO bookings VALUES (?, ?, ?, ?, ?)", bookings)

    def compare(self) -> Reconciliation:
        """Return what differs."""
        counts: dict[str, int] = {}
        named: list[Difference] = []
        for difference in self._differences():
            counts[difference.kind] = counts.get(difference.kind, 0) + 1
            if len(named) < MAX_NAMED:
                named.append(difference)
        return Reconciliation(
            ok=not counts,
            bids=self._number("SELECT count(*) FROM bids"),
            bills=self._number("SELECT count(*) FROM bills"),
            bookings=self._number("SELECT count(*) FROM bookings"),
            unresolved=self._number(_UNRESOLVED),
            not_covered=self._number(_NOT_COVERED),
            counts=counts,
            differences=tuple(named),
        )

    def close(self) -> None:
        """Throw the tables away."""
        self._tables.close()

    def _differences(self) -> Iterator[Difference]:
        for kind, question in QUESTIONS.items():
            cursor = self._tables.execute(question, self._until)
            names = [column[0] for column in cursor.description[1:]]
            for key, *figures in cursor:
                pairs = zip(names, figures, strict=True)
                yield Difference(kind, key, ", ".join(f"{name}={value}" for name, value in pairs))

    def _number(self, question: str) -> int:
        (number,) = self._tables.execute(question).fetchone()
        return int(number)


_TABLES: Final = """
CREATE TABLE bids (
    key TEXT PRIMARY KEY, campaign_id TEXT, micros INTEGER, test INTEGER, unix_s REAL
) WITHOUT ROWID;
CREATE TABLE bills (key TEXT, micros INTEGER, unix_s REAL);
CREATE TABLE bookings (
    key TEXT PRIMARY KEY, campaign_id TEXT, price_micros INTEGER, booked_micros INTEGER, unix_s REAL
) WITHOUT ROWID;
CREATE INDEX bills_by_key ON bills (key);
"""

_NOT_COVERED: Final = (
    "SELECT count(*) FROM bookings"
    " WHERE unix_s < coalesce((SELECT min(unix_s) FROM bids), unix_s + 1)"
)
_UNRESOLVED: Final = (
    "SELECT count(*) FROM bids WHERE NOT test AND key NOT IN (SELECT key FROM bookings)"
    " AND key NOT IN (SELECT key FROM bills)"
)

#: What no two books may say, by name; each question returns the bid's key and the figures.
QUESTIONS: Final = {
    "billed_but_not_booked": (
        "SELECT bills.key, max(bills.micros) AS price_micros FROM bills"
        " LEFT JOIN bookings USING (key)"
        " WHERE bookings.key IS NULL GROUP BY bills.key"
    ),
    "booked_but_not_billed": (
        "SELECT bookings.key, booked_micros FROM bookings LEFT JOIN bills USING (key)"
        " WHERE bills.key IS NULL AND bookings.unix_s <= :until"
        " AND bookings.unix_s >= (SELECT min(unix_s) FROM bills)"
    ),
    "booked_without_a_bid": (
        "SELECT bookings.key, booked_micros FROM bookings LEFT JOIN bids USING (key)"
        " WHERE bids.key IS NULL AND bookings.unix_s <= :until"
        " AND bookings.unix_s >= (SELECT min(unix_s) FROM bids)"
    ),
    "booked_at_another_price": (
        "SELECT bookings.key, price_micros AS booked_at, bills.micros AS billed_at FROM bookings"
        " JOIN bills USING (key) WHERE bills.micros >= 0 AND bills.micros <> price_micros"
    ),
    "booked_above_the_bid": (
        "SELECT bookings.key, booked_micros, bids.micros AS bid_micros FROM bookings"
        " JOIN bids USING (key) WHERE booked_micros > bids.micros"
    ),
    "booked_to_another_campaign": (
        "SELECT bookings.key, bookings.campaign_id AS booked_to, bids.campaign_id AS bid_of"
        " FROM bookings JOIN bids USING (key) WHERE bookings.campaign_id <> bids.campaign_id"
    ),
    "booked_a_test": (
        "SELECT bookings.key, booked_micros FROM bookings JOIN bids USING (key) WHERE bids.test"
    ),
}
