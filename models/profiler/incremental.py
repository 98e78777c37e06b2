"""The profiler one event at a time: what was worked out for a history is the start of the next one.

A GRU's state after an event follows from its state before it, and NARM's attention reads the states
themselves. So a history's states, kept, make one more event cost one step (two small products) and
one reading, instead of all steps again. States are kept under the history that they belong to: they
are a pure function of it, so it makes no difference who asked before, what was forgotten, or in
which process, and two users with one history share them.

A history begins at the state to which padding leads, where padding changes nothing: padded or not,
it means the same (`network` reads it in a batch, from the same start).

Letters: n events of a history (20 at most), E embedding, H hidden, D vector (16), V vocabulary.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import numpy as np

from models.profiler.events import MAX_EVENTS, PAD

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

#: Histories whose states are kept, 3 kilobytes each.
MAX_HISTORIES: Final = 8_192

#: So many events back a history's beginning is looked for.
LOOK_BACK: Final = 8

_RESTS: Final = 1_000
_LEAST: Final = np.float32(1e-12)


class StepEncoder:
    """Turns histories into vectors, going on from what it knows of their beginnings.

    Args:
        weights: Of a `ProfilerNetwork`, by name.
        max_histories: Kept at most; the one that was least recently used goes first.

    Attributes:
        steps: Of the GRU so far, for those who measure.
    """

    def __init__(self, weights: Mapping[str, Array], max_histories: int = MAX_HISTORIES) -> None:
        embedded = weights["embedding.weight"]  # (V, E)
        self._inputs = embedded @ weights["gru.weight_ih_l0"].T + weights["gru.bias_ih_l0"]
        self._recur = np.ascontiguousarray(weights["gru.weight_hh_l0"])  # (3H, H)
        self._recur_bias = weights["gru.bias_hh_l0"]  # (3H,)
        self._attend_last = np.ascontiguousarray(weights["attend_last.weight"])  # A1 (H, H)
        self._attend_each = np.ascontiguousarray(weights["attend_each.weight"].T)  # A2' (H, H)
        self._attend_weight = weights["attend_weight.weight"][0]  # v (H,)
        self._project = np.ascontiguousarray(weights["project.weight"])  # (D, 2H)
        self._project_bias = weights["project.bias"]  # (D,)
        self._hidden = self._recur.shape[1]
        self._known: OrderedDict[tuple[int, ...], Array] = OrderedDict()
        self._max_histories = max_histories
        self.steps = 0
        self.rest = self._resting()

    def __len__(self) -> int:
        return len(self._known)

    def vector(self, history: Sequence[int]) -> Array:
        """Return the vector of a history, length 1, shape ``(D,)``.

        Args:
            history: Tokens without padding, oldest first; only the last 20 count. Each must be in
                the vocabulary.
        """
        return self._read(self.states(tuple(history[-MAX_EVENTS:])))

    def states(self, history: tuple[int, ...]) -> Array:
        """Return the hidden state after each event of a history, shape ``(n, H)``; read only."""
        known = self._known
        states = known.get(history)
        if states is not None:
            known.move_to_end(history)
            return states
        done, before = self._beginning(history)
        states = np.empty((len(history), self._hidden), np.float32)
        states[:done] = before
        state = self.rest if not done else before[-1]
        for row in range(done, len(history)):
            states[row] = state = self.step(state, history[row])
        known[history] = states
        if len(known) > self._max_histories:
            known.popitem(last=False)
        return states

    def _beginning(self, history: tuple[int, ...]) -> tuple[int, Array]:
        """Return how many events of a history are known, and the states after them."""
        known = self._known
        for length in range(len(history) - 1, max(len(history) - 1 - LOOK_BACK, 0), -1):
            states = known.get(history[:length])
            if states is not None:
                return length, states
        return 0, np.empty((0, self._hidden), np.float32)

    def step(self, state: Array, event: int) -> Array:
        """Return the state after one more event (GRU, Cho et al. 2014).

        Args:
            state: Before it, shape ``(H,)``.
            event: Its token.
        """
        size = self._hidden
        given = self._inputs[event]  # (3H,): reset, update, new
        recur = self._recur @ state + self._recur_bias  # (3H,)
        gates = _sigmoid(given[: 2 * size] + recur[: 2 * size])
        reset, update = gates[:size], gates[size:]
        new = np.tanh(given[2 * size :] + reset * recur[2 * size :])
        self.steps += 1
        after: Array = new + update * (state - new)
        return after

    def _read(self, states: Array) -> Array:
        """Return the vector that is read from the states of a history (NARM, eq. 8)."""
        last = states[-1] if len(states) else self.rest
        matters = _sigmoid(self._attend_last @ last + states @ self._attend_each)  # (n, H)
        local = (matters @ self._attend_weight) @ states  # (H,)
        vector = self._project @ np.concatenate((last, local)) + self._project_bias  # (D,)
        unit: Array = vector / np.maximum(np.sqrt(vector @ vector), _LEAST)
        return unit

    def _resting(self) -> Array:
        """Return the state at which padding leaves everything as it is, shape ``(H,)``."""
        state = np.zeros(self._hidden, np.float32)
        for _ in range(_RESTS):
            after = self.step(state, PAD)
            if np.array_equal(after, state):
                break
            state = after
        self.steps = 0
        return state


def _sigmoid(logits: Array) -> Array:
    """Return the logistic function, which ``tanh`` gives without an overflow."""
    half = np.float32(0.5)
    chances: Array = half * np.tanh(half * logits) + half
    return chances
