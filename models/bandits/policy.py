"""What every bandit can do.

Learning is by batches: feedback arrives late, so a batch of decisions is made with one belief and
learnt from when its rewards are there.

Letters: N decisions, D places of context, K arms.
"""

from __future__ import annotations

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Feedback(msgspec.Struct, frozen=True):
    """Decisions whose rewards are known, in the order of their time.

    Attributes:
        contexts: Shape ``(N, D)``.
        actions: Shape ``(N,)``.
        rewards: Shape ``(N,)``.
    """

    contexts: Floats
    actions: Ints
    rewards: Floats

    def __len__(self) -> int:
        return len(self.actions)


class Policy(Protocol):
    """Chooses among K arms, and learns."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def probabilities(self, contexts: Floats) -> Floats:
        """Return the chance of every arm in every context, the floor included.

        Args:
            contexts: Shape ``(N, D)``.

        Returns:
            Shape ``(N, K)``; rows sum to 1.
        """

    def best(self, contexts: Floats) -> Ints:
        """Return the arm that looks best in every context, without any exploration, shape (N,)."""

    def update(self, feedback: Feedback) -> None:
        """Learn from a batch of decisions, whichever policy made them."""
