"""What the selector remembers of offered ads: it is faster, and nothing else is different."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.eligibility import Candidate
from models.registry import weights_folder
from models.sample_ads import sample_candidates
from models.selector.offers import Offers
from models.selector.thompson import POOL, Observation, ThompsonSelector, _share_won
from tests.models.helpers import campaign, creative
from tests.models.helpers import candidate as one_candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SAMPLES = tuple(sample_candidates())
ROWS = {each.creative.id: row for row, each in enumerate(SAMPLES)}


@pytest.fixture
def selector() -> ThompsonSelector:
    return ThompsonSelector.load(weights_folder("selector"), seed=1)


def user(seed: int) -> NDArray[np.float32]:
    vector = np.random.default_rng(seed).normal(size=16)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def rows_of(candidates: Sequence[Candidate]) -> list[int]:
    return [ROWS[each.creative.id] for each in candidates]


def offers(**limits: int) -> Offers:
    return Offers(rows_of, **limits)


def worth_of(
    selector: ThompsonSelector, vector: NDArray[np.float32], ads: Sequence[Candidate]
) -> NDArray[np.float64]:
    """Work out what each ad is worth in each draw, in double precision and without memory."""
    rows = selector._rows_of(ads)
    taste = selector._embeddings[rows].astype(np.float64) * vector
    values = np.log([each.campaign.value_per_conversion_micros for each in ads])
    worth: NDArray[np.float64] = taste @ selector._user_draws + selector._static[rows]
    return worth + values[:, None]


@pytest.mark.parametrize("count", [1, 2, 9, 30])
def test_a_propensity_counts_the_draws_that_a_slow_twin_lets_the_ad_win(
    selector: ThompsonSelector, count: int
) -> None:
    for number in range(30):
        ads = tuple(random.Random(number).sample(SAMPLES, count))
        rng = random.Random(number)
        choice = selector.choose(user(number), ads, rng)
        worth = worth_of(selector, user(number), ads)
        winners = worth.argmax(axis=0)
        top = np.sort(worth, axis=0)[-2:]
        # Where the best two are equal but for rounding, either may have the draw.
        doubtful = np.count_nonzero(top[-1] - top[0] < 1e-5) if count > 1 else 0
        share = (choice.propensity - 0.02 / count) / 0.98
        assert abs(share * POOL - np.count_nonzero(winners == choice.index)) <= doubtful + 1e-6


@given(
    st.integers(1, 6).flatmap(
        lambda count: st.lists(
            st.lists(st.integers(0, 3), min_size=count, max_size=count), min_size=1, max_size=12
        )
    )
)
@settings(deadline=None)
def test_the_shares_of_draws_are_those_of_argmax_even_among_equals(draws: list[list[int]]) -> None:
    worth = np.array(draws, dtype=np.float32).T
    winners = worth.argmax(axis=0).tolist()
    shares = [_share_won(worth, index) for index in range(len(worth))]
    assert shares == [winners.count(index) / len(winners) for index in range(len(worth))]


def test_the_same_ads_are_worked_out_once_whichever_tuple_they_come_in() -> None:
    known = offers()
    first = known.find(SAMPLES[:5])
    assert known.find(SAMPLES[:5]) is first
    assert known.find(list(SAMPLES[:5])) is first
    assert known.find(SAMPLES[1:5]) is not first


def test_a_list_that_has_changed_is_another_offer() -> None:
    known, ads = offers(), list(SAMPLES[:3])
    before = known.find(ads)
    ads.reverse()
    after = known.find(ads)
    assert after.rows == tuple(reversed(before.rows))


def test_the_same_ad_of_a_campaign_that_pays_otherwise_is_another_offer() -> None:
    known, poor = offers(), SAMPLES[0]
    rich = Candidate(
        campaign(poor.creative, value_per_conversion_micros=10**12), poor.creative, poor.slot
    )
    assert known.find((rich,)).log_values[0, 0] == pytest.approx(np.log(1e12))
    assert known.find((poor,)) is not known.find((rich,))


def test_no_more_offers_are_remembered_than_allowed() -> None:
    known = offers(max_offers=3, max_tuples=2)
    for at in range(20):
        ads = SAMPLES[at : at + 2]
        assert known.find(ads).rows == tuple(rows_of(ads))
        assert known.find(ads).rows == tuple(rows_of(ads))
        assert len(known._by_parts) <= 3
        assert len(known._by_id) <= 2


def test_a_forgotten_tuple_never_lends_its_offer_to_another() -> None:
    known = offers(max_offers=2, max_tuples=2)
    for at in range(200):
        ads = tuple(random.Random(at).sample(SAMPLES, 2))  # ids of dead tuples are used again
        assert known.find(ads).rows == tuple(rows_of(ads))


def test_choices_after_learning_come_from_the_new_pool(selector: ThompsonSelector) -> None:
    twin = ThompsonSelector.load(weights_folder("selector"), seed=1)
    ads = SAMPLES[:6]
    selector.choose(user(1), ads, random.Random(1))  # now remembered with the first pool
    seen = [Observation(user(2), ads[0], clicked=True)] * 20
    selector.update(seen)
    twin.update(seen)
    for number in range(20):
        chosen = selector.choose(user(number), ads, random.Random(number))
        assert chosen == twin.choose(user(number), list(ads), random.Random(number))


def test_an_ad_that_is_taken_in_changes_no_row_of_remembered_ads(
    selector: ThompsonSelector,
) -> None:
    ads = SAMPLES[:6]
    before = selector.choose(user(1), ads, random.Random(1))
    stranger = one_candidate(campaign(creative(id="never-seen")))
    joined = (*ads, stranger)
    assert selector.choose(user(1), joined, random.Random(1)).index < len(joined)
    after = selector.choose(user(1), ads, random.Random(1))
    assert after.predicted_ctr == before.predicted_ctr or after.index != before.index
