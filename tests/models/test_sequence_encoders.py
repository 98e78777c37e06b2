from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import torch

from models.errors import EvaluationError
from models.sequences.evaluation import ask
from models.sequences.learner import (
    EncoderRanker,
    Learner,
    Limits,
    Progress,
    batches,
    is_there,
    make_encoder,
)
from models.sequences.logs import Ragged, prefixes_of
from models.sequences.losses import candidates, full_softmax, sampled_softmax, scaled_cosines
from models.sequences.narm import Narm
from models.sequences.sasrec import Sasrec
from models.sequences.settings import EncoderSettings

if TYPE_CHECKING:
    from pathlib import Path

ITEMS = 12
SMALL = EncoderSettings(
    dim=16, window=5, dropout=0.1, epochs=3, batch=16, rate=0.02, warm_up=2, loss="full", half=False
)
ENCODERS = ("narm", "sasrec")


def encoder(name: str, window: int = 4) -> Narm | Sasrec:
    torch.manual_seed(3)
    how = msgspec.structs.replace(SMALL, model=name, window=window)
    made = make_encoder(ITEMS, how).eval()
    assert isinstance(made, Narm | Sasrec)
    if isinstance(made, Sasrec):
        for block in made.blocks:
            torch.nn.init.normal_(block.by_distance)  # type: ignore[arg-type]
    return made


def rings(count: int = 120) -> Ragged:
    """Sessions that walk round a ring: the next item is the last one plus 1."""
    rng = np.random.default_rng(1)
    rows = [(rng.integers(ITEMS) + np.arange(rng.integers(2, 7))) % ITEMS + 1 for _ in range(count)]
    lengths = np.array([len(row) for row in rows])
    return Ragged(np.concatenate(rows), np.concatenate([[0], np.cumsum(lengths)]))


@pytest.mark.parametrize("name", ENCODERS)
def test_one_event_at_a_time_gives_the_vectors_of_the_whole_sequence(name: str) -> None:
    network = encoder(name, window=4)
    items = [3, 1, 4, 1, 5, 9, 2, 6]  # twice as long as the window
    with torch.inference_mode():
        whole = network(torch.tensor([items]))[0]
    state = network.start()
    for place, item in enumerate(items):
        state, vector = network.step(state, item)  # type: ignore[arg-type]
        assert torch.allclose(vector, whole[place], atol=1e-5)
    sizes = {part.shape[-2] for part in state[-2:]}
    assert sizes == {4}


@pytest.mark.parametrize("name", ENCODERS)
def test_a_vector_knows_nothing_of_what_comes_after_nor_of_padding(name: str) -> None:
    network = encoder(name)
    with torch.inference_mode():
        short = network(torch.tensor([[3, 1, 4]]))
        long = network(torch.tensor([[3, 1, 4, 7, 8], [3, 1, 4, 0, 0]]))
    assert torch.allclose(long[:, :3], short.expand(2, -1, -1), atol=1e-5)
    assert torch.allclose(long.norm(dim=-1), torch.ones(2, 5), atol=1e-5)


def test_a_state_is_left_as_it_was() -> None:
    network = encoder("sasrec")
    state, _ = network.step(network.start(), 3)  # type: ignore[arg-type]
    kept = state[0].clone()
    network.step(state, 4)  # type: ignore[arg-type]
    assert torch.equal(state[0], kept)


def test_narm_attends_as_published() -> None:
    network = encoder("narm", window=9)
    assert isinstance(network, Narm)
    items = torch.tensor([[3, 1, 4]])
    with torch.inference_mode():
        hidden = network.gru(network.space(items))[0][0]  # (T, D)
        a1, a2 = network.attend_now.weight, network.attend_each.weight
        v = network.attend_weight.weight[0]
        local = torch.zeros(16)
        for j in range(3):
            local += (v @ torch.sigmoid(a1 @ hidden[2] + a2 @ hidden[j])) * hidden[j]
        slow = network.project.weight @ torch.cat([hidden[2], local])
        assert torch.allclose(network(items)[0, 2], slow / slow.norm(), atol=1e-5)


def test_sasrec_attends_as_published() -> None:
    torch.manual_seed(1)
    network = Sasrec(ITEMS, 8, 3, 0.0, layers=1, heads=2).eval()
    block = network.blocks[0]
    torch.nn.init.normal_(block.by_distance)  # type: ignore[arg-type]
    items = torch.tensor([[3, 1, 4, 2]])
    with torch.inference_mode():
        x = network.space(items)[0] * math.sqrt(8) / 2
        q, k, v = (part[0] for part in block.split(x[None]))  # type: ignore[operator]
        heads = []
        for head in range(2):
            logit = [
                q[head, 3] @ k[head, j] / 2.0 + block.by_distance[head, 3 - j]  # type: ignore[index]
                for j in (1, 2, 3)  # the window
            ]
            alpha = torch.softmax(torch.stack(logit), 0)
            heads.append(sum(a * v[head, j] for a, j in zip(alpha, (1, 2, 3), strict=True)))
        attended = torch.stack(heads)[None, :, None]
        out = block.add(x[None, 3:], attended)[0, 0]  # type: ignore[operator]
        slow = network.project(network.norm(out))
        assert torch.allclose(network(items)[0, 3], slow / slow.norm(), atol=1e-5)


