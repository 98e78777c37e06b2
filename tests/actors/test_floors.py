"""Floors by the rule of OpenRTB 2.6, section 7.11, in micros of a dollar; what a bid costs."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.decision.quotes import MOST_QUANTITY, affordable_micros, cost_micros, quantity_of
from actors.reading.floors import UNREACHABLE_MICROS, floor_micros, floor_of
from config.rates import RateTable
from models.opportunity import Opportunity, Slot
from transport.codec import decode_request

RATES = RateTable({"USD": 1_000_000, "EUR": 1_250_000, "JPY": 6_400})
MEDIUM = {"mimes": ["video/mp4"]}


def floor(
    length_s: int,
    media: str = "banner",
    deal: dict[str, Any] | None = None,
    medium: dict[str, Any] | None = None,
    **imp: Any,
) -> int | None:
    """Return the floor of an ad of this length as the bidder reads it."""
    written: dict[str, Any] = {"id": "1", media: {**MEDIUM, **(medium or {})}, **imp}
    if deal is not None:
        written["pmp"] = {"deals": [{"id": "d", **deal}]}
    request, _form = decode_request(json.dumps({"id": "r", "imp": [written]}).encode(), 1 << 16)
    read = request.imp[0]
    offered = read.pmp.deals[0] if read.pmp is not None else None
    found = floor_of(read, offered, read.video or read.audio, RATES)
    return None if found is None else found.micros(length_s)


LADDER = [{"maxdur": 15, "bidfloor": 5}, {"mindur": 15, "maxdur": 30, "bidfloor": 10}]


@pytest.mark.parametrize(
    ("given_floor", "micros"),
    [
        # The impression's own, in its currency; dollars where it names none.
        (floor(0), 0),
        (floor(0, bidfloor=1.5), 1_500),
        (floor(0, bidfloor=1.1), 1_100),
        (floor(0, bidfloor=0.00001), 1),
        (floor(0, bidfloor=2, bidfloorcur="EUR"), 2_500),
        (floor(0, bidfloor=100, bidfloorcur="JPY"), 640),
        (floor(0, bidfloor=2, bidfloorcur="XAU"), None),
        (floor(0, bidfloor=0, bidfloorcur="XAU"), 0),
        # A deal's floor goes before it, also when it is lower, and does not inherit the currency.
        (floor(0, deal={"bidfloor": 1}, bidfloor=9), 1_000),
        (floor(0, deal={"bidfloor": 2}, bidfloor=1, bidfloorcur="EUR"), 2_000),
        (floor(0, deal={"bidfloor": 2, "bidfloorcur": "EUR"}, bidfloor=1), 2_500),
        (floor(0, deal={"bidfloor": 2, "bidfloorcur": "XAU"}), None),
        (floor(0, deal={}, bidfloor=4, bidfloorcur="EUR"), 5_000),
        (floor(0, deal={"bidfloor": 1}, bidfloor=9, bidfloorcur="XAU"), 1_000),
        # Video and audio by the second, or by length; then the impression's does not count.
        (floor(20, "video", medium={"mincpmpersec": 0.5}, bidfloor=99), 10_000),
        (floor(20, "audio", medium={"mincpmpersec": 0.5}), 10_000),
        (floor(20, "video", medium={"mincpmpersec": 0.5}, bidfloorcur="EUR"), 12_500),
        (floor(20, "video", bidfloor=3), 3_000),
        (floor(10, "video", medium={"durfloors": LADDER}, bidfloor=7), 5_000),
        (floor(20, "video", medium={"durfloors": LADDER}, bidfloor=7), 10_000),
        (floor(15, "video", medium={"durfloors": LADDER}), 10_000),
        (floor(60, "video", medium={"durfloors": LADDER}, bidfloor=7), 7_000),
        (floor(60, "video", medium={"durfloors": LADDER}), 0),
        # A deal's guidance of any kind goes before the medium's.
        (floor(20, "video", {"mincpmpersec": 0.1}, {"mincpmpersec": 0.5}, bidfloor=9), 2_000),
        (floor(20, "video", {"durfloors": LADDER}, {"mincpmpersec": 5}), 10_000),
        (floor(20, "video", {"bidfloor": 1}, {"mincpmpersec": 5}, bidfloor=9), 1_000),
        (floor(20, "video", {}, {"mincpmpersec": 0.5}, bidfloor=9), 10_000),
        # Guidance by length says nothing about a banner.
        (floor(0, deal={"mincpmpersec": 0.1}, bidfloor=2), 2_000),
        # More than one kind in one place: the highest.
        (floor(20, "video", {"bidfloor": 3, "mincpmpersec": 0.1}), 3_000),
        (floor(20, "video", medium={"durfloors": LADDER, "mincpmpersec": 1}), 20_000),
    ],
)
def test_the_most_special_guidance_counts(given_floor: int | None, micros: int | None) -> None:
    assert given_floor == micros


@pytest.mark.parametrize("cpm", [math.inf, math.nan, 1e308])
def test_a_floor_that_is_no_sensible_number_is_never_reached(cpm: float) -> None:
    assert floor_micros(cpm, 1_000_000) == UNREACHABLE_MICROS


@given(st.floats(0.001, 1e6), st.integers(1, 10_000_000))
def test_a_floor_is_rounded_up_by_less_than_a_micro(cpm: float, unit_micros: int) -> None:
    micros = floor_micros(cpm, unit_micros)
    assert -1e-6 < micros - cpm * unit_micros / 1000 < 1.0


def look(currency: str, quantity: float) -> Opportunity:
    return Opportunity(
        request_id="r",
        imp_id="1",
        slots=(Slot("banner", 300, 250),),
        currency=currency,
        currency_micros=1_000_000 if currency == "USD" else 6_400,
        quantity=quantity,
    )


def test_one_impression_in_dollars_costs_its_price() -> None:
    assert cost_micros(2_500, look("USD", 1.0)) == 2_500


def test_a_play_costs_its_price_for_each_impression_rounded_up() -> None:
    assert cost_micros(2_500, look("USD", 30.3)) == 75_750
    assert cost_micros(2_501, look("USD", 0.5)) == 1_251


def test_what_rounding_in_a_foreign_currency_adds_is_covered() -> None:
    assert cost_micros(2_500, look("JPY", 1.0)) == 2_501


@given(st.integers(0, 10**8), st.sampled_from(["USD", "JPY"]), st.floats(1e-3, 1e5))
def test_the_highest_affordable_bid_is_covered_and_a_higher_one_is_not(
    money_micros: int, currency: str, quantity: float
) -> None:
    opportunity = look(currency, quantity)
    bid_micros = affordable_micros(money_micros, opportunity)
    if bid_micros:
        assert cost_micros(bid_micros, opportunity) <= money_micros
    assert cost_micros(bid_micros + 2, opportunity) > money_micros or quantity < 1.0


@pytest.mark.parametrize(
    ("multiplier", "quantity"),
    [(30.3, 30.3), (0.25, 0.25), (0, 1.0), (-5, 1.0), (math.nan, 1.0), (math.inf, MOST_QUANTITY)],
)
def test_a_quantity_is_a_sane_number(multiplier: float, quantity: float) -> None:
    assert quantity_of(multiplier) == quantity
