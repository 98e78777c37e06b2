"""The inference worker: every model of one device, asked in frames, answered in batches.

Principle: one thread, one device, one loop: drain what has come, run what is due, answer each frame
when its last question has its answer. A question that cannot be answered in time is told so; none
is left without an answer. What it does not know how to survive ends it, and it comes back clean.

A worker that cannot load its models (a file is spoilt, a device lost) does not end again and again,
for that would end the node: it stays away from its socket, so that whoever asks goes to another
device or to defaults at once, says so, and tries again until it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from thespian.actors import ThespianWatch, WakeupMessage, WatchMessage

from actors.inference.batching import BatchQueue
from models.errors import FeatureError
from supervision import LightActor, Report
from transport.errors import MalformedEventError
from transport.messages import (
    InferAnswer,
    InferAnswers,
    InferRequest,
    InferStatus,
    decode_infer_batch,
    encode,
)
from transport.sealed import seal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from supervision.messages import Level
    from supervision.ref import Ref
    from transport.faults import Link
    from transport.frames import LinkFactory, Received, ServerLink

BURST: Final = 256
MAX_FRAME_BYTES: Final = 1 << 20
UNFIT: Final = (FeatureError, OverflowError)
"""What models raise for a sequence of numbers that are no tokens."""
RELOAD_S: Final = 1.0
"""How long a worker whose models cannot be loaded waits before it tries again."""
_RELOAD: Final = "reload"
_MEMORY: Final = ("out of memory", "can't allocate memory")
"""How torch says that a device, or the machine, has no room; it has no common type for it."""


class Model(Protocol):
    """What the worker asks of a model."""

    def infer(self, sequences: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Return one float32 vector per sequence, shape ``(len(sequences), dim)``."""


class _Frame:
    """One frame in hand: whom to answer, and what is still missing."""

    __slots__ = ("answers", "header", "missing")

    def __init__(self, header: bytes, missing: int) -> None:
        self.header = header
        self.missing = missing
        self.answers: list[InferAnswer] = []


class _Item:
    """One question and the frame that it came in."""

    __slots__ = ("frame", "request")

    def __init__(self, request: InferRequest, frame: _Frame) -> None:
        self.request = request
        self.frame = frame


