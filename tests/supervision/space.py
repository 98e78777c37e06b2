"""Every history of a small supervisor: its decision and what surrounds it, walked to the end.

``walk`` tries in each state all that can happen next (news of the child that is awaited, deaths of
others, retries, operations, a stop, a passing second) and follows each new state once. States that
differ in numbers only are one, so the walk is exhaustive and ends by itself. What a step must and
must not do is checked by :class:`Watch` against books of its own, kept from commands and news.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from supervision import ChildSpec, Start, SupervisorFlags, decision, events
from supervision.state import Child, StartTask, State, StopTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CLEAN_END, CRASH = "normal", "crash"
STOP_ENDS = ("shutdown", "killed", CLEAN_END, CRASH)
ON_THEIR_WAY = 2
"""So many deaths and retries may be waiting at one time."""
MOST_DYNAMIC = 3


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds the decision.

    Attributes:
        alive: Incarnation of each body, by key.
        news: Deaths that are heard of and not yet decided, in order of arrival.
        retries: Retries that are due.
        restarts: Whole seconds of all restarts, by an own count.
        spent: Temporary children that have had their one life.
        excused: Who may be down without anything being under way: stopped by an operator, declined,
            or left for a sibling's next attempt.
        odd_ends: Children that ended otherwise than they were asked to, and were not told of yet.
        cause: What set off what is under way.
        now_s: Whole seconds.
    """

    alive: Mapping[str, int] = field(default_factory=dict)
    news: tuple[events.Exited, ...] = ()
    retries: tuple[str, ...] = ()
    restarts: tuple[int, ...] = ()
    spent: frozenset[str] = frozenset()
    excused: frozenset[str] = frozenset()
    odd_ends: int = 0
    cause: str = "begin"
    now_s: int = 0


# -- the walk --------------------------------------------------------------------------------------


@dataclass
class Walk:
    """What a walk has seen: states, steps, ends, and whether its depth cut it off."""

    states: int = 0
    steps: int = 0
    ends: int = 0
    was_cut: bool = False


def walk(flags: SupervisorFlags, specs: Sequence[ChildSpec], depth: int | None = None) -> Walk:
    """Visit every state that ``depth`` events lead to (all there are, if ``None``)."""
    seen: set[Any] = set()
    found = Walk()
    layer: list[tuple[State, Around]] = []

    def visit(after: tuple[State, Around] | None) -> None:
        if after is None:
            found.ends += 1
        elif (name := canonical(*after)) not in seen:
            seen.add(name)
            layer.append(after)

    visit(take(State(flags), Around(), events.Begin(tuple(specs))))
    while layer and not found.was_cut:
        found.was_cut = depth is not None and depth == 0
        depth = None if depth is None else depth - 1
        todo, layer = layer, []
        for state, around in [] if found.was_cut else todo:
            for moment in what_can_happen(state, around):
                found.steps += 1
                visit(moment if isinstance(moment, tuple) else take(state, around, moment))
    found.states = len(seen)
    return found


def what_can_happen(state: State, around: Around) -> Iterator[events.Event | tuple[State, Around]]:
    """Yield each event that the shell could hand over next, and each change of what surrounds."""
    if state.awaiting is None and around.news:
        yield around.news[0]  # the shell takes what has waited longest
        return
    if state.awaiting is not None:
        yield from news_awaited(state, around)
        yield from deaths_meanwhile(state, around)
        return
    if around.retries:
        yield events.RetryDue(around.retries[0])
    if len(around.retries) >= ON_THEIR_WAY:
        return  # they are due at once: many never wait
    for key, number in around.alive.items():
        yield events.Exited(key, number, CLEAN_END)
        yield events.Exited(key, number, CRASH)
    yield from questions(state)
    yield events.StopAsked()
    if any(around.now_s - moment <= state.flags.period_s for moment in around.restarts):
        yield state, replace(around, now_s=around.now_s + 1)


