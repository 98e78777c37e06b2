"""Training of an encoder: seeded, resumable, on any device.

An epoch begins from its own seed, so a run that was cut off and goes on from its checkpoint ends
with the very weights of one that was not. Sequences of like length share a batch: padding costs.

Letters: B sequences, T events, D dimensions, V items, N places with a next item.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from models.errors import EvaluationError
from models.sequences.losses import candidates, full_softmax, sampled_softmax, scaled_cosines
from models.sequences.narm import Narm
from models.sequences.sasrec import Sasrec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.sequences.encoder import Encoder
    from models.sequences.logs import Ints, Ragged
    from models.sequences.metrics import Scores
    from models.sequences.settings import EncoderSettings

#: Batches whose sequences are sorted by length together.
_POOL: Final = 50
#: Steps between two words of progress.
_EVERY: Final = 20


class Progress(msgspec.Struct, frozen=True):
    """How far training is.

    Attributes:
        done: Share of the run, 0..1.
        epoch: The present one, from 1.
        loss: Mean of this epoch so far.
    """

    done: float
    epoch: int
    loss: float


class Limits(msgspec.Struct, frozen=True):
    """What bounds a run from outside.

    Attributes:
        minutes: Longest time; the learning rate falls to nothing by then.
        device: Where to compute, as torch names it.
        checkpoint: File to go on from, written after each epoch; None writes none.
    """

    minutes: float = math.inf
    device: str = "cpu"
    checkpoint: Path | None = None


def make_encoder(items: int, settings: EncoderSettings) -> Encoder:
    """Return an encoder with fresh weights from torch's generator.

    Args:
        items: V.
        settings: Which, and how large.
    """
    makers: dict[str, type[Narm | Sasrec]] = {"narm": Narm, "sasrec": Sasrec}
    return makers[settings.model](items, settings.dim, settings.window, settings.dropout)


def is_there(device: str) -> bool:
    """Return whether this machine can compute on a device, as torch names it."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        return False
    return True


class Learner:
    """One run.

    Args:
        sequences: To learn from.
        items: V.
        settings: Of the encoder and its training.
        seed: The same seed gives the same weights on one machine.
        limits: Time, device and checkpoint.
    """

    def __init__(
        self,
        sequences: Ragged,
        items: int,
        settings: EncoderSettings,
        seed: int,
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self._sequences = sequences
        self._items = items
        self._settings = settings
        self._seed = seed
        self._limits = limits
        self._usable = np.flatnonzero(sequences.lengths() >= 2)
        self._steps = settings.epochs * -(-len(self._usable) // settings.batch)
        torch.manual_seed(seed)
        self.network = make_encoder(items, settings).to(limits.device)
        self._optimizer = _optimizer(self.network, settings)
        self._step = 0
        self._epoch = 0
        self._seconds = 0.0

    def run(self, report: Callable[[Progress], None], clock: Callable[[], float]) -> Encoder:
        """Train to the end, from the checkpoint if there is one.

        Args:
            report: Told of progress now and then.
            clock: Seconds, never falling.

        Returns:
            The encoder, ready to be asked.

        Raises:
            EvaluationError: The checkpoint is of another run.
        """
        self._resume()
        while self._epoch < self._settings.epochs and self._done() < 1.0:
            started = clock() - self._seconds
            self._one_epoch(report, lambda started=started: clock() - started)  # type: ignore[misc]
            self._epoch += 1
            self._save()
        return self.network.eval()

    @property
    def seconds(self) -> float:
        """How long training took, earlier runs of a checkpoint included."""
        return self._seconds

    def _one_epoch(self, report: Callable[[Progress], None], elapsed: Callable[[], float]) -> None:
        rng = np.random.default_rng((self._seed, self._epoch))
        torch.manual_seed(int(rng.integers(2**31)))
        self.network.train()
        total, places = 0.0, 0
        for chosen in batches(self._sequences, self._usable, self._settings.batch, rng):
            items = self._sequences.take(chosen).padded(self._settings.window + 1)  # (B, T + 1)
            loss, count = self._update(torch.from_numpy(items).to(self._limits.device), rng)
            self._seconds = elapsed()
            total, places = total + loss * count, places + count
            if self._step % _EVERY == 0:
                report(Progress(self._done(), self._epoch + 1, total / places))
            if self._done() >= 1.0:
                return

    def _update(self, items: Tensor, rng: np.random.Generator) -> tuple[float, int]:
        """Take one step; return the loss and over how many places it is a mean."""
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.rate * self._share_of_rate()
        known, nexts = items[:, :-1], items[:, 1:]  # (B, T)
        there = nexts > 0
        vectors = self.network(known)[there]  # (N, D)
        loss = self._loss(vectors, nexts[there], rng)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._step += 1
        return float(loss.detach()), len(vectors)

    def _loss(self, vectors: Tensor, targets: Tensor, rng: np.random.Generator) -> Tensor:
        how, space = self._settings, self.network.space
        scale = space.log_scale.exp()
        if how.loss == "full":
            logits = scaled_cosines(vectors, space.all_items()[1:], scale, half=how.half)
            return full_softmax(logits, targets, how.smoothing)
        drawn = torch.from_numpy(rng.integers(1, self._items + 1, how.negatives))
        among, log_q = candidates(targets, drawn.to(targets.device), self._items)
        logits = scaled_cosines(vectors, space(among), scale, half=how.half)  # (N, M)
        return sampled_softmax(logits, log_q, torch.searchsorted(among, targets))

    def _done(self) -> float:
        in_time = self._seconds / (60.0 * self._limits.minutes)
        return max(self._step / max(self._steps, 1), in_time)

    def _share_of_rate(self) -> float:
        warm = min(1.0, (self._step + 1) / self._settings.warm_up)
        return max(warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, self._done()))), 0.01)

    def _identity(self) -> dict[str, Any]:
        log = [len(self._sequences), len(self._sequences.values), self._items]
        return {"settings": msgspec.to_builtins(self._settings), "seed": self._seed, "log": log}

    def _save(self) -> None:
        path = self._limits.checkpoint
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        state = {
            "of": self._identity(),
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "at": [self._epoch, self._step],
            "seconds": self._seconds,
        }
        torch.save(state, fresh)
        os.replace(fresh, path)  # noqa: PTH105 - whole or not at all

    def _resume(self) -> None:
        path = self._limits.checkpoint
        if path is None or not path.exists():
            return
        try:
            state = torch.load(path, map_location=self._limits.device, weights_only=True)
            same = state["of"] == self._identity()
        except Exception as error:
            raise EvaluationError(f"{path}: no checkpoint ({error}); remove it") from error
        if not same:
            raise EvaluationError(
                f"{path}: a checkpoint of other settings, another seed or another log; remove it,"
                " or choose another folder"
            )
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._epoch, self._step = state["at"]
        self._seconds = state["seconds"]


