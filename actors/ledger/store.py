"""The ledger on disk: SQLite in WAL mode with ``synchronous=FULL``, one transaction per burst.

Principle: what ``commit`` has returned from survives a power cut; what it has not returned from has
not happened, or has happened whole. Opening after an unclean end needs no repair: SQLite rolls its
log forward, and ``snapshot`` reads what was open.

A store takes the database over from whoever had it: it writes its own ``owner`` mark, and every
commit checks that the mark still stands. A ledger that was believed dead and wakes up again is
refused at its first commit, before it has answered anyone.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, bindparam, create_engine, event, func, select, true
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger import schema
from actors.ledger.books import Campaign, Lease, Settlement
from actors.ledger.clerk import Found, Snapshot
from actors.ledger.errors import LedgerFencedError, LedgerSchemaError, LedgerStoreError
from config import fault_points

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sqlalchemy import Column, Connection, Engine, Table

    from actors.ledger.clerk import Changes, Wanted

_Row = TypeVar("_Row", Campaign, Lease, Settlement)

#: How long to wait for another writer to finish before giving up: less than it takes a process to
#: be believed hung.
_BUSY_S: Final = 1.0


def connect(path: Path, *, read_only: bool = False) -> Engine:
    """Return an engine on the database file ``path``.

    A writing one takes the write lock at ``BEGIN``, so that what it reads stays true until it
    commits. A reading one never creates, locks or changes anything.
    """
    if read_only:
        query = {"mode": "ro", "uri": "true"}
        url = URL.create("sqlite", database=f"file:{quote(str(path))}", query=query)
        return create_engine(url, connect_args={"timeout": _BUSY_S})
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    """Make commits durable, and leave ``BEGIN`` to us."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class LedgerStore:
    """The rows of ``books``, on disk.

    Args:
        path: The database file; it and its folder are made when missing.
        fresh_id: Makes ids that nobody else has: for the database when it is new, and for this
            store as its owner.

    Raises:
        LedgerStoreError: The file can't be opened or is no ledger.
        LedgerSchemaError: It was written by a newer version.
    """

    def __init__(
        self, path: Path, fresh_id: Callable[[], str] = lambda: secrets.token_hex(4)
    ) -> None:
        self.path = path
        self._owner = fresh_id()
        self._engine: Engine = connect(path)
        try:
            self._take_over(fresh_id)
        except BaseException:
            self.close()
            raise

    def _take_over(self, fresh_id: Callable[[], str]) -> None:
        """Make what is missing, and be the owner from now on."""
        path = self.path
        with self._transaction("open the ledger", check_owner=False) as connection:
            schema.metadata.create_all(connection)
            _set_once(connection, "schema_version", str(schema.SCHEMA_VERSION))
            _set_once(connection, "ledger_id", fresh_id())
            _set_once(connection, "owner", "")
            check_version(connection, path)
            connection.execute(_set_fact, {"fact": "owner", "to": self._owner})

    def snapshot(self) -> Snapshot:
        """Read what a clerk must know to begin."""
        with self._transaction("read the ledger") as connection:
            campaigns = _all(connection, Campaign, select(*_columns(schema.campaigns, Campaign)))
            leases = _all(connection, Lease, _open_leases)
            last = connection.scalar(select(func.max(schema.leases.c.number)))
            ledger_id = fact(connection, "ledger_id")
        return Snapshot(
            ledger_id=ledger_id,
            campaigns={campaign.campaign_id: campaign for campaign in campaigns},
            open_leases=leases,
            next_number=(last or 0) + 1,
        )

    def find(self, wanted: Wanted) -> Found:
        """Look up the rows a burst refers to; those that don't exist are left out."""
        if not any(wanted):
            return Found({}, {}, {})
        with self._transaction("look up a burst") as connection:
            settlements = _among(connection, Settlement, schema.settlements.c.key, wanted.keys)
            by_request = _among(connection, Lease, schema.leases.c.request_id, wanted.request_ids)
            leases = _among(connection, Lease, schema.leases.c.lease_id, wanted.lease_ids)
        return Found(
            {settlement.key: settlement for settlement in settlements},
            {lease.request_id: lease for lease in by_request},
            {lease.lease_id: lease for lease in leases},
        )

    def commit(self, changes: Changes) -> None:
        """Write all rows in one transaction and wait until they are on disk.

        Raises:
            LedgerFencedError: Another store has taken the database over; nothing was written.
            LedgerStoreError: The database refused; nothing was written.
        """
        if not changes:
            return
        with self._transaction("book a burst") as connection:
            fault_points.reach("ledger.write")
            for statement, rows in (
                (_put_campaigns, changes.campaigns),
                (_put_leases, changes.leases),
                (_add_settlements, changes.settlements),
            ):
                if rows:
                    connection.execute(statement, [msgspec.structs.asdict(row) for row in rows])
            fault_points.reach("ledger.commit")

    def close(self) -> None:
        """Give the file back."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, doing: str, *, check_owner: bool = True) -> Iterator[Connection]:
        """Run a block in one transaction; our errors pass, the database's become ours."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._engine.begin() as connection:
                if check_owner and fact(connection, "owner") != self._owner:
                    raise LedgerFencedError(
                        f"another ledger has taken over {self.path}; this one ends unanswered"
                    )
                yield connection
        except (SQLAlchemyError, OSError) as error:
            raise LedgerStoreError(
                f"cannot {doing} in {self.path}: {plain_cause(error)}; check the disk and the"
                " file's rights, or restore a backup"
            ) from error