def news_awaited(state: State, around: Around) -> Iterator[events.Event]:
    ((key, number), *_) = state.pending.items()
    if isinstance(state.awaiting, StartTask):
        yield events.Launched(key, number)
        yield events.Declined(key, number)
        yield events.LaunchFailed(key, number, "boom")
        return
    heard = [news for news in around.news if state.pending.get(news.key) == news.incarnation]
    if heard:
        yield heard[0]
    else:
        yield from (events.Exited(key, number, reason) for reason in STOP_ENDS)


def deaths_meanwhile(state: State, around: Around) -> Iterator[tuple[State, Around]]:
    if len(around.news) >= ON_THEIR_WAY:
        return
    for key, number in around.alive.items():
        if key not in state.pending:
            for reason in (CLEAN_END, CRASH):
                alive = {other: n for other, n in around.alive.items() if other != key}
                news = (*around.news, events.Exited(key, number, reason))
                yield state, replace(around, alive=alive, news=news)


def questions(state: State) -> Iterator[events.Event]:
    """Yield each operation that could change something: on each child, on one absent, on a new one.

    Those that are refused are asked, too.
    """
    for operation in ("terminate_child", "restart_child", "delete_child"):
        for key in (*state.children, "absent"):
            yield events.Asked(operation, (key,), "caller")
    if state.template is not None:
        if len(state.children) < MOST_DYNAMIC:
            yield events.Asked("start_child", (), "caller")
        return
    for child in state.children.values():
        yield events.Asked("start_child", (child.spec,), "caller")
    yield events.Asked("start_child", (NEWCOMER,), "caller")


NEWCOMER = ChildSpec("new", Start(object), restart="temporary")


def canonical(state: State, around: Around) -> Any:
    """Name a state; numbers that were only handed out are left out of the name."""
    ranks = {child.key: rank for rank, child in enumerate(state.in_order())}
    agenda, tasks = state.agenda, []
    while agenda is not None:
        task, agenda = agenda
        tasks.append(_task(task, ranks))
    now_s, period_s = around.now_s, state.flags.period_s
    return (
        tuple(
            (child.spec.restart, child.spec.id, child.state, child.key in around.alive)
            for child in state.in_order()
        ),
        tuple(tasks),
        _task(state.awaiting, ranks),
        frozenset(ranks[key] for key in state.pending),
        tuple(now_s - at for at in state.restarts if now_s - at <= period_s),
        tuple(sorted(state.stop_errors)),
        state.ending,
        tuple((ranks.get(news.key), news.reason) for news in around.news),
        tuple(ranks.get(key, "gone") for key in around.retries),
        tuple(now_s - at for at in around.restarts if now_s - at <= period_s),
        frozenset(ranks.get(key, "gone") for key in around.spent),
        frozenset(ranks.get(key, "gone") for key in around.excused),
        around.odd_ends,
        around.cause,
    )


def _task(task: Any, ranks: Mapping[str, int]) -> Any:
    match task:
        case StartTask(key, purpose):
            return purpose, ranks.get(key, "gone")
        case StopTask(keys):
            return "stop", *(ranks.get(key, "gone") for key in keys)
        case events.Answer(_, value):
            return "answer", repr(value)
        case _:
            return repr(task)


# -- one step and its checks -----------------------------------------------------------------------


def take(state: State, around: Around, event: events.Event) -> tuple[State, Around] | None:
    """Decide on ``event``; check the step; ``None`` when the supervisor has ended."""
    assert state.concerns(event)
    after, commands = decision.step(state, event, float(around.now_s))
    watch = Watch(state, around, event)
    for command in commands:
        watch.see(command, after)
    watch.compare(after)
    return None if watch.has_ended else (after, watch.around())


def agenda_length(state: State) -> int:
    length, agenda = 0, state.agenda
    while agenda is not None:
        length, (_, agenda) = length + 1, agenda
    return length


