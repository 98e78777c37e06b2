from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from actors.ledger.books import Campaign
from actors.ledger.engines import Database
from actors.ledger.errors import LedgerFencedError, LedgerSchemaError, LedgerStoreError
from actors.ledger.journal import Entry, Head
from actors.ledger.rows import Changes, Wanted
from actors.ledger.store import LedgerStore
from actors.ledger.verify import reading, show, verify
from tests.money.worlds import TERMS, Ledger, lived
from transport.money import Settle, SettleAck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUDGETS = {"autumn": 5_000, "winter": 700}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder, 50% deep? #1" / "ledger.db"


@pytest.fixture
def store(path: Path) -> Iterator[LedgerStore]:
    store = LedgerStore(path)
    yield store
    store.close()


def tamper(path: Path, statement: str) -> None:
    """Change a row behind the ledger's back, past the database's own constraints."""
    engine = Database(path).writing()
    with engine.begin() as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        for trigger in connection.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ):
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        connection.execute(text(statement))
    engine.dispose()


def test_what_was_committed_is_there_when_the_file_is_opened_again(
    store: LedgerStore, path: Path
) -> None:
    ledger = lived(store, BUDGETS)
    heir = LedgerStore(path)
    snapshot = heir.snapshot()
    heir.close()
    assert snapshot.campaigns == ledger.clerk.campaigns
    assert list(snapshot.open_leases) == list(ledger.clerk.leases.values())
    assert snapshot.next_number == 2


def test_lookups_find_entries_by_key_and_rows_by_lease_and_settlement(store: LedgerStore) -> None:
    ledger = lived(store, BUDGETS)
    ledger.expire(99.0)
    (lease_id,) = {f"{store.snapshot().ledger_id}-1"}
    found = store.find(
        Wanted(
            frozenset(["settle:win-1", "lease:r-1", "settle:nothing", "it's"]),
            frozenset([lease_id, "x"]),
            frozenset(["win-2", "y"]),
        )
    )
    assert found.done.keys() == {"settle:win-1", "lease:r-1"}
    assert found.leases[lease_id].is_open is False
    assert found.settlements["win-2"].booked_micros == 80


def test_a_burst_of_thousands_is_looked_up_and_booked(store: LedgerStore) -> None:
    ledger = Ledger(store, {"autumn": 10**9}, 0.0)
    burst = [Settle(f"win-{number}", "autumn", "", 3) for number in range(5_000)]
    first, again = ledger.handle(burst, 0.0), ledger.handle(burst, 0.0)
    assert first == [SettleAck(win.key, "unknown_lease", 3) for win in burst]
    assert again == [SettleAck(win.key, "unknown_lease", 3, repeated=True) for win in burst]


def changes(*campaigns: Campaign, entry: Entry | None = None) -> Changes:
    return Changes([entry] if entry else [], {}, campaigns, [], [])


def test_a_burst_is_written_whole_or_not_at_all(store: LedgerStore) -> None:
    lived(store, BUDGETS)
    again = Entry(99, "settle:win-1", "settle", "autumn", "", 0, "", "", (), "")
    with pytest.raises(LedgerStoreError) as caught:
        store.commit(changes(Campaign("autumn", "shop.example", 9_999), entry=again))
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert store.snapshot().campaigns["autumn"].budget_micros == 5_000


def test_the_database_itself_refuses_an_account_that_owes(store: LedgerStore) -> None:
    with pytest.raises(LedgerStoreError):
        store.commit(changes(Campaign("a", "b", 1))._replace(balances={"campaign/a/free": -1}))


