from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from actors.ledger import schema
from actors.ledger.actor import EXPIRE_EVERY_S, REOPEN_S, LedgerActor
from actors.ledger.books import LeaseTerms
from actors.ledger.configuration import LedgerConfig
from actors.ledger.errors import LedgerStoreError
from actors.ledger.store import LedgerStore
from actors.ledger.verify import show, verify
from supervision import Cell, VirtualClock
from tests.money.worlds import NOON, plans
from transport.memory import MemoryHub, MemoryServer
from transport.money import (
    BudgetExhausted,
    CampaignStanding,
    LeaseClosed,
    LeaseDenied,
    LeaseGranted,
    LeaseRequest,
    LeaseReturn,
    MoneyNotice,
    MoneyRefused,
    MoneyReply,
    MoneyRequest,
    Release,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
    decode_notices,
    decode_replies,
    encode_requests,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from supervision import Ref
    from supervision.messages import Report
    from transport.memory import MemoryClient

URL, PUBLISH_URL = "ipc://ledger", "ipc://ledger-pub"


class World:
    """A ledger in a cell on virtual time, with one client and one subscriber."""

    def __init__(self, folder: Path) -> None:
        self.db_path = folder / "ledger.db"
        self.clock = VirtualClock()
        self.reports: list[Report] = []
        self.cell = Cell(self.clock, random.Random(0), reporter=self.reports.append)
        self.hub = MemoryHub()
        self.client: MemoryClient = self.hub.client()
        self.client.dial(URL)
        self.subscriber = self.hub.subscriber()
        self.subscriber.subscribe(b"money")
        self.subscriber.dial(PUBLISH_URL)
        self.config = LedgerConfig(
            str(self.db_path), URL, PUBLISH_URL, LeaseTerms(), group_commit_s=0.002
        )
        self.ledger = self.start()

    def start(self, budgets: Mapping[str, int] | None = None) -> Ref:
        budgets = {"autumn": 1_000} if budgets is None else budgets
        arguments = (self.config, plans(budgets), self.hub, lambda: NOON)
        ledger = self.cell.spawn(LedgerActor, arguments, name="ledger")
        self.run(0.0)
        return ledger

    def run(self, seconds: float) -> None:
        self.cell.run(max_s=seconds)

    def send(self, number: int, *messages: MoneyRequest) -> None:
        assert self.client.send(number, encode_requests(messages))

    def replies(self) -> dict[int, tuple[MoneyReply, ...]]:
        return {reply.request_id: decode_replies(reply.body) for reply in self.client.drain(100)}

    def notices(self) -> list[MoneyNotice]:
        frames = self.subscriber.drain(100)
        return [notice for frame in frames for notice in decode_notices(frame.body)]

    def lease(self, micros: int = 500) -> LeaseGranted:
        self.send(99, LeaseRequest(f"r-{self.clock()}", "bidder-1", "autumn", micros))
        self.run(0.01)
        ((granted,),) = self.replies().values()
        assert isinstance(granted, LeaseGranted)
        return granted

    def close(self) -> None:
        self.cell.shutdown()
        self.client.close()
        self.subscriber.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_each_message_of_a_frame_is_answered_in_its_order(world: World) -> None:
    lease_id = world.lease().lease_id
    world.send(
        1,
        Settle("win", "autumn", lease_id, 120),
        LeaseRequest("r-2", "bidder-1", "winter", 10),
        Settle("win", "autumn", lease_id, 120),
    )
    world.run(0.01)
    first, second, third = world.replies()[1]
    assert first == SettleAck("win", "settled", 120)
    assert isinstance(second, LeaseDenied)
    assert third == SettleAck("win", "settled", 120, repeated=True)


def test_frames_that_arrive_together_are_one_transaction(world: World) -> None:
    lease_id = world.lease().lease_id
    for number in range(20):
        world.send(number, Settle(f"win-{number}", "autumn", lease_id, 1))
    world.run(0.01)
    assert len(world.replies()) == 20
    described = world.ledger.actor.describe()
    assert described["bursts"] == 2
    assert described["largest_burst"] == 20
    assert described["settlements"] == 20


def test_answers_wait_for_a_peer_that_is_not_ready_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[MemoryServer, bytes, bytes]] = []
    reply = MemoryServer.reply

    def hold(server: MemoryServer, header: bytes, body: bytes) -> bool:
        held.append((server, header, body))
        return True

    def push(server: MemoryServer) -> bool:
        for _ in range(min(3, len(held))):
            reply(*held.pop(0))
        return bool(held)

    monkeypatch.setattr(MemoryServer, "reply", hold)
    monkeypatch.setattr(MemoryServer, "push", push)
    for number in range(20):
        world.send(number, Settle(f"win-{number}", "autumn", "", 1))
    world.run(0.004)
    assert 0 < len(world.replies()) < 20
    world.run(0.1)
    assert not held
    assert world.ledger.actor.describe()["dropped"] == 0


