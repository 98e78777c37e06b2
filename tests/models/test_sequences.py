from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import EvaluationError
from models.sequences.blend import KINDS, Blend, Recipe, choose_recipe, part_of, standardised
from models.sequences.evaluation import ask
from models.sequences.logs import Questions, Ragged, prefixes_of, read_log
from models.sequences.metrics import gains, hits, mean_by_group, ranks, reciprocals
from models.sequences.simple import Popular, Repeats, Rules, repeat_chances
from models.sequences.vsknn import VSKNN, VSTAN, Neighbours, NeighbourSettings

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = 9
sessions = st.lists(
    st.lists(st.integers(1, ITEMS), min_size=1, max_size=6), min_size=1, max_size=12
)


def ragged(rows: list[list[int]]) -> Ragged:
    lengths = [len(row) for row in rows]
    values = [item for row in rows for item in row]
    return Ragged(np.array(values, np.int64), np.concatenate([[0], np.cumsum(lengths)]))


def slow_votes(rows: list[list[int]], question: list[int], how: NeighbourSettings) -> list[float]:
    """The published sums in words, one session after another, without limits to their number."""
    votes, length = [0.0] * (ITEMS + 1), len(question)
    for age, row in enumerate(rows):
        shared = [place for place, item in enumerate(question, 1) if item in row]
        latest_places = {question[place - 1]: place for place in shared}
        if not shared:
            continue
        similar = sum(
            math.exp((place - length) / how.fade) if how.fade else place / length
            for place in latest_places.values()
        )
        similar /= math.sqrt(len(row)) if how.by_length else 1.0
        similar *= math.exp((age / len(rows) - 1.0) / how.age) if how.age else 1.0
        last = max(shared)
        at = max(place for place, item in enumerate(row) if item == question[last - 1])
        for place, item in enumerate(row):
            if how.spread:
                near = math.exp(-abs(place - at) / how.spread)
                votes[item] += similar * near * (how.before if place < at else 1.0)
            else:
                votes[item] += similar / (length - last + 1)
    return votes


@given(rows=sessions, question=st.lists(st.integers(1, ITEMS), min_size=1, max_size=6))
def test_neighbours_vote_as_published(rows: list[list[int]], question: list[int]) -> None:
    for how in (VSKNN, VSTAN):
        votes = Neighbours(ragged(rows), ITEMS, how).votes(np.array(question))
        assert votes == pytest.approx(slow_votes(rows, question, how))


def test_only_the_most_similar_of_the_newest_sessions_vote() -> None:
    rows = [[1, 2], [1, 3], [1, 4], [1, 5, 6]]
    newest = NeighbourSettings(sample=2)
    votes = Neighbours(ragged(rows), ITEMS, newest).votes(np.array([1]))
    assert np.flatnonzero(votes).tolist() == [1, 4, 5, 6]
    nearest = NeighbourSettings(neighbours=1)
    votes = Neighbours(ragged(rows), ITEMS, nearest).votes(np.array([1, 6]))
    assert np.flatnonzero(votes).tolist() == [1, 5, 6]


@given(rows=sessions, question=st.lists(st.integers(1, ITEMS), min_size=1, max_size=6))
def test_every_baseline_is_a_distribution(rows: list[list[int]], question: list[int]) -> None:
    log, asked = ragged([*rows, [1, 2]]), ragged([question])
    for model in (Popular(log, ITEMS), Rules(log, ITEMS), Neighbours(log, ITEMS, VSTAN)):
        shares = model.probabilities(asked)
        assert shares.shape == (1, ITEMS + 1)
        assert shares[0, 0] == 0.0
        assert shares.sum() == pytest.approx(1.0, abs=1e-5) or model.name == "rules"
        assert (shares >= 0).all()


@given(rows=sessions)
def test_repetitions_are_counted_at_their_latest_place(rows: list[list[int]]) -> None:
    expected, places = [0.0] * 20, sum(len(row) - 1 for row in rows)
    for row in rows:
        for place in range(1, len(row)):
            back = [b for b in range(1, place + 1) if row[place - b] == row[place]]
            if back:
                expected[back[0] - 1] += 1.0 / places
    assert repeat_chances(ragged(rows)) == pytest.approx(expected)


