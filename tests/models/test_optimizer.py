"""Prices: never above value, limit or cap, never below the floor, and best among all prices."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.market_segments import SEGMENT_COUNT, segment_columns
from models.opportunity import CATEGORY_COUNT, DEVICE_KINDS, FORMATS
from models.optimizer.curves import MarketCurve, shaded_bid
from models.optimizer.pricing import BidRule
from models.optimizer.value import ValueModel
from models.registry import recall_tensors, weights_folder
from models.sample_ads import sample_candidates
from models.train_optimizer import embeddings_of
from tests.models.helpers import campaign, candidate, opportunity

RULE = BidRule.load(weights_folder("optimizer"))
VALUE = ValueModel.load(weights_folder("optimizer"))
CURVE = MarketCurve(2_000.0, 3.0)
USER = np.full(16, 0.25, np.float32)

values = st.floats(0.0, 1e6)
curves = st.builds(MarketCurve, st.floats(10.0, 50_000.0), st.floats(0.5, 8.0))


class Budget(msgspec.Struct):
    pace: float = 1.0


budgets = st.builds(Budget, st.floats(0.0, 1.0))


@given(value=values, curve=curves)
def test_a_shaded_bid_is_as_good_as_the_best_of_a_fine_grid(
    value: float, curve: MarketCurve
) -> None:
    def surplus(bid: float) -> float:
        return (value - bid) * curve.win_chance(bid)

    bid = shaded_bid(value, curve)
    assert 0.0 <= bid <= value
    best = max(surplus(value * step / 400) for step in range(401))
    assert surplus(bid) >= best - 1e-6 * max(value, 1.0)


@given(value=values, more=values, curve=curves)
def test_a_higher_value_is_never_shaded_to_a_lower_bid(
    value: float, more: float, curve: MarketCurve
) -> None:
    assert shaded_bid(value + more, curve) >= shaded_bid(value, curve) * (1 - 1e-3)


@given(
    value=values,
    floor=st.integers(0, 60_000),
    budget=budgets,
    first_price=st.booleans(),
    cap=st.integers(0, 60_000),
)
def test_a_price_lies_between_floor_and_value_and_below_the_cap(
    value: float, floor: int, budget: Budget, *, first_price: bool, cap: int
) -> None:
    bid = RULE.price(value, floor, CURVE, budget, first_price=first_price, cap_micros=cap)
    assert isinstance(bid, int)
    assert bid == 0 or max(floor, 1) <= bid <= min(value * budget.pace, cap)
    if budget.pace == 0.0:
        assert bid == 0


def test_second_price_bids_the_value_and_first_price_less() -> None:
    second = RULE.price(6_000.0, 0, CURVE, Budget(), first_price=False, cap_micros=50_000)
    first = RULE.price(6_000.0, 0, CURVE, Budget(), first_price=True, cap_micros=50_000)
    assert second == 6_000
    assert 1_500 < first < 5_000


def test_the_floor_is_bid_when_shading_would_go_below_it() -> None:
    assert RULE.price(6_000.0, 5_500, CURVE, Budget(), first_price=True, cap_micros=9_000) == 5_500


def test_a_curve_wins_half_of_the_time_at_its_scale() -> None:
    assert CURVE.win_chance(2_000.0) == pytest.approx(0.5)
    assert CURVE.win_chance(0.0) == 0.0


def test_video_costs_more_than_banners_in_the_learnt_market() -> None:
    ads = {one.slot.format: one for one in sample_candidates()}
    asked = opportunity(country="USA", device_kind="phone", categories=(3,))
    scales = {name: RULE.market(asked, ad).scale_micros for name, ad in ads.items()}
    assert scales["banner"] < scales["native"] < scales["audio"] < scales["video"]


def test_an_impression_of_unknown_place_has_a_market_too() -> None:
    curve = RULE.market(opportunity(device_kind="fridge"), candidate())
    assert 100.0 < curve.scale_micros < 50_000.0
    assert math.isfinite(curve.shape)


def test_segments_never_share_a_column() -> None:
    seen: dict[int, set[tuple[int, object]]] = {}
    for media in FORMATS:
        for kind in DEVICE_KINDS:
            for category in (None, *range(CATEGORY_COUNT)):
                for country in ("USA", "ESP", "ZZZ"):
                    facts = (None, media, country, kind, category)
                    columns = segment_columns(media, country, kind, category)
                    for place, (column, fact) in enumerate(zip(columns, facts, strict=True)):
                        seen.setdefault(column, set()).add((place, fact))
    assert all(len(owners) == 1 for owners in seen.values())
    assert max(seen) == SEGMENT_COUNT - 1


def test_value_is_chance_of_click_times_chance_of_conversion_times_worth() -> None:
    ad = sample_candidates()[0]
    asked = opportunity(device_kind="phone")
    value = VALUE.expected_value_micros(USER, ad, asked, 0.01)
    click = VALUE.click_chance(0.01)
    conversion = VALUE.conversion_chance(USER, ad, "phone")
    assert value == pytest.approx(click * conversion * ad.campaign.value_per_conversion_micros)
    assert 0.0 < conversion < 0.5


@given(low=st.floats(0.0, 1.0), high=st.floats(0.0, 1.0))
def test_calibration_keeps_the_order_of_chances(low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert 0.0 < VALUE.click_chance(low) <= VALUE.click_chance(high) < 1.0


def test_an_unknown_campaign_counts_as_a_typical_one() -> None:
    chance = VALUE.conversion_chance(USER, candidate(campaign(id="new")), "phone")
    assert 0.001 < chance < 0.3


def test_an_ad_that_is_newer_than_the_selector_has_the_embedding_of_its_categories() -> None:
    folder = weights_folder("selector")
    manifest, tensors = recall_tensors(folder, "selector", 1)
    ids = [ad.creative.id for ad in sample_candidates()]
    rows = embeddings_of(folder, ids)
    assert rows.shape == (len(ids), 16)
    for name, row in zip(ids, rows, strict=True):
        if name in manifest.labels["creatives"]:
            at = manifest.labels["creatives"].index(name)
            np.testing.assert_allclose(row, tensors["embeddings"][at])
        else:
            assert np.isfinite(row).all()
