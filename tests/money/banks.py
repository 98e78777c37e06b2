"""The ledger without its sockets, on databases that fail: what its process does, step by step.

Principle: the clerk and the store are the real ones, and so are their databases: a SQLite file, or
a PostgreSQL server that is killed and started again. Time is virtual. A failure happens at a named
moment, so that whoever drives this knows what must be on disk afterwards.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from actors.ledger.bookkeeping import Calendar
from actors.ledger.clerk import Clerk
from actors.ledger.engines import Database
from actors.ledger.errors import LedgerError, LedgerStoreError
from actors.ledger.store import LedgerStore
from config import fault_points
from tests.integration.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from actors.ledger.books import BudgetPlan, LeaseTerms
    from tests.money.postgres import PostgresServer
    from transport.money import MoneyNotice, MoneyReply, MoneyRequest

#: When a burst fails: never; the ledger dies before or after its commit; the disk is full at the
#: first statement; the database goes away after the last one; an older ledger is still at work.
Moment: TypeAlias = Literal[
    "fine", "before commit", "before answer", "disk full", "database gone", "taken over"
]
MOMENTS: Final[tuple[Moment, ...]] = (
    "before commit",
    "before answer",
    "disk full",
    "database gone",
    "taken over",
)


class Vault(Protocol):
    """A database that a ledger lives in, and where that is."""

    @property
    def where(self) -> Database | Path:
        """As ``LedgerStore`` and ``verify`` have it."""

    def open(self) -> LedgerStore:
        """Open the store, as a starting ledger does."""

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask by a connection of the tests' own; ``?`` stands for a value."""

    def interrupt(self) -> None:
        """Have the database restart, or all its connections be cut."""

    def discard(self) -> None:
        """Remove it."""


class SqliteVault:
    """A SQLite file, in memory where there is room for it."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        self._folder = Path(
            tempfile.mkdtemp(prefix="bw-vault-", dir=memory if memory.is_dir() else None)
        )
        self.where = self._folder / "ledger.db"
        self._reader: sqlite3.Connection | None = None

    def open(self) -> LedgerStore:
        return LedgerStore(self.where)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        if self._reader is None:
            self._reader = sqlite3.connect(
                f"file:{self.where}?mode=ro", uri=True, isolation_level=None
            )
        return self._reader.execute(query, values).fetchall()

    def interrupt(self) -> None:
        """A file has no server that could go away: its ledger opens it again, that is all."""

    def discard(self) -> None:
        if self._reader is not None:
            self._reader.close()
        shutil.rmtree(self._folder)


class PostgresVault:
    """A database of a PostgreSQL server; every other interruption kills the whole server."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._name = server.fresh_database()
        self.url = server.url(self._name)
        self.where = Database(self.url)
        self._reader = server.connect(self._name)
        self._interruptions = 0

    def open(self) -> LedgerStore:
        opened: list[LedgerStore] = []
        eventually(lambda: self._try(opened), 10.0, "the ledger before has let go of its database")
        return opened[0]

    def _try(self, opened: list[LedgerStore]) -> bool:
        """Open the store as soon as whoever had it is gone, as a ledger that stands by does."""
        try:
            opened.append(LedgerStore(self.where))
        except LedgerStoreError:
            return False
        return True

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reader.cursor() as cursor:
            cursor.execute(query.replace("?", "%s").encode(), values)
            return cursor.fetchall()

    def interrupt(self) -> None:
        self._interruptions += 1
        if self._interruptions % 2 == 0:
            self.kill_server()
            return
        self._reader.close()
        self._server.hang_up(self._name)
        self._reader = self._server.connect(self._name)

    def kill_server(self) -> None:
        """Have the whole server be killed and start again."""
        self._reader.close()
        self._server.restart()
        self._reader = self._server.connect(self._name)

    def discard(self) -> None:
        self._reader.close()
        self._server.drop(self._name)


