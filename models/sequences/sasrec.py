"""SASRec: self-attention over what came before (Kang and McAuley, ICDM 2018).

Two deviations make one event cost one step. Layers are normalised on their way in ("pre-norm"), and
where an event lies is told by a learnt bias for each distance, as in T5 (Raffel et al. 2020), not
by an embedding of its absolute place: keys and values once worked out stay right when the window
moves on.

Letters: B sequences, T events, D dimensions, H heads, V items, W window, L layers.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.sequences.encoder import Encoder


class SasrecState(NamedTuple):
    """What is kept of a sequence.

    Attributes:
        keys: Of each layer, shape ``(L, H, t, D / H)``, t <= W.
        values: Of each layer, the same shape.
    """

    keys: Tensor
    values: Tensor


class Block(nn.Module):
    """One layer: attention, then two dense layers at each place.

    Args:
        dim: D.
        heads: H, which divides D.
        window: W.
        dropout: Of what is added to the stream.
    """

    def __init__(self, dim: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        assert dim % heads == 0, f"{heads} heads can't share {dim} dimensions"
        self.heads = heads
        self.before_attention = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.after_attention = nn.Linear(dim, dim)
        self.before_dense = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, 4 * dim)
        self.narrow = nn.Linear(4 * dim, dim)
        self.by_distance = nn.Parameter(torch.zeros(heads, window))  # (H, W)
        self.drop = nn.Dropout(dropout)

    def split(self, stream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each ``(B, H, T, D / H)``, of ``(B, T, D)``."""
        B, T, D = stream.shape
        joint = self.query_key_value(self.before_attention(stream))  # (B, T, 3 D)
        parts = joint.view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def add(self, stream: Tensor, attended: Tensor) -> Tensor:
        """Return the stream ``(B, T, D)`` after the layer, of ``(B, H, T, D / H)``."""
        joined = attended.transpose(1, 2).flatten(2)  # (B, T, D)
        stream = stream + self.drop(self.after_attention(joined))
        dense = self.narrow(functional.gelu(self.widen(self.before_dense(stream))))
        added: Tensor = stream + self.drop(dense)
        return added


class Sasrec(Encoder):
    """The encoder.

    Args:
        items: V.
        dim: D.
        window: W.
        dropout: Of item vectors and of what layers add.
        layers: L.
        heads: H.
    """

    def __init__(
        self, items: int, dim: int, window: int, dropout: float, layers: int = 2, heads: int = 2
    ) -> None:
        super().__init__(items, dim, window)
        self.blocks = nn.ModuleList(Block(dim, heads, window, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, dim)
        self.drop = nn.Dropout(dropout)
        self._loudness = math.sqrt(dim) / 2.0

    def forward(self, items: Tensor) -> Tensor:
        """Return the vector after each event, see `SequenceEncoder`."""
        T = items.shape[1]
        stream = self.drop(self.space(items) * self._loudness)  # (B, T, D)
        seen = self.looks_back(T)  # (T, T)
        places = torch.arange(T, device=items.device)
        distance = (places[:, None] - places).clamp(0, self.window - 1)  # (T, T)
        for block in self._blocks():
            q, k, v = block.split(stream)  # (B, H, T, D / H)
            bias = block.by_distance[:, distance].masked_fill(~seen, -math.inf)  # (H, T, T)
            attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias[None])
            stream = block.add(stream, attended)  # (B, T, D)
        return self._vectors(stream)

    def start(self) -> SasrecState:
        """Return the state before the first event."""
        blocks = self._blocks()
        dim = self.norm.normalized_shape[0]
        heads = blocks[0].heads
        nothing = self.space.log_scale.new_zeros((len(blocks), heads, 0, dim // heads))
        return SasrecState(nothing, nothing)

    @torch.inference_mode()
    def step(self, state: SasrecState, item: int) -> tuple[SasrecState, Tensor]:
        """Return the state after one more event and the vector then, see `SequenceEncoder`."""
        event = torch.tensor([[item]], device=state.keys.device)  # (1, 1)
        stream = self.space(event) * self._loudness  # (1, 1, D)
        kept_keys, kept_values = [], []
        for layer, block in enumerate(self._blocks()):
            q, k, v = block.split(stream)  # (1, H, 1, D / H)
            keys = torch.cat([state.keys[layer], k[0]], dim=1)[:, -self.window :]  # (H, t, D / H)
            values = torch.cat([state.values[layer], v[0]], dim=1)[:, -self.window :]
            bias = block.by_distance[:, : keys.shape[1]].flip(1)  # (H, t): the newest is last
            attended = functional.scaled_dot_product_attention(
                q, keys[None], values[None], attn_mask=bias[None, :, None]
            )
            stream = block.add(stream, attended)  # (1, 1, D)
            kept_keys.append(keys)
            kept_values.append(values)
        vector = self._vectors(stream)[0, 0]  # (D,)
        return SasrecState(torch.stack(kept_keys), torch.stack(kept_values)), vector

    def _vectors(self, stream: Tensor) -> Tensor:
        return functional.normalize(self.project(self.norm(stream)), dim=-1)  # (..., D)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]
