"""Many children: the work grows with their number, not with its square. Ratios, not seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from supervision import Call, ChildSpec, LightActor, Start, Supervisor, SupervisorFlags
from tests.supervision.worlds import make_cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision import Cell, Ref

FEW = 250
TIMES = 8
NOT_QUADRATIC = 3 * TIMES  # a square would be 64 times as long


class Idle(LightActor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass


def start(cell: Cell, strategy: Any, number: int) -> Ref:
    flags = SupervisorFlags(strategy, intensity=number)
    specs = [ChildSpec(f"child-{index}", Start(Idle)) for index in range(number)]
    ref = cell.spawn(lambda: Supervisor(flags, specs))
    cell.run(0.0)
    assert len(ref.children or ()) == number
    return ref


def start_and_stop(number: int) -> None:
    cell = make_cell()
    ref = start(cell, "one_for_one", number)
    cell.stop(ref)
    cell.run(until=lambda: ref.actor is None)
    cell.poller.close()


def all_die_at_once(strategy: str, number: int) -> None:
    cell = make_cell()
    ref = start(cell, strategy, number)
    for child in tuple(ref.children or ()):
        cell.kill(child)
    cell.run(0.0)
    assert len(ref.children or ()) == number
    cell.poller.close()


def dynamic_ones(number: int) -> None:
    cell = make_cell()
    spec = ChildSpec("w", Start(Idle))
    ref = cell.spawn(lambda: Supervisor(SupervisorFlags("simple_one_for_one"), [spec]))
    for index in range(number):
        cell.outside.post(ref, Call("start_child", (), index))
    cell.run(0.0)
    assert len(ref.children or ()) == number
    for child in tuple(ref.children or ()):
        cell.outside.post(ref, Call("terminate_child", (child,)))
    cell.run(0.0)
    assert not ref.children
    cell.poller.close()


def one_for_one(number: int) -> None:
    all_die_at_once("one_for_one", number)


def one_for_all(number: int) -> None:
    all_die_at_once("one_for_all", number)


@pytest.mark.slow
@pytest.mark.parametrize("work", [start_and_stop, one_for_one, one_for_all, dynamic_ones])
def test_eight_times_the_children_take_about_eight_times_as_long(
    work: Callable[[int], None],
) -> None:
    def took_s(number: int) -> float:
        began_s = time.process_time()
        work(number)
        return time.process_time() - began_s

    few_s = min(took_s(FEW) for _ in range(3))
    # Processor time, and three tries: what else the machine does must not decide.
    assert any(took_s(FEW * TIMES) < NOT_QUADRATIC * few_s for _ in range(3))
