"""Taps: they see everything, in order, may spoil it, and leave nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from thespian.actors import Actor

from supervision import Cell, Ref, taps
from tests.supervision.worlds import notebook

if TYPE_CHECKING:
    from supervision.taps import Receive


class Mark:
    """Hands everything on with its own sign added."""

    def __init__(self, sign: str) -> None:
        self.sign = sign

    def __call__(self, receive: Receive, message: Any, sender: Any) -> Any:
        return receive(f"{message}{self.sign}", sender)


class Echo(Actor):
    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, str):
            self.send(sender, message)


def test_the_last_tap_put_on_is_the_first_to_see_a_message(cell: Cell) -> None:
    ref, book = notebook(cell)
    inner, outer = Mark("-inner"), Mark("-outer")
    taps.put_on(ref, inner)
    taps.put_on(ref, outer)
    cell.tell(ref, "a")
    taps.take_off(ref, inner)
    cell.tell(ref, "b")
    assert book.got == ["a-outer-inner", "b-outer"]


def test_an_actor_without_taps_is_served_directly_again(cell: Cell) -> None:
    ref, book = notebook(cell)
    tap = Mark("!")
    taps.put_on(ref, tap)
    taps.take_off(ref, tap)
    assert ref.receive == book.receiveMessage
    assert "spawn" not in vars(cell)


def test_a_plain_thespian_actor_can_be_tapped_too(cell: Cell) -> None:
    ref = cell.newPrimaryActor(Echo, None, None)
    taps.put_on(ref, Mark("!"))
    assert cell.ask(ref, "a", 1.0) == "a!"


def test_tapping_the_dead_does_nothing(cell: Cell) -> None:
    ref, _book = notebook(cell)
    cell.kill(ref)
    taps.put_on(ref, Mark("!"))
    assert ref.receive is None


def test_births_are_seen_by_all_who_watch_for_as_long_as_they_watch(cell: Cell) -> None:
    seen: list[tuple[str, str]] = []

    def first(ref: Ref) -> None:
        seen.append(("first", ref.name))

    def second(ref: Ref) -> None:
        seen.append(("second", ref.name))

    taps.watch_births(cell, first)
    taps.watch_births(cell, second)
    notebook(cell, name="a")
    taps.ignore_births(cell, first)
    taps.ignore_births(cell, first)
    notebook(cell, name="b")
    taps.ignore_births(cell, second)
    notebook(cell, name="c")
    assert seen == [("first", "a"), ("second", "a"), ("second", "b")]
    assert "spawn" not in vars(cell)


def test_what_could_not_be_made_is_no_birth(cell: Cell) -> None:
    seen: list[Ref] = []
    taps.watch_births(cell, seen.append)

    def fail() -> Any:
        raise ValueError("no")

    cell.spawn(fail)
    taps.ignore_births(cell, seen.append)
    assert not seen
