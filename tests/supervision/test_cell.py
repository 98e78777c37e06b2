from __future__ import annotations

from typing import Any

import pytest
from thespian.actors import WakeupMessage

from supervision import STARTING, STOPPING, Cell, Down, Exit, IgnoreStart, LightActor, StartError
from supervision.cell import BURST
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted, Report
from supervision.ref import FORGET_EVERY
from tests.supervision.worlds import Notebook, make_cell, notebook

# -- order and priority ----------------------------------------------------------------------------


def test_messages_of_one_sender_arrive_in_the_order_in_which_they_were_sent(cell: Cell) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    for number in range(3 * BURST):
        sender.post(ref, number)
    cell.run(0.0)
    cell.run()
    assert book.got == list(range(3 * BURST))


def test_the_system_lane_is_served_before_work_that_came_earlier(cell: Cell) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    sender.post(ref, "work")
    ref.signal("news")
    cell.run(0.0)
    assert book.got == ["news", "work"]


def test_news_that_come_during_a_burst_are_served_before_the_rest_of_it(cell: Cell) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    sender.post(ref, lambda actor: actor._myRef.signal("news"))
    sender.post(ref, "work")
    cell.run(0.0)
    assert book.got == ["news", "work"]


def test_an_actor_yields_after_a_burst_so_that_others_get_their_turn(cell: Cell) -> None:
    ref, book = notebook(cell)
    other, other_book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    seen_by_other: list[int] = []
    for _ in range(2 * BURST):
        sender.post(ref, "work")
    sender.post(other, lambda _actor: seen_by_other.append(len(book.got)))
    cell.run()
    assert seen_by_other == [BURST]
    assert other_book.got == []


def test_on_start_runs_before_the_first_message_even_if_that_was_sent_first(cell: Cell) -> None:
    book = Notebook(on_start=lambda actor: actor.got.append("started"))
    ref = cell.spawn(lambda: book)
    sender, _ = notebook(cell, name="me")
    sender.post(ref, "work")
    cell.run()
    assert book.got == ["started", "work"]


# -- bounds ----------------------------------------------------------------------------------------


def test_a_full_mailbox_refuses_and_counts_what_it_refuses(cell: Cell) -> None:
    ref, book = notebook(cell, limit=2)
    sender, _ = notebook(cell, name="me")
    assert [sender.post(ref, number) for number in range(4)] == [True, True, False, False]
    cell.run()
    assert book.got == [0, 1]
    assert ref.dropped == 2


def test_an_asker_hears_overloaded_from_a_full_mailbox_instead_of_waiting(cell: Cell) -> None:
    ref, _ = notebook(cell, limit=1)
    sender, book = notebook(cell, name="me")
    assert sender.ask(ref, "first")
    assert not sender.ask(ref, "second")
    cell.run()
    assert book.got == [Down(ref, "overloaded")]


def test_a_wake_up_gets_through_to_an_actor_whose_mailbox_is_full(cell: Cell) -> None:
    ref, book = notebook(cell, limit=1)
    sender, _ = notebook(cell, name="me")
    cell.wake_after(ref, 0.0, "tick")
    sender.post(ref, "work")
    cell.run()
    assert len(book.got) == 2