class _Strike(fault_points.ArmedPoint):
    """Calls something where a fault point is reached, once."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__("raise", count=1, share=1.0, rng=random.Random(0), used_up=lambda: None)
        self._happens = happens

    def strike(self, point: str, out_of_memory: Callable[[], Exception]) -> None:
        if not self.hits:
            self.hits += 1
            self._happens()


@contextmanager
def _at(point: str, happens: Callable[[], None]) -> Iterator[None]:
    fault_points.arm(point, _Strike(happens))
    try:
        yield
    finally:
        fault_points.disarm(point)


def _disk_full() -> None:
    raise OSError(28, "No space left on device")


class Bank:
    """A ledger's process: clerk and store, thrown away together and begun anew from the disk.

    Args:
        vault: Its database.
        terms: What a lease is.
        plans: The campaigns' budgets, read at each start.
        unix_clock: What time it is for people.

    Attributes:
        notices: What it has published and nobody has taken yet.
        starts: How often it began.
    """

    def __init__(
        self,
        vault: Vault,
        terms: LeaseTerms,
        plans: Mapping[str, BudgetPlan],
        unix_clock: Callable[[], float],
    ) -> None:
        self.vault = vault
        self.terms = terms
        self.plans = plans
        self.notices: list[MoneyNotice] = []
        self.starts = 0
        self._unix_clock = unix_clock
        self._store: LedgerStore | None = None

    # --- life ------------------------------------------------------------------------------------

    def start(self, now_s: float) -> None:
        """Begin from the disk; whatever an earlier life had in memory is gone."""
        self.close()
        self.starts += 1
        self._store = self.vault.open()
        calendar = Calendar(self._unix_clock, UTC)
        self.clerk = Clerk(self.terms, self._store.snapshot(), now_s, calendar)
        self.plan(self.plans)

    def close(self) -> None:
        """End without a word."""
        if self._store is not None:
            self._store.close()
        self._store = None

    # --- work ------------------------------------------------------------------------------------

    def plan(self, plans: Mapping[str, BudgetPlan]) -> None:
        """Take other budgets over."""
        self.plans = plans
        self.clerk.seed(plans)
        self._commit()

    def expire(self, now_s: float) -> None:
        """Close leases whose time has come."""
        self.clerk.expire(now_s)
        self._commit()

    def serve(self, burst: Sequence[MoneyRequest], now_s: float) -> list[MoneyReply]:
        """Decide and book a burst, and return what may be answered now."""
        assert self._store is not None
        self.clerk.expire(now_s)
        found = self._store.find(self.clerk.wanted(burst))
        replies = self.clerk.handle(burst, found, now_s)
        self._commit()
        return replies

    def fail(self, burst: Sequence[MoneyRequest], now_s: float, moment: Moment) -> list[MoneyReply]:
        """Serve a burst and break down at this moment; the caller starts it again.

        Returns:
            What was on disk already and will never be answered: replies to the burst, or none.
        """
        if moment == "before answer":
            replies = self.serve(burst, now_s)
            self.notices.clear()
            return replies
        if moment == "before commit":
            assert self._store is not None
            self.clerk.expire(now_s)
            self.clerk.handle(burst, self._store.find(self.clerk.wanted(burst)), now_s)
        else:
            self._serve_in_trouble(burst, now_s, moment)
            self.close()
        self.notices.clear()
        return []

    def _serve_in_trouble(
        self, burst: Sequence[MoneyRequest], now_s: float, moment: Moment
    ) -> None:
        before = self.clerk.head
        try:
            with self._trouble(moment):
                self.serve(burst, now_s)
        except LedgerError:
            return
        # To have nothing to write is the only way to come through.
        assert self.clerk.head == before, f"a commit came through {moment!r}"

    @contextmanager
    def _trouble(self, moment: Moment) -> Iterator[None]:
        if moment == "disk full":
            with _at("ledger.write", _disk_full):
                yield
        elif moment == "database gone":
            with _at("ledger.commit", self._lose_database):
                yield
        else:
            with closing(self._successor()):
                yield

    def _lose_database(self) -> None:
        if isinstance(self.vault, SqliteVault):
            _disk_full()
        self.vault.interrupt()

    def _successor(self) -> LedgerStore:
        """Another ledger takes over while this one still believes that it is the one.

        PostgreSQL would keep it waiting as long as our claim lives.
        """
        self.vault.interrupt()
        return self.vault.open()

    def _commit(self) -> None:
        assert self._store is not None
        self._store.commit(self.clerk.take_changes())
        self.notices += self.clerk.take_notices()
