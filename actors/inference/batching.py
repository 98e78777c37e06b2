"""When to run which questions together: the batching of the inference worker, without a world.

Principle: waiting pays only while others are coming. The queue watches how fast questions arrive
and how long batches take; it waits no longer than the time in which a fuller batch is likely, never
above the bound that the operator set, and drops what would be too late anyway.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_SMOOTHING: Final = 0.1
_FADING: Final = 0.5
_NEVER: Final = float("inf")
_CALM_BATCHES: Final = 64
"""After so many batches without memory trouble a halved batch size is doubled again."""


class Queued(NamedTuple, Generic[T]):
    """One question, when it came and until when its answer is wanted (seconds, one clock)."""

    item: T
    came_s: float
    deadline_s: float


class Batch(NamedTuple, Generic[T]):
    """What to run now, and what to give up."""

    run: list[T]
    late: list[T]


class BatchQueue(Generic[T]):
    """The questions to one model, in order of arrival.

    Args:
        max_batch: Questions in one batch at most.
        max_delay_s: A question waits for company no longer than this.
        max_queue: Questions that may wait; more are refused.
    """

    def __init__(self, max_batch: int, max_delay_s: float, max_queue: int) -> None:
        self.limit = max_batch
        self._max_batch = max_batch
        self._max_delay_s = max_delay_s
        self._max_queue = max_queue
        self._queue: deque[Queued[T]] = deque()
        self._gap_s = max_delay_s
        self._last_came_s = -_NEVER
        self._took_s = 0.0
        self._calm = 0

    def __len__(self) -> int:
        return len(self._queue)

    def offer(self, item: T, deadline_s: float, now_s: float) -> bool:
        """Take a question in; False when too many wait already."""
        if len(self._queue) >= self._max_queue:
            return False
        gap_s = min(now_s - self._last_came_s, 2.0 * self._max_delay_s)
        self._gap_s += _SMOOTHING * (gap_s - self._gap_s)
        self._last_came_s = now_s
        self._queue.append(Queued(item, now_s, deadline_s))
        return True

    def due_s(self) -> float:
        """Return when the next batch is to run; a moment of the past means now."""
        if not self._queue:
            return _NEVER
        return self._queue[0].came_s + self.delay_s()

    def delay_s(self) -> float:
        """Return how long the oldest question should wait for company, given the present load."""
        missing = self.limit - len(self._queue)
        if missing <= 0 or self._gap_s >= self._max_delay_s:
            return 0.0
        return min(self._max_delay_s, missing * self._gap_s)

    def take(self, now_s: float) -> Batch[T]:
        """Remove the next batch, and every question before it that would be answered too late."""
        run: list[T] = []
        late: list[T] = []
        while self._queue and len(run) < self.limit:
            queued = self._queue.popleft()
            in_time = now_s + self._took_s <= queued.deadline_s
            (run if in_time else late).append(queued.item)
        if late and not run:
            # Maybe only one batch was ever slow (the process was stopped); who runs none learns
            # nothing, so what is believed must fade.
            self._took_s *= _FADING
        return Batch(run, late)

    def took(self, seconds: float) -> None:
        """Note how long a batch took."""
        self._took_s += _SMOOTHING * (seconds - self._took_s)
        self._calm += 1
        if self._calm >= _CALM_BATCHES and self.limit < self._max_batch:
            self.limit = min(self._max_batch, 2 * self.limit)
            self._calm = 0

    def out_of_memory(self, items: Sequence[T], now_s: float, deadline_s: float) -> bool:
        """Halve the batch size and put the questions back in front.

        Returns:
            False when a single question does not fit: there is nothing left to halve.
        """
        self._calm = 0
        if len(items) <= 1:
            return False
        self.limit = max(1, len(items) // 2)
        self._queue.extendleft(Queued(item, now_s, deadline_s) for item in reversed(items))
        return True