def batches(sequences: Ragged, usable: Ints, size: int, rng: np.random.Generator) -> Iterator[Ints]:
    """Yield rows of sequences of like length, all of them once, in an order drawn anew.

    Args:
        sequences: The log.
        usable: Rows to draw from.
        size: B.
        rng: Of the order.
    """
    lengths = sequences.lengths()
    order = rng.permutation(usable)
    made: list[Ints] = []
    for begin in range(0, len(order), size * _POOL):
        pool = order[begin : begin + size * _POOL]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        made += [pool[at : at + size] for at in range(0, len(pool), size)]
    for index in rng.permutation(len(made)):
        yield made[index]


def _optimizer(network: Encoder, settings: EncoderSettings) -> torch.optim.Optimizer:
    items = [network.space.embedding.weight]
    others = [p for name, p in network.named_parameters() if name != "space.embedding.weight"]
    groups = [
        {"params": items, "weight_decay": 0.0},
        {"params": others, "weight_decay": settings.decay},
    ]
    return torch.optim.AdamW(groups, lr=settings.rate, fused=True)


class EncoderRanker:
    """An encoder as a distribution over the next item.

    Args:
        network: Trained.
        name: For the table.
        device: Where it computes.
    """

    in_logs = True

    def __init__(self, network: Encoder, name: str, device: str = "cpu") -> None:
        self.name = name
        self._network = network.eval()
        self._device = device
        with torch.inference_mode():
            self._items = network.space.all_items()  # (V + 1, D)
            self._scale = network.space.log_scale.exp()

    def probabilities(self, prefixes: Ragged) -> Scores:
        """Return the softmax over items after each prefix, shape ``(N, V + 1)``."""
        lengths = np.minimum(prefixes.lengths(), self._network.window)
        items = torch.from_numpy(prefixes.padded(self._network.window)).to(self._device)
        with torch.inference_mode():
            last = torch.from_numpy(lengths - 1).to(self._device)
            rows = torch.arange(len(last), device=self._device)
            vectors = self._network(items)[rows, last]  # (N, D)
            logits = self._scale * vectors @ self._items.T  # (N, V + 1)
            logits[:, 0] = -math.inf
            shares: Scores = functional.softmax(logits, dim=1).cpu().numpy()
        return shares