def test_a_repeated_item_gets_the_chance_of_its_latest_place() -> None:
    model = Repeats(ragged([[1, 1, 2, 1]]), ITEMS)  # one step back once in three, two steps once
    shares = model.probabilities(ragged([[4, 5, 4]]))[0]
    assert shares[4] == pytest.approx(1 / 3)
    assert shares[5] == pytest.approx(1 / 3)
    assert np.count_nonzero(shares) == 2


def test_a_rule_counts_for_less_the_more_steps_it_spans() -> None:
    shares = Rules(ragged([[1, 2, 3]]), ITEMS).probabilities(ragged([[5, 1]]))[0]
    assert shares[[2, 3]] == pytest.approx([2 / 3, 1 / 3])


@given(seed=st.integers(0, 50), k=st.integers(1, 6))
def test_ranks_are_those_of_a_sorted_list_and_ties_stand_before(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (5, ITEMS + 1)).astype(np.float32)
    answers = rng.integers(0, ITEMS + 1, 5)
    rank = ranks(scores, answers)
    for row, answer in enumerate(answers):
        own = scores[row, answer]
        slow = sum(scores[row, item] >= own for item in range(1, ITEMS + 1))
        assert rank[row] == (slow if answer else ITEMS + 1)
        inside = rank[row] <= k
        assert hits(rank, k)[row] == inside
        assert reciprocals(rank, k)[row] == pytest.approx(inside / rank[row])
        assert gains(rank, k)[row] == pytest.approx(inside / math.log2(rank[row] + 1))


def test_an_interval_is_wider_where_questions_of_a_session_agree() -> None:
    values = np.tile([0.0, 1.0], 50)
    alone = mean_by_group(values, np.arange(100), 1)
    together = mean_by_group(np.sort(values), np.arange(100) // 10, 1)
    assert alone.mean == together.mean == 0.5
    assert together.high - together.low > 2 * (alone.high - alone.low)


@given(rows=sessions)
def test_every_prefix_is_a_question(rows: list[list[int]]) -> None:
    asked = prefixes_of(ragged(rows), first_group=3)
    expected = [(row[:k], row[k], g + 3) for g, row in enumerate(rows) for k in range(1, len(row))]
    found = [
        (asked.prefixes[i].tolist(), int(asked.answers[i]), int(asked.groups[i]))
        for i in range(len(asked))
    ]
    assert found == expected


@given(rows=sessions, most=st.integers(1, 7))
def test_padding_keeps_the_last_items(rows: list[list[int]], most: int) -> None:
    padded = ragged(rows).padded(most)
    for row, items in zip(padded, rows, strict=True):
        kept = items[-most:]
        assert row.tolist() == kept + [0] * (len(row) - len(kept))


def write_sessions(folder: Path, rows: list[list[int]], pairs: list[tuple[list[int], int]]) -> None:
    pq.write_table(pa.table({"items": rows}), folder / "train_sessions.parquet")
    table = pa.table({"prefix": [p for p, _ in pairs], "label": [label for _, label in pairs]})
    pq.write_table(table, folder / "test_pairs.parquet")


def test_sessions_are_split_in_time_and_unknown_items_are_numbered_0(tmp_path: Path) -> None:
    rows = [[10 * i, 10 * i + 10, 30] for i in range(1, 21)]
    write_sessions(tmp_path, rows, [([30, 999], 10), ([40], 999)])
    log = read_log(tmp_path)
    assert (log.kind, log.cut, log.items) == ("sessions", 20, 21)
    assert (len(log.fit), len(log.whole), len(log.validation)) == (18, 20, 4)
    assert log.ids[log.test.prefixes[0]].tolist() == [30, 0]
    assert log.ids[log.test.answers].tolist() == [10, 0]


def test_users_leave_their_last_item_for_the_test(tmp_path: Path) -> None:
    rows = [[i, i + 1, i + 2, i + 3] for i in range(1, 13)]
    pq.write_table(pa.table({"user": range(12), "items": [*rows]}), tmp_path / "sequences.parquet")
    log = read_log(tmp_path)
    assert (log.kind, log.cut, log.whole is log.fit) == ("users", 10, True)
    assert log.ids[log.fit[0]].tolist() == log.ids[log.validation.prefixes[0]].tolist() == [1, 2]
    assert (log.ids[log.validation.answers[0]], log.ids[log.test.answers[0]]) == (3, 4)
    assert log.ids[log.test.prefixes[0]].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"item": [[1, 2]] * 20}, "lacks the column items"),
        ({"items": [1, 2] * 20}, "list of items"),
        ({"items": [["a", "b"]] * 20}, "whole numbers"),
        ({"items": [[1, -2]] * 20}, "negative"),
        ({"items": [[1, None]] * 20}, "none missing"),
        ({"items": [[1, 2]] * 3}, "too few"),
        ({"items": [[1]] * 30}, "too few"),
        ({"items": [[1, 2]] * 30}, "three items"),
    ],
)
def test_a_log_that_can_not_be_read_says_why(
    tmp_path: Path, table: dict[str, list[object]], said: str
) -> None:
    pq.write_table(pa.table(table), tmp_path / "sequences.parquet")
    with pytest.raises(EvaluationError, match=said):
        read_log(tmp_path)


