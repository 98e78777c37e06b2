"""A small session model after NARM (Li et al., CIKM 2017): GRU with attention, unit vectors.

Letters: B batch, T events (20), E embedding, H hidden, D vector (16), C categories (26).

The global encoder is the last hidden state; the local encoder sums all hidden states by how much
they matter to it, ``alpha_t = v . sigmoid(A1 h_T + A2 h_t)`` (NARM, eq. 8). Both together are
projected to D and scaled to length 1, as NISER does (Gupta et al. 2019): that removes the bias for
popular categories and lets a bandit use the vector as is. A category's score is
``scale * cosine``.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.opportunity import CATEGORY_COUNT
from models.profiler.events import PAD, VECTOR_DIM, VOCABULARY

_EMBEDDING: Final = 24
_HIDDEN: Final = 40


class ProfilerNetwork(nn.Module):
    """Turns histories into vectors of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, _EMBEDDING, padding_idx=PAD)
        self.gru = nn.GRU(_EMBEDDING, _HIDDEN, batch_first=True)
        self.attend_last = nn.Linear(_HIDDEN, _HIDDEN, bias=False)  # A1
        self.attend_each = nn.Linear(_HIDDEN, _HIDDEN, bias=False)  # A2
        self.attend_weight = nn.Linear(_HIDDEN, 1, bias=False)  # v
        self.project = nn.Linear(2 * _HIDDEN, VECTOR_DIM)
        self.categories = nn.Parameter(torch.randn(CATEGORY_COUNT, VECTOR_DIM))
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, tokens: Tensor, start: Tensor | None = None) -> Tensor:
        """Return the vectors of histories.

        Args:
            tokens: Padded on the left, int64, shape ``(B, T)``.
            start: Hidden state at the beginning, shape ``(H,)``; by default zero, as in training.

        Returns:
            Rows of length 1, shape ``(B, D)``.
        """
        first = None if start is None else start.expand(1, len(tokens), -1).contiguous()
        hidden, _ = self.gru(self.embedding(tokens), first)  # (B, T, H)
        last = hidden[:, -1]  # (B, H)
        matters = torch.sigmoid(self.attend_last(last)[:, None] + self.attend_each(hidden))
        alpha = self.attend_weight(matters) * (tokens != PAD)[:, :, None]  # (B, T, 1)
        local = (alpha * hidden).sum(dim=1)  # (B, H)
        vectors: Tensor = self.project(torch.cat([last, local], dim=1))  # (B, D)
        return functional.normalize(vectors, dim=1)

    def category_vectors(self) -> Tensor:
        """Return the place of each category in the space of vectors, length 1, shape ``(C, D)``."""
        return functional.normalize(self.categories, dim=1)

    def scores(self, vectors: Tensor) -> Tensor:
        """Return the log-odds of each category for the next event.

        Args:
            vectors: As `forward` returns them, shape ``(B, D)``.

        Returns:
            Logits, shape ``(B, C)``.
        """
        return self.log_scale.exp() * vectors @ self.category_vectors().T
