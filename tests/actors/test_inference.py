"""The inference worker: batches, deadlines, an answer to every question."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.inference.batching import BatchQueue
from actors.inference.worker import InferenceWorker
from models.errors import FeatureError
from tests.actors.cells import World
from transport.messages import (
    InferAnswer,
    InferBatch,
    InferRequest,
    decode_infer_answers,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

URL = "inproc://inference"
UNREADABLE_TOKEN = 1_000


class Summing:
    """A model whose vector is the sum and the length of the tokens; it notes its batches."""

    def __init__(self, most: int = 10_000, error: str = "CUDA out of memory") -> None:
        self.batches: list[int] = []
        self.most = most
        self._error = error

    def infer(self, sequences: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        self.batches.append(len(sequences))
        if any(UNREADABLE_TOKEN in tokens for tokens in sequences):
            raise FeatureError("no such token")
        if len(sequences) > self.most:
            raise RuntimeError(self._error)
        read = [np.array(tokens, dtype=np.int64) for tokens in sequences]
        return np.array([[tokens.sum(), len(tokens)] for tokens in read], dtype=np.float32)


class Bench:
    """A worker and a client."""

    def __init__(self, model: Summing | None = None, **changes: Any) -> None:
        self.world = world = World()
        self.model = model or Summing()
        options = {"max_batch": 4, "max_delay_s": 0.001, "max_queue": 6} | changes
        loaders = {"profiler": lambda: self.model}
        self.worker = world.spawn(InferenceWorker(world.hub, URL, loaders, **options))
        world.run()
        self.model.batches.clear()  # the warming up
        self.client = world.hub.client()
        self.client.dial(URL)
        self.frames = itertools.count(1)

    def send(self, *ids: int, model: str = "profiler", deadline_s: float = 1e9) -> int:
        requests = tuple(InferRequest(number, model, deadline_s, (number, 1)) for number in ids)
        return self.send_frame(encode(InferBatch(requests)))

    def send_frame(self, frame: bytes) -> int:
        number = next(self.frames)
        assert self.client.send(number, frame)
        return number

    def answers(self) -> dict[int, tuple[InferAnswer, ...]]:
        return {
            reply.request_id: decode_infer_answers(reply.body).answers
            for reply in self.client.drain(100)
        }


def vector(number: int) -> bytes:
    return np.array([number + 1, 2], dtype=np.float32).tobytes()


def test_every_question_gets_its_own_answer_in_its_own_frame() -> None:
    bench = Bench()
    first, second = bench.send(1, 2), bench.send(3)
    bench.world.run(0.01)
    answers = bench.answers()
    assert answers[first] == (
        InferAnswer(1, "ok", vector(1)),
        InferAnswer(2, "ok", vector(2)),
    )
    assert answers[second] == (InferAnswer(3, "ok", vector(3)),)


def test_questions_of_several_frames_share_a_batch() -> None:
    bench = Bench()
    bench.send(1, 2)
    bench.send(3)
    bench.world.run(0.01)
    assert bench.model.batches == [3]


def test_a_batch_is_never_larger_than_the_limit() -> None:
    bench = Bench()
    bench.send(*range(1, 7))
    bench.world.run(0.01)
    assert bench.model.batches == [4, 2]


def test_what_is_past_its_deadline_is_told_so_and_not_computed() -> None:
    bench = Bench()
    number = bench.send(1, deadline_s=bench.world.clock() - 1)
    bench.world.run(0.01)
    assert bench.answers()[number] == (InferAnswer(1, "late"),)
    assert bench.model.batches == []


def test_more_than_may_wait_is_shed_and_the_rest_served() -> None:
    bench = Bench()
    number = bench.send(*range(1, 9))
    bench.world.run(0.01)
    statuses = sorted((answer.id, answer.status) for answer in bench.answers()[number])
    assert [status for _id, status in statuses] == ["ok"] * 6 + ["shed"] * 2


def test_an_unknown_model_and_an_unreadable_frame_get_an_answer_too() -> None:
    bench = Bench()
    unknown, unreadable = bench.send(1, model="oracle"), bench.send_frame(b"\xc1")
    bench.world.run(0.01)
    answers = bench.answers()
    assert answers[unknown] == (InferAnswer(1, "error"),)
    assert answers[unreadable] == ()


def test_out_of_memory_halves_the_batch_and_still_answers_everybody() -> None:
    bench = Bench(Summing(most=1))
    number = bench.send(1, 2, 3, 4)
    bench.world.run(0.05)
    assert {answer.status for answer in bench.answers()[number]} == {"ok"}
    assert bench.model.batches[:3] == [4, 2, 1]


def test_a_question_that_does_not_fit_alone_is_an_error_and_no_loop() -> None:
    bench = Bench()
    bench.model.most = 0
    bench.send(1)
    bench.world.run(0.05)
    assert bench.model.batches == [1]


def test_a_question_that_no_model_can_read_is_an_error_and_its_neighbours_are_answered() -> None:
    bench = Bench()
    requests = tuple(
        InferRequest(number, "profiler", 1e9, (tokens,))
        for number, tokens in enumerate((5, UNREADABLE_TOKEN, 2**64 - 1, 7))
    )
    number = bench.send_frame(encode(InferBatch(requests)))
    bench.world.run(0.05)
    statuses = [(answer.id, answer.status) for answer in bench.answers()[number]]
    assert statuses == [(0, "ok"), (1, "error"), (2, "error"), (3, "ok")]


def test_a_fault_of_the_model_ends_the_worker_so_that_it_comes_back_clean() -> None:
    bench = Bench(Summing(error="device lost"))
    bench.model.most = 0
    bench.send(1)
    bench.world.run(0.05)
    assert bench.worker.actor is None
    assert bench.worker.exit_reason == "RuntimeError: device lost"


# --- when to run a batch -------------------------------------------------------------------------


def test_a_lone_question_is_not_kept_waiting_for_company_that_never_comes() -> None:
    queue: BatchQueue[int] = BatchQueue(8, 0.001, 100)
    for number in range(30):
        queue.offer(number, 1e9, number * 1.0)
        queue.take(number * 1.0)
    queue.offer(99, 1e9, 31.0)
    assert queue.due_s() == 31.0


def test_under_load_a_question_waits_for_company_but_never_above_the_bound() -> None:
    queue: BatchQueue[int] = BatchQueue(8, 0.001, 1_000)
    for number in range(200):
        now_s = number * 0.0001
        queue.offer(number, 1e9, now_s)
        if number % 8 == 7:
            queue.take(now_s)
    queue.offer(200, 1e9, 0.0201)
    assert 0.0201 < queue.due_s() <= 0.0211


def test_a_full_batch_is_due_at_once() -> None:
    queue: BatchQueue[int] = BatchQueue(2, 0.001, 100)
    queue.offer(1, 1e9, 5.0)
    queue.offer(2, 1e9, 5.0)
    assert queue.due_s() == 5.0


def test_a_question_that_would_be_late_after_the_batch_is_given_up_before_it() -> None:
    queue: BatchQueue[int] = BatchQueue(2, 0.001, 100)
    for _ in range(60):
        queue.took(0.010)
    queue.offer(1, 5.005, 5.0)
    queue.offer(2, 5.020, 5.0)
    assert queue.take(5.0) == ([2], [1])


def test_one_batch_that_took_for_ever_does_not_make_every_later_question_late() -> None:
    queue: BatchQueue[int] = BatchQueue(max_batch=4, max_delay_s=0.001, max_queue=100)
    queue.offer(0, 1.0, 0.0)
    assert queue.take(0.0).run == [0]
    queue.took(2.0)  # the process was stopped in the middle
    late = 0
    for number in range(1, 100):
        queue.offer(number, number + 0.03, float(number))
        if queue.take(float(number)).run:
            break
        late += 1
    assert late < 5


def test_a_halved_batch_size_recovers_after_a_while_without_trouble() -> None:
    queue: BatchQueue[int] = BatchQueue(8, 0.001, 100)
    assert queue.out_of_memory([1, 2, 3, 4, 5, 6, 7, 8], 0.0, 1e9)
    assert queue.limit == 4
    assert queue.take(0.0).run == [1, 2, 3, 4]
    for _ in range(64):
        queue.took(0.001)
    assert queue.limit == 8


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.0, 0.01), st.floats(-0.01, 0.05)), max_size=80),
    st.integers(1, 5),
)
def test_no_question_is_ever_lost_or_run_twice(
    program: list[tuple[bool, float, float]], limit: int
) -> None:
    queue: BatchQueue[int] = BatchQueue(limit, 0.001, 10)
    now_s, offered, seen = 0.0, [], []
    for number, (offers, wait_s, slack_s) in enumerate(program):
        now_s += wait_s
        if offers:
            if queue.offer(number, now_s + slack_s, now_s):
                offered.append(number)
        else:
            batch = queue.take(now_s)
            assert len(batch.run) <= limit
            seen += batch.run + batch.late
    while len(queue):
        batch = queue.take(now_s)
        seen += batch.run + batch.late
    assert sorted(seen) == offered


@pytest.mark.parametrize("name", ["max_batch", "max_queue"])
def test_the_worker_says_what_it_did(name: str) -> None:
    bench = Bench(None, **{name: 2})
    bench.send(1, 2, 3)
    bench.world.run(0.01)
    told = bench.worker.actor.describe()
    assert told["ok"] + told["shed"] == 3
    assert told["batch_limit"] == {"profiler": 2 if name == "max_batch" else 4}