def test_a_folder_of_neither_form_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="neither"):
        read_log(tmp_path)
    (tmp_path / "sequences.parquet").write_text("no")
    with pytest.raises(EvaluationError, match="Parquet"):
        read_log(tmp_path)


class Fixed:
    """Always the same answer."""

    in_logs = False

    def __init__(self, name: str, shares: list[float]) -> None:
        self.name = name
        self.shares = np.array([0.0, *shares], np.float32)

    def probabilities(self, prefixes: Ragged) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.tile(self.shares, (len(prefixes), 1))


def test_a_blend_is_the_weighted_sum_and_useless_components_weigh_nothing() -> None:
    good, bad = Fixed("good", [0.1, 0.2, 0.7]), Fixed("bad", [0.7, 0.2, 0.1])
    questions = Questions(ragged([[1], [1, 2], [3]]), np.array([3, 3, 0]), np.arange(3))
    recipe, ndcg = choose_recipe([bad, good], questions, 10, repeats=True)
    assert sum(recipe.weights.values()) == pytest.approx(1.0)
    assert ndcg == 1.0
    assert ask(Blend([bad, good], recipe), questions, repeats=True).tolist() == [1, 1, 4]
    for kind in KINDS:
        blend = Blend([bad, good], Recipe(kind, {"good": 0.75, "bad": 0.25}))
        parts = [part_of(model, questions.prefixes, kind)[0, 1:] for model in (bad, good)]
        mixed = blend.probabilities(questions.prefixes)[0, 1:]
        assert mixed == pytest.approx(0.25 * parts[0] + 0.75 * parts[1])


def test_a_standard_score_is_in_units_of_spread() -> None:
    shares = np.array([[0.0, 0.5, 0.25, 0.25]], np.float32)
    for in_logs in (False, True):
        items = np.log(shares[0, 1:]) if in_logs else shares[0, 1:]
        expected = (items - items.mean()) / items.std()
        assert standardised(shares, in_logs=in_logs)[0, 1:] == pytest.approx(expected, abs=1e-4)


@given(seed=st.integers(0, 30), repeats=st.booleans())
def test_short_lists_find_the_ndcg_of_the_whole_list(seed: int, *, repeats: bool) -> None:
    """The NDCG that is climbed is that of the blend that comes out, on the very same questions."""
    rng = np.random.default_rng(seed)
    models = [Fixed(name, rng.dirichlet(np.ones(ITEMS)).tolist()) for name in "abc"]
    questions = Questions(ragged([[1], [2, 3], [4]]), np.array([5, 6, 7]), np.arange(3))
    recipe, ndcg = choose_recipe(models, questions, 3, repeats=repeats)
    rank = ask(Blend(models, recipe), questions, repeats=repeats)
    assert gains(rank, 3).mean() == pytest.approx(ndcg)


def test_users_are_not_offered_what_they_have() -> None:
    model = Fixed("m", [0.5, 0.3, 0.2])
    questions = Questions(ragged([[1], [1, 2]]), np.array([2, 3]), np.arange(2))
    assert ask(model, questions, repeats=False).tolist() == [1, 1]
    assert ask(model, questions, repeats=True).tolist() == [2, 3]