class InferenceWorker(LightActor):
    """Serves all models of one device.

    Args:
        links: Makes the socket.
        url: Where bidders ask.
        loaders: Makes each model, by name; called once, at the start.
        max_batch: Questions in one batch at most.
        max_delay_s: A question waits for company no longer than this.
        max_queue: Questions of one model that may wait; more are shed.
    """

    def __init__(
        self,
        links: LinkFactory,
        url: str,
        loaders: Mapping[str, Callable[[], Model]],
        *,
        max_batch: int,
        max_delay_s: float,
        max_queue: int,
    ) -> None:
        self._links = links
        self._url = url
        self._loaders = dict(loaders)
        self._models: dict[str, Model] = {}
        self._queues: dict[str, BatchQueue[_Item]] = {
            name: BatchQueue(max_batch, max_delay_s, max_queue) for name in loaders
        }
        self._server: ServerLink | None = None
        self._armed = False
        self._trouble = ""
        self._counts: dict[str, int] = {"ok": 0, "late": 0, "error": 0, "shed": 0}
        self._counts |= {"batches": 0, "out_of_memory": 0}
        self._unreadable = 0

    # --- life ----------------------------------------------------------------------------------

    def on_start(self) -> ThespianWatch:
        """Load and warm every model, then listen: who can connect gets answers."""
        return self._open()

    def _open(self) -> ThespianWatch:
        name = ""
        try:
            for name, load in self._loaders.items():
                model = load()
                model.infer([(0,)])
                self._models[name] = model
        except Exception as error:  # noqa: BLE001 - whatever a file, a library or a device raises
            return self._wait_for(name, f"{type(error).__name__}: {error}")
        if self._trouble:
            self._report("fallback_off", "its models are loaded again", "info")
            self._trouble = ""
        self._server = server = self._links.server(MAX_FRAME_BYTES)
        server.listen(self._url)
        return ThespianWatch([server.fileno()])

    def _wait_for(self, model: str, trouble: str) -> ThespianWatch:
        """Serve nobody, and look again in a while."""
        if trouble != self._trouble:
            self._report("fallback_on", f"it cannot load {model}: {trouble}", "error")
        self._trouble = trouble
        self._models.clear()
        self.wake_after(RELOAD_S, _RELOAD)
        return ThespianWatch([])

    def _report(self, context: str, reason: str, level: Level) -> None:
        self.cell.reporter(Report(self.path, context, reason, level=level, about=self.path))

    def on_end(self) -> None:
        """Close the socket; whoever waits learns that we are gone."""
        if self._server is not None:
            self._server.close()

    def links(self) -> Sequence[Link]:
        """See ``LightActor.links``."""
        return () if self._server is None else (self._server,)

    def describe(self) -> dict[str, Any]:
        """Tell what was answered how, and how batches are sized."""
        return {
            "url": self._url,
            "trouble": self._trouble,
            "models": sorted(self._models),
            "waiting": sum(map(len, self._queues.values())),
            "batch_limit": {name: queue.limit for name, queue in self._queues.items()},
            "unreadable": self._unreadable,
            **self._counts,
        }

    def receiveMessage(self, message: Any, sender: Ref) -> ThespianWatch | None:
        """Drain the socket, run what has waited for company, or look for the models again."""
        if isinstance(message, WatchMessage):
            self._drain()
        elif isinstance(message, WakeupMessage) and message.payload is _RELOAD:
            return self._open()
        elif isinstance(message, WakeupMessage):
            self._armed = False
        else:
            return None
        self._run_due()
        return None

    # --- questions in --------------------------------------------------------------------------

    def _drain(self) -> None:
        assert self._server is not None
        now_s = self.cell.clock()
        for received in self._server.drain(BURST):
            self._take(received, now_s)

    def _take(self, received: Received, now_s: float) -> None:
        try:
            requests = decode_infer_batch(received.body).requests
        except MalformedEventError:
            self._unreadable += 1
            requests = ()
        frame = _Frame(received.header, len(requests))
        if not requests:
            self._reply(frame)
        for request in requests:
            item = _Item(request, frame)
            queue = self._queues.get(request.model)
            if queue is None:
                self._answer(item, "error")
            elif not queue.offer(item, request.deadline_s, now_s):
                self._answer(item, "shed")

    # --- batches -------------------------------------------------------------------------------

    def _run_due(self) -> None:
        """Run one due batch; then look at the socket again before the next."""
        name = min(self._queues, key=lambda each: self._queues[each].due_s())
        due_s = self._queues[name].due_s()
        now_s = self.cell.clock()
        if due_s <= now_s:
            self._run(name, now_s)
            due_s = min(queue.due_s() for queue in self._queues.values())
        if due_s < float("inf") and not self._armed:
            self._armed = True
            self.wake_after(max(0.0, due_s - self.cell.clock()))

    def _run(self, name: str, now_s: float) -> None:
        queue = self._queues[name]
        batch = queue.take(now_s)
        for item in batch.late:
            self._answer(item, "late")
        if not batch.run:
            return
        try:
            vectors = self._infer(name, batch.run)
        except UNFIT:
            self._run_alone(name, batch.run)
            return
        except (RuntimeError, MemoryError) as error:
            if not _ran_out_of_memory(error):
                raise
            self._counts["out_of_memory"] += 1
            deadline_s = min(item.request.deadline_s for item in batch.run)
            if not queue.out_of_memory(batch.run, now_s, deadline_s):
                self._answer(batch.run[0], "error")
            return
        queue.took(self.cell.clock() - now_s)
        self._counts["batches"] += 1
        for item, vector in zip(batch.run, vectors, strict=True):
            self._answer(item, "ok", vector.tobytes())

    def _infer(self, name: str, items: Sequence[_Item]) -> NDArray[np.float32]:
        return self._models[name].infer([item.request.tokens for item in items])

    def _run_alone(self, name: str, items: Sequence[_Item]) -> None:
        """Find out whose question cannot be read, and answer the others."""
        for item in items:
            try:
                vector = self._infer(name, (item,))[0]
            except UNFIT:
                self._answer(item, "error")
            else:
                self._answer(item, "ok", vector.tobytes())

    # --- answers out ---------------------------------------------------------------------------

    def _answer(self, item: _Item, status: InferStatus, vector: bytes = b"") -> None:
        self._counts[status] += 1
        frame = item.frame
        frame.answers.append(InferAnswer(item.request.id, status, vector))
        frame.missing -= 1
        if not frame.missing:
            self._reply(frame)

    def _reply(self, frame: _Frame) -> None:
        assert self._server is not None
        self._server.reply(frame.header, seal(encode(InferAnswers(tuple(frame.answers)))))


def _ran_out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _MEMORY)
