"""Codes mean something only within their taxonomy; flights are found by stretches of time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.eligibility.calendar import Calendar
from models.taxonomy import codes_of, content_of, label, labels, taxonomies_of, with_parents
from tests.models.helpers import campaign

MOMENTS = st.integers(0, 200).map(float)


@pytest.mark.parametrize(
    ("taxonomy", "code", "expected"),
    [
        (1, "IAB8-5", ("IAB8-5", "IAB8")),
        (1, "IAB8", ("IAB8",)),
        (8, "1006", ("1006",)),
        (8, "a-b", ("a-b",)),
    ],
)
def test_only_the_first_taxonomy_shows_parents(
    taxonomy: int, code: str, expected: tuple[str, ...]
) -> None:
    assert with_parents(taxonomy, code) == expected


def test_a_code_of_another_taxonomy_carries_its_number() -> None:
    assert label(1, "IAB1") == "IAB1"
    assert label(8, "1006") == "8:1006"
    assert labels(8, frozenset({"1", "2"})) == {"8:1", "8:2"}
    assert labels(1, frozenset({"1"})) == {"1"}


def test_a_campaign_is_about_all_its_codes_and_their_parents() -> None:
    ad = campaign(categories=("IAB8-5",), categories_in={8: ("1006", "1002"), 3: ()})
    assert codes_of(ad) == {"IAB8-5", "IAB8", "8:1006", "8:1002"}
    assert taxonomies_of(ad) == {1, 8}
    assert taxonomies_of(campaign(categories=())) == set()


def test_page_content_is_named_without_parents() -> None:
    assert content_of(("IAB9-1",), {6: ("680",)}) == {(1, "IAB9-1"), (6, "680")}


@given(
    flights=st.lists(st.tuples(MOMENTS, MOMENTS), max_size=40),
    moments=st.lists(st.floats(-1, 201), min_size=1),
)
def test_a_running_flight_shares_a_stretch_of_time_with_the_moment(
    flights: list[tuple[float, float]], moments: list[float]
) -> None:
    calendar = Calendar(moment for flight in flights for moment in flight)
    for start, end in flights:
        stretches = calendar.flight(start, end)
        for now_s in moments:
            if start <= now_s < end:
                assert set(stretches) & set(calendar.moment(now_s))
        assert set(stretches) <= set(calendar.moment(None))


def test_of_many_flights_few_share_a_stretch_with_a_moment() -> None:
    flights = [(float(at), at + 20.0) for at in range(0, 50_000, 10)]
    calendar = Calendar(moment for flight in flights for moment in flight)
    now = set(calendar.moment(25_000.0))
    near = [flight for flight in flights if now & set(calendar.flight(*flight))]
    assert 2 <= len(near) <= 10
    assert calendar.flight(float("-inf"), float("inf")) == ()
    assert now & set(calendar.flight(float("-inf"), 30_000.0))
    assert not now & set(calendar.flight(float("-inf"), 20_000.0))
