"""What a supervisor decides: a pure function of state and event, after OTP's ``supervisor``.

``step(state, event, now_s)`` returns the next state and the commands that the shell
(``supervision.supervisor``) is to carry out. It knows no actor, no process and no clock. A
supervisor does one thing at a time: while it starts or stops a child (``state.awaiting``) it wants
to hear of that child only, and the shell keeps all other events back, as OTP leaves them in the
mailbox. What remains to be done stands in ``state.agenda``, what may be asked of a supervisor in
``supervision.operations``.

Three questions, three functions: must this end be followed by a restart (:func:`must_restart`), may
it (:func:`record_restart`), and whom does it take along (:func:`taken_along`)?
"""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING, Any, assert_never

from immutables import Map

from supervision import operations
from supervision.events import (
    Answer,
    Asked,
    Begin,
    Command,
    Declined,
    End,
    Event,
    Exited,
    Halt,
    Launch,
    Launched,
    LaunchFailed,
    News,
    Ready,
    Retry,
    RetryDue,
    StopAsked,
    Tell,
)
from supervision.messages import Reason, is_clean
from supervision.state import Child, StartTask, State, StopTask, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.specs import ChildSpec, SupervisorFlags

__all__ = ["Child", "State", "must_restart", "record_restart", "step", "taken_along"]

# -- the three questions -------------------------------------------------------------------------


def must_restart(spec: ChildSpec, reason: Reason) -> bool:
    """Tell whether an end is followed by a restart: type x reason (OTP ``do_restart/3``)."""
    if spec.restart == "permanent":
        return True
    return spec.restart == "transient" and not is_clean(reason)


def record_restart(
    restarts: tuple[int, ...], now_s: float, flags: SupervisorFlags
) -> tuple[tuple[int, ...], bool]:
    """Note a restart now; return the restarts within the period, and whether they are allowed.

    Whole seconds, both ends of the window included (OTP ``add_restart/1``).
    """
    now = floor(now_s)
    recent = (now, *(moment for moment in restarts if moment >= now - flags.period_s))
    return recent, len(recent) <= flags.intensity


def taken_along(flags: SupervisorFlags, in_order: Sequence[Child], dead: Child) -> list[Child]:
    """Return, in start order, who is restarted with ``dead``: itself and whom the strategy adds."""
    if flags.strategy == "one_for_all":
        return list(in_order)
    if flags.strategy == "rest_for_one":
        return [child for child in in_order if child.order >= dead.order]
    return [dead]


# -- the step ------------------------------------------------------------------------------------


def step(state: State, event: Event, now_s: float) -> tuple[State, list[Command]]:
    """Take one event; return the new state and what is to be done.

    Args:
        state: As the last step left it; ``state.concerns(event)`` must hold.
        event: What happened.
        now_s: Monotonic seconds.

    Returns:
        The next state, and commands in the order in which they are to be carried out.
    """
    draft = Draft(state, now_s)
    match event:
        case Begin(specs):
            draft.begin(specs)
        case Launched() | Declined() | LaunchFailed() | Exited():
            draft.hear(event)
        case RetryDue(key):
            draft.retry(key)
        case StopAsked(reason):
            draft.terminate(reason)
        case Asked():
            operations.carry_out(draft, event)
        case _:
            assert_never(event)
    draft.go_on()
    return draft.state, draft.commands


