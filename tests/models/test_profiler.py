"""The profiler: vectors of length 1 that follow what a user did, whatever else is in the batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import FeatureError, ModelCorruptError
from models.profiler.events import (
    KINDS,
    MAX_EVENTS,
    PAD,
    VOCABULARY,
    EventKind,
    category_of,
    kind_of,
    token,
)
from models.profiler.runtime import ProfilerModel, padded
from models.registry import Trained, save, weights_folder


@pytest.fixture(scope="module")
def model() -> ProfilerModel:
    return ProfilerModel.load(weights_folder("profiler"))


@given(kind=st.sampled_from(KINDS), category=st.integers(0, 25))
def test_a_token_is_read_back(kind: EventKind, category: int) -> None:
    event = token(kind, category)
    assert PAD < event < VOCABULARY
    assert (kind_of(event), category_of(event)) == (kind, category)


def test_a_category_out_of_range_has_no_token() -> None:
    with pytest.raises(ValueError, match="26"):
        token("view", 26)


def test_histories_are_padded_on_the_left_and_cut_to_the_newest() -> None:
    tokens = padded([[1, 2], [], list(range(1, 31))])
    assert tokens.shape == (3, MAX_EVENTS)
    assert tokens[0].tolist() == [PAD] * 18 + [1, 2]
    assert not tokens[1].any()
    assert tokens[2].tolist() == list(range(11, 31))


def test_vectors_have_length_one_also_for_no_history(model: ProfilerModel) -> None:
    vectors = model.infer([[1], [], [5] * 40])
    assert vectors.shape == (3, 16)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(model: ProfilerModel) -> None:
    alone = model.infer([[3, 4, 5]])
    together = model.infer([[9], [3, 4, 5], [7] * 20])
    np.testing.assert_allclose(alone[0], together[1], atol=1e-5)


def test_an_empty_batch_is_an_empty_array(model: ProfilerModel) -> None:
    assert model.infer([]).shape == (0, 16)


def test_like_histories_lie_closer_than_unlike_ones(model: ProfilerModel) -> None:
    games = [token("view", 8)] * 6
    vectors = model.infer([games, [*games, token("click", 8)], [token("view", 12)] * 6])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.3


@pytest.mark.parametrize("bad", [-1, VOCABULARY])
def test_a_token_outside_of_the_vocabulary_is_refused(model: ProfilerModel, bad: int) -> None:
    with pytest.raises(FeatureError, match="tokens"):
        model.infer([[bad]])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    odd = Trained(
        name="profiler", schema=1, seed=0, tensors={"odd": np.ones(2, np.float32)}, metrics={}
    )
    save(odd, tmp_path)
    with pytest.raises(ModelCorruptError, match="do not fit"):
        ProfilerModel.load(tmp_path)


def test_a_copy_of_the_weights_gives_the_same_vectors(model: ProfilerModel, tmp_path: Path) -> None:
    copy = ProfilerModel.load(Path(shutil.copytree(weights_folder("profiler"), tmp_path / "p")))
    assert copy.version == model.version
    np.testing.assert_array_equal(copy.infer([[1, 2, 3]]), model.infer([[1, 2, 3]]))
