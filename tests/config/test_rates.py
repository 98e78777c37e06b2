"""The table of exchange rates: read strictly, worked out over other currencies, watched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from config.errors import ConfigError
from config.rates import MOST_BYTES, WatchedRates, load_rates, rates_in

if TYPE_CHECKING:
    from pathlib import Path


def table(**conversions: Any) -> bytes:
    return json.dumps({"dataAsOf": "2026-11-20", "conversions": conversions}).encode()


def test_the_sample_of_the_package_knows_the_large_currencies() -> None:
    rates = load_rates()
    assert rates.micros_of("USD") == 1_000_000
    euro = rates.micros_of("EUR")
    assert euro is not None
    assert 1_000_000 < euro < 1_500_000
    assert all(rates.micros_of(code) for code in ("GBP", "JPY", "INR", "BRL", "PLN"))
    assert rates.micros_of("XAU") is None


def test_a_rate_says_how_many_units_a_dollar_buys() -> None:
    rates = rates_in(table(USD={"EUR": 0.8}), "x")
    assert rates.micros_of("EUR") == 1_250_000
    assert rates.as_of == "2026-11-20"


def test_rates_are_worked_out_over_other_currencies_in_either_direction() -> None:
    rates = rates_in(table(EUR={"USD": 1.25, "PLN": 4.0}, GBP={"EUR": 1.2}), "x")
    assert rates.micros_of("EUR") == 1_250_000
    assert rates.micros_of("PLN") == 312_500
    assert rates.micros_of("GBP") == 1_500_000


def test_what_the_dollar_says_itself_goes_before_what_others_say() -> None:
    rates = rates_in(table(EUR={"USD": 99, "PLN": 4}, USD={"EUR": 0.8, "PLN": 5}), "x")
    assert rates.micros_of("PLN") == 200_000


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`"),
        (b'{"conversions": {"USD": {"EUR": "0.8"}}}', "Expected `float`"),
        (table(USD={"EUR": 0}), "a rate is above 0"),
        (table(USD={"EUR": -1}), "a rate is above 0"),
        (table(USD={"euro": 1}), "no currency"),
        (table(EUR={"PLN": 4}), "nothing in it leads to USD"),
        (table(), "nothing in it leads to USD"),
        (b" " * (MOST_BYTES + 1), "more than"),
        (b"\xff\xfe", "rate table is"),
        (b"[" * 100_000, "rate table is"),
    ],
)
def test_a_faulty_table_is_refused_with_its_place(content: bytes, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        rates_in(content, "rates.json")
    assert str(refused.value).startswith("rates.json: ")


def test_a_table_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read rates from .*none\.json"):
        load_rates(tmp_path / "none.json")


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watched(path: Path) -> tuple[WatchedRates, Clock, list[ConfigError]]:
    clock = Clock()
    faults: list[ConfigError] = []
    return WatchedRates(path, 30.0, clock, faults.append), clock, faults


def test_a_new_table_counts_after_the_next_look_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    path.write_bytes(table(USD={"EUR": 0.8}))
    rates, clock, faults = watched(path)
    path.write_bytes(table(USD={"EUR": 0.5, "GBP": 0.5}))
    assert rates.micros_of("EUR") == 1_250_000
    clock.now_s = 30.0
    assert rates.micros_of("EUR") == 2_000_000
    assert rates.micros_of("USD") == 1_000_000
    assert not faults


def test_a_table_that_turns_faulty_or_vanishes_changes_nothing_and_is_told_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rates.json"
    path.write_bytes(table(USD={"EUR": 0.8}))
    rates, clock, faults = watched(path)
    path.write_bytes(b"{")
    for now_s in (30.0, 60.0, 90.0):
        clock.now_s = now_s
        assert rates.micros_of("EUR") == 1_250_000
    assert len(faults) == 1
    path.unlink()
    clock.now_s = 120.0
    assert rates.micros_of("EUR") == 1_250_000
    assert len(faults) == 2
    path.write_bytes(table(USD={"EUR": 0.4}))
    clock.now_s = 150.0
    assert rates.micros_of("EUR") == 2_500_000
