from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from actors.ledger.books import Campaign, Settlement
from actors.ledger.clerk import Changes, Wanted
from actors.ledger.errors import LedgerFencedError, LedgerSchemaError, LedgerStoreError
from actors.ledger.store import LedgerStore, connect
from actors.ledger.verify import show, verify
from tests.money.worlds import TERMS, Ledger
from transport.money import LeaseGranted, LeaseRequest, LeaseReturn, Settle, SettleAck

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
    engine = connect(path)
    with engine.begin() as connection:
        connection.execute(text("PRAGMA ignore_check_constraints = ON"))
        connection.execute(text(statement))
    engine.dispose()


def lived(store: LedgerStore) -> Ledger:
    """Return a ledger that has leased, settled and taken back."""
    ledger = Ledger(store, BUDGETS, 0.0)
    (granted,) = ledger.handle([LeaseRequest("r-1", "bidder-1", "autumn", 900)], 0.0)
    assert isinstance(granted, LeaseGranted)
    ledger.handle(
        [
            Settle("win-1", "autumn", granted.lease_id, 120, 150),
            Settle("win-2", "autumn", granted.lease_id, 80, 100),
            LeaseReturn(granted.lease_id, 300),
        ],
        1.0,
    )
    return ledger


def test_what_was_committed_is_there_when_the_file_is_opened_again(
    store: LedgerStore, path: Path
) -> None:
    ledger = lived(store)
    heir = LedgerStore(path)
    snapshot = heir.snapshot()
    heir.close()
    assert snapshot.campaigns == ledger.clerk.campaigns
    assert list(snapshot.open_leases) == list(ledger.clerk.leases.values())
    assert snapshot.next_number == 2


def test_lookups_find_rows_by_key_by_request_and_by_lease(store: LedgerStore) -> None:
    ledger = lived(store)
    ledger.expire(99.0)
    (lease_id,) = {f"{store.snapshot().ledger_id}-1"}
    found = store.find(
        Wanted(
            frozenset(["win-1", "nothing", "it's"]), frozenset(["r-1"]), frozenset([lease_id, "x"])
        )
    )
    assert found.settlements.keys() == {"win-1"}
    assert found.leases_by_request.keys() == {"r-1"}
    assert found.leases[lease_id].is_open is False


def test_a_burst_of_thousands_is_looked_up_and_booked(store: LedgerStore) -> None:
    ledger = Ledger(store, {"autumn": 10**9}, 0.0)
    burst = [Settle(f"win-{number}", "autumn", "", 3) for number in range(5_000)]
    first, again = ledger.handle(burst, 0.0), ledger.handle(burst, 0.0)
    assert first == [SettleAck(win.key, "unknown_lease", 3) for win in burst]
    assert again == [SettleAck(win.key, "duplicate", 3) for win in burst]


def test_a_burst_is_written_whole_or_not_at_all(store: LedgerStore) -> None:
    lived(store)
    again = Settlement("win-1", "autumn", "", 1, 1, 0, "settled")
    with pytest.raises(LedgerStoreError) as caught:
        store.commit(Changes([Campaign("autumn", 9_999)], [], [again]))
    assert isinstance(caught.value.__cause__, IntegrityError)
    assert store.snapshot().campaigns["autumn"].budget_micros == 5_000


def test_the_database_itself_refuses_an_overspent_campaign(store: LedgerStore) -> None:
    with pytest.raises(LedgerStoreError):
        store.commit(Changes([Campaign("autumn", 100, settled_micros=101)], [], []))


def test_a_ledger_that_was_believed_dead_is_refused_when_it_wakes_up(
    store: LedgerStore, path: Path
) -> None:
    ledger = lived(store)
    heir = LedgerStore(path)
    with pytest.raises(LedgerFencedError, match="taken over"):
        ledger.handle([Settle("win-3", "autumn", "", 1)], 2.0)
    assert heir.find(Wanted(frozenset(["win-3"]), frozenset(), frozenset())).settlements == {}
    heir.close()


def test_a_database_of_a_newer_version_is_refused(store: LedgerStore, path: Path) -> None:
    store.close()
    tamper(path, "UPDATE facts SET value = '2' WHERE name = 'schema_version'")
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
    ledger = lived(store)
    assert verify(path).ok
    ledger.expire(TERMS.lease_s + TERMS.win_window_s)
    report = verify(path)
    assert report.ok
    assert report.violations == ()
    assert report.summary.leased_micros == 0


def test_show_tells_what_is_settled_leased_and_free(store: LedgerStore, path: Path) -> None:
    lived(store)
    summary = show(path)
    autumn, winter = summary.campaigns
    assert (autumn.settled_micros, autumn.leased_micros, autumn.free_micros) == (200, 400, 4_400)
    assert (autumn.open_leases, autumn.settlements, autumn.unfunded) == (1, 2, 0)
    assert winter.free_micros == 700
    assert summary.statuses == {"settled": 2}


@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        (
            "UPDATE campaigns SET budget_micros = 100 WHERE campaign_id = 'autumn'",
            "never_overspent",
        ),
        ("DELETE FROM settlements WHERE key = 'win-1'", "settled_is_the_sum_of_its_settlements"),
        ("DELETE FROM settlements WHERE key = 'win-1'", "drawn_is_the_sum_of_the_leases_wins"),
        ("UPDATE leases SET is_open = 0", "leased_is_the_sum_of_its_open_leases"),
        ("UPDATE leases SET returned_micros = 299", "leased_is_the_sum_of_its_open_leases"),
        (
            "UPDATE settlements SET booked_micros = 121 WHERE key = 'win-1'",
            "no_settlement_is_above_its_price",
        ),
        (
            "UPDATE settlements SET booked_micros = 0, drawn_micros = 0 WHERE key = 'win-1'",
            "a_settlement_is_unfunded_or_booked",
        ),
        ("DELETE FROM campaigns", "every_booking_has_a_campaign"),
    ],
)
def test_verify_finds_rows_that_were_tampered_with(
    store: LedgerStore, path: Path, statement: str, rule: str
) -> None:
    lived(store)
    tamper(path, statement)
    report = verify(path)
    assert not report.ok
    assert rule in {violation.rule for violation in report.violations}
    assert rule in report.checked