def test_the_full_softmax_is_the_mean_surprise() -> None:
    logits, targets = torch.randn(3, ITEMS), torch.tensor([1, 5, 12])
    slow = [-torch.log_softmax(row, 0)[t - 1] for row, t in zip(logits, targets, strict=True)]
    assert torch.allclose(full_softmax(logits, targets), torch.stack(slow).mean())


def test_the_sampled_softmax_sums_to_the_full_one_on_average() -> None:
    """Over all draws of two items, the corrected sum of exponents is that over all items."""
    items, targets, logits = 5, torch.tensor([2]), torch.randn(6)
    sums = []
    for pair in itertools.combinations([1, 3, 4, 5], 2):
        among, log_q = candidates(targets, torch.tensor(pair), items)
        sums.append((logits[among] - log_q).exp().sum())
        assert log_q[among == 2].item() == 0.0
    assert torch.stack(sums).mean().item() == pytest.approx(logits[1:].exp().sum().item(), rel=1e-5)


def test_the_sampled_softmax_of_all_items_is_the_full_one() -> None:
    logits, targets = torch.randn(3, ITEMS), torch.tensor([1, 5, 12])
    among, log_q = candidates(targets, torch.arange(1, ITEMS + 1), ITEMS)
    sampled = sampled_softmax(logits[:, among - 1], log_q, torch.searchsorted(among, targets))
    assert torch.allclose(sampled, full_softmax(logits, targets))


def test_half_precision_changes_logits_little() -> None:
    vectors, items = torch.nn.functional.normalize(torch.randn(2, 7, 32), dim=-1)
    scale = torch.tensor(16.0)
    exact = scaled_cosines(vectors, items, scale, half=False)
    assert torch.allclose(scaled_cosines(vectors, items, scale, half=True), exact, atol=0.2)


def test_an_epoch_sees_every_sequence_once_and_batches_are_of_like_length() -> None:
    log = rings()
    seen = list(batches(log, np.arange(len(log)), 16, np.random.default_rng(1)))
    assert sorted(np.concatenate(seen).tolist()) == list(range(len(log)))
    assert all(np.ptp(log.lengths()[rows]) <= 2 for rows in seen)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_a_ring_is_learnt(name: str, loss: str) -> None:
    how = msgspec.structs.replace(SMALL, model=name, loss=loss, negatives=8, epochs=8)
    told: list[Progress] = []
    network = Learner(rings(), ITEMS, how, 1).run(told.append, lambda: 0.0)
    rank = ask(EncoderRanker(network, name), prefixes_of(rings(30)), repeats=True)
    assert (rank == 1).mean() > 0.9
    assert told[-1].done <= 1.0
    assert told[-1].loss < told[0].loss


def test_a_run_that_goes_on_ends_as_one_that_was_not_cut_off(tmp_path: Path) -> None:
    limits = Limits(checkpoint=tmp_path / "run.pt")

    class CutOffError(Exception):
        pass

    def cut(progress: Progress) -> None:
        if progress.epoch == 2:
            raise CutOffError

    with pytest.raises(CutOffError):
        Learner(rings(200), ITEMS, SMALL, 5, limits).run(cut, lambda: 0.0)
    with pytest.raises(EvaluationError, match="another"):
        Learner(rings(), ITEMS, SMALL, 5, limits).run(lambda p: None, lambda: 0.0)
    whole = Learner(rings(200), ITEMS, SMALL, 5).run(lambda p: None, lambda: 0.0)
    again = Learner(rings(200), ITEMS, SMALL, 5, limits).run(lambda p: None, lambda: 0.0)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_file_that_is_no_checkpoint_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "run.pt").write_text("no")
    with pytest.raises(EvaluationError, match=r"run\.pt"):
        Learner(rings(), ITEMS, SMALL, 5, Limits(checkpoint=tmp_path / "run.pt")).run(
            lambda p: None, lambda: 0.0
        )


def test_time_that_is_up_ends_training() -> None:
    seconds = itertools.count(step=7.0)
    learner = Learner(rings(), ITEMS, SMALL, 5, Limits(minutes=0.5))
    learner.run(lambda p: None, lambda: next(seconds))
    assert 30.0 <= learner.seconds <= 60.0


def test_a_device_that_is_not_there_is_told_from_one_that_is() -> None:
    assert is_there("cpu")
    assert not is_there("cuda:77")
    assert not is_there("abacus")
