"""Process children as their supervisor sees them: a port that makes processes, played by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from supervision import Call, CallResult, Cell, ChildSpec, LightActor, Start, Supervisor
from supervision.messages import ChildExited, ChildStarted
from supervision.specs import SupervisorFlags
from tests.supervision.worlds import make_cell

if TYPE_CHECKING:
    from supervision import Ref


class Process:
    """A handle such as the keeper would give."""

    pid = 4711
    ended = False


class Port:
    """Makes processes that are ready at once and end when they are told to."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[Any, ...]]] = []

    def start_process(
        self, supervisor: Ref, spec: ChildSpec, path: str, args: tuple[Any, ...] = ()
    ) -> Process:
        self.supervisor = supervisor
        self.made.append((path, args))
        process = Process()
        supervisor.signal(ChildStarted(process))
        return process

    def stop_process(self, child: Any, reason: Any) -> None:
        self.end(child, reason)

    def kill_process(self, child: Any, reason: Any = "killed") -> None:
        self.end(child, reason)

    def end(self, child: Any, reason: Any) -> None:
        child.ended = True
        self.supervisor.signal(ChildExited(child, reason))


class Asker(LightActor):
    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Any] = []

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, CallResult):
            self.answers.append(message.value)


class World:
    """A dynamic supervisor of processes, and somebody who asks it."""

    def __init__(self) -> None:
        self.cell: Cell = make_cell()
        self.port = Port()
        self.cell.processes = self.port
        self.asker = Asker()
        self.caller = self.cell.spawn(lambda: self.asker, name="asker")
        template = ChildSpec("w", Start(Asker), placement="process")
        flags = SupervisorFlags("simple_one_for_one", 5, 10)
        self.supervisor = self.cell.spawn(lambda: Supervisor(flags, (template,)), name="top")

    def ask(self, operation: str, *args: Any) -> Any:
        self.caller.post(self.supervisor, Call(operation, args))
        self.cell.run(0.0)
        return self.asker.answers.pop()


@pytest.fixture
def world() -> World:
    return World()


def test_a_dynamic_process_gets_its_own_arguments_at_every_start(world: World) -> None:
    _, process, _ = world.ask("start_child", "h1", 2)
    world.port.end(process, "crash")
    world.cell.run(0.0)
    assert world.port.made == [("top/w:1", ("h1", 2))] * 2


def test_a_process_that_has_ended_counts_as_terminated_and_a_stranger_is_unknown(
    world: World,
) -> None:
    _, process, _ = world.ask("start_child", "h1")
    assert world.ask("terminate_child", process) == "ok"
    assert world.ask("terminate_child", process) == "ok"
    assert world.ask("get_childspec", process) == ("error", "not_found")
    assert world.ask("terminate_child", Process()) == ("error", "not_found")