def test_messages_to_the_dead_are_refused_and_counted(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, _ = notebook(cell, name="me")
    sender.post(ref, "lost in the mailbox")
    cell.kill(ref)
    assert not sender.post(ref, "sent to the dead")
    assert cell.dead_letters == 2


# -- asking and dying ------------------------------------------------------------------------------


def crash(_actor: Any) -> None:
    raise ValueError("broken")


def test_whoever_waits_for_an_answer_hears_at_once_that_the_other_died(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    sender.ask(ref, crash)
    cell.run()
    assert book.got == [Down(ref, "ValueError: broken")]


def test_asking_the_dead_is_answered_with_noproc(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    cell.kill(ref)
    sender.ask(ref, "question")
    cell.run()
    assert book.got == [Down(ref, "noproc")]


def test_whoever_has_been_answered_hears_nothing_of_a_later_death(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    sender.ask(ref, lambda actor: actor.send(sender, "answer"))
    cell.run()
    cell.kill(ref)
    cell.run()
    assert book.got == ["answer"]


def test_one_down_is_enough_for_several_open_questions(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    sender.ask(ref, "one")
    sender.ask(ref, "two")
    cell.kill(ref)
    cell.run()
    assert book.got == [Down(ref, "killed")]


def test_askers_that_died_without_an_answer_are_forgotten(cell: Cell) -> None:
    silent, _ = notebook(cell, name="silent", limit=10 * FORGET_EVERY)
    living, book = notebook(cell, name="living")
    living.ask(silent, "question")
    for _ in range(3 * FORGET_EVERY):
        asker = cell.spawn(Notebook)
        asker.ask(silent, "question")
        cell.kill(asker)
    assert len(silent.waiters or ()) < FORGET_EVERY
    cell.kill(silent)
    cell.run(0.0)
    assert book.got == [Down(silent, "killed")]


def test_of_two_questions_one_answer_leaves_one_open(cell: Cell) -> None:
    ref, _ = notebook(cell)
    sender, book = notebook(cell, name="me")
    sender.ask(ref, lambda actor: actor.send(sender, "answer"))
    sender.ask(ref, "never answered")
    cell.run()
    cell.kill(ref)
    cell.run()
    assert book.got == ["answer", Down(ref, "killed")]


# -- life and death --------------------------------------------------------------------------------


def test_a_parent_hears_that_its_child_is_ready_only_when_it_is(cell: Cell) -> None:
    parent, book = notebook(cell, name="me")
    child = Notebook(on_start=lambda _actor: STARTING)
    ref = cell.spawn(lambda: child, parent=parent)
    cell.run()
    assert book.got == []
    child.ready("port 7400")
    cell.run()
    assert book.got == [ChildStarted(ref, "port 7400")]


def test_a_crash_tells_the_parent_the_reason_and_the_traceback(cell: Cell) -> None:
    parent, book = notebook(cell, name="me")
    ref, _ = notebook(cell, parent=parent)
    parent.post(ref, crash)
    book.got.clear()
    cell.run()
    (news,) = book.got
    assert isinstance(news, ChildExited)
    assert (news.address, news.reason) == (ref, "ValueError: broken")
    assert "Traceback" in news.detail


def test_a_crash_of_one_actor_leaves_the_others_and_the_loop_alone(cell: Cell) -> None:
    victim, _ = notebook(cell)
    other, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    sender.post(victim, crash)
    sender.post(other, "work")
    cell.run()
    assert book.got == ["work"]
    assert victim.actor is None


@pytest.mark.parametrize("reason", ["normal", "shutdown", ("shutdown", "idle"), "out_of_ideas"])
def test_an_actor_may_end_itself_with_a_reason(cell: Cell, reason: Any) -> None:
    parent, book = notebook(cell, name="me")
    ref, _ = notebook(cell, parent=parent)
    book.got.clear()

    def leave(_actor: Any) -> None:
        raise Exit(reason)

    parent.post(ref, leave)
    cell.run()
    assert [news.reason for news in book.got] == [reason]


def raising(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize("place", ["constructor", "on_start"])
def test_a_failed_start_is_told_as_such_with_its_reason(cell: Cell, place: str) -> None:
    parent, book = notebook(cell, name="me")
    error = StartError("no_port")
    if place == "constructor":
        ref = cell.spawn(raising, (error,), parent=parent)
    else:
        ref = cell.spawn(lambda: Notebook(lambda _actor: raising(error)), parent=parent)
    cell.run()
    (news,) = book.got
    assert isinstance(news, ChildFailed)
    assert (news.address, news.reason) == (ref, "no_port")


@pytest.mark.parametrize("place", ["constructor", "on_start"])
def test_declining_to_start_is_no_failure(cell: Cell, place: str) -> None:
    parent, book = notebook(cell, name="me")
    if place == "constructor":
        ref = cell.spawn(raising, (IgnoreStart(),), parent=parent)
    else:
        ref = cell.spawn(lambda: Notebook(lambda _actor: raising(IgnoreStart())), parent=parent)
    cell.run()
    assert book.got == [ChildDeclined(ref)]


def test_a_factory_that_returns_no_actor_is_a_failed_start(cell: Cell) -> None:
    parent, book = notebook(cell, name="me")
    cell.spawn(lambda: "garbage", parent=parent)
    cell.run()
    assert [news.reason for news in book.got] == ["garbage"]


def test_the_children_of_the_dead_die_with_it(cell: Cell) -> None:
    parent, _ = notebook(cell, name="me")
    child, _ = notebook(cell, parent=parent)
    grandchild, _ = notebook(cell, parent=child)
    cell.kill(parent)
    assert (child.actor, grandchild.actor) == (None, None)
    assert grandchild.exit_reason == "killed"


def test_a_quiet_child_is_heard_of_only_when_it_crashes(cell: Cell) -> None:
    parent, book = notebook(cell, name="me")
    clean, _ = notebook(cell, parent=parent, quiet=True)
    broken, _ = notebook(cell, parent=parent, quiet=True)
    parent.post(clean, lambda actor: actor.stop())
    parent.post(broken, crash)
    cell.run()
    assert [news.address for news in book.got] == [broken]


class Lingering(Notebook):
    def on_stop(self, reason: Any) -> Any:
        self.got.append(("asked to stop", reason))
        return STOPPING


def test_a_polite_stop_lets_the_actor_finish_in_its_own_time(cell: Cell) -> None:
    actor = Lingering()
    ref = cell.spawn(lambda: actor)
    cell.run()
    cell.stop(ref, "shutdown")
    cell.run()
    assert actor.got == [("asked to stop", "shutdown")]
    assert ref.actor is actor
    actor.stop("shutdown")
    assert ref.actor is None


def test_a_kill_runs_none_of_the_actors_code_but_its_last_clean_up(cell: Cell) -> None:
    ended: list[str] = []

    class Careful(Lingering):
        def on_end(self) -> None:
            ended.append("closed")

    actor = Careful()
    ref = cell.spawn(lambda: actor)
    cell.run()
    cell.kill(ref)
    cell.run()
    assert ended == ["closed"]
    assert actor.got == []


def test_a_bug_in_the_last_clean_up_hurts_nobody_else_and_is_reported() -> None:
    reports: list[Report] = []
    cell = make_cell(reports=reports)

    class Careless(LightActor):
        def on_end(self) -> None:
            raise OSError("already closed")

    parent, book = notebook(cell, name="me")
    ref = cell.spawn(Careless, parent=parent, name="careless")
    cell.run()
    cell.kill(ref)
    cell.run()
    assert [type(news) for news in book.got] == [ChildStarted, ChildExited]
    assert [(report.supervisor, report.context) for report in reports] == [
        ("me/careless", "on_end")
    ]
    assert "already closed" in reports[0].detail


# -- suspension ------------------------------------------------------------------------------------


def test_a_suspended_actor_is_served_what_came_meanwhile_in_order_when_resumed(
    cell: Cell,
) -> None:
    ref, book = notebook(cell)
    sender, _ = notebook(cell, name="me")
    cell.suspend(ref)
    sender.post(ref, "work")
    ref.signal("first news")
    ref.signal("second news")
    cell.wake_after(ref, 1.0, "tick")
    cell.run(2.0)
    assert book.got == []
    cell.resume(ref)
    cell.run()
    assert book.got[:3] == ["first news", "second news", "work"]
    assert isinstance(book.got[3], WakeupMessage)


def test_news_for_the_suspended_keep_their_order_however_often_it_is_looked_at(
    cell: Cell,
) -> None:
    ref, book = notebook(cell)
    cell.suspend(ref)
    for number in range(3):
        ref.signal(number)
        cell.run(0.0)
    cell.resume(ref)
    cell.run()
    assert book.got == [0, 1, 2]


def test_a_suspended_actor_can_still_be_stopped(cell: Cell) -> None:
    ref, _ = notebook(cell)
    cell.suspend(ref)
    ref.signal("news that wait")
    cell.stop(ref)
    cell.run()
    assert ref.exit_reason == "shutdown"
