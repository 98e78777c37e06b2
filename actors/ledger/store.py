"""The ledger on disk: one durable transaction per burst, in SQLite or PostgreSQL.

Principle: what ``commit`` has returned from survives a power cut; what it has not returned from has
not happened, or has happened whole. Opening after an unclean end needs no repair: the database
rolls its log forward, and ``snapshot`` reads what was open.

A store takes the database over from whoever had it: it writes its own ``owner`` mark, and every
commit checks that the mark still stands. A ledger that was believed dead and wakes up again is
refused at its first commit, before it has answered anyone.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from sqlalchemy import bindparam, func, inspect, select, true
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger import guards, migrations, schema
from actors.ledger.books import Campaign, Lease, Settlement
from actors.ledger.engines import Database, among, claim, insert_once, plain_cause, upsert
from actors.ledger.errors import LedgerFencedError, LedgerSchemaError, LedgerStoreError
from actors.ledger.journal import Head, first_seal
from actors.ledger.rows import Done, Found, Snapshot
from config import fault_points

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sqlalchemy import Column, Connection, Engine, Table

    from actors.ledger.journal import Entry
    from actors.ledger.rows import Changes, Wanted

_Row = TypeVar("_Row", Campaign, Lease, Settlement)


class LedgerStore:
    """The rows of ``books`` and the journal, on disk.

    Args:
        where: The database, or the path of a SQLite file; it and its folder are made when missing.
        fresh_id: Makes ids that nobody else has: for the database when it is new, and for this
            store as its owner.

    Raises:
        LedgerStoreError: The database can't be opened, is no ledger, or is another ledger's now.
        LedgerSchemaError: It was written by a newer version.
    """

    def __init__(
        self,
        where: Database | Path,
        fresh_id: Callable[[], str] = lambda: secrets.token_hex(4),
    ) -> None:
        self.database = where if isinstance(where, Database) else Database(where)
        self._owner = fresh_id()
        self._engine: Engine = self.database.writing()
        self._claim: Connection | None = None
        self._words = _Words(self._engine)
        try:
            self._take_over(fresh_id)
        except BaseException:
            self.close()
            raise

    def _take_over(self, fresh_id: Callable[[], str]) -> None:
        """Make what is missing, and be the owner from now on."""
        with self._errors("open the ledger"):
            self._claim = claim(self._engine)
        with self._transaction("open the ledger", check_owner=False) as connection:
            _make_tables(connection, self.database)
            for name, value in (("ledger_id", fresh_id()), ("owner", "")):
                connection.execute(self._words.add_fact, {"name": name, "value": value})
            connection.execute(_set_fact, {"fact": "owner", "to": self._owner})

    def snapshot(self) -> Snapshot:
        """Read what a clerk must know to begin."""
        with self._transaction("read the ledger") as connection:
            campaigns = _all(connection, Campaign, select(*_columns(schema.campaigns, Campaign)))
            leases = _all(connection, Lease, _open_leases)
            last = connection.scalar(select(func.max(schema.leases.c.number)))
            balances = {row.account: row.micros for row in connection.execute(_balances)}
            ledger_id = fact(connection, "ledger_id")
            head = head_of(connection)
        return Snapshot(
            ledger_id=ledger_id,
            campaigns={campaign.campaign_id: campaign for campaign in campaigns},
            open_leases=leases,
            next_number=(last or 0) + 1,
            head=head,
            balances=balances,
        )

    def find(self, wanted: Wanted) -> Found:
        """Look up the rows a burst refers to; those that don't exist are left out."""
        if not any(wanted):
            return Found({}, {}, {})
        words = self._words
        with self._transaction("look up a burst") as connection:
            done = _looked_up(connection, words.done, wanted.keys)
            leases = _looked_up(connection, words.leases, wanted.lease_ids)
            settled = _looked_up(connection, words.settlements, wanted.settled)
        return Found(
            {row["key"]: Done(row["request"], row["answer"]) for row in done},
            {row["lease_id"]: Lease(**row) for row in leases},
            {row["key"]: Settlement(**row) for row in settled},
        )

    def commit(self, changes: Changes) -> None:
        """Write all rows in one transaction and wait until they are on disk.

        Raises:
            LedgerFencedError: Another store has taken the database over; nothing was written.
            LedgerStoreError: The database refused; nothing was written.
        """
        if not changes:
            return
        words = self._words
        balances = [
            {"account": account, "micros": micros} for account, micros in changes.balances.items()
        ]
        with self._transaction("book a burst") as connection:
            fault_points.reach("ledger.write")
            for statement, rows in (
                (schema.journal.insert(), [_entry_row(entry) for entry in changes.entries]),
                (schema.postings.insert(), _posting_rows(changes.entries)),
                (words.put_balances, balances),
                (words.put_campaigns, _dicts(changes.campaigns)),
                (words.put_leases, _dicts(changes.leases)),
                (words.put_settlements, _dicts(changes.settlements)),
            ):
                if rows:
                    connection.execute(statement, rows)
            fault_points.reach("ledger.commit")

    def close(self) -> None:
        """Give the database back."""
        if self._claim is not None:
            self._claim.close()
        self._engine.dispose()

    @contextmanager
    def _transaction(self, doing: str, *, check_owner: bool = True) -> Iterator[Connection]:
        """Run a block in one transaction; our errors pass, the database's become ours."""
        with self._errors(doing), self._engine.begin() as connection:
            if check_owner and connection.scalar(_lock_owner) != self._owner:
                raise LedgerFencedError(
                    f"another ledger has taken over {self.database}; this one ends unanswered"
                )
            yield connection

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        try:
            if self.database.file is not None:
                self.database.file.parent.mkdir(parents=True, exist_ok=True)
            yield
        except (SQLAlchemyError, OSError) as error:
            raise LedgerStoreError(
                f"cannot {doing} in {self.database}: {plain_cause(error)}; check the disk and the"
                " rights, or the server, or restore a backup"
            ) from error


