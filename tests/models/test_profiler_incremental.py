"""One event costs one step, and gives what all steps together give."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from models.errors import FeatureError
from models.profiler.events import MAX_EVENTS, PAD, VECTOR_DIM, VOCABULARY
from models.profiler.incremental import LOOK_BACK, StepEncoder
from models.profiler.runtime import NAME, SCHEMA, ProfilerModel, padded
from models.registry import load_tensors, weights_folder

HISTORY = tuple(int(each) for each in np.random.default_rng(4).integers(1, VOCABULARY, 60))


@cache
def model() -> ProfilerModel:
    return ProfilerModel.load(weights_folder(NAME))


def encoder(max_histories: int = 100) -> StepEncoder:
    _, tensors = load_tensors(weights_folder(NAME), NAME, SCHEMA)
    return StepEncoder(
        {name: each.astype(np.float32) for name, each in tensors.items()}, max_histories
    )


def test_a_step_is_the_gru_written_out() -> None:
    _, weights = load_tensors(weights_folder(NAME), NAME, SCHEMA)
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    made = encoder()
    size = w["gru.weight_hh_l0"].shape[1]
    state = np.random.default_rng(1).normal(size=(size,)) / 4.0
    after = made.step(state.astype(np.float32), 7)
    given = w["gru.weight_ih_l0"] @ w["embedding.weight"][7] + w["gru.bias_ih_l0"]
    recur = w["gru.weight_hh_l0"] @ state + w["gru.bias_hh_l0"]
    for unit in range(size):
        reset = 1.0 / (1.0 + np.exp(-given[unit] - recur[unit]))
        update = 1.0 / (1.0 + np.exp(-given[size + unit] - recur[size + unit]))
        new = np.tanh(given[2 * size + unit] + reset * recur[2 * size + unit])
        assert after[unit] == pytest.approx((1.0 - update) * new + update * state[unit], abs=1e-5)


@pytest.mark.parametrize("events", [1, 2, 7, 19, 20, 33])
def test_step_by_step_is_what_the_batch_says(events: int) -> None:
    made = encoder()
    # One event after the other, as a user makes them.
    stepped = [made.vector(HISTORY[:length]) for length in range(1, events + 1)][-1]
    at_once = model().infer_batch(padded([HISTORY[:events]]))[0]
    assert np.abs(stepped - at_once).max() < 1e-5
    assert np.linalg.norm(stepped) == pytest.approx(1.0, abs=1e-5)


def test_one_event_more_costs_one_step_and_the_same_history_none() -> None:
    made = encoder()
    made.vector(HISTORY[:12])
    assert made.steps == 12
    made.vector(HISTORY[:13])
    assert made.steps == 13
    made.vector(HISTORY[:13])
    assert made.steps == 13
    made.vector(HISTORY[:17])
    assert made.steps == 17
    made.vector(HISTORY[: 17 + LOOK_BACK + 1][:MAX_EVENTS])
    assert made.steps == 20


def test_what_is_known_changes_no_bit_of_a_vector() -> None:
    warm, cold = encoder(), encoder()
    for length in range(1, 21):
        warm.vector(HISTORY[:length])
    assert (warm.vector(HISTORY[:20]) == cold.vector(HISTORY[:20])).all()


def test_what_is_kept_is_bounded_and_what_is_used_stays() -> None:
    made = encoder(max_histories=3)
    for token in (1, 2, 3):
        made.vector((token,))
    made.vector((1,))
    made.vector((4,))
    assert len(made) == 3
    steps = made.steps
    made.vector((1,))
    assert made.steps == steps
    made.vector((2,))
    assert made.steps == steps + 1


def test_padding_counts_for_nothing_wherever_it_stands() -> None:
    plain, spaced = model().infer([[5, 9, 30], [PAD, 5, PAD, PAD, 9, 30, PAD]])
    assert (plain == spaced).all()
    made = encoder()
    assert (made.step(made.rest, PAD) == made.rest).all()


def test_a_batch_gives_each_history_what_it_gets_alone() -> None:
    some = [HISTORY[:3], HISTORY[5:25], (), HISTORY[2:40]]
    together = model().infer(some)
    assert together.shape == (4, VECTOR_DIM)
    for row, history in zip(together, some, strict=True):
        assert (row == model().infer([history])[0]).all()


def test_a_token_out_of_the_vocabulary_is_refused() -> None:
    with pytest.raises(FeatureError):
        model().infer([[3, VOCABULARY]])
