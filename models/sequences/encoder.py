"""What a learnt model of sequences offers.

While training, a whole sequence goes in and the vector after each of its events comes out. While
serving, one event costs one step: the state of a user is carried from event to event, and the
vector after it is the one that the whole sequence would have given. A state has a bounded size,
because attention looks back over a window of the last W events only.

Items and vectors both have length 1 (NISER, Gupta et al. 2019): ``scale * cosine`` is the logit of
an item, so how often an item was seen can't hide in its length.

Letters: B sequences, T events, D dimensions, V items, W window.
"""

from __future__ import annotations

import math
from typing import Final, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

#: The scale of cosines before training.
_FIRST_SCALE: Final = 16.0

State = TypeVar("State")


class SequenceEncoder(Protocol[State]):
    """Turns sequences of items into vectors of length 1."""

    def forward(self, items: Tensor) -> Tensor:
        """Return the vector after each event.

        Args:
            items: Padded with 0 at the end, int64, shape ``(B, T)``.

        Returns:
            Rows of length 1, shape ``(B, T, D)``; those of padding mean nothing.
        """
        ...

    def start(self) -> State:
        """Return the state before the first event."""
        ...

    def step(self, state: State, item: int) -> tuple[State, Tensor]:
        """Return the state after one more event, and the vector then, shape ``(D,)``.

        Args:
            state: Of `start` or of the step before; it is left as it was.
            item: 1..V.
        """
        ...


class ItemSpace(nn.Module):
    """Items as vectors of length 1, shared by what goes in and what comes out.

    Args:
        items: V.
        dim: D.
    """

    def __init__(self, items: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(items + 1, dim, padding_idx=0)
        nn.init.normal_(self.embedding.weight, 0.0, dim**-0.5)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))

    def forward(self, items: Tensor) -> Tensor:
        """Return the vectors of items, shape of ``items`` with D behind."""
        return functional.normalize(self.embedding(items), dim=-1)

    def all_items(self) -> Tensor:
        """Return the vectors of all items, "no item" first, shape ``(V + 1, D)``."""
        return functional.normalize(self.embedding.weight, dim=-1)


class Encoder(nn.Module):
    """A network with a space of items: what the learner trains and the ranker asks.

    Args:
        items: V.
        dim: D.
        window: W.
    """

    def __init__(self, items: int, dim: int, window: int) -> None:
        super().__init__()
        self.space = ItemSpace(items, dim)
        self.window = window

    def looks_back(self, length: int) -> Tensor:
        """Return which events an event may look at: itself and the W - 1 before it.

        Args:
            length: T.

        Returns:
            Booleans, later event first, shape ``(T, T)``.
        """
        places = torch.arange(length, device=self.space.log_scale.device)
        back = places[:, None] - places[None, :]  # (T, T)
        return (back >= 0) & (back < self.window)
