from __future__ import annotations

import gzip
import itertools
import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import InvalidInputError
from cli.play.answers import read_answer
from cli.play.exchange import hold_auctions
from cli.play.schedule import AsAnswered, AtRate
from cli.play.summary import Tally, percentile, summarise
from cli.play.traffic import Ask, asks, read_requests, with_explanation
from transport.messages import Billing, Click, Conversion, Impression, Loss, Win
from transport.openrtb import Bid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REQUEST: dict[str, Any] = {
    "id": "r1",
    "imp": [{"id": "1", "banner": {"w": 300, "h": 250}, "bidfloor": 0.5}],
}


def answer(**fields: Any) -> bytes:
    return json.dumps({"id": "r1", **fields}).encode()


def seats(**bid: Any) -> list[dict[str, Any]]:
    return [{"bid": [{"id": "b", "impid": "1", "price": 1.0, "crid": "c", "cid": "k", **bid}]}]


# --- summary -----------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1.0))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(
    values: list[float], share: float
) -> None:
    ordered = sorted(values)
    found = percentile(ordered, share)
    assert found is not None
    assert sum(value <= found for value in ordered) >= share * len(ordered)
    below = [value for value in ordered if value < found]
    assert not below or len(below) < share * len(ordered)


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None


def test_a_run_without_answers_sums_up_to_zeros() -> None:
    summary = summarise(Tally(sent=3, unanswered=3), 1.0)
    assert summary["rate_per_s"] == 0
    assert summary["p99_ms"] is None
    assert summary["bid_rate"] == summary["win_rate"] == summary["fallback_rate"] == 0


def test_rates_are_shares_of_what_they_could_be() -> None:
    tally = Tally(sent=100, answered=80, with_bid=40, bids=50, wins=10, spend_micros=2_500_000)
    tally.latencies_ms.extend(float(each) for each in range(1, 81))
    summary = summarise(tally, 2.0)
    assert summary["rate_per_s"] == 40
    assert summary["bid_rate"] == 0.5
    assert summary["win_rate"] == 0.2
    assert summary["spend_usd"] == 2.5
    assert (summary["p50_ms"], summary["p99_ms"], summary["max_ms"]) == (40, 80, 80)


# --- schedule ----------------------------------------------------------------------------------


@given(st.floats(0.5, 10_000), st.floats(0, 100))
def test_a_rate_never_runs_ahead_and_catches_up_at_once(rate: float, now_s: float) -> None:
    schedule = AtRate(rate, 1_000_000_000)
    due = schedule.due(now_s, 0, 0)
    assert (due - 1) / rate <= now_s + 1e-9
    assert schedule.due(now_s, due, 0) == 0
    assert schedule.next_s(due) * rate == pytest.approx(due)


def test_a_rate_counts_latency_from_when_the_request_was_due() -> None:
    assert AtRate(10, 100).due_s(5, now_s=3.0) == 0.5


def test_a_rate_stops_at_its_bound_of_requests_in_flight() -> None:
    assert AtRate(1000, 8).due(now_s=1.0, sent=10, in_flight=8) == 0
    assert AtRate(1000, 8).due(now_s=1.0, sent=10, in_flight=5) == 3


def test_without_a_rate_every_answer_makes_room_for_one_request() -> None:
    schedule = AsAnswered(4)
    assert schedule.due(0.0, 0, 0) == 4
    assert schedule.due(0.0, 4, 3) == 1
    assert schedule.due(0.0, 4, 4) == 0
    assert schedule.due_s(7, now_s=2.0) == 2.0
    assert math.isinf(schedule.next_s(4))


# --- answers -----------------------------------------------------------------------------------


def test_a_bid_that_keeps_the_rules_is_usable() -> None:
    reading = read_answer(REQUEST, answer(seatbid=seats(), cur="USD"))
    assert not reading.fault
    assert [bid.price for bid in reading.bids] == [1.0]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "unreadable"),
        (b"[]", "unreadable"),
        (answer(id="other", nbr=1), "wrong request id"),
        (answer(seatbid=seats(impid="9")), "unknown impression id"),
        (answer(seatbid=seats(price=0.49)), "price below floor"),
        (answer(seatbid=seats(price=0)), "price is not positive"),
        (answer(seatbid=seats(), cur="EUR"), "currency not allowed"),
    ],
)
def test_an_answer_that_breaks_a_rule_has_a_fault_and_no_bids(body: bytes, fault: str) -> None:
    reading = read_answer(REQUEST, body)
    assert (reading.fault, reading.bids) == (fault, ())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"nbr": 8, "ext": {"reason": "no_candidate"}}, "no_candidate"),
        ({"nbr": 8}, "nbr 8"),
        ({"nbr": 2, "ext": {"error": "no impression"}}, "invalid request"),
        ({}, "no reason given"),
    ],
)
def test_a_no_bid_tells_its_reason(fields: dict[str, Any], reason: str) -> None:
    assert read_answer(REQUEST, answer(**fields)).reason == reason