class Draft:
    """One step in the making: the state so far, and the commands so far."""

    def __init__(self, state: State, now_s: float) -> None:
        self.state = state
        self.now_s = now_s
        self.commands: list[Command] = []

    # -- small changes --------------------------------------------------------------------------

    def change(self, **fields: Any) -> None:
        self.state = replace(self.state, **fields)

    def put(self, child: Child) -> None:
        self.change(children=self.state.children.set(child.key, child))

    def delete(self, key: str) -> None:
        self.change(children=self.state.children.delete(key))

    def drop(self, child: Child) -> None:
        """Without a body, a temporary or dynamic child is forgotten; others keep their spec."""
        if child.spec.restart == "temporary" or self.state.template is not None:
            self.delete(child.key)
        else:
            self.put(replace(child, state="stopped"))

    def add(self, *tasks: Task) -> None:
        """Put ``tasks`` before all that is on the agenda already."""
        agenda = self.state.agenda
        for task in reversed(tasks):
            agenda = (task, agenda)
        self.change(agenda=agenda)

    def tell(self, context: str, reason: Reason, child: Child) -> None:
        self.commands.append(Tell(context, reason, child))

    def answer(self, caller: Any, value: Any) -> None:
        if caller is not None:
            self.commands.append(Answer(caller, value))

    # -- the agenda -----------------------------------------------------------------------------

    def go_on(self) -> None:
        """Carry out the agenda up to the next start or stop that must be waited for."""
        while self.state.awaiting is None and self.state.agenda is not None:
            task, rest = self.state.agenda
            self.change(agenda=rest)
            match task:
                case StartTask():
                    self.launch(task)
                case StopTask():
                    self.halt(task)
                case _:
                    self.commands.append(task)

    def launch(self, task: StartTask) -> None:
        child = self.state.children.get(task.key)
        if child is None:
            return
        number = self.state.numbers + 1
        child = replace(child, state="starting", incarnation=number)
        self.put(child)
        self.change(numbers=number, awaiting=task, pending=Map({child.key: number}))
        self.commands.append(Launch(child))

    def halt(self, task: StopTask) -> None:
        found = (self.state.children.get(key) for key in task.keys)
        live = [child for child in found if child is not None and child.state == "running"]
        if live:
            pending = Map({child.key: child.incarnation for child in live})
            self.change(awaiting=task, pending=pending)
            self.commands.extend(Halt(child) for child in live)

    # -- starting -------------------------------------------------------------------------------

    def begin(self, specs: tuple[ChildSpec, ...]) -> None:
        if self.state.flags.strategy == "simple_one_for_one":
            self.change(template=specs[0])
            self.add(Ready())
            return
        children = {spec.id: Child(spec.id, spec, order) for order, spec in enumerate(specs)}
        self.change(children=Map(children), numbers=len(specs))
        self.add(*(StartTask(key, "begin") for key in children), Ready())

    def hear(self, news: News) -> None:
        """Take news of a child: the end of the start that is awaited, or the end of its life."""
        if isinstance(news, Exited):
            self.exited(news)
            return
        task = self.state.awaiting
        assert isinstance(task, StartTask), "news of a start that nobody waits for"
        self.change(awaiting=None, pending=Map())
        child = self.state.children[task.key]
        match news:
            case Launched():
                restarts = child.restarts + (task.purpose == "restart")
                self.put(replace(_kept(child), state="running", restarts=restarts))
                self.answer(task.caller, ("started", child.key, child.incarnation, news.info))
            case Declined():
                self.drop(child)
                self.answer(task.caller, ("ignored",))
            case LaunchFailed():
                self.launch_failed(task, child, news.reason)

    def launch_failed(self, task: StartTask, child: Child, reason: Reason) -> None:
        match task.purpose:
            case "begin":
                self.tell("start_error", reason, child)
                self.put(replace(child, state="stopped"))
                self.terminate(("shutdown", ("failed_to_start_child", child.key, reason)))
            case "restart":
                self.tell("start_error", reason, child)
                self.put(replace(child, state="restarting"))
                self.change(agenda=None)  # the rest of a group waits for the next attempt
                self.commands.append(Retry(child.key))
            case "start_child":
                self.delete(child.key)
                self.answer(task.caller, ("error", reason))
            case "restart_child":
                self.put(replace(child, state="stopped"))
                self.answer(task.caller, ("error", reason))

    # -- ends -----------------------------------------------------------------------------------

    def exited(self, news: Exited) -> None:
        child = self.state.children.get(news.key)
        if child is None or child.incarnation != news.incarnation or child.state != "running":
            return
        if self.state.pending.get(news.key) == news.incarnation:
            self.halted(child, news.reason)
            return
        restart = must_restart(child.spec, news.reason)
        if restart or not is_clean(news.reason):
            self.tell("child_terminated", news.reason, child)
        if restart:
            self.restart(child)
        else:
            self.drop(child)
            self.auto_shutdown(child)

    def halted(self, child: Child, reason: Reason) -> None:
        if not is_expected(child.spec, reason):
            self.note_stop_error(child, reason)
        self.drop(child)
        pending = self.state.pending.delete(child.key)
        self.change(pending=pending)
        if not pending:
            self.change(awaiting=None)
            self.tell_stop_errors()

    def note_stop_error(self, child: Child, reason: Reason) -> None:
        """Dynamic children, which stop at once, share a report for each reason (as in OTP)."""
        errors = self.state.stop_errors
        first, of, number = errors.get(repr(reason), (reason, child, 0))
        self.change(stop_errors=errors.set(repr(reason), (first, of, number + 1)))

    def tell_stop_errors(self) -> None:
        errors = self.state.stop_errors
        if errors:
            self.change(stop_errors=Map())
            in_order = sorted(errors.values(), key=lambda error: error[1].order)
            self.commands += (Tell("shutdown_error", *error) for error in in_order)

    def restart(self, child: Child) -> None:
        recent, allowed = record_restart(self.state.restarts, self.now_s, self.state.flags)
        self.change(restarts=recent)
        if not allowed:
            self.tell("shutdown", "reached_max_restart_intensity", child)
            self.drop(child)
            self.terminate("shutdown")
            return
        self.put(replace(child, state="stopped"))
        is_group = self.state.flags.strategy in ("one_for_all", "rest_for_one")
        siblings = self.state.in_order() if is_group else [child]  # sorting all costs, when many
        group = taken_along(self.state.flags, siblings, child)
        stops = (StopTask((each.key,)) for each in reversed(group) if each.state == "running")
        for each in group:
            if each.spec.restart == "temporary" and each.state == "stopped":
                self.delete(each.key)  # ``change_specs`` put it there; no group revives it
        # A temporary sibling is forgotten once it has stopped; its start then finds nothing to do.
        starts = (StartTask(each.key, "restart") for each in group)
        self.add(*stops, *starts)

    def retry(self, key: str) -> None:
        child = self.state.children.get(key)
        if child is not None and child.state == "restarting" and not self.state.ending:
            self.restart(child)

    def auto_shutdown(self, child: Child) -> None:
        if not child.spec.significant or self.state.flags.auto_shutdown == "never":
            return
        left = (
            other.key
            for other in self.state.children.values()
            if other.spec.significant and other.state in ("running", "restarting")
        )
        if self.state.flags.auto_shutdown == "any_significant" or not any(left):
            self.terminate("shutdown")

    def terminate(self, reason: Reason) -> None:
        """Stop the children in reverse start order (dynamic ones all at once), then end."""
        keys = [child.key for child in reversed(self.state.in_order())]
        at_once = self.state.template is not None
        stops = [StopTask(tuple(keys))] if at_once else [StopTask((key,)) for key in keys]
        self.change(agenda=None, ending=True)
        self.add(*stops, End(reason))


def _kept(child: Child) -> Child:
    """Return what is kept of a child that runs: its arguments only if it may be started again."""
    if child.spec.restart != "temporary":
        return child
    return replace(child, spec=child.spec.once_started(), args=())


def is_expected(spec: ChildSpec, reason: Reason) -> bool:
    """Tell whether a child that was asked to stop ended as it should (OTP ``shutdown/1``)."""
    if reason == ("killed" if spec.stop_within == "brutal_kill" else "shutdown"):
        return True
    return is_clean(reason) and spec.restart != "permanent"
