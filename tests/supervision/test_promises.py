"""Promises of docs/SEMANTICS.md that no other test of this folder is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision import Cell, ChildSpec, Down, LightActor, Start, Supervisor, SupervisorFlags
from tests.supervision.worlds import Notebook, make_cell, notebook

if TYPE_CHECKING:
    from supervision.messages import Report

FLAGS = SupervisorFlags("one_for_one", intensity=3, period_s=5)


class Counter(LightActor):
    """Counts what it hears; crashes on ``crash``."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == "crash":
            raise RuntimeError(message)
        self.heard += 1


def test_a_message_in_a_cell_is_the_object_itself(cell: Cell) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    message = object()
    sender.post(ref, message)
    cell.run(0.0)
    assert book.got[0] is message


def test_an_answer_that_does_not_fit_into_the_askers_mailbox_is_lost_and_no_down_follows(
    cell: Cell,
) -> None:
    asker, book = notebook(cell, name="asker", limit=1)
    other, _ = notebook(cell, name="other")
    stranger, _ = notebook(cell, name="stranger")
    asker.ask(other, "question")
    stranger.post(asker, "fills the mailbox")
    other.post(asker, "answer")
    cell.kill(other)
    cell.run(0.0)
    assert book.got == ["fills the mailbox"]
    assert asker.dropped == 1


def test_a_stop_overtakes_work_and_what_waits_in_the_mailbox_is_lost_and_counted(
    cell: Cell,
) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    sender.post(ref, "work")
    cell.stop(ref)
    cell.run(0.0)
    assert book.got == []
    assert cell.dead_letters == 1


def test_a_new_incarnation_has_a_new_address_a_fresh_state_and_an_empty_mailbox() -> None:
    reports: list[Report] = []
    cell = make_cell(reports=reports)
    spec = ChildSpec("counter", Start(Counter), role="counter")
    cell.spawn(lambda: Supervisor(FLAGS, (spec,)), name="supervisor")
    sender = cell.spawn(Notebook, name="me")
    cell.run(0.0)
    first = cell.registry.address("counter")
    assert first is not None
    for message in ("one", "two", "crash", "lost"):
        sender.post(first, message)
    cell.run(0.0)
    second = cell.registry.address("counter")
    assert second is not None
    assert second is not first
    assert (second.actor.heard, len(second.mailbox)) == (0, 0)
    assert first.actor is None
    assert not sender.post(first, "to the dead")
    assert [report.reason for report in reports] == ["RuntimeError: crash"]
    cell.poller.close()


def test_thespians_dead_letters_are_counted_and_nobody_is_handed_them(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    sender.handleDeadLetters(None, True)
    cell.kill(ref)
    sender.post(ref, "late")
    cell.run(0.0)
    assert cell.dead_letters == 1
    assert not [message for message in book.got if not isinstance(message, Down)]
