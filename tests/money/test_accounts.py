from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.ledger import accounts
from actors.ledger.accounts import HOUSE, Place

NAMES = st.text(min_size=1, max_size=12) | st.sampled_from(
    ["a/b", "a%2Fb", "free", "spent/2027-01-15", "advertiser/shop", "..", "%", " "]
)
DAYS = st.dates().map(lambda day: day.isoformat())


def all_of(name: str, day: str) -> list[str]:
    """Every account that an id has."""
    return [
        accounts.advertiser(name),
        accounts.free(name),
        accounts.leased(name, day),
        accounts.spent(name, day),
        accounts.unfunded(name),
    ]


@given(name=NAMES, day=DAYS)
def test_an_accounts_name_says_whose_it_is_and_what_it_holds(name: str, day: str) -> None:
    assert [accounts.place(account) for account in all_of(name, day)] == [
        Place("advertiser", name),
        Place("free", name),
        Place("leased", name, day),
        Place("spent", name, day),
        Place("unfunded", name),
    ]
    assert accounts.place(HOUSE) == Place("house", "")


@given(first=st.tuples(NAMES, DAYS), second=st.tuples(NAMES, DAYS))
def test_no_two_campaigns_share_an_account(first: tuple[str, str], second: tuple[str, str]) -> None:
    shared = set(all_of(*first)) & set(all_of(*second))
    assert bool(shared) == (first[0] == second[0])
    assert len(set(all_of(*first))) == 5


@given(name=NAMES, day=DAYS)
def test_only_those_that_money_comes_from_may_owe(name: str, day: str) -> None:
    may = [accounts.may_be_negative(account) for account in all_of(name, day)]
    assert may == [True, False, False, False, False]
    assert accounts.may_be_negative(HOUSE)


@pytest.mark.parametrize(
    "text",
    ["", "campaign", "campaign/a", "campaign/a/kept", "campaign/a/spent", "house", "a/b/c/d/e"],
)
def test_what_is_no_name_of_an_account_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no name of an account"):
        accounts.place(text)