def test_the_answer_to_a_text_that_has_no_id_needs_none() -> None:
    body = json.dumps({"nbr": 2, "ext": {"error": "not JSON"}}).encode()
    assert not read_answer({}, body).fault


# --- auctions ----------------------------------------------------------------------------------


class Result(NamedTuple):
    won: bool
    price_micros: int
    clicked: bool = False
    converted: bool = False
    loss_code: int = 0


class OneResult:
    """A market in which every auction ends the same way."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self.asked: list[tuple[str, int | None, str]] = []

    def auction(
        self, request: Mapping[str, Any], imp_id: str, bid_micros: int | None, creative_id: str
    ) -> Result:
        self.asked.append((imp_id, bid_micros, creative_id))
        return self.result


ASK = Ask(REQUEST, {**REQUEST, "id": "r1~x.0"}, b"", 100.0)
BID = Bid(id="token", impid="1", price=1.25, cid="campaign", crid="creative")


def test_a_win_is_told_billed_shown_and_counted() -> None:
    market, tally = OneResult(Result(True, 900, clicked=True, converted=True)), Tally()
    events = hold_auctions(market, ASK, (BID,), tally, ts=5.0)
    assert [type(event) for event in events] == [Win, Billing, Impression, Click, Conversion]
    assert {event.price_cpm for event in events} == {0.9}
    assert {event.key for event in events} == {"token"}
    assert {event.request_id for event in events} == {"r1~x.0"}
    assert market.asked == [("1", 1250, "creative")]
    assert (tally.wins, tally.clicks, tally.conversions, tally.spend_micros) == (1, 1, 1, 900)


def test_a_loss_tells_what_would_have_won() -> None:
    tally = Tally()
    market = OneResult(Result(False, 2000, loss_code=102))
    (event,) = hold_auctions(market, ASK, (BID,), tally, ts=5.0)
    assert isinstance(event, Loss)
    assert (event.loss_code, event.min_to_win_cpm) == (102, 2.0)
    assert (tally.wins, tally.losses, tally.spend_micros) == (0, 1, 0)


# --- traffic -----------------------------------------------------------------------------------


def test_every_request_of_a_run_has_an_id_of_its_own_and_the_source_keeps_its_own() -> None:
    made = list(asks([REQUEST, REQUEST], "run", explain_every=0))
    ids = [json.loads(ask.body)["id"] for ask in made]
    assert len(set(ids)) == 2
    assert all(ask.origin["id"] == "r1" for ask in made)
    assert [ask.request["id"] for ask in made] == ids


def test_every_so_many_requests_ask_for_an_explanation() -> None:
    made = asks(itertools.repeat(REQUEST, 6), "run", explain_every=3)
    assert ["ext" in ask.request for ask in made] == [True, False, False, True, False, False]


def test_asking_for_an_explanation_keeps_what_the_request_says() -> None:
    request = {"id": "1", "ext": {"a": 1, "bidwright": {"b": 2}}}
    asked = with_explanation(request)
    assert asked["ext"] == {"a": 1, "bidwright": {"b": 2, "explain": 1}}
    assert request == {"id": "1", "ext": {"a": 1, "bidwright": {"b": 2}}}


@pytest.mark.parametrize(("tmax", "expected"), [(250, 250.0), (0, 100.0), ("x", 100.0)])
def test_a_request_without_a_usable_time_has_the_usual_one(tmax: object, expected: float) -> None:
    (ask,) = asks([{**REQUEST, "tmax": tmax}], "run", 0)
    assert ask.tmax_ms == expected


def test_a_file_may_hold_requests_wrapped_requests_and_raw_texts(tmp_path: Path) -> None:
    lines = [json.dumps(each) for each in (REQUEST, {"request": REQUEST}, {"raw": "{broken"})]
    path = tmp_path / "requests.jsonl.gz"
    path.write_bytes(gzip.compress("\n\n".join(lines).encode()))
    assert read_requests(path) == [REQUEST, REQUEST, "{broken"]
    raw = list(asks(read_requests(path), "run", 1))[-1]
    assert (raw.body, raw.request) == (b"{broken", {})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "holds no request"),
        (b"{}\nnope\n", "line 2: not JSON"),
        (b"[1]\n", "line 1: not a JSON object"),
        (b"\xff\xfe\n", "can't read"),
    ],
)
def test_a_file_without_requests_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "requests.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=complaint):
        read_requests(path)