def fact(connection: Connection, name: str) -> str:
    """Return a fact about the database, "" if there is none."""
    value: str | None = connection.scalar(_get_fact, {"fact": name})
    return value or ""


def plain_cause(error: Exception) -> str:
    """Say what the database said, without the statement and the link that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error)


def check_version(connection: Connection, path: Path) -> None:
    """Refuse a database that is newer than this code.

    Raises:
        LedgerSchemaError: It is.
    """
    version = int(fact(connection, "schema_version"))
    if version > schema.SCHEMA_VERSION:
        raise LedgerSchemaError(
            f"{path} has ledger schema {version}, this Bidwright knows {schema.SCHEMA_VERSION}:"
            " upgrade Bidwright or restore a backup"
        )


def _set_once(connection: Connection, name: str, value: str) -> None:
    connection.execute(_add_fact, {"name": name, "value": value})


def _columns(table: Table, kind: type[_Row]) -> list[Column[Any]]:
    """Return the columns that a row type has, in its order."""
    return [table.c[name] for name in kind.__struct_fields__]


def _all(connection: Connection, kind: type[_Row], query: Any, **values: object) -> list[_Row]:
    return [kind(**row) for row in connection.execute(query, values).mappings()]


def _among(
    connection: Connection, kind: type[_Row], column: Column[Any], values: Collection[str]
) -> list[_Row]:
    """Return the rows whose ``column`` is one of ``values``, however many these are."""
    if not values:
        return []
    # One bound JSON list instead of one variable per value: the statement stays the same for
    # every burst, so neither SQLAlchemy nor SQLite compiles it again.
    packed = msgspec.json.encode(list(values)).decode()
    return _all(connection, kind, _lookups[column], values=packed)


def _upsert(table: Table, key: str) -> Any:
    """Return an insert of whole rows that overwrites the row of the same ``key``."""
    statement = insert(table)
    written = [c.name for c in table.columns if c.server_default is None and c.name != key]
    return statement.on_conflict_do_update(
        index_elements=[key], set_={name: statement.excluded[name] for name in written}
    )


def _lookup(table: Table, kind: type[_Row], column: Column[Any]) -> Any:
    values = func.json_each(bindparam("values")).table_valued("value")
    return select(*_columns(table, kind)).where(column.in_(select(values.c.value)))


_get_fact: Final = select(schema.facts.c.value).where(schema.facts.c.name == bindparam("fact"))
_set_fact: Final = (
    schema.facts.update()
    .where(schema.facts.c.name == bindparam("fact"))
    .values(value=bindparam("to"))
)
_add_fact: Final = insert(schema.facts).on_conflict_do_nothing()
_open_leases: Final = (
    select(*_columns(schema.leases, Lease))
    .where(schema.leases.c.is_open == true())
    .order_by(schema.leases.c.number)
)
_put_campaigns: Final = _upsert(schema.campaigns, "campaign_id")
_put_leases: Final = _upsert(schema.leases, "number")
_add_settlements: Final = schema.settlements.insert()
_lookups: Final[dict[Column[Any], Any]] = {
    schema.settlements.c.key: _lookup(schema.settlements, Settlement, schema.settlements.c.key),
    schema.leases.c.request_id: _lookup(schema.leases, Lease, schema.leases.c.request_id),
    schema.leases.c.lease_id: _lookup(schema.leases, Lease, schema.leases.c.lease_id),
}
