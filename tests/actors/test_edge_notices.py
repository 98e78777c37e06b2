"""Notice URLs: what we write into bids can be read, and nothing but that moves money."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.edge.bidders import NoAnswer
from actors.edge.errors import NoticeFormError
from actors.edge.notices import KINDS, read_notice, status_of
from actors.gateway.responses import NoticeForm, bid_of
from actors.messages import Bid as DecidedBid
from models.eligibility import Candidate
from models.opportunity import Opportunity, Slot
from tests.actors.samples import campaign
from transport.messages import Billing, Conversion, EventAck, Loss, Win, encode_ack
from transport.notices import NoticeKey

SECRET = b"s" * 32
UNIX_S = 1_800_000_000.0
KEY = NoticeKey("bidder-1-ff-1", "campaign", "lease-1", 2_000, "creative").encode(SECRET)


def our_bid() -> Any:
    paying = campaign("campaign")
    slot = Slot(format="banner", w=300, h=250)
    chosen = Candidate(paying, paying.creatives[0], slot)
    decided = DecidedBid("bidder-1-ff-1", "lease-1", 2_000, chosen)
    opportunity = Opportunity(request_id="r", imp_id="1", slots=(slot,))
    return bid_of(NoticeForm("http://edge", 30), opportunity, decided, KEY)


def called(url: str, **macros: str) -> Any:
    """What comes of a URL in a bid when an exchange fills in these macros and calls it."""
    for macro, value in macros.items():
        url = url.replace("${AUCTION_" + macro + "}", value)
    parts = urlsplit(url)
    folder, kind = parts.path.strip("/").split("/")
    assert folder == "notice"
    return read_notice(kind, parts.query.encode(), UNIX_S)


def test_every_notice_url_of_a_bid_can_be_read() -> None:
    bid = our_bid()
    assert called(bid.nurl, PRICE="1.5") == Win(KEY, price_cpm=1.5, ts=UNIX_S)
    assert called(bid.burl, PRICE="1.5") == Billing(KEY, price_cpm=1.5, ts=UNIX_S)
    lost = called(bid.lurl, PRICE="1.5", LOSS="102", MIN_TO_WIN="2.25")
    assert lost == Loss(KEY, ts=UNIX_S, loss_code=102, min_to_win_cpm=2.25)


def test_macros_that_are_empty_or_untouched_count_as_unknown() -> None:
    bid = our_bid()
    assert called(bid.burl, PRICE="") == Billing(KEY, ts=UNIX_S)
    assert called(bid.burl) == Billing(KEY, ts=UNIX_S)
    assert called(bid.lurl) == Loss(KEY, ts=UNIX_S)


@pytest.mark.parametrize("word", ["AUDIT", "audit"])
def test_a_rehearsal_is_no_event(word: str) -> None:
    bid = our_bid()
    assert called(bid.burl, PRICE=word) is None
    assert called(bid.lurl, LOSS=word) is None


def test_the_key_of_a_called_url_still_verifies() -> None:
    assert NoticeKey.decode(SECRET, called(our_bid().nurl).key).bid_micros == 2_000


@pytest.mark.parametrize("kind", KINDS)
def test_the_readable_spelling_means_the_same(kind: str) -> None:
    event = read_notice(kind, f"key={KEY}&price=".encode(), UNIX_S)
    assert event is not None
    assert (type(event).__name__.lower(), event.key, event.ts) == (kind, KEY, UNIX_S)


def test_a_conversion_may_say_what_it_is_worth() -> None:
    event = read_notice("conversion", b"key=k&value_micros=5000000", UNIX_S)
    assert event == Conversion("k", ts=UNIX_S, value_micros=5_000_000)


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("theft", b"b=k"),
        ("win", b""),
        ("win", b"b=&p=1"),
        ("win", b"b=" + b"k" * 2049),
        ("conversion", b"b=k&value_micros=9999999999999999"),
        ("win", b"b=k&" + b"&".join(b"a=1" for _ in range(20))),
        ("win", b"b=\xff"),
        ("win", b"b=%ff"),
    ],
)
def test_what_is_no_notice_is_refused(kind: str, query: bytes) -> None:
    with pytest.raises(NoticeFormError):
        read_notice(kind, query, UNIX_S)


@pytest.mark.parametrize("price", ["cheap", "-1", "nan", "inf", "1_000", "WEp8JHRnfFFQ0SDR3YWFhqg"])
def test_a_price_that_is_none_is_handed_on_as_it_is(price: str) -> None:
    event = read_notice("billing", b"b=k&p=" + price.encode(), UNIX_S)
    assert event == Billing("k", price_cpm=price, ts=UNIX_S)


@pytest.mark.parametrize("query", [b"b=k&r=-1&m=x", b"b=k&r=1.5&m=", b"b=k&r=9999999999"])
def test_a_loss_whose_reasons_cannot_be_read_is_a_loss(query: bytes) -> None:
    assert read_notice("loss", query, UNIX_S) == Loss("k", ts=UNIX_S)


def test_a_bill_may_say_its_currency_and_for_how_many_views_it_is() -> None:
    event = read_notice("billing", b"b=k&p=1.5&n=2.5&c=eur", UNIX_S)
    expected = Billing("k", price_cpm=1.5, ts=UNIX_S, currency="EUR", quantity=2.5)
    assert event == expected
    untouched = b"b=k&p=1.5&n=%24%7BAUCTION_MULTIPLIER%7D&c=%24%7BAUCTION_CURRENCY%7D"
    assert read_notice("billing", untouched, UNIX_S) == Billing("k", price_cpm=1.5, ts=UNIX_S)


@given(st.sampled_from(KINDS), st.binary(max_size=100))
def test_no_query_is_too_strange_to_be_refused(kind: str, query: bytes) -> None:
    try:
        event = read_notice(kind, query, UNIX_S)
    except NoticeFormError:
        return
    assert event is None or event.key


def test_of_a_repeated_field_the_first_counts() -> None:
    assert read_notice("win", b"b=k&p=1&p=2", UNIX_S) == Win("k", price_cpm=1.0, ts=UNIX_S)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (encode_ack(EventAck(ok=True)), 204),
        (encode_ack(EventAck(ok=True, duplicate=True)), 204),
        (encode_ack(EventAck(ok=False, error="the notice key does not verify")), 400),
        (encode_ack(EventAck(ok=False, error="ledger_unavailable: not booked yet")), 503),
        (b"?", 503),
        (NoAnswer.LATE, 503),
    ],
)
def test_a_notice_is_confirmed_only_when_it_is_booked(
    answer: bytes | NoAnswer, status: int
) -> None:
    assert status_of(answer) == status
