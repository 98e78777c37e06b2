"""A ledger that an older Bidwright left behind is brought over whole, in both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from sqlalchemy import Engine, event, inspect, text

from actors.ledger import migrations, schema
from actors.ledger.engines import Database
from actors.ledger.errors import LedgerStoreError
from actors.ledger.store import LedgerStore
from actors.ledger.verify import verify
from tests.money.worlds import Ledger
from transport.money import Settle, SettleAck

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

# A campaign that was cut while leases were out, and one that owes; wins of open, closed and
# unknown leases, of a campaign that nobody knows, above the bid, and without budget.
CAMPAIGNS = [("autumn", 600, 730, 260, 7_000, 990, True), ("winter", 700, 0, 0, 0, 0, False)]
LEASES = [
    (1, "db-1", "r-1", "b", "autumn", 500, 35.0, 300, 250, False),
    (2, "db-2", "r-2", "b", "autumn", 400, 35.0, 110, 30, True),
    (3, "db-3", "r-3", "b", "winter", 90, 35.0, 0, 90, False),
]
SETTLEMENTS = [
    ("w-1", "autumn", "db-1", 200, 200, 200, "settled"),
    ("w-2", "autumn", "db-1", 150, 100, 100, "over_bid"),
    ("w-3", "autumn", "db-2", 110, 110, 110, "settled"),
    ("w-4", "autumn", "db-1", 70, 70, 0, "late"),
    ("w-5", "autumn", "gone", 250, 250, 0, "unknown_lease"),
    ("w-6", "autumn", "gone", 7_000, 0, 0, "unfunded"),
    ("w-7", "nobody", "", 5, 0, 0, "unknown_lease"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return Database(tmp_path / "ledger.db")
    return Database(request.getfixturevalue("postgres_url"))


def fill(connection: Connection, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    names = columns.split()
    places = ", ".join(f":{name}" for name in names)
    statement = text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})")
    connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])


@pytest.fixture
def old(database: Database) -> Database:
    """The database as version 1 left it."""
    engine = database.writing()
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0001")
        connection.execute(text("DROP TABLE alembic_version"))  # version 1 knew of none
        fill(connection, "facts", "name value", [("schema_version", "1"), ("ledger_id", "db")])
        money = "campaign_id budget_micros settled_micros leased_micros unfunded_micros"
        fill(connection, "campaigns", f"{money} committed_micros active", CAMPAIGNS)
        names = "number lease_id request_id bidder campaign_id granted_micros blocked_s"
        fill(connection, "leases", f"{names} drawn_micros returned_micros is_open", LEASES)
        names = "key campaign_id lease_id price_micros booked_micros drawn_micros status"
        fill(connection, "settlements", names, SETTLEMENTS)
    engine.dispose()
    return database


def test_balances_leases_and_wins_are_carried_over_and_proved_by_the_journal(old: Database) -> None:
    store = LedgerStore(old)
    snapshot = store.snapshot()
    autumn = snapshot.campaigns["autumn"]
    assert (autumn.settled_micros, autumn.leased_micros, autumn.unfunded_micros) == (
        730,
        260,
        7_000,
    )
    assert autumn.funded_micros == 990
    assert [lease.lease_id for lease in snapshot.open_leases] == ["db-2"]
    assert snapshot.next_number == 4
    report = verify(old)
    assert report.ok, report.violations
    assert report.summary.settlements == len(SETTLEMENTS)
    store.close()


def test_a_win_of_before_is_known_and_life_goes_on(old: Database) -> None:
    store = LedgerStore(old)
    ledger = Ledger(store, {"autumn": 2_000, "winter": 700}, 0.0)
    again, late = ledger.handle(
        [Settle("w-2", "autumn", "db-1", 150), Settle("w-9", "autumn", "db-1", 50)], 1.0
    )
    assert again == SettleAck("w-2", "over_bid", 100, repeated=True)
    assert late == SettleAck("w-9", "late", 50)
    ledger.expire(99.0)
    store.close()
    report = verify(old)
    assert report.ok, report.violations
    assert {campaign.advertiser for campaign in report.summary.campaigns} == {"shop.example"}


def test_a_large_ledger_is_carried_over_in_few_statements(old: Database) -> None:
    wins = 6_000
    names = "key campaign_id lease_id price_micros booked_micros drawn_micros status"
    rows = [(f"many-{each}", "winter", "gone", 3, 0, 0, "unfunded") for each in range(wins)]
    engine = old.writing()
    with engine.begin() as connection:
        fill(connection, "settlements", names, rows)
    engine.dispose()
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    try:
        LedgerStore(old).close()
    finally:
        event.remove(Engine, "before_cursor_execute", hear)
    report = verify(old)
    assert report.ok, report.violations
    assert report.summary.settlements == wins + len(SETTLEMENTS)
    assert len(said) < wins / 20


def test_an_old_ledger_is_not_changed_by_looking(old: Database) -> None:
    with pytest.raises(LedgerStoreError, match="older Bidwright"):
        verify(old)


def test_a_step_that_fails_leaves_everything_as_it_was(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.ledger.guards._in_sqlite", lambda: ["NONSENSE"])
    monkeypatch.setattr("actors.ledger.guards._in_postgresql", lambda: ["NONSENSE"])
    with pytest.raises(LedgerStoreError):
        LedgerStore(old)
    monkeypatch.undo()
    LedgerStore(old).close()
    assert verify(old).ok


def test_both_ways_lead_to_the_same_tables(old: Database, tmp_path: Path) -> None:
    LedgerStore(old).close()
    LedgerStore(tmp_path / "fresh.db").close()
    shapes = []
    for database in (old, Database(tmp_path / "fresh.db")):
        engine = database.reading()
        with engine.connect() as connection:
            look = inspect(connection)
            tables = {name: look.get_columns(name) for name in look.get_table_names()}
        engine.dispose()
        shapes.append(
            {
                name: [(column["name"], column["nullable"]) for column in columns]
                for name, columns in tables.items()
            }
        )
    assert shapes[0] == shapes[1]
    assert schema.metadata.tables.keys() < shapes[0].keys()
