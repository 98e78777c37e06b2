"""The event desk: money is booked before it is confirmed, and only for bids of ours."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
import pytest

from actors.events.desk import DeskKit, EventDesk
from actors.events.feeds import EventFeed, LedgerFeed
from actors.events.notice_rules import NoticeTerms, price_micros
from actors.messages import (
    Exposed,
    Feedback,
    Forward,
    Heard,
    LinkDown,
    Offered,
    Released,
    Settled,
)
from actors.metering import Meter
from tests.actors.cells import World
from tests.actors.samples import VECTOR, candidate, opportunity
from tests.actors.test_gateway import SECRET, Log
from transport.messages import Billing, Click, Impression, Win, encode_event
from transport.metrics import MemoryMetrics
from transport.money import (
    MONEY_TOPIC,
    ReleasedNotice,
    Settle,
    SettleAck,
    SettledNotice,
    encode_notices,
)
from transport.notices import NoticeKey

URL = "inproc://events"
PUB = "inproc://events-pub-b"
ISSUED_S = 1_800_000_000


def book(message: Any) -> Any:
    if isinstance(message, Forward) and isinstance(message.message, Settle):
        return SettleAck(message.message.key, "settled", message.message.price_micros)
    return None


class Bench:
    """An event desk with a scripted ledger link, a sender and a subscriber."""

    def __init__(self, **terms: Any) -> None:
        self.world = world = World()
        self.unix_s = ISSUED_S
        self.ledger, self.ledger_ref = world.probe("link-ledger", rule=book)
        self.log = Log()
        self.metrics = MemoryMetrics()
        self.meter = Meter(self.metrics, world.clock)
        self.bus, self.bus_ref = world.probe(
            hears=(Released, Settled, Feedback, Exposed, Win, Billing, Click)
        )
        kit = DeskKit(
            bidder="b",
            urls=(URL,),
            publish_url=PUB,
            secret=SECRET,
            max_body_bytes=10_000,
            remembered_bids=2,
            links=world.hub,
            open_log=lambda: self.log,  # type: ignore[arg-type,return-value]
            meter=self.meter,
            unix_clock=lambda: self.unix_s,
            terms=NoticeTerms(**terms),
        )
        self.desk = world.spawn(EventDesk(kit), "events")
        self.subscriber = world.hub.subscriber()
        self.subscriber.subscribe(b"")
        world.run()
        self.subscriber.dial(PUB)
        self.client = world.hub.client()
        self.client.dial(URL)
        self.numbers = itertools.count(1)

    def send(self, event: dict[str, Any] | bytes) -> int:
        number = next(self.numbers)
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        assert self.client.send(number, body)
        return number

    def acks(self) -> dict[int, dict[str, Any]]:
        return {reply.request_id: json.loads(reply.body) for reply in self.client.drain(100)}

    def exchange(self, event: dict[str, Any] | bytes) -> dict[str, Any]:
        number = self.send(event)
        self.world.run()
        return self.acks()[number]

    def settled(self) -> list[Settle]:
        return [each.message for each in self.ledger.of(Forward)]

    def offer(self, key: str = "b-1") -> None:
        self.bus_ref.cell.topics.publish(
            self.bus_ref, Offered(key, candidate(), opportunity(), VECTOR, 3_000)
        )
        self.world.run()


def name(key: str = "b-1", **facts: Any) -> str:
    known = {"issued_s": ISSUED_S} | facts
    return NoticeKey(key, "shoes", "lease-1", 3_000, "shoes-1", **known).encode(SECRET)


def event(kind: str, **facts: Any) -> dict[str, Any]:
    return {"type": kind, "key": name()} | facts


def booked_before(forward: Forward) -> SettleAck:
    assert isinstance(forward.message, Settle)
    return SettleAck(forward.message.key, "settled", 2_000, repeated=True)


@pytest.mark.parametrize("kind", ["win", "billing"])
def test_the_notice_that_books_is_confirmed_when_the_ledger_has_booked_its_price(kind: str) -> None:
    bench = Bench(books=kind)
    bench.ledger._rule = None
    number = bench.send(event(kind, price_cpm=2.5))
    bench.world.run()
    assert bench.acks() == {}
    assert bench.settled() == [Settle("b-1", "shoes", "lease-1", 2_500, 3_000)]
    bench.ledger_ref.post(bench.desk, SettleAck("b-1", "settled", 2_500))
    bench.world.run()
    assert bench.acks() == {number: {"ok": True}}
    assert bench.bus.of(Settled) == [Settled("b-1", 2_500)]
    assert bench.meter.spend_micros == 2_500


@pytest.mark.parametrize(("books", "other"), [("win", "billing"), ("billing", "win")])
def test_the_other_notice_is_noted_and_moves_no_money(books: str, other: str) -> None:
    bench = Bench(books=books)
    assert bench.exchange(event(other, price_cpm=2.5)) == {"ok": True}
    assert bench.exchange(event(other, price_cpm=2.5)) == {"ok": True, "duplicate": True}
    assert bench.settled() == bench.bus.of(Settled) == bench.bus.of(Released) == []
    assert [frame.topic for frame in bench.subscriber.drain(10)] == [other.encode()]


def test_a_bill_without_a_price_is_booked_at_what_we_offered_and_says_so() -> None:
    bench = Bench()
    assert bench.exchange(event("billing")) == {"ok": True}
    assert bench.settled()[0].price_micros == 3_000
    (told,) = bench.bus.of(Billing)
    assert told.price_unknown


@pytest.mark.parametrize("price", ["", "${AUCTION_PRICE}", "SjZ0Ww-rZx8k", "nan", "-1"])
def test_a_price_that_cannot_be_read_is_booked_at_what_we_offered(price: str) -> None:
    bench = Bench()
    assert bench.exchange(event("billing", price_cpm=price)) == {"ok": True}
    assert bench.settled()[0].price_micros == 3_000
    (told,) = bench.bus.of(Billing)
    assert told.price_unknown
    assert len(bench.log.written) == 1


@pytest.mark.parametrize("price", ["AUDIT", "audit"])
def test_a_rehearsal_moves_no_money_and_is_told_as_a_test(price: str) -> None:
    bench = Bench()
    assert bench.exchange(event("billing", price_cpm=price)) == {"ok": True}
    assert bench.settled() == []
    (told,) = bench.bus.of(Billing)
    assert told.test


def test_a_bill_that_was_booked_before_is_a_duplicate_and_published_once() -> None:
    bench = Bench()
    bench.exchange(event("billing", price_cpm=2.0))
    bench.ledger._rule = lambda forward: SettleAck(
        forward.message.key, "settled", 2_000, repeated=True
    )
    assert bench.exchange(event("billing", price_cpm=2.0)) == {"ok": True, "duplicate": True}
    assert len(bench.bus.of(Billing)) == 1
    assert bench.meter.spend_micros == 2_000


def test_a_win_after_its_bill_is_news_though_the_money_moved_before() -> None:
    bench = Bench()
    bench.exchange(event("billing", price_cpm=2.0))
    assert bench.exchange(event("win", price_cpm=2.0)) == {"ok": True}
    assert [frame.topic for frame in bench.subscriber.drain(10)] == [b"billing", b"win"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"type": "theft", "key": "x"}',
        json.dumps({"type": "win", "key": "b-1", "price_cpm": 1.0}).encode(),
        json.dumps({"type": "win", "key": name()[:-2] + "AA", "price_cpm": 1.0}).encode(),
    ],
)
def test_what_we_did_not_sign_moves_nothing_and_is_told_so(body: bytes) -> None:
    bench = Bench()
    ack = bench.exchange(body)
    assert ack["ok"] is False
    assert ack["error"]
    assert bench.ledger.heard == []
    assert bench.meter.refused_events == 1


def test_without_a_link_to_the_ledger_the_sender_is_told_to_try_again() -> None:
    bench = Bench()
    bench.world.cell.kill(bench.ledger_ref)
    ack = bench.exchange(event("billing", price_cpm=2.0))
    assert ack["ok"] is False
    assert "again" in ack["error"]
    assert bench.bus.of(Billing) == []


def test_a_link_that_dies_with_a_settlement_is_told_to_its_sender() -> None:
    bench = Bench()
    bench.ledger._rule = None
    number = bench.send(event("billing", price_cpm=2.0))
    bench.world.run()
    bench.world.cell.kill(bench.ledger_ref)
    bench.world.run()
    assert bench.acks()[number]["ok"] is False


def test_a_ledger_that_is_silent_too_long_is_not_waited_for_and_its_word_still_counts() -> None:
    bench = Bench()
    bench.ledger._rule = None
    number = bench.send(event("billing", price_cpm=2.0))
    bench.world.run(3.0)
    assert bench.acks()[number]["ok"] is False
    bench.ledger_ref.post(bench.desk, SettleAck("b-1", "settled", 2_000))
    bench.world.run()
    assert bench.bus.of(Settled) == [Settled("b-1", 2_000)]


def test_a_bill_whose_booking_was_heard_too_late_is_told_when_it_is_sent_again() -> None:
    bench = Bench()
    bench.ledger._rule = None
    bench.send(event("billing", price_cpm=2.0))
    bench.world.run(3.0)
    bench.ledger_ref.post(bench.desk, SettleAck("b-1", "settled", 2_000))
    bench.world.run()
    assert bench.bus.of(Billing) == []
    bench.ledger._rule = lambda forward: SettleAck(
        forward.message.key, "settled", 2_000, repeated=True
    )
    for _ in range(2):
        assert bench.exchange(event("billing", price_cpm=2.0))["ok"]
    assert len(bench.bus.of(Billing)) == len(bench.log.written) == 1


def test_a_win_after_its_billing_is_news_too_and_each_is_told_once() -> None:
    bench = Bench()
    bench.exchange(event("billing", price_cpm=2.0))
    bench.ledger._rule = lambda forward: SettleAck(
        forward.message.key, "settled", 2_000, repeated=True
    )
    for kind in ("win", "win", "billing", "impression", "impression", "click", "click"):
        assert bench.exchange(event(kind, price_cpm=2.0))["ok"]
    topics = [frame.topic for frame in bench.subscriber.drain(10)]
    assert topics == [b"billing", b"win", b"impression", b"click", b"click"]


def test_a_reservation_is_settled_though_the_answer_to_its_first_settlement_was_lost() -> None:
    bench = Bench()
    bench.ledger._rule = lambda forward: SettleAck(
        forward.message.key, "settled", 2_000, repeated=True
    )
    bench.exchange(event("billing", price_cpm=2.5))
    assert bench.bus.of(Settled) == [Settled("b-1", 2_000)]
    assert bench.meter.spend_micros == 0


def test_a_refusal_of_the_link_is_told_to_the_sender() -> None:
    bench = Bench()
    bench.ledger._rule = lambda forward: LinkDown("full", forward.message)
    assert bench.exchange(event("billing", price_cpm=2.0))["ok"] is False


def test_a_loss_frees_the_reservation_of_our_own_bid_here() -> None:
    bench = Bench()
    assert bench.exchange(event("loss", loss_code=102)) == {"ok": True}
    assert bench.bus.of(Released) == [Released("b-1", "shoes")]
    assert bench.ledger.heard == []


def test_a_loss_of_a_siblings_bid_goes_by_way_of_the_ledger() -> None:
    bench = Bench()
    bench.exchange({"type": "loss", "key": name("bidder-2-1")})
    (forward,) = bench.ledger.of(Forward)
    assert forward.message.key == "bidder-2-1"
    assert bench.bus.of(Released) == []


def test_a_click_is_logged_published_to_processes_and_connected_with_the_decision() -> None:
    bench = Bench()
    bench.offer()
    assert bench.exchange(event("click")) == {"ok": True}
    (logged,) = map(msgspec.msgpack.decode, bench.log.written)
    assert logged["type"] == "click"
    (frame,) = bench.subscriber.drain(10)
    assert frame.topic == b"click"
    (feedback,) = bench.bus.of(Feedback)
    assert (feedback.kind, feedback.opportunity.user_id) == ("click", "u1")


def test_a_lost_bid_teaches_what_would_have_won() -> None:
    bench = Bench()
    bench.offer()
    bench.exchange(event("loss", min_to_win_cpm=4.5))
    (feedback,) = bench.bus.of(Feedback)
    assert (feedback.kind, feedback.price_micros, feedback.bid_micros) == ("loss", 4_500, 3_000)


def test_only_so_many_bids_are_remembered() -> None:
    bench = Bench()
    for key in ("b-1", "b-2", "b-3"):
        bench.offer(key)
    bench.exchange(event("click"))
    assert bench.bus.of(Feedback) == []
    bench.exchange({"type": "click", "key": name("b-3")})
    assert len(bench.bus.of(Feedback)) == 1


def test_an_event_that_a_sibling_heard_teaches_us_about_our_bid() -> None:
    bench = Bench()
    bench.offer()
    bench.bus_ref.cell.topics.publish(bench.bus_ref, Heard(Impression(name())))
    bench.bus_ref.cell.topics.publish(bench.bus_ref, Heard(Impression("forged")))
    bench.world.run()
    assert [feedback.kind for feedback in bench.bus.of(Feedback)] == ["impression"]
    assert bench.meter.refused_events == 1


def test_a_log_that_cannot_be_written_does_not_undo_booked_money() -> None:
    bench = Bench()
    bench.log.fails = True
    assert bench.exchange(event("billing", price_cpm=2.0)) == {"ok": True}
    assert bench.meter.unlogged == 1


@pytest.mark.parametrize(
    ("cpm", "expected"),
    [
        (2.0, 2_000),
        (2.0001, 2_001),
        (0.1, 100),
        (0.0, 0),
        (None, 7),
        (float("nan"), 7),
        (-1.0, 7),
        (1e300, 7),
    ],
)
def test_a_price_is_rounded_up_and_nonsense_is_what_we_offered(
    cpm: float | None, expected: int
) -> None:
    assert price_micros(cpm, 7).micros == expected


# --- late, old, foreign, rehearsed --------------------------------------------------------------


def test_a_bill_after_the_window_is_booked_and_said_to_be_late() -> None:
    bench = Bench(window_s=30.0)
    bench.unix_s += 32
    assert bench.exchange(event("billing", price_cpm=2.0)) == {"ok": True, "late": True}
    assert bench.settled()[0].price_micros == 2_000
    (told,) = bench.bus.of(Billing)
    assert told.late


def test_a_click_is_never_late() -> None:
    bench = Bench(window_s=30.0)
    bench.unix_s += 3_600
    assert bench.exchange(event("click")) == {"ok": True}


@pytest.mark.parametrize("kind", ["win", "loss", "billing", "impression", "click", "conversion"])
def test_what_comes_after_its_life_is_refused_for_good(kind: str) -> None:
    bench = Bench(life_s=3_600.0, click_life_s=3_600.0)
    bench.unix_s += 3_602
    ack = bench.exchange(event(kind, price_cpm=2.0))
    assert not ack["ok"]
    assert ack["error"].startswith("expired")
    assert bench.settled() == []
    assert bench.log.written == []


def test_a_bill_in_another_currency_and_for_many_views_is_booked_in_dollars() -> None:
    bench = Bench()
    key = name(quantity=2.5, currency_micros=1_100_000)
    bench.exchange({"type": "billing", "key": key, "price_cpm": 2.0})
    bench.exchange({"type": "billing", "key": key, "price_cpm": 2.0, "currency": "USD"})
    bench.exchange({"type": "billing", "key": key, "price_cpm": 2.0, "quantity": 1.0})
    assert [each.price_micros for each in bench.settled()] == [5_500, 5_000, 2_200]


def test_a_bill_in_a_currency_that_was_not_bid_in_is_booked_if_its_rate_is_known() -> None:
    bench = Bench(rate={"EUR": 1_200_000}.get)
    bench.exchange(event("billing", price_cpm=2.0, currency="EUR"))
    bench.exchange(event("billing", price_cpm=2.0, currency="ZZZ"))
    assert [each.price_micros for each in bench.settled()] == [2_400, 3_000]


def test_nothing_about_a_test_request_moves_money_or_teaches() -> None:
    bench = Bench()
    bench.offer()
    key = name(test=True, user="someone")
    for kind in ("win", "billing", "impression", "click"):
        assert bench.exchange({"type": kind, "key": key, "price_cpm": 2.0}) == {"ok": True}
    assert bench.settled() == bench.bus.of(Feedback) == bench.bus.of(Exposed) == []
    assert all(msgspec.msgpack.decode(each)["test"] for each in bench.log.written)


def test_what_an_event_claims_of_its_bid_is_not_believed() -> None:
    bench = Bench()
    claims = {"campaign_id": "hats", "late": True, "test": True, "price_unknown": True}
    bench.exchange(event("billing", price_cpm=2.0, **claims))
    (told,) = bench.bus.of(Billing)
    assert (told.campaign_id, told.creative_id) == ("shoes", "shoes-1")
    assert [told.late, told.test, told.price_unknown] == [False] * 3
    assert told.ts == ISSUED_S


# --- who has seen what ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("books", "kinds", "seen"),
    [
        ("billing", ("win", "loss", "click"), 0),
        ("billing", ("billing",), 1),
        ("billing", ("impression",), 1),
        ("win", ("win",), 1),
    ],
)
def test_what_was_shown_is_told_of_users_who_can_be_counted(
    books: str, kinds: tuple[str, ...], seen: int
) -> None:
    bench = Bench(books=books)
    for kind in kinds:
        bench.exchange({"type": kind, "key": name(user="someone"), "price_cpm": 1.0})
        bench.exchange({"type": kind, "key": name("b-2"), "price_cpm": 1.0})
    expected = [Exposed("b-1", "someone", "shoes", "shoes-1", float(ISSUED_S))] * seen
    assert bench.bus.of(Exposed) == expected


def test_what_a_sibling_heard_was_shown_is_counted_here_and_kept_there() -> None:
    bench = Bench()
    heard = Heard(Impression(name("other-1", user="someone")))
    bench.bus_ref.cell.topics.publish(bench.bus_ref, heard)
    bench.world.run()
    (exposed,) = bench.bus.of(Exposed)
    assert (exposed.key, exposed.first_hand) == ("other-1", False)


# --- feeds ---------------------------------------------------------------------------------------


def test_the_ledgers_notices_become_news_in_the_cell() -> None:
    world = World()
    publisher = world.hub.publisher()
    publisher.listen("inproc://ledger-pub")
    bus, _ = world.probe(hears=(Settled, Released))
    world.spawn(LedgerFeed(world.hub, "inproc://ledger-pub"), "ledger-feed")
    world.run()
    notices: list[SettledNotice | ReleasedNotice] = [
        SettledNotice("a", "shoes", "l", 5),
        ReleasedNotice("b", "shoes", "l"),
    ]
    publisher.publish(MONEY_TOPIC, encode_notices(notices))
    publisher.publish(MONEY_TOPIC, b"garbage")
    world.run()
    assert bus.heard == [Settled("a", 5, "shoes"), Released("b", "shoes")]


def test_siblings_events_become_news_in_the_cell() -> None:
    world = World()
    publishers = [world.hub.publisher() for _ in range(2)]
    urls = [f"inproc://events-pub-{number}" for number in range(2)]
    for publisher, url in zip(publishers, urls, strict=True):
        publisher.listen(url)
    bus, _ = world.probe(hears=(Heard,))
    feed = world.spawn(EventFeed(world.hub, urls), "event-feed")
    world.run()
    for publisher in publishers:
        publisher.publish(b"click", encode_event(Click("x")))
        publisher.publish(b"click", b"\xc1")
    world.run()
    assert bus.heard == [Heard(Click("x")), Heard(Click("x"))]
    assert feed.actor.describe()["unreadable"] == 2