class Watch:
    """One step as an outsider sees it: what it must do, what it does, and whether that is right."""

    def __init__(self, before: State, around: Around, event: events.Event) -> None:
        self.before = before
        self.event = event
        self.alive = dict(around.alive)
        self.retries = list(around.retries)
        self.restarts = around.restarts
        self.spent = set(around.spent)
        self.excused = set(around.excused)
        self.odd_ends = around.odd_ends
        self.now_s = around.now_s
        self.cause = around.cause if before.awaiting is not None else _cause(event)
        self.news = tuple(news for news in around.news if news is not event)
        self.told: list[tuple[str, Any]] = []
        self.answers = 0
        self.has_ended = False
        self.must_end = False
        self.exhausted = False
        self._note()

    def around(self) -> Around:
        """What surrounds the decision after the step."""
        return Around(
            self.alive,
            self.news,
            tuple(self.retries),
            self.restarts,
            frozenset(self.spent),
            frozenset(self.excused),
            self.odd_ends,
            self.cause,
            self.now_s,
        )

    # -- what the event alone says --------------------------------------------------------------

    def _note(self) -> None:
        match self.event:
            case events.Asked(operation, (subject,)):
                self._note_question(operation, subject)
            case events.RetryDue(key):
                self.retries.remove(key)
                child = self.before.children.get(key)
                if child is not None and child.state == "restarting":
                    self._count_restart()
            case events.StopAsked():
                self.must_end = True
            case _:
                self._note_news()

    def _note_question(self, operation: str, subject: Any) -> None:
        if operation == "terminate_child" and subject in self.before.children:
            self.excused.add(subject)
        elif operation == "start_child" and subject.id not in self.before.children:
            self.spent.discard(subject.id)

    def _note_news(self) -> None:
        match self.event:
            case events.Launched(key, number):
                self.alive[key] = number
                self.excused.discard(key)
                if self.before.children[key].spec.restart == "temporary":
                    self.spent.add(key)
            case events.Declined(key):
                self.excused.add(key)
            case events.LaunchFailed(key):
                self._note_failed_start(key)
            case events.Exited(key, _, reason):
                self.alive.pop(key, None)
                self._note_end(key, reason)
            case _:
                pass

    def _note_failed_start(self, key: str) -> None:
        task = self.before.awaiting
        assert isinstance(task, StartTask)
        if task.purpose == "begin":
            self.must_end = True
        elif task.purpose == "restart":
            down = {other for other in self.before.children if other not in self.alive}
            self.excused |= down - {key}
        else:
            self.excused.add(key)

    def _note_end(self, key: str, reason: str) -> None:
        """Say what must follow: OTP's table of restart type and reason, and auto-shutdown."""
        spec = self.before.children[key].spec
        if key in self.before.pending:
            self.excused.add(key)
            as_asked = "killed" if spec.shutdown == "brutal_kill" else "shutdown"
            clean = reason in (CLEAN_END, "shutdown") and spec.restart != "permanent"
            self.odd_ends += reason != as_asked and not clean
            return
        comes_back = {"permanent": True, "transient": reason == CRASH, "temporary": False}
        if comes_back[spec.restart]:
            self._count_restart()
            return
        self.excused.add(key)
        if spec.significant:
            left = [
                other
                for other in self.before.children.values()
                if other.spec.significant and other.key != key and other.state != "stopped"
            ]
            self.must_end = self.before.flags.auto_shutdown == "any_significant" or not left

    def _count_restart(self) -> None:
        flags = self.before.flags
        self.restarts = (*self.restarts, self.now_s)
        recent = [moment for moment in self.restarts if self.now_s - moment <= flags.period_s]
        self.exhausted = len(recent) > flags.intensity
        self.must_end = self.exhausted

    # -- what it does ---------------------------------------------------------------------------

    def see(self, command: events.Command, after: State) -> None:
        assert not self.has_ended, "it goes on after its end"
        match command:
            case events.Launch(child):
                self._see_launch(child, after)
            case events.Halt(child):
                self._see_halt(child, after)
            case events.Retry(key):
                self.retries.append(key)
                assert len(self.retries) <= ON_THEIR_WAY + 1, "retries beget each other"
            case events.Tell(context, reason, _, count):
                self.told.append((context, reason))
                self.odd_ends -= count * (context == "shutdown_error")
            case events.Answer():
                self.answers += 1
            case events.End():
                assert not self.alive, "it ended and left children behind"
                assert not self.news or self.before.awaiting is None or after.ending
                self.has_ended = True
            case events.Ready():
                assert self.cause == "begin"

    def _see_launch(self, child: Child, after: State) -> None:
        assert child.key not in self.alive, "two incarnations at once"
        assert not any(news.key == child.key for news in self.news), "started before its end"
        assert not after.ending, "started while it is about to end"
        assert child.key not in self.spent, "a temporary child was restarted"
        assert dict(after.pending) == {child.key: child.incarnation}
        is_group = after.flags.strategy in ("one_for_all", "rest_for_one")
        if self.cause == "begin" or (is_group and self.cause == "restart"):
            later = self._behind(child, after)
            assert not later, f"{child.key} was started while {later} ran"

    def _see_halt(self, child: Child, after: State) -> None:
        heard = any(news.key == child.key for news in self.news)
        assert child.key in self.alive or heard, "asked to stop, but does not live"
        if after.template is None and self.cause != "terminate_child":
            later = self._behind(child, after)
            assert not later, f"{child.key} was stopped before {later}"

    def _behind(self, child: Child, after: State) -> list[str]:
        return [key for key in self.alive if after.children[key].order > child.order]

    # -- what has become of it ------------------------------------------------------------------

    def compare(self, after: State) -> None:
        """Hold the state after the step against the books."""
        gave_up = ("shutdown", "reached_max_restart_intensity") in self.told
        assert gave_up == self.exhausted, "the allowance is not kept"
        began_to_end = after.ending and not self.before.ending
        assert began_to_end == self.must_end, "it ends when it should not, or does not when it must"
        assert after.ending >= self.before.ending, "it turned back on its way out"
        if began_to_end and after.template is not None:
            assert set(self.alive) <= set(after.pending), "dynamic children stop all at once"
        self._compare_reports(after)
        self._compare_progress(after)
        if after.awaiting is None and not self.has_ended:
            self._compare_at_rest(after)

    def _compare_reports(self, after: State) -> None:
        """A clean end of a transient or temporary child is not told, any other end is."""
        told = [context for context, *_ in self.told]
        match self.event:
            case events.LaunchFailed():
                task = self.before.awaiting
                assert isinstance(task, StartTask)
                at_start = task.purpose in ("begin", "restart")
                assert told.count("start_error") == at_start
            case events.Exited(key, _, reason) if key not in self.before.pending:
                permanent = self.before.children[key].spec.restart == "permanent"
                assert told.count("child_terminated") == (permanent or reason == CRASH)
            case _:
                assert set(told) <= {"shutdown", "shutdown_error"}
        assert not self.odd_ends or after.awaiting is not None, "an odd end was not told"

    def _compare_progress(self, after: State) -> None:
        """Each step towards the end of an agenda makes it shorter, so every agenda ends."""
        waited = self.before.awaiting is not None
        if waited and not (after.ending and not self.before.ending) and not self.has_ended:
            left = agenda_length(after) + len(after.pending)
            assert left < agenda_length(self.before) + len(self.before.pending), "no progress"

    def _compare_at_rest(self, after: State) -> None:
        assert after.agenda is None, "it rests and has something to do"
        assert not after.pending
        assert not after.ending, "it is to end and rests"
        heard = {news.key for news in self.news}
        running = {key for key, child in after.children.items() if child.state == "running"}
        assert running == set(self.alive) | heard
        for key, child in after.children.items():
            assert child.state in ("running", "stopped", "restarting")
            if child.state == "restarting":
                assert key in self.retries, "it waits for a retry that never comes"
            if child.state == "stopped":
                assert child.spec.restart != "temporary", "kept a temporary child that is gone"
                assert after.template is None, "kept a dynamic child that is gone"
                assert key in self.excused, f"{key} is down and nobody is to bring it back"
        self._compare_answers()

    def _compare_answers(self) -> None:
        task = self.before.awaiting
        asked = isinstance(self.event, events.Asked) or (
            task is not None and self.cause in ("terminate_child", "start_child", "restart_child")
        )
        assert self.answers == asked, f"{self.answers} answers to what was asked"


def _cause(event: events.Event) -> str:
    """Say what an event sets off in a supervisor at rest."""
    match event:
        case events.Begin():
            return "begin"
        case events.Asked(operation):
            return operation
        case events.StopAsked():
            return "stop"
        case _:
            return "restart"
