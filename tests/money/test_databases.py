"""What a ledger's store promises, in SQLite and in PostgreSQL alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from actors.ledger import schema
from actors.ledger.engines import Database, database_of
from actors.ledger.errors import LedgerSchemaError, LedgerStoreError
from actors.ledger.rows import Wanted
from actors.ledger.store import LedgerStore
from actors.ledger.verify import entries, reading, show, verify
from tests.money.worlds import TERMS, Ledger, lived
from transport.money import (
    MoneyRefused,
    MoneyRequest,
    Settle,
    SettleAck,
)
from transport.money_operators import Adjust, Adjusted, Refund, Refunded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.money.postgres import PostgresServer

BUDGETS = {"autumn": 5_000, "win/ter": 700}
CORRECTIONS = (
    Refund("back-1", "win-1", 20, "invalid traffic"),
    Adjust("fee-1", "win/ter", 7, "fee"),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(tmp_path / "ledger.db")
    return Database(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(database: Database) -> Iterator[LedgerStore]:
    store = LedgerStore(database)
    yield store
    store.close()


def test_what_was_committed_is_there_for_the_next_store(
    store: LedgerStore, database: Database
) -> None:
    ledger = lived(store, BUDGETS, *CORRECTIONS)
    store.close()
    heir = LedgerStore(database)
    snapshot = heir.snapshot()
    assert snapshot.campaigns == ledger.clerk.campaigns
    assert list(snapshot.open_leases) == list(ledger.clerk.leases.values())
    assert snapshot.head == ledger.clerk.head
    again = Ledger(heir, BUDGETS, 2.0).handle([Settle("win-1", "autumn", "", 9)], 2.0)
    heir.close()
    assert again == [SettleAck("win-1", "settled", 120, repeated=True)]


def test_the_answer_to_an_operators_key_is_the_first_answer(
    store: LedgerStore, database: Database
) -> None:
    lived(store, BUDGETS, *CORRECTIONS)
    store.close()
    heir = LedgerStore(database)
    orders: list[MoneyRequest] = [
        Refund("back-1", "win-1", 20, "invalid traffic"),
        Refund("back-1", "win-2", 20, "invalid traffic"),
        Adjust("fee-1", "win/ter", 7, "fee"),
        Adjust("fee-1", "win/ter", 8, "fee"),
        Refund("back-2", "win-1"),
        Refund("back-3", "win-1"),
    ]
    replies = Ledger(heir, BUDGETS, 2.0).handle(orders, 2.0)
    heir.close()
    assert replies[0] == Refunded("back-1", "win-1", "autumn", 20)
    assert replies[2] == Adjusted("fee-1", "win/ter", 7)
    assert replies[4] == Refunded("back-2", "win-1", "autumn", 100)
    assert [type(replies[index]) for index in (1, 3, 5)] == [MoneyRefused] * 3


def test_lookups_find_what_is_there_and_leave_out_the_rest(store: LedgerStore) -> None:
    ledger = lived(store, BUDGETS, *CORRECTIONS)
    ledger.expire(99.0)
    lease_id = f"{store.snapshot().ledger_id}-1"
    found = store.find(
        Wanted(
            frozenset(["settle:win-1", "it's", 'a "key"']), frozenset([lease_id]), frozenset(["x"])
        )
    )
    assert found.done.keys() == {"settle:win-1"}
    assert found.leases[lease_id].is_open is False
    assert found.settlements == {}


def test_the_journal_cannot_be_changed(store: LedgerStore, database: Database) -> None:
    lived(store, BUDGETS, *CORRECTIONS)
    engine = database.writing()
    for statement in ("UPDATE journal SET kind = ''", "DELETE FROM postings"):
        with pytest.raises(SQLAlchemyError, match="only grows"), engine.begin() as connection:
            connection.execute(text(statement))
    engine.dispose()


def test_verify_and_show_look_beside_a_ledger_that_works(
    store: LedgerStore, database: Database
) -> None:
    ledger = lived(store, BUDGETS, *CORRECTIONS)
    report = verify(database, ledger.clerk.head)
    assert report.ok, report.violations
    assert show(database).days[0].spent_micros == 180
    ledger.expire(TERMS.blocked_s)
    assert show(database).leased_micros == 0
    with reading(database) as connection:
        kinds = [entry.kind for entry in entries(connection, since=2)]
    assert kinds == ["lease", "settle", "settle", "return", "refund", "adjust", "close"]


def test_a_database_of_a_newer_version_is_refused(store: LedgerStore, database: Database) -> None:
    store.close()
    engine = database.writing()
    with engine.begin() as connection:
        connection.execute(text("UPDATE facts SET value = '99' WHERE name = 'schema_version'"))
    engine.dispose()
    with pytest.raises(LedgerSchemaError, match="upgrade Bidwright"):
        LedgerStore(database)
    with pytest.raises(LedgerSchemaError, match="upgrade Bidwright"):
        verify(database)


def test_an_empty_database_is_no_ledger_and_stays_empty(postgres_url: str) -> None:
    with pytest.raises(LedgerStoreError, match="start a node once"):
        verify(Database(postgres_url))


def test_a_second_ledger_stands_by_until_the_first_one_is_gone(postgres_url: str) -> None:
    first = LedgerStore(Database(postgres_url))
    with pytest.raises(LedgerStoreError, match="stands by"):
        LedgerStore(Database(postgres_url))
    first.close()
    LedgerStore(Database(postgres_url)).close()


def test_a_ledger_whose_server_was_restarted_is_refused_and_the_next_one_goes_on(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    store = LedgerStore(Database(postgres_url))
    ledger = lived(store, BUDGETS, *CORRECTIONS)
    head = ledger.clerk.head
    postgres_server.restart()
    with pytest.raises(LedgerStoreError, match="or the server"):
        ledger.handle([Settle("win-3", "autumn", "", 5)], 2.0)
    store.close()
    heir = LedgerStore(Database(postgres_url))
    assert heir.snapshot().head == head
    heir.close()


def test_a_commit_of_postgresql_waits_for_the_disk(postgres_url: str) -> None:
    engine = Database(postgres_url).writing()
    with engine.begin() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    engine.dispose()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mysql://me@host/db", "only postgresql"),
        ("://", "no URL"),
        ("postgresql://h:x/d", "no URL"),
    ],
)
def test_a_database_that_is_not_supported_is_refused_in_words(where: str, words: str) -> None:
    with pytest.raises(LedgerStoreError, match=words):
        Database(where)


def test_a_password_is_read_from_its_file_and_never_told(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n", encoding="utf-8")
    for database in (
        database_of("postgresql://me@127.0.0.1:1/db", str(secret)),
        database_of("postgresql://me:hunter2@127.0.0.1:1/db"),
    ):
        with pytest.raises(LedgerStoreError) as caught:
            LedgerStore(database)
        assert "hunter2" not in f"{database} {caught.value}"
    with pytest.raises(LedgerStoreError, match="database_password_file"):
        database_of("postgresql://me@127.0.0.1:1/db", str(tmp_path / "gone"))


def test_tables_have_the_version_that_the_code_says(store: LedgerStore, database: Database) -> None:
    with reading(database) as connection:
        stamped = connection.scalar(text("SELECT version_num FROM alembic_version"))
    assert stamped == schema.REVISION
