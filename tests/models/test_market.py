"""The sample world: the same for a seed, coherent with itself, safe with foreign requests."""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.campaigns import load_campaigns
from models.market import MarketSimulator, World
from models.market.logs import draw, histories, impressions
from models.profiler.events import VOCABULARY

CAMPAIGNS = load_campaigns()
SIMULATOR = MarketSimulator(3, CAMPAIGNS, users=200)
AD = CAMPAIGNS[0].creatives[0].id


def first(simulator: MarketSimulator, count: int) -> list[dict[str, Any]]:
    return list(islice(simulator.requests(), count))


def test_the_same_seed_makes_the_same_traffic_and_another_seed_does_not() -> None:
    assert first(SIMULATOR, 30) == first(MarketSimulator(3, CAMPAIGNS, users=200), 30)
    assert first(SIMULATOR, 30) != first(MarketSimulator(4, CAMPAIGNS, users=200), 30)


def test_traffic_is_json_with_all_that_openrtb_requires() -> None:
    ids = set()
    for request in first(SIMULATOR, 300):
        assert msgspec.json.decode(msgspec.json.encode(request)) == request
        assert request["tmax"] == 100
        assert request["at"] in {1, 2}
        assert ("site" in request) != ("app" in request)
        for imp in request["imp"]:
            assert {"banner", "video", "native", "audio"} & imp.keys()
        ids.add(request["id"])
    assert len(ids) == 300


def test_traffic_varies_in_all_that_a_bidder_must_handle() -> None:
    requests = first(SIMULATOR, 600)
    formats = {name for r in requests for i in r["imp"] for name in i}
    assert {"banner", "video", "native", "audio", "bidfloor"} <= formats
    assert {1, 2} == {len(r["imp"]) for r in requests}
    for field in ("badv", "bcat", "user", "site", "app", "regs"):
        assert 0 < sum(field in r for r in requests) < 600


def test_an_outcome_depends_on_the_bid_only_and_not_on_the_order_of_calls() -> None:
    requests = first(SIMULATOR, 40)
    forward = [SIMULATOR.auction(r, "1", 3000, AD) for r in requests]
    other = MarketSimulator(3, CAMPAIGNS, users=200)
    backward = [other.auction(r, "1", 3000, AD) for r in reversed(requests)]
    assert forward == backward[::-1]


@given(number=st.integers(0, 99), bid=st.integers(1, 60_000), more=st.integers(0, 60_000))
def test_a_higher_bid_never_loses_what_a_lower_one_wins(number: int, bid: int, more: int) -> None:
    request = REQUESTS[number]
    low = SIMULATOR.auction(request, "1", bid, AD)
    high = SIMULATOR.auction(request, "1", bid + more, AD)
    assert high.won or not low.won
    if low.won:
        assert low.price_micros <= bid
        assert low.loss_code == 0
    else:
        assert low.price_micros > bid
        assert low.loss_code in {100, 102}


REQUESTS = first(SIMULATOR, 100)


def test_the_price_is_the_bid_in_first_price_and_the_rival_in_second() -> None:
    request = REQUESTS[0]
    needed = SIMULATOR.auction(request, "1", None, AD).price_micros
    first_price = SIMULATOR.auction({**request, "at": 1}, "1", needed + 500, AD)
    second_price = SIMULATOR.auction({**request, "at": 2}, "1", needed + 500, AD)
    assert (first_price.price_micros, second_price.price_micros) == (needed + 500, needed)


def test_no_bid_wins_nothing() -> None:
    outcome = SIMULATOR.auction(REQUESTS[0], "1", None, AD)
    assert (outcome.won, outcome.clicked, outcome.loss_code) == (False, False, 9)


@pytest.mark.parametrize(
    "request_",
    [
        {"id": "x", "imp": [{"id": "1"}]},
        {"id": "x", "imp": [{"id": "1", "bidfloor": "a"}], "user": [], "site": []},
        {
            "id": "x",
            "imp": [{"id": 1, "bidfloor": -3}],
            "user": {"id": "sim-y"},
            "app": {"cat": [7]},
        },
    ],
)
def test_a_foreign_request_has_an_outcome_too(request_: dict[str, Any]) -> None:
    assert SIMULATOR.auction(request_, "1", 10_000_000, "unknown-ad").won


def test_an_unknown_impression_is_an_error() -> None:
    with pytest.raises(KeyError, match="no impression"):
        SIMULATOR.auction(REQUESTS[0], "zzz", 1, AD)


def test_a_market_without_users_is_refused() -> None:
    with pytest.raises(ValueError, match="users"):
        MarketSimulator(1, CAMPAIGNS, users=0)


def test_the_truth_of_an_ad_does_not_depend_on_other_campaigns() -> None:
    world = World()
    alone, together = world.ads(CAMPAIGNS[:1]), world.ads(CAMPAIGNS)
    size = len(alone.ids)
    np.testing.assert_array_equal(alone.places, together.places[:size])
    np.testing.assert_array_equal(alone.appeal, together.appeal[:size])


def test_matching_users_click_more() -> None:
    world = World()
    media, device = np.int64(0), np.int64(0)
    far, near = (
        float(world.click_chance(np.float64(m), media, device, np.float64(0))) for m in (-0.5, 0.9)
    )
    assert 0 < far < near < 0.2


def test_histories_are_tokens_of_the_vocabulary_and_follow_taste() -> None:
    rng = np.random.default_rng(5)
    people = World().people(400, rng)
    tokens = histories(people, 20, rng)
    assert tokens.shape == (400, 20)
    assert 1 <= tokens.min() <= tokens.max() < VOCABULARY
    category = (tokens - 1) % 26
    liked = np.take_along_axis(people.tastes, category, axis=1)
    assert liked.mean() > 2.0 / 26


def test_conversions_are_clicks() -> None:
    rng = np.random.default_rng(5)
    world = World()
    log = impressions(world, world.people(100, rng), world.ads(CAMPAIGNS), 20_000, rng)
    assert log.clicked.any()
    assert not (log.converted & ~log.clicked).any()


def test_drawing_follows_the_given_chances() -> None:
    chances = np.cumsum(np.broadcast_to([0.2, 0.0, 0.8], (20_000, 3)), axis=1)
    share = np.bincount(draw(chances, np.random.default_rng(1)), minlength=3) / 20_000
    np.testing.assert_allclose(share, [0.2, 0.0, 0.8], atol=0.02)
