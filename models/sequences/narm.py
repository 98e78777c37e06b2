"""NARM: a recurrent network that looks back (Li et al., CIKM 2017).

    h_t = GRU(x_t, h_{t-1})
    alpha_tj = v . sigmoid(A1 h_t + A2 h_j)          (eq. 8)
    c_t = [h_t ; sum over j of alpha_tj h_j]         (eq. 9)

The published model ends with a bilinear score ``x_i . B c_t``. Here ``B c_t`` and the items are
scaled to length 1, with a learnt scale. Attention reaches over the last W events.

Letters: B sequences, T events, D dimensions, V items, W window.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.sequences.encoder import Encoder


class NarmState(NamedTuple):
    """What is kept of a sequence.

    Attributes:
        hidden: All that the GRU remembers, shape ``(D,)``.
        memory: The last hidden states, shape ``(t, D)``, t <= W.
        keys: ``A2 h_j`` of each, shape ``(t, D)``.
    """

    hidden: Tensor
    memory: Tensor
    keys: Tensor


class Narm(Encoder):
    """The encoder.

    Args:
        items: V.
        dim: D.
        window: W.
        dropout: Of item vectors, and of what is projected.
    """

    def __init__(self, items: int, dim: int, window: int, dropout: float) -> None:
        super().__init__(items, dim, window)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.attend_now = nn.Linear(dim, dim, bias=False)  # A1
        self.attend_each = nn.Linear(dim, dim, bias=False)  # A2
        self.attend_weight = nn.Linear(dim, 1, bias=False)  # v
        self.project = nn.Linear(2 * dim, dim, bias=False)  # B
        self.drop = nn.Dropout(dropout)

    def forward(self, items: Tensor) -> Tensor:
        """Return the vector after each event, see `SequenceEncoder`."""
        hidden, _ = self.gru(self.drop(self.space(items)))  # (B, T, D)
        now, each = self.attend_now(hidden), self.attend_each(hidden)  # (B, T, D)
        matters = torch.sigmoid(now[:, :, None] + each[:, None])  # (B, T, T, D)
        alpha = self.attend_weight(matters).squeeze(-1)  # (B, T, T)
        alpha = alpha * self.looks_back(items.shape[1])
        local = alpha @ hidden  # (B, T, D)
        return self._vectors(hidden, local)

    def start(self) -> NarmState:
        """Return the state before the first event."""
        dim = self.gru.hidden_size
        nothing = self.space.log_scale.new_zeros((0, dim))
        return NarmState(self.space.log_scale.new_zeros(dim), nothing, nothing)

    @torch.inference_mode()
    def step(self, state: NarmState, item: int) -> tuple[NarmState, Tensor]:
        """Return the state after one more event and the vector then, see `SequenceEncoder`."""
        event = self.space(torch.tensor([[item]], device=state.hidden.device))  # (1, 1, D)
        out, _ = self.gru(event, state.hidden[None, None])  # (1, 1, D)
        hidden = out[0, 0]  # (D,)
        memory = torch.cat([state.memory, hidden[None]])[-self.window :]  # (t, D)
        keys = torch.cat([state.keys, self.attend_each(hidden)[None]])[-self.window :]  # (t, D)
        alpha = self.attend_weight(torch.sigmoid(self.attend_now(hidden) + keys))  # (t, 1)
        local = (alpha * memory).sum(dim=0)  # (D,)
        return NarmState(hidden, memory, keys), self._vectors(hidden, local)

    def _vectors(self, hidden: Tensor, local: Tensor) -> Tensor:
        both = torch.cat([hidden, local], dim=-1)  # (..., 2 D)
        return functional.normalize(self.project(self.drop(both)), dim=-1)  # (..., D)
