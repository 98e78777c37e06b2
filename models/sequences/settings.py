"""How an encoder is made and trained; the defaults were chosen on validation parts only."""

from __future__ import annotations

from typing import Literal

import msgspec


class EncoderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        model: Which encoder.
        dim: Dimensions of items and vectors.
        window: How many events attention reaches back, and how many are trained on at once.
        dropout: Of item vectors and of what layers add.
        loss: Over all items, or over a sample.
        negatives: Items drawn for the sample of each step.
        smoothing: Share of a target that is spread over all items (full softmax only).
        epochs: Passes over the log.
        batch: Sequences in a step.
        rate: Highest learning rate; it falls as a cosine to nothing.
        decay: Weight decay of all but the items.
        warm_up: Steps until the highest rate.
        half: Whether logits are multiplied in bfloat16.
    """

    model: Literal["narm", "sasrec"] = "sasrec"
    dim: int = 128
    window: int = 20
    dropout: float = 0.3
    loss: Literal["full", "sampled"] = "sampled"
    negatives: int = 4096
    smoothing: float = 0.0
    epochs: int = 5
    batch: int = 512
    rate: float = 3e-3
    decay: float = 0.01
    warm_up: int = 200
    half: bool = True


#: Clicks of a session: short, with repetitions, and many.
SESSIONS = EncoderSettings()

#: What a user bought: few, long ago, never twice; the full softmax is cheap, and needs a calm hand.
USERS = EncoderSettings(
    dim=64, window=50, dropout=0.3, loss="full", epochs=20, batch=256, rate=2e-3
)
