"""Reading the facts of an impression: categories and kinds of devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.opportunity import category_code, category_index, category_indexes, device_kind
from tests.models.helpers import opportunity


@given(st.integers(0, 25), st.sampled_from(["", "-1", "-30"]))
def test_a_category_code_and_its_subcategories_have_one_index(index: int, suffix: str) -> None:
    assert category_index(category_code(index) + suffix) == index


@pytest.mark.parametrize("code", ["", "IAB", "IAB0", "IAB27", "IABx", "9", "iab9", "IAB-1"])
def test_other_codes_have_no_index(code: str) -> None:
    assert category_index(code) is None


def test_indexes_keep_order_and_lose_duplicates() -> None:
    assert category_indexes(["IAB9-30", "IAB1", "x", "IAB9"]) == (8, 0)
    assert category_indexes(None) == ()


def test_the_first_category_is_the_important_one() -> None:
    assert opportunity(categories=(8, 0)).category == 8
    assert opportunity().category is None


@pytest.mark.parametrize(
    ("number", "agent", "kind"),
    [
        (4, "", "phone"),
        (2, "Mozilla iPhone", "desktop"),
        (None, "Mozilla/5.0 (iPhone)", "phone"),
        (None, "Mozilla/5.0 (iPad)", "tablet"),
        (None, "Mozilla/5.0 (SMART-TV)", "tv"),
        (None, "Mozilla/5.0 (Windows NT 10.0)", "desktop"),
        (99, "", "other"),
    ],
)
def test_kinds_come_from_the_number_else_from_the_agent(
    number: int | None, agent: str, kind: str
) -> None:
    assert device_kind(number, agent) == kind
