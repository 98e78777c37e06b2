"""What users have seen, on disk: one SQLite file for all bidders of a node.

Principle: rows are named by their bids and written with ``INSERT OR IGNORE``, so any bidder may
write any of them, any number of times. Nobody waits for the disk: writes are not synchronised (a
power failure may cost the last views, a crash of ours costs none), and who finds the file in use by
a sibling comes again later.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from actors.messages import Exposed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

OPEN_WAIT_S: Final = 0.02
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS exposures (
        row INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        user TEXT NOT NULL,
        campaign_id TEXT NOT NULL,
        creative_id TEXT NOT NULL,
        unix_s REAL NOT NULL
    );
    CREATE INDEX IF NOT EXISTS exposures_by_time ON exposures (unix_s);
"""
_INSERT: Final = """
    INSERT OR IGNORE INTO exposures (key, user, campaign_id, creative_id, unix_s)
    VALUES (?, ?, ?, ?, ?)
"""
_PAGE: Final = """
    SELECT row, key, user, campaign_id, creative_id, unix_s FROM exposures
    WHERE row > ? AND unix_s >= ? ORDER BY row LIMIT ?
"""
_DROP: Final = """
    DELETE FROM exposures WHERE row IN (SELECT row FROM exposures WHERE unix_s < ? LIMIT ?)
"""


class ExposureFile:
    """An open file; every method may raise ``sqlite3.Error``, after which it should be closed.

    Args:
        path: Where; made if it is not there.

    Raises:
        sqlite3.Error: It cannot be opened, is no such file, or is in use just now.
    """

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, timeout=OPEN_WAIT_S, isolation_level=None)
        try:
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = OFF")
            self._base.executescript(_SCHEMA)
            self._base.execute("PRAGMA busy_timeout = 0")
        except sqlite3.Error:
            self._base.close()
            raise

    def write(self, views: Sequence[Exposed]) -> None:
        """Add views, all or none of them; those that are there already stay as they are."""
        rows = [
            (view.key, view.user, view.campaign_id, view.creative_id, view.unix_s) for view in views
        ]
        self._base.execute("BEGIN IMMEDIATE")
        try:
            self._base.executemany(_INSERT, rows)
            self._base.execute("COMMIT")
        except sqlite3.Error:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    def page(self, after_row: int, since_s: float, limit: int) -> tuple[int, list[Exposed]]:
        """Return some views in the order in which they were written.

        Args:
            after_row: Begin after this row; 0 = at the beginning.
            since_s: Leave older views out, seconds since 1970.
            limit: So many at most; fewer mean that there are no more.

        Returns:
            The last row's number, and the views.
        """
        rows = self._base.execute(_PAGE, (after_row, since_s, limit)).fetchall()
        last = rows[-1][0] if rows else after_row
        return last, [
            Exposed(key, user, campaign_id, creative_id, unix_s, first_hand=False)
            for _row, key, user, campaign_id, creative_id, unix_s in rows
        ]

    def drop(self, before_s: float, limit: int) -> int:
        """Remove some views that are older than this; returns how many."""
        return self._base.execute(_DROP, (before_s, limit)).rowcount

    def close(self) -> None:
        """Close it."""
        self._base.close()
