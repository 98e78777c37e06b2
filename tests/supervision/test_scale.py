"""Many children: the work grows with their number, not with its square, and so does what is kept.

Ratios, not seconds; with ``BIDWRIGHT_SOAK`` set a hundred times the children instead of ten.
"""

from __future__ import annotations

import os
import pickle
import time
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import pytest

from supervision import Call, CallResult, ChildSpec, LightActor, Start, Supervisor, SupervisorFlags
from supervision.specs import Restart
from tests.supervision.worlds import make_cell, notebook

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision import Cell, Ref

SOAK = bool(os.environ.get("BIDWRIGHT_SOAK"))
FEW = 1000
TIMES = 100 if SOAK else 10
CROWD, CROWD_TIMES = 400, 16
DYNAMIC = SupervisorFlags("simple_one_for_one")
KINDS = get_args(Restart)
pytestmark = pytest.mark.timeout(1200 if SOAK else 60)


class Idle(LightActor):
    def __init__(self, _argument: Any = None) -> None:
        super().__init__()

    def receiveMessage(self, message: Any, sender: Any) -> None:
        pass


class Crowd:
    """A dynamic supervisor with many children, and somebody who asks it."""

    def __init__(self, restart: Any) -> None:
        self.cell = make_cell()
        self.asker, self.book = notebook(self.cell)
        spec = ChildSpec("w", Start(Idle), restart=restart)
        self.ref = self.cell.spawn(lambda: Supervisor(DYNAMIC, [spec]))

    def start(self, number: int) -> None:
        for _ in range(number):
            self.cell.outside.post(self.ref, Call("start_child"))
            self.cell.run(0.0)

    def terminate_all(self) -> None:
        for child in tuple(self.ref.children or ()):
            self.cell.outside.post(self.ref, Call("terminate_child", (child,)))
            self.cell.run(0.0)
        assert not self.ref.children

    def ask(self, operation: str) -> Any:
        self.asker.post(self.ref, Call(operation))
        self.cell.run(0.0)
        result = self.book.got.pop()
        assert isinstance(result, CallResult)
        return result.value

    def counts(self) -> list[int]:
        counts = self.ask("count_children")
        return [counts[key] for key in ("specs", "active", "supervisors", "workers")]


def took_s(work: Callable[[], Any]) -> float:
    """Processor time, so that what else the machine does does not decide."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def all_die_at_once(strategy: Any, number: int) -> None:
    cell = make_cell()
    ref = start_static(cell, number, strategy)
    for child in tuple(ref.children or ()):
        cell.kill(child)
    cell.run(0.0)
    assert len(ref.children or ()) == number
    cell.poller.close()


def start_static(cell: Cell, number: int, strategy: Any = "one_for_one") -> Ref:
    flags = SupervisorFlags(strategy, intensity=number)
    specs = [ChildSpec(f"child-{index}", Start(Idle)) for index in range(number)]
    ref = cell.spawn(lambda: Supervisor(flags, specs))
    cell.run(0.0)
    assert len(ref.children or ()) == number
    return ref


def start_and_stop(number: int) -> tuple[float, float]:
    cell = make_cell()
    refs: list[Ref] = []
    start_s = took_s(lambda: refs.append(start_static(cell, number)))
    cell.stop(refs[0])
    stop_s = took_s(lambda: cell.run(until=lambda: refs[0].actor is None))
    cell.poller.close()
    return start_s, stop_s


def terminate_s(restart: Any, number: int) -> float:
    crowd = Crowd(restart)
    crowd.start(number)
    seconds = took_s(crowd.terminate_all)
    crowd.cell.poller.close()
    return seconds


# -- SCALE-01 --------------------------------------------------------------------------------------


def test_scale_01_thousands_of_dynamic_temporary_children_are_counted_and_listed() -> None:
    crowd = Crowd("temporary")
    for number in (1000, 2000):
        crowd.start(1000)
        assert crowd.counts() == [1, number, 0, number]
        assert len(crowd.ask("which_children")) == number
    for child in tuple(crowd.ref.children or ()):
        crowd.cell.kill(child)
    crowd.cell.run(0.0)
    assert crowd.counts() == [1, 0, 0, 0]
    crowd.cell.poller.close()


# -- SCALE-02 --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("restart", ["temporary", "transient"])
def test_scale_02_ten_times_the_terminations_take_less_than_fifty_times_as_long(
    restart: Any,
) -> None:
    few_s = min(terminate_s(restart, 1000) for _ in range(2))
    assert any(terminate_s(restart, 10_000) < 50 * few_s for _ in range(3))


# -- SCALE-03 --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_scale_03_starting_and_stopping_many_takes_at_most_ten_times_the_linear_time() -> None:
    few = [start_and_stop(FEW) for _ in range(3)]
    start_s, stop_s = min(each[0] for each in few), min(each[1] for each in few)
    most = 10 * TIMES
    tries = (start_and_stop(FEW * TIMES) for _ in range(3))
    assert any(start < most * start_s and stop < most * stop_s for start, stop in tries)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["one_for_one", "one_for_all"])
def test_a_crowd_that_dies_at_once_is_restarted_in_linear_time(strategy: Any) -> None:
    few_s = min(took_s(partial(all_die_at_once, strategy, CROWD)) for _ in range(3))
    most_s = 3 * CROWD_TIMES * few_s  # a square would be 256 times as long
    many = partial(all_die_at_once, strategy, CROWD * CROWD_TIMES)
    assert any(took_s(many) < most_s for _ in range(3))


# -- SCALE-04 --------------------------------------------------------------------------------------


def size_with_big_arguments(flags: SupervisorFlags, restart: Any, *, one_dies: bool) -> int:
    """Start 100 children with a big argument each; return how large the supervisor's state is."""
    cell = make_cell()
    dynamic = flags == DYNAMIC
    spec = ChildSpec("w", Start(Idle), restart=restart, mailbox_limit=9)
    supervisor = Supervisor(flags, [spec] if dynamic else [])
    ref = cell.spawn(lambda: supervisor)
    for index in range(100):
        big = str(index).zfill(10_000)
        child = ChildSpec(f"child-{index}", Start(Idle, (big,)), restart=restart)
        cell.outside.post(ref, Call("start_child", (big,) if dynamic else (child,)))
    cell.run(0.0)
    born = list(ref.children or ())
    assert len(born) == 100
    if one_dies:
        cell.end(born[0], "normal")
        cell.run(0.0)
    bodies = [body.spec for body in supervisor.bodies.values()]
    children = [(child.spec, child.args) for child in supervisor.state.children.values()]
    cell.poller.close()
    return len(pickle.dumps((bodies, children)))


@pytest.mark.parametrize("one_dies", [False, True])
@pytest.mark.parametrize("strategy", ["one_for_one", "simple_one_for_one"])
def test_scale_04_arguments_of_children_that_are_never_restarted_are_not_kept(
    strategy: Any, one_dies: bool
) -> None:
    flags = SupervisorFlags(strategy)
    size = {kind: size_with_big_arguments(flags, kind, one_dies=one_dies) for kind in KINDS}
    assert size["permanent"] > 1_000_000
    assert size["transient"] > 900_000
    assert size["temporary"] < 100_000
