"""Runs the profiler for whoever serves it: lists of tokens in, one array out.

A vector depends on its history alone, and not on what else is in its batch or was asked before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from config import fault_points
from models.errors import FeatureError, ModelCorruptError
from models.profiler.events import MAX_EVENTS, PAD, VECTOR_DIM, VOCABULARY
from models.profiler.incremental import StepEncoder
from models.profiler.network import ProfilerNetwork
from models.registry import load_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Name in the registry, and version of what the tensors mean.
NAME: Final = "profiler"
SCHEMA: Final = 1


class ProfilerModel:
    """A loaded profiler on one device.

    On a CPU it goes on from the states of a history's beginning (`models.profiler.incremental`), so
    an event costs a step; on an accelerator a batch is worked out at once. Both begin at the same
    state and agree up to rounding.

    Args:
        network: With its weights, already on the device.
        version: Of the weights.
        device: Where it runs, as torch names it.
    """

    def __init__(self, network: ProfilerNetwork, version: str, device: str) -> None:
        self._network = network.eval()
        self._device = torch.device(device)
        weights = {name: each.cpu().numpy() for name, each in network.state_dict().items()}
        self._encoder = StepEncoder(weights)
        self._rest = torch.from_numpy(self._encoder.rest).to(self._device)
        self.version = version

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> ProfilerModel:
        """Load weights from a folder of the registry.

        Args:
            folder: With weights and manifest.
            device: ``cpu``, ``cuda:0`` and so on.

        Raises:
            ModelError: The folder holds no whole profiler of this schema.
        """
        manifest, tensors = load_tensors(folder, NAME, SCHEMA)
        network = ProfilerNetwork()
        try:
            network.load_state_dict({name: torch.from_numpy(a) for name, a in tensors.items()})
        except RuntimeError as error:
            raise ModelCorruptError(f"{folder}: weights do not fit the network: {error}") from error
        return cls(network.to(device), manifest.version, device)

    def infer(self, sequences: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return the vectors of histories.

        Args:
            sequences: Tokens of each history, oldest first; only the last 20 count, and padding
                counts for nothing. An empty history gets a vector that means nothing: use the
                default profile instead.

        Returns:
            Rows of length 1, shape ``(len(sequences), 16)``.

        Raises:
            FeatureError: A token is outside of the vocabulary.
        """
        fault_points.reach("inference.batch", out_of_memory)
        tokens = padded(sequences)
        if self._device.type != "cpu":
            return self.infer_batch(tokens)
        vectors = np.empty((len(tokens), VECTOR_DIM), np.float32)
        for row, history in enumerate(tokens.tolist()):
            vectors[row] = self._encoder.vector(tuple(each for each in history if each != PAD))
        return vectors

    def infer_batch(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of padded histories, all steps of all of them at once.

        Args:
            tokens: As `padded` returns them, shape ``(B, 20)``.

        Returns:
            Rows of length 1, shape ``(B, 16)``.
        """
        with torch.inference_mode():
            given = torch.from_numpy(tokens).to(self._device)
            vectors: NDArray[np.float32] = self._network(given, self._rest).cpu().numpy()
        return vectors


def use_one_thread() -> None:
    """Let this process multiply in one thread: a node's processes are its parallelism."""
    torch.set_num_threads(1)


def out_of_memory() -> Exception:
    """Return what torch raises when its device has no room for a batch."""
    return torch.OutOfMemoryError("out of memory: tried to allocate more than there is")


def padded(sequences: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return histories as one array, padded on the left.

    Args:
        sequences: Tokens of each history, oldest first; only the last 20 count, and padding in them
            counts for nothing.

    Returns:
        Shape ``(len(sequences), 20)``.

    Raises:
        FeatureError: A token is outside of the vocabulary.
    """
    tokens = np.full((len(sequences), MAX_EVENTS), PAD, dtype=np.int64)
    for row, sequence in enumerate(sequences):
        recent = sequence[-MAX_EVENTS:]
        if PAD in recent:
            recent = [each for each in recent if each != PAD]
        if recent:
            tokens[row, MAX_EVENTS - len(recent) :] = recent
    if tokens.size and not (tokens.min() >= 0 and tokens.max() < VOCABULARY):
        raise FeatureError(f"tokens must be 0..{VOCABULARY - 1}; see models.profiler.events.token")
    return tokens
