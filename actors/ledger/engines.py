"""The two databases that a ledger can live in, behind one face: SQLite and PostgreSQL.

Principle: whatever the two say differently is said here, and nowhere else asks which of them it is.
A database is named by the path of a SQLite file, or by a URL (``postgresql+psycopg://...``).

What ``begin`` promises on both: nobody else writes until the transaction ends, and when it has
ended what it wrote survives a power cut.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sqlalchemy import URL, bindparam, cast, create_engine, event, func, inspect, make_url, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger.errors import LedgerStoreError

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Engine, Select, Table

#: How long to wait for another writer to finish before giving up: less than it takes a process to
#: be believed hung.
BUSY_S: Final = 1.0

#: One ledger at a time works on a PostgreSQL database: whoever holds this lock ("bidw").
_ADVISORY_LOCK: Final = 0x62696477


class Database:
    """Where a ledger lives.

    Args:
        where: Path of a SQLite file, or a database's URL.
        password: For a URL without one.

    Raises:
        LedgerStoreError: The URL can't be read, or names a database that is not supported.
    """

    def __init__(self, where: Path | str, password: str = "") -> None:
        self.file = where if isinstance(where, Path) else None
        self._url = _url_of(where, password)

    def __str__(self) -> str:
        """Return its name, without any password."""
        return str(self.file or self._url.render_as_string(hide_password=True))

    @property
    def exists(self) -> bool:
        """Whether it can be asked at all: a file that is there, or any server."""
        return self.file is None or self.file.is_file()

    def is_made(self) -> bool:
        """Whether a ledger has been made in it.

        Raises:
            LedgerStoreError: It can't be asked.
        """
        if not self.exists:
            return False
        engine = self.reading()
        try:
            with engine.connect() as connection:
                return inspect(connection).has_table("facts")
        except SQLAlchemyError as error:
            raise LedgerStoreError(
                f"cannot reach {self}: {plain_cause(error)}; check the server, the name of the"
                " database and the rights"
            ) from error
        finally:
            engine.dispose()

    def writing(self) -> Engine:
        """Return an engine whose transactions exclude other writers."""
        if self.file is None:
            return create_engine(self._url, connect_args=_options("on"), pool_size=2)
        engine = create_engine(self._url, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _make_durable)
        event.listen(engine, "begin", _begin_at_once)
        return engine

    def reading(self) -> Engine:
        """Return an engine that sees one instant, and never creates, locks or changes anything."""
        if self.file is None:
            return create_engine(
                self._url,
                isolation_level="REPEATABLE READ",
                connect_args=_options("on", read_only=True),
            )
        query = {"mode": "ro", "uri": "true"}
        url = URL.create("sqlite", database=f"file:{quote(str(self.file))}", query=query)
        engine = create_engine(url, connect_args={"timeout": BUSY_S})
        event.listen(engine, "connect", _leave_begin)
        event.listen(engine, "begin", _begin)
        return engine


def database_of(where: str, password_file: str = "") -> Database:
    """Return a ledger's database.

    Args:
        where: Path of a SQLite file, or a URL.
        password_file: Holds the password for a URL that has none; "" for none.

    Raises:
        LedgerStoreError: It can't be named, or the password not be read.
    """
    if "://" not in where:
        return Database(Path(where))
    try:
        password = Path(password_file).read_text(encoding="utf-8").strip() if password_file else ""
    except OSError as error:
        raise LedgerStoreError(
            f"cannot read the database's password from {password_file}: {error.strerror}; correct"
            " money.database_password_file"
        ) from error
    return Database(where, password)


def claim(engine: Engine) -> Connection | None:
    """Claim a database for one ledger, for as long as the connection lives.

    Returns:
        The connection to keep, None where a claim is not needed: a SQLite file belongs to one node,
        whose supervisor sees to it that one ledger lives.

    Raises:
        LedgerStoreError: Another ledger has claimed it, and lives.
    """
    if engine.dialect.name == "sqlite":
        return None
    connection = engine.connect()
    claimed = connection.scalar(select(func.pg_try_advisory_lock(_ADVISORY_LOCK)))
    connection.commit()
    if not claimed:
        connection.close()
        raise LedgerStoreError(
            "another ledger works on this database; this one stands by until that one ends"
        )
    return connection


def upsert(engine: Engine, table: Table, key: str) -> Any:
    """Return an insert of whole rows that overwrites the row of the same ``key``."""
    statement = _insert(engine)(table)
    written = [c.name for c in table.columns if c.server_default is None and c.name != key]
    return statement.on_conflict_do_update(
        index_elements=[key], set_={name: statement.excluded[name] for name in written}
    )


def insert_once(engine: Engine, table: Table) -> Any:
    """Return an insert that leaves a row alone that is there already."""
    return _insert(engine)(table).on_conflict_do_nothing()


def among(engine: Engine, columns: list[Column[Any]], column: Column[Any]) -> Select[Any]:
    """Return a query for the rows whose ``column`` is in the JSON list bound as ``values``.

    One bound list instead of one variable per value: the statement stays the same for every burst,
    so that neither SQLAlchemy nor the database compiles it again.
    """
    packed: Any = bindparam("values")
    if engine.dialect.name == "sqlite":
        values = func.json_each(packed).table_valued("value")
    else:
        values = func.jsonb_array_elements_text(cast(packed, JSONB)).table_valued("value")
    return select(*columns).where(column.in_(select(values.c.value)))


def plain_cause(error: Exception) -> str:
    """Say what the database said, without the statement and the link that SQLAlchemy adds."""
    return str(getattr(error, "orig", None) or error).strip()


def damage(connection: Connection) -> list[str]:
    """Return what the database itself finds wrong with its file (SQLite only)."""
    if connection.dialect.name != "sqlite":
        return []
    found = connection.exec_driver_sql("PRAGMA quick_check").scalars().all()
    return [line for line in found if line != "ok"]


def _insert(engine: Engine) -> Any:
    return sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert


def _url_of(where: Path | str, password: str) -> URL:
    if isinstance(where, Path):
        return URL.create("sqlite", database=str(where))
    try:
        url = make_url(where)
    except (SQLAlchemyError, ValueError) as error:
        # Not the text itself: there may be a password in it.
        raise LedgerStoreError(
            "money.database is no URL; write postgresql+psycopg://USER@HOST/DATABASE, or leave it"
            " empty for the file in the data folder"
        ) from error
    if url.get_backend_name() != "postgresql":
        raise LedgerStoreError(
            f"money.database names {url.get_backend_name()!r}; only postgresql+psycopg:// and, left"
            " empty, the SQLite file of the data folder are supported"
        )
    url = url.set(drivername="postgresql+psycopg")
    return url.set(password=password) if password and not url.password else url


def _options(durable: str, *, read_only: bool = False) -> dict[str, Any]:
    """Return what a connection to PostgreSQL is made with."""
    flags = f"-c synchronous_commit={durable} -c lock_timeout={int(BUSY_S * 1000)}"
    if read_only:
        flags += " -c default_transaction_read_only=on"
    return {
        "options": flags,
        "application_name": "bidwright-ledger",
        "connect_timeout": 2,
        "keepalives_idle": 5,
        "tcp_user_timeout": 5_000,
    }


def _leave_begin(connection: Any, _record: object) -> None:
    """Leave ``BEGIN`` to us: by itself sqlite3 begins at a write, and each read stands alone."""
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    """Begin to see one instant: the one of the first read."""
    connection.exec_driver_sql("BEGIN")


def _make_durable(connection: Any, _record: object) -> None:
    """Make commits durable, and leave ``BEGIN`` to us."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_at_once(connection: Connection) -> None:
    """Take the write lock at ``BEGIN``, so that what is read stays true until the commit."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