@pytest.mark.parametrize("verb", ["UPDATE {} SET seq = 7", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["journal", "postings"])
def test_the_database_itself_refuses_to_change_the_journal(
    store: LedgerStore, path: Path, table: str, verb: str
) -> None:
    lived(store, BUDGETS)
    engine = Database(path).writing()
    with pytest.raises(IntegrityError, match="only grows"), engine.begin() as connection:
        connection.execute(text(verb.format(table)))
    engine.dispose()


def test_a_ledger_that_was_believed_dead_is_refused_when_it_wakes_up(
    store: LedgerStore, path: Path
) -> None:
    ledger = lived(store, BUDGETS)
    heir = LedgerStore(path)
    with pytest.raises(LedgerFencedError, match="taken over"):
        ledger.handle([Settle("win-3", "autumn", "", 1)], 2.0)
    assert heir.find(Wanted(frozenset(["settle:win-3"]), frozenset(), frozenset())).done == {}
    heir.close()


def test_a_database_of_a_newer_version_is_refused(store: LedgerStore, path: Path) -> None:
    store.close()
    tamper(path, "UPDATE facts SET value = '99' WHERE name = 'schema_version'")
    with pytest.raises(LedgerSchemaError, match="upgrade Bidwright"):
        LedgerStore(path)
    with pytest.raises(LedgerSchemaError, match="upgrade Bidwright"):
        verify(path)


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(LedgerStoreError, match="restore a backup"):
        LedgerStore(path)
    with pytest.raises(LedgerStoreError):
        verify(path)
    assert path.read_bytes().startswith(b"something else")


def test_a_ledger_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(LedgerStoreError, match="start a node once"):
        verify(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_nothing_wrong_beside_a_running_ledger(store: LedgerStore, path: Path) -> None:
    ledger = lived(store, BUDGETS)
    assert verify(path).ok
    ledger.expire(TERMS.lease_s + TERMS.win_window_s)
    report = verify(path)
    assert report.ok
    assert report.violations == ()
    assert report.summary.leased_micros == 0


def test_what_is_read_of_a_running_ledger_is_of_one_instant(store: LedgerStore, path: Path) -> None:
    ledger = lived(store, BUDGETS)
    count = text("SELECT COUNT(*) FROM journal")
    with reading(Database(path)) as connection:
        before = connection.scalar(count)
        ledger.handle([Settle("win-3", "autumn", "", 10, 10)], 2.0)
        assert connection.scalar(count) == before
    with reading(Database(path)) as connection:
        assert connection.scalar(count) == before + 1


def test_show_tells_what_is_settled_leased_and_free(store: LedgerStore, path: Path) -> None:
    lived(store, BUDGETS)
    summary = show(path)
    autumn, winter = summary.campaigns
    assert (autumn.settled_micros, autumn.leased_micros, autumn.free_micros) == (200, 400, 4_400)
    assert (autumn.open_leases, autumn.settlements, autumn.unfunded) == (1, 2, 0)
    assert winter.free_micros == 700
    assert summary.statuses == {"settled": 2}


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE campaigns SET leased_micros = 0", "campaigns_are_the_journals"),
        ("UPDATE balances SET micros = micros + 1", "balances_are_the_journals"),
        ("DELETE FROM settlements WHERE key = 'win-1'", "settlements_are_the_journals"),
        ("UPDATE settlements SET refunded_micros = 1", "settlements_are_the_journals"),
        ("UPDATE leases SET is_open = 0", "leases_are_the_journals"),
        ("UPDATE leases SET returned_micros = 299", "leases_are_the_journals"),
        ("DELETE FROM leases", "leases_are_the_journals"),
        ("UPDATE journal SET answer = ' ' WHERE seq = 3", "no_entry_was_changed"),
        (
            (
                "UPDATE postings SET account = 'campaign/winter/spent/2027-01-15'"
                " WHERE seq = 4 AND micros < 0"
            ),
            "never_overspent",
        ),
        ("UPDATE postings SET micros = micros + 1 WHERE seq = 4 AND line = 0", "postings_sum_to_0"),
        ("DELETE FROM postings WHERE seq = 5", "no_entry_was_changed"),
        ("DELETE FROM journal WHERE seq = 4", "no_entry_is_missing"),
    ],
)
def test_verify_finds_rows_that_were_tampered_with(
    store: LedgerStore, path: Path, statement: str, rule: str
) -> None:
    lived(store, BUDGETS)
    tamper(path, statement)
    report = verify(path)
    assert not report.ok
    assert rule in {violation.rule for violation in report.violations}
    assert rule in report.checked


def test_an_end_of_the_journal_that_was_written_down_proves_what_came_before(
    store: LedgerStore, path: Path
) -> None:
    ledger = lived(store, BUDGETS)
    remembered = ledger.clerk.head
    ledger.handle([Settle("win-3", "autumn", "", 5)], 2.0)
    assert verify(path, remembered).ok
    other = verify(path, Head(remembered.seq, "0" * 64))
    assert [each.rule for each in other.violations] == ["remembered_end_is_part_of_it"]