def test_no_answer_leaves_before_its_money_is_on_disk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease_id = world.lease().lease_id
    seen: list[int] = []
    commit = LedgerStore.commit

    def watched(store: LedgerStore, changes: object) -> None:
        seen.append(len(world.replies()))
        commit(store, changes)  # type: ignore[arg-type]
        seen.append(len(world.replies()))

    monkeypatch.setattr(LedgerStore, "commit", watched)
    world.send(1, Settle("win", "autumn", lease_id, 120))
    world.run(0.01)
    assert seen == [0, 0]
    assert world.replies()[1] == (SettleAck("win", "settled", 120),)


def test_a_ledger_that_cannot_write_crashes_unanswered_and_its_heir_books_the_win(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease_id = world.lease().lease_id

    def broken(store: LedgerStore, changes: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "commit", broken)
        world.send(1, Settle("win", "autumn", lease_id, 120))
        world.run(0.01)
    assert world.ledger.actor is None
    assert world.replies() == {}
    world.start()
    world.send(1, Settle("win", "autumn", lease_id, 120))
    world.run(0.01)
    assert world.replies()[1] == (SettleAck("win", "settled", 120),)


def test_a_ledger_whose_disk_fails_is_silent_and_books_again_when_the_disk_is_well(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease_id = world.lease().lease_id

    def broken(store: LedgerStore, changes: object) -> None:
        raise LedgerStoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerStore, "commit", broken)
        world.send(1, Settle("win", "autumn", lease_id, 120))
        world.run(3 * REOPEN_S)
        assert world.replies() == {}
        assert world.ledger.actor.describe()["trouble"] == "disk full"
    assert [report.reason for report in world.reports] == ["disk full"]
    world.run(REOPEN_S)
    world.send(2, Settle("win", "autumn", lease_id, 120))
    world.send(3, Settle("win", "autumn", lease_id, 120))
    world.run(0.01)
    replies = world.replies()
    assert replies[2] == (SettleAck("win", "settled", 120),)
    assert replies[3] == (SettleAck("win", "settled", 120, repeated=True),)
    assert verify(world.db_path).ok


def test_a_ledger_that_cannot_open_its_file_waits_until_it_can(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").mkdir()
    world = World(tmp_path)
    world.run(2 * REOPEN_S)
    assert "cannot open" in world.ledger.actor.describe()["trouble"]
    (tmp_path / "ledger.db").rmdir()
    world.run(REOPEN_S + 0.1)
    assert world.lease().micros == 500
    world.close()


def test_a_ledger_does_not_wait_for_a_file_of_a_later_version_to_grow_younger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.cell.kill(world.ledger)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION - 1)
    late = world.start()
    assert late.actor is None
    assert "upgrade Bidwright" in str(late.exit_reason)


def test_a_frame_that_cannot_be_read_is_refused_and_the_next_is_served(world: World) -> None:
    world.client.send(1, b"not a frame")
    world.send(2, LeaseRequest("r-1", "bidder-1", "autumn", 10))
    world.run(0.01)
    replies = world.replies()
    assert isinstance(replies[1][0], MoneyRefused)
    assert isinstance(replies[2][0], LeaseGranted)


def test_a_message_that_cannot_be_read_is_refused_and_its_neighbours_are_booked(
    world: World,
) -> None:
    bad, good = Settle("bad", "autumn", "", -1), Settle("good", "autumn", "", 5)
    world.send(1, bad, good)
    world.run(0.01)
    refused, booked = world.replies()[1]
    assert isinstance(refused, MoneyRefused)
    assert booked == SettleAck("good", "unknown_lease", 5)


def test_a_killed_ledger_comes_back_with_all_it_answered(world: World) -> None:
    lease_id = world.lease().lease_id
    world.send(1, Settle("win", "autumn", lease_id, 120))
    world.run(0.01)
    world.replies()
    world.cell.kill(world.ledger)
    world.start()
    world.send(2, Settle("win", "autumn", lease_id, 120), LeaseReturn(lease_id, 100))
    world.run(0.01)
    assert world.replies()[2][0] == SettleAck("win", "settled", 120, repeated=True)
    (autumn,) = show(world.db_path).campaigns
    assert (autumn.settled_micros, autumn.leased_micros) == (120, 280)
    assert verify(world.db_path).ok


def test_a_polite_stop_books_what_was_read_before_it_ends(world: World) -> None:
    lease_id = world.lease().lease_id
    world.send(1, Settle("win", "autumn", lease_id, 120))
    world.run(0.0)
    assert world.replies() == {}
    world.cell.stop(world.ledger)
    world.run(0.0)
    assert world.ledger.actor is None
    assert world.replies()[1] == (SettleAck("win", "settled", 120),)


def test_money_of_a_dead_bidder_comes_back_after_the_win_window(world: World) -> None:
    world.lease(1_000)
    world.run(34.9)
    assert show(world.db_path).leased_micros == 1_000
    world.run(0.2 + EXPIRE_EVERY_S)
    assert show(world.db_path).leased_micros == 0


def test_subscribers_hear_what_became_of_money(world: World) -> None:
    lease = world.lease(1_000)
    world.send(
        1,
        Settle("win", "autumn", lease.lease_id, 1_000),
        Release("lost", "autumn", lease.lease_id),
    )
    world.run(0.01)
    assert world.notices() == [
        SettledNotice("win", "autumn", lease.lease_id, 1_000),
        BudgetExhausted("autumn", 1_000, 1_000),
        ReleasedNotice("lost", "autumn", lease.lease_id),
    ]
    world.run(36.0)
    told = [each for each in world.notices() if not isinstance(each, CampaignStanding)]
    assert told == [LeaseClosed(lease.lease_id, "autumn", 0)]


def test_it_is_told_within_a_second_how_a_campaign_stands_that_moved_and_now_and_then_of_all(
    world: World,
) -> None:
    world.run(1.0)
    world.notices()
    lease = world.lease(400)
    world.send(1, Settle("win", "autumn", lease.lease_id, 100))
    world.run(1.0)
    (moved,) = world.notices()[1:]
    assert isinstance(moved, CampaignStanding)
    assert (moved.settled_micros, moved.leased_micros, moved.free_micros) == (100, 300, 600)
    assert (moved.day, moved.day_settled_micros) == ("2027-01-15", 100)
    world.run(5.0)
    assert world.notices() == []
    world.run(5.0)
    assert [type(each) for each in world.notices()] == [CampaignStanding]


def test_a_new_budget_is_taken_at_the_start_and_settled_money_is_kept(world: World) -> None:
    lease_id = world.lease().lease_id
    world.send(1, Settle("win", "autumn", lease_id, 120))
    world.run(0.01)
    world.cell.kill(world.ledger)
    world.start({"autumn": 5_000, "winter": 70})
    autumn, winter = show(world.db_path).campaigns
    assert (autumn.budget_micros, autumn.settled_micros) == (5_000, 120)
    assert winter.budget_micros == 70


def test_messages_for_someone_else_are_ignored(world: World) -> None:
    world.cell.outside.post(world.ledger, object())
    world.run(0.0)
    assert world.ledger.actor is not None