class _Words:
    """The statements whose words depend on the database; made once, because making them is slow."""

    def __init__(self, engine: Engine) -> None:
        journal, leases, settlements = schema.journal, schema.leases, schema.settlements
        self.add_fact = insert_once(engine, schema.facts)
        self.put_balances = upsert(engine, schema.balances, "account")
        self.put_campaigns = upsert(engine, schema.campaigns, "campaign_id")
        self.put_leases = upsert(engine, leases, "number")
        self.put_settlements = upsert(engine, settlements, "key")
        wanted = [journal.c.key, journal.c.request, journal.c.answer]
        self.done = among(engine, wanted, journal.c.key)
        self.leases = among(engine, _columns(leases, Lease), leases.c.lease_id)
        self.settlements = among(engine, _columns(settlements, Settlement), settlements.c.key)


def fact(connection: Connection, name: str) -> str:
    """Return a fact about the database, "" if there is none."""
    value: str | None = connection.scalar(_get_fact, {"fact": name})
    return value or ""


def head_of(connection: Connection) -> Head:
    """Return where the journal ends."""
    last = connection.execute(_last_entry).first()
    if last is None:
        return Head(0, first_seal(fact(connection, "ledger_id")))
    return Head(last.seq, last.chain)


def check_version(connection: Connection, database: Database) -> str:
    """Return the version of a ledger's tables, "" where there are none.

    Raises:
        LedgerSchemaError: They are newer than this code.
    """
    if not inspect(connection).has_table(schema.facts.name):
        return ""
    version = fact(connection, "schema_version")
    if version and int(version) > schema.VERSION:
        raise LedgerSchemaError(
            f"{database} has ledger schema {version}, this Bidwright knows {schema.VERSION}:"
            " upgrade Bidwright or restore a backup"
        )
    return version


def _make_tables(connection: Connection, database: Database) -> None:
    """Bring the tables to the present version, from whatever is there."""
    version = check_version(connection, database)
    if version == str(schema.VERSION):
        return
    if version:
        migrations.upgrade(connection, f"{int(version):04}")
        connection.execute(_set_fact, {"fact": "schema_version", "to": str(schema.VERSION)})
        return
    schema.metadata.create_all(connection)
    guards.install(connection)
    migrations.stamp(connection)
    new = {"name": "schema_version", "value": str(schema.VERSION)}
    connection.execute(schema.facts.insert(), new)


def _columns(table: Table, kind: type[_Row]) -> list[Column[Any]]:
    """Return the columns that a row type has, in its order."""
    return [table.c[name] for name in kind.__struct_fields__]


def _all(connection: Connection, kind: type[_Row], query: Any) -> list[_Row]:
    return [kind(**row) for row in connection.execute(query).mappings()]


def _looked_up(connection: Connection, query: Any, values: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows among ``values``, however many these are."""
    if not values:
        return []
    packed = msgspec.json.encode(list(values)).decode()
    return [dict(row) for row in connection.execute(query, {"values": packed}).mappings()]


def _dicts(rows: Collection[Campaign] | Collection[Lease] | Collection[Settlement]) -> Any:
    return [msgspec.structs.asdict(row) for row in rows]


def _entry_row(entry: Entry) -> dict[str, Any]:
    row = msgspec.structs.asdict(entry)
    del row["postings"]
    return row


def _posting_rows(entries: Collection[Entry]) -> list[dict[str, Any]]:
    return [
        {"seq": entry.seq, "line": line, "account": posting.account, "micros": posting.micros}
        for entry in entries
        for line, posting in enumerate(entry.postings)
    ]


_get_fact: Final = select(schema.facts.c.value).where(schema.facts.c.name == bindparam("fact"))
# PostgreSQL locks the row until the commit, SQLite its whole file since BEGIN: one writer.
_lock_owner: Final = (
    select(schema.facts.c.value).where(schema.facts.c.name == "owner").with_for_update()
)
_set_fact: Final = (
    schema.facts.update()
    .where(schema.facts.c.name == bindparam("fact"))
    .values(value=bindparam("to"))
)
_balances: Final = select(schema.balances.c.account, schema.balances.c.micros)
_last_entry: Final = (
    select(schema.journal.c.seq, schema.journal.c.chain)
    .order_by(schema.journal.c.seq.desc())
    .limit(1)
)
_open_leases: Final = (
    select(*_columns(schema.leases, Lease))
    .where(schema.leases.c.is_open == true())
    .order_by(schema.leases.c.number)
)
