"""Answers to requests that are looked at more than once, and to tests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from actors.decision.offers import OfferWriter
from actors.messages import Funded, Offered, Released, Reserve
from tests.actors.nodes import Node, bids_of
from tests.actors.test_gateway import SECRET, Bench, imp, request
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DEALS = [{"id": f"d{number}"} for number in range(9)]
HELD = frozenset(each["id"] for each in DEALS)


def offered(*deals: str, **changes: Any) -> dict[str, Any]:
    """A request for one impression with these deals, which no campaign of the bench holds."""
    return request(imp=[imp(pmp={"deals": [{"id": each} for each in deals]})], **changes)


def test_all_looks_are_awaited_and_the_bid_among_them_is_the_answer() -> None:
    bench = Bench(held_deals=HELD)
    response = bench.exchange(offered("d1", "d2"))
    (bid,) = bids_of(response)
    assert bid["impid"] == "1"
    assert "dealid" not in bid
    assert len(bench.log.written) == 3


def test_without_a_bid_the_most_telling_reason_of_the_looks_is_given() -> None:
    bench = Bench(held_deals=HELD)
    bench.agents["budget-manager"][0]._rule = lambda _message: Funded({})
    response = bench.exchange(offered("d1"))
    assert response["ext"]["reason"] == "no_budget"
    assert response["nbr"] == 501


def test_looks_count_for_what_may_be_undecided_at_one_time() -> None:
    bench = Bench(held_deals=HELD)
    response = bench.exchange(offered(*HELD))
    assert len(bids_of(response)) == 1
    assert len(bench.log.written) == bench.kit.door.max_in_flight
    refused = [line for line in bench.lines.lines if line["event"] == "impression_undecided"]
    assert [line["reason"] for line in refused] == ["overloaded"]


def test_a_test_gets_a_bid_reserves_nothing_and_is_not_learnt_from() -> None:
    bench = Bench()
    (bid,) = bids_of(bench.exchange(request(test=1)))
    notice = NoticeKey.decode(SECRET, bid["id"])
    assert (notice.test, notice.lease_id) == (True, "")
    assert not bench.agents["budget-manager"][0].of(Reserve)
    assert not bench.bus.of(Offered)
    record = msgspec.msgpack.decode(bench.log.written[0])
    assert (record["outcome"], record["test"]) == ("bid", True)


def test_an_ad_that_cannot_be_written_costs_its_bid_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench()
    write = OfferWriter.offer

    def careless(self: OfferWriter, bid: Any, opportunity: Any, now_s: float) -> Any:
        if opportunity.imp_id == "bad":
            raise KeyError("no template")
        return write(self, bid, opportunity, now_s)

    monkeypatch.setattr(OfferWriter, "offer", careless)
    number = bench.send(request(imp=[imp("bad"), imp("good")]))
    bench.world.run()
    (bid,) = bids_of(bench.answers()[number])
    assert bid["impid"] == "good"
    (released,) = bench.bus.of(Released)
    assert released.key != NoticeKey.decode(SECRET, bid["id"]).key
    alone = bench.exchange(request(imp=[imp("bad")]))
    assert (alone["ext"]["reason"], alone["nbr"]) == ("decider_died", 1)


def test_a_name_says_what_all_impressions_of_a_play_cost() -> None:
    bench = Bench()
    (bid,) = bids_of(bench.exchange(request(imp=[imp(qty={"multiplier": 2.5})])))
    notice = NoticeKey.decode(SECRET, bid["id"])
    assert bid["price"] == 3.0
    assert (notice.bid_micros, notice.quantity) == (7_500, 2.5)


def test_new_rates_are_taken_from_their_file_while_the_bidder_runs(tmp_path: Path) -> None:
    file = tmp_path / "rates.json"
    file.write_text(json.dumps({"conversions": {"USD": {"EUR": 0.5}}}))
    node = Node(tmp_path / "data", settings={"market": {"rates": str(file), "rates_check_s": 1.0}})
    try:
        asked = next(each for each in node.traffic if len(each["imp"]) == 1)
        found = []
        for number, rate in enumerate((None, 50.0, None)):
            if rate is not None:
                file.write_text(json.dumps({"conversions": {"USD": {"GBP": rate}}}))
            node.world.run(2.0)
            node.send(asked | {"id": f"r{number}", "cur": ["GBP"]})
            node.world.run(0.3)
            (answer,) = node.answers().values()
            found.append(answer.get("cur") or answer["ext"]["reason"])
        assert found == ["no_candidate:currency", "GBP", "GBP"]
    finally:
        node.close()
