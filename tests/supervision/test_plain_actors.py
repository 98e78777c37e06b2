"""Plain ``thespian.actors.Actor`` subclasses run unchanged in a cell."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import (
    Actor,
    ActorExitRequest,
    ActorSystem,
    ChildActorExited,
    InvalidActorAddress,
    NoCompatibleSystemForActor,
    ThespianWatch,
    WakeupMessage,
    WatchMessage,
    requireCapability,
)
from thespian.actors import ActorAddress as Address

from supervision import LightActor
from tests.supervision.worlds import make_cell, notebook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervision import Cell


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if not isinstance(message, ActorExitRequest):
            self.send(sender, ("echo", message))


class Parent(Actor):
    """Makes a child of a class it is sent, and reports all that it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []
        self.child: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, type):
            self.child = self.createActor(message)
        elif message == "heard?":
            self.send(sender, list(self.heard))
        elif message == "child?":
            self.send(sender, self.child)
        else:
            self.heard.append(message)


class Crasher(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        raise ValueError("broken")


class BadStart(Actor):
    def __init__(self) -> None:
        super().__init__()
        raise OSError("no port")


class Witness(Actor):
    """Tells the outside of requests to exit."""

    exits: list[str] = []  # noqa: RUF012 - one list for all witnesses of a test

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, ActorExitRequest):
            self.exits.append(type(self).__name__)
        elif isinstance(message, type):
            self.createActor(message)


class Child(Witness):
    pass


class Sleeper(Actor):
    asker: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, WakeupMessage):
            self.send(self.asker, (message.delayPeriod, message.payload))
        else:
            self.asker = sender
            self.wakeupAfter(timedelta(seconds=message), "rested")


class Watcher(Actor):
    asker: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        if isinstance(message, WatchMessage):
            self.send(self.asker, os.read(message.ready[0], 10))
            return ThespianWatch([])
        self.asker = sender
        return ThespianWatch([message])


@requireCapability("gpu")
class NeedsGpu(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        self.send(sender, "computed")


@pytest.fixture
def cell() -> Cell:
    return make_cell()


@pytest.fixture
def system(cell: Cell) -> Iterator[ActorSystem]:
    system = ActorSystem(systemBase=cell, transientUnique=True)
    yield system
    system.shutdown()


def test_ask_returns_what_the_actor_sends_back(system: ActorSystem) -> None:
    echo = system.createActor(Echo)
    assert system.ask(echo, "hello", 1) == ("echo", "hello")


def test_an_actor_can_be_named_by_its_dotted_path(system: ActorSystem) -> None:
    echo = system.createActor(f"{Echo.__module__}.Echo")
    assert system.ask(echo, 1, timedelta(seconds=1)) == ("echo", 1)


def test_tell_is_done_when_it_returns_and_listen_finds_the_answer(system: ActorSystem) -> None:
    echo = system.createActor(Echo)
    system.tell(echo, "one")
    system.tell(echo, "two")
    assert [system.listen(1), system.listen(1)] == [("echo", "one"), ("echo", "two")]


def test_listen_gives_up_after_its_time(system: ActorSystem, cell: Cell) -> None:
    assert system.listen(3) is None
    assert cell.clock() == 3.0


def test_a_parent_makes_children_and_talks_to_them(system: ActorSystem) -> None:
    parent = system.createActor(Parent)
    system.tell(parent, Echo)
    child = system.ask(parent, "child?", 1)
    assert system.ask(child, "hi", 1) == ("echo", "hi")


@pytest.mark.parametrize("make_it_end", ["crash", "request"])
def test_a_parent_hears_of_the_end_of_its_child_and_of_nothing_it_does_not_know(
    system: ActorSystem, make_it_end: str
) -> None:
    parent = system.createActor(Parent)
    system.tell(parent, Crasher if make_it_end == "crash" else Child)
    child = system.ask(parent, "child?", 1)
    system.tell(child, "crash" if make_it_end == "crash" else ActorExitRequest())
    heard = system.ask(parent, "heard?", 1)
    assert heard == [ChildActorExited(child)]


def test_a_parent_hears_of_a_child_that_could_not_start(system: ActorSystem) -> None:
    parent = system.createActor(Parent)
    system.tell(parent, BadStart)
    (news,) = system.ask(parent, "heard?", 1)
    assert isinstance(news, ChildActorExited)


def test_a_failing_message_is_not_delivered_twice_the_actor_ends(system: ActorSystem) -> None:
    crasher = system.createActor(Crasher)
    system.tell(crasher, "boom")
    assert system.ask(crasher, "still there?", 1) is None


@pytest.mark.parametrize("by", ["outside", "light actor"])
def test_an_actor_and_its_children_see_the_request_to_exit(
    system: ActorSystem, cell: Cell, by: str
) -> None:
    Witness.exits.clear()
    witness = system.createActor(Witness)
    system.tell(witness, Child)
    if by == "outside":
        system.tell(witness, ActorExitRequest())
    else:
        ref, _ = notebook(cell)
        ref.post(witness, ActorExitRequest())
        cell.run()
    assert Witness.exits == ["Witness", "Child"]
    assert witness.actor is None


def test_wakeup_after_comes_back_with_its_delay_and_payload(
    system: ActorSystem, cell: Cell
) -> None:
    sleeper = system.createActor(Sleeper)
    answer = system.ask(sleeper, 90, 100)
    assert answer == (timedelta(seconds=90), "rested")
    assert cell.clock() == 90.0


def test_an_actor_can_watch_a_descriptor(system: ActorSystem) -> None:
    read_end, write_end = os.pipe()
    watcher = system.createActor(Watcher)
    system.tell(watcher, read_end)
    os.write(write_end, b"ping")
    assert system.listen(1) == b"ping"
    os.close(read_end)
    os.close(write_end)


def test_a_global_name_is_one_actor_until_that_has_ended(system: ActorSystem) -> None:
    first = system.createActor(Echo, globalName="the-echo")
    assert system.createActor(Echo, globalName="the-echo") is first
    system.tell(first, ActorExitRequest())
    second = system.createActor(Echo, globalName="the-echo")
    assert second is not first
    assert system.ask(second, "hi", 1) == ("echo", "hi")


def test_an_actor_is_refused_where_its_capability_is_missing(system: ActorSystem) -> None:
    with pytest.raises(NoCompatibleSystemForActor):
        system.createActor(NeedsGpu)
    system.updateCapability("gpu", True)
    assert system.ask(system.createActor(NeedsGpu), "go", 1) == "computed"


def test_a_foreign_address_is_refused(system: ActorSystem) -> None:
    with pytest.raises(InvalidActorAddress):
        system.tell(Address("elsewhere"), "hello")


def test_a_private_context_reaches_the_same_cell(system: ActorSystem) -> None:
    echo = system.createActor(Echo)
    with system.private() as private:
        assert private.ask(echo, 1, 1) == ("echo", 1)


def test_shutdown_lets_actors_end_in_good_order(cell: Cell) -> None:
    system = ActorSystem(systemBase=cell, transientUnique=True)
    told: list[Any] = []

    class Polite(LightActor):
        def on_stop(self, reason: Any) -> None:
            told.append(reason)

    cell.spawn(Polite)
    system.shutdown()
    assert told == ["shutdown"]


def test_shutdown_ends_actors_that_will_not(cell: Cell) -> None:
    system = ActorSystem(systemBase=cell, transientUnique=True)

    class Stubborn(LightActor):
        def on_stop(self, reason: Any) -> Any:
            from supervision import STOPPING

            return STOPPING

    ref = cell.spawn(Stubborn)
    system.shutdown()
    assert ref.exit_reason == "killed"
