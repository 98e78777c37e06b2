"""What a supervisor decides: a pure function of its state and one event, after OTP's ``supervisor.erl``.

``step(state, event, now_s)`` returns the next state and the commands that the shell (``supervision.supervisor``) is to
carry out. It knows no actor, no process and no clock. A supervisor does one thing at a time: while it starts or stops a
child (``state.awaiting``) it wants to hear of that child only, and the shell keeps all other events back, as OTP leaves
them in the mailbox. What remains to be done stands in ``state.agenda``.

Three questions, three functions: must this end be followed by a restart (:func:`must_restart`), may it
(:func:`record_restart`), and whom does it take along (:func:`taken_along`)?
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import floor
from typing import Any, Literal

from immutables import Map

from supervision.errors import SpecError
from supervision.messages import Reason, is_clean
from supervision.specs import ChildSpec, SupervisorFlags, check_spec

ChildState = Literal["stopped", "starting", "running", "restarting"]


@dataclass(frozen=True, slots=True)
class Child:
    """One child as its supervisor sees it.

    Attributes:
        key: The spec's id, or a made-up key for a dynamic child.
        order: Position in start order.
        args: A dynamic child's own arguments.
        incarnation: Number of its latest start, unique within the supervisor.
        restarts: How often it was restarted.
    """

    key: str
    spec: ChildSpec
    order: int
    state: ChildState = "stopped"
    incarnation: int = 0
    args: tuple[Any, ...] = ()
    restarts: int = 0


# -- events: what happened -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The supervisor itself starts, with these children."""

    specs: tuple[ChildSpec, ...]


@dataclass(frozen=True, slots=True)
class Launched:
    """A child is ready."""

    key: str
    incarnation: int
    info: Any = None


@dataclass(frozen=True, slots=True)
class Declined:
    """A child declined to start; no failure."""

    key: str
    incarnation: int


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """A child could not start."""

    key: str
    incarnation: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Exited:
    """A child that had started has ended."""

    key: str
    incarnation: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class RetryDue:
    """The next attempt at a restart that failed."""

    key: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody asks for an operation; ``caller`` is handed back with the answer."""

    operation: str
    args: tuple[Any, ...] = ()
    caller: Any = None


@dataclass(frozen=True, slots=True)
class StopAsked:
    """The parent asks the supervisor to stop."""

    reason: Reason = "shutdown"


Event = Begin | Launched | Declined | LaunchFailed | Exited | RetryDue | Asked | StopAsked

# -- commands: what is to be done ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Start the child; answer with ``Launched``, ``Declined`` or ``LaunchFailed``."""

    child: Child


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop the child within its spec's time, then kill it; answer with ``Exited``."""

    child: Child


@dataclass(frozen=True, slots=True)
class Answer:
    """Give ``value`` to the one who asked."""

    caller: Any
    value: Any


@dataclass(frozen=True, slots=True)
class Retry:
    """Send yourself ``RetryDue``: in between, a request to stop is heard."""

    key: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Write a report (OTP's contexts: start_error, child_terminated, shutdown_error, shutdown)."""

    context: str
    reason: Reason
    child: Child


@dataclass(frozen=True, slots=True)
class Ready:
    """All initial children run: the supervisor is started."""


@dataclass(frozen=True, slots=True)
class End:
    """The supervisor ends; all its children have."""

    reason: Reason


Command = Launch | Halt | Answer | Retry | Tell | Ready | End

# -- state -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StartTask:
    """Start the child; ``purpose`` says what its failure means."""

    key: str
    purpose: Literal["begin", "restart", "start_child", "restart_child"]
    caller: Any = None


@dataclass(frozen=True, slots=True)
class StopTask:
    """Stop these children (one, or all dynamic ones at once)."""

    keys: tuple[str, ...]


Task = StartTask | StopTask | Answer | Ready | End
Agenda = tuple[Task, Any] | None
"""A linked list, so that the next task is taken in constant time: ``(task, rest)``."""


@dataclass(frozen=True, slots=True)
class State:
    """All that a supervisor knows.

    Attributes:
        children: By key; start order is ``Child.order``.
        restarts: Whole seconds of recent restarts, newest first.
        agenda: What remains to be done, first things first.
        awaiting: The start or stop under way, if any.
        pending: Keys whose end ``awaiting`` still waits for.
    """

    flags: SupervisorFlags
    template: ChildSpec | None = None
    children: Map[str, Child] = field(default_factory=Map)
    restarts: tuple[int, ...] = ()
    agenda: Agenda = None
    awaiting: StartTask | StopTask | None = None
    pending: Map[str, int] = field(default_factory=Map)
    numbers: int = 0
    ending: bool = False

    def in_order(self) -> list[Child]:
        """Return the children in start order."""
        return sorted(self.children.values(), key=_order)

    def concerns(self, event: Event) -> bool:
        """Tell whether ``event`` can be taken now: always when idle, else only news of the awaited child."""
        if self.awaiting is None:
            return True
        return (
            isinstance(event, Launched | Declined | LaunchFailed | Exited)
            and self.pending.get(event.key) == event.incarnation
        )


def _order(child: Child) -> int:
    return child.order


# -- the three questions ---------------------------------------------------------------------------------------------


def must_restart(spec: ChildSpec, reason: Reason) -> bool:
    """Tell whether the end of a child is followed by a restart: restart type x reason (OTP ``do_restart/3``)."""
    if spec.restart == "permanent":
        return True
    return spec.restart == "transient" and not is_clean(reason)


def record_restart(
    restarts: tuple[int, ...], now_s: float, flags: SupervisorFlags
) -> tuple[tuple[int, ...], bool]:
    """Note a restart now; return the restarts within the period, and whether they are still allowed.

    Whole seconds, both ends of the window included (OTP ``add_restart/1``).
    """
    now = floor(now_s)
    recent = (now, *(moment for moment in restarts if moment >= now - flags.period_s))
    return recent, len(recent) <= flags.intensity


def taken_along(state: State, dead: Child) -> list[Child]:
    """Return, in start order, the children that are restarted when ``dead`` is: itself and those of the strategy."""
    if state.flags.strategy == "one_for_all":
        return state.in_order()
    if state.flags.strategy == "rest_for_one":
        return [child for child in state.in_order() if child.order >= dead.order]
    return [dead]


# -- the step --------------------------------------------------------------------------------------------------------


def step(state: State, event: Event, now_s: float) -> tuple[State, list[Command]]:
    """Take one event; return the new state and what is to be done.

    Args:
        state: As the last step left it; ``state.concerns(event)`` must hold.
        event: What happened.
        now_s: Monotonic seconds.

    Returns:
        The next state, and commands in the order in which they are to be carried out.
    """
    draft = _Draft(state, now_s)
    match event:
        case Begin(specs):
            draft.begin(specs)
        case Launched(key, incarnation, info):
            draft.launched(key, incarnation, info)
        case Declined(key, incarnation):
            draft.declined(key, incarnation)
        case LaunchFailed(key, incarnation, reason):
            draft.launch_failed(key, incarnation, reason)
        case Exited(key, incarnation, reason):
            draft.exited(key, incarnation, reason)
        case RetryDue(key):
            draft.retry(key)
        case StopAsked(reason):
            draft.terminate(reason)
        case Asked():
            draft.asked(event)
    draft.go_on()
    return draft.state, draft.commands


class _Draft:
    """One step in the making: the state so far, and the commands so far."""

    def __init__(self, state: State, now_s: float) -> None:
        self.state = state
        self.now_s = now_s
        self.commands: list[Command] = []

    # -- small changes ------------------------------------------------------------------------------------------

    def change(self, **fields: Any) -> None:
        self.state = replace(self.state, **fields)

    def put(self, child: Child) -> None:
        self.change(children=self.state.children.set(child.key, child))

    def drop(self, child: Child) -> None:
        """A child without a process: a temporary or dynamic one is forgotten, others keep their spec."""
        if child.spec.restart == "temporary" or self.state.template is not None:
            self.change(children=self.state.children.delete(child.key))
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

    # -- the agenda ---------------------------------------------------------------------------------------------

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

    # -- starting -----------------------------------------------------------------------------------------------

    def begin(self, specs: tuple[ChildSpec, ...]) -> None:
        if self.state.flags.strategy == "simple_one_for_one":
            self.change(template=specs[0])
            self.add(Ready())
            return
        children = {spec.id: Child(spec.id, spec, order) for order, spec in enumerate(specs)}
        self.change(children=Map(children), numbers=len(specs))
        self.add(*(StartTask(key, "begin") for key in children), Ready())

    def start_over(self) -> tuple[StartTask, Child]:
        """The awaited start has its answer: wait no more."""
        task = self.state.awaiting
        assert isinstance(task, StartTask), "news of a start that nobody waits for"
        self.change(awaiting=None, pending=Map())
        return task, self.state.children[task.key]

    def launched(self, key: str, incarnation: int, info: Any) -> None:
        task, child = self.start_over()
        self.put(replace(child, state="running"))
        if task.caller is not None:
            self.commands.append(Answer(task.caller, ("started", key, incarnation, info)))

    def declined(self, _key: str, _incarnation: int) -> None:
        task, child = self.start_over()
        self.drop(child)
        if task.caller is not None:
            self.commands.append(Answer(task.caller, ("ignored",)))

    def launch_failed(self, key: str, _incarnation: int, reason: Reason) -> None:
        task, child = self.start_over()
        match task.purpose:
            case "begin":
                self.tell("start_error", reason, child)
                self.put(replace(child, state="stopped"))
                self.terminate(("shutdown", ("failed_to_start_child", key, reason)))
            case "restart":
                self.tell("start_error", reason, child)
                self.put(replace(child, state="restarting"))
                self.change(agenda=None)  # the rest of a group waits for the next attempt
                self.commands.append(Retry(key))
            case "start_child":
                self.change(children=self.state.children.delete(key))
                self.commands.append(Answer(task.caller, ("error", reason)))
            case "restart_child":
                self.put(replace(child, state="stopped"))
                self.commands.append(Answer(task.caller, ("error", reason)))

    # -- ends ---------------------------------------------------------------------------------------------------

    def exited(self, key: str, incarnation: int, reason: Reason) -> None:
        child = self.state.children.get(key)
        if child is None or child.incarnation != incarnation or child.state != "running":
            return
        if self.state.pending.get(key) == incarnation:
            self.halted(child, reason)
            return
        restart = must_restart(child.spec, reason)
        if restart or not is_clean(reason):
            self.tell("child_terminated", reason, child)
        if restart:
            self.restart(child)
        else:
            self.drop(child)
            self.auto_shutdown(child)

    def halted(self, child: Child, reason: Reason) -> None:
        if not _expected(child.spec, reason):
            self.tell("shutdown_error", reason, child)
        self.drop(child)
        pending = self.state.pending.delete(child.key)
        self.change(pending=pending)
        if not pending:
            self.change(awaiting=None)

    def restart(self, child: Child) -> None:
        recent, allowed = record_restart(self.state.restarts, self.now_s, self.state.flags)
        self.change(restarts=recent)
        if not allowed:
            self.tell("shutdown", "reached_max_restart_intensity", child)
            self.drop(child)
            self.terminate("shutdown")
            return
        self.put(replace(child, state="restarting", restarts=child.restarts + 1))
        group = taken_along(self.state, child)
        stops = (StopTask((member.key,)) for member in reversed(group) if member.state == "running")
        starts = (
            StartTask(member.key, "restart")
            for member in group
            if member.key == child.key or member.spec.restart != "temporary"
        )
        self.add(*stops, *starts)

    def retry(self, key: str) -> None:
        child = self.state.children.get(key)
        if child is not None and child.state == "restarting" and not self.state.ending:
            self.restart(child)

    def auto_shutdown(self, child: Child) -> None:
        if not child.spec.significant or self.state.flags.auto_shutdown == "never":
            return
        others = (
            other
            for other in self.state.children.values()
            if other.spec.significant and other.state in ("running", "restarting")
        )
        if self.state.flags.auto_shutdown == "any_significant" or not any(others):
            self.terminate("shutdown")

    def terminate(self, reason: Reason) -> None:
        """Stop the children in reverse start order (dynamic ones all at once), then end."""
        keys = [child.key for child in reversed(self.state.in_order())]
        stops = [StopTask(tuple(keys))] if self.state.template else [StopTask((key,)) for key in keys]
        self.change(agenda=None, ending=True)
        self.add(*stops, End(reason))

    # -- operations ---------------------------------------------------------------------------------------------

    def asked(self, event: Asked) -> None:
        match event.operation:
            case "start_child":
                self.ask_start(event)
            case "restart_child":
                self.ask_restart(event)
            case "terminate_child":
                self.ask_terminate(event)
            case "delete_child":
                self.ask_delete(event)
            case "which_children":
                self.answer(event, list(self.state.in_order()))
            case "count_children":
                self.answer(event, count_children(self.state))
            case "get_childspec":
                child = self.state.children.get(event.args[0])
                self.answer(event, child.spec if child else ("error", "not_found"))
            case _:
                self.answer(event, ("error", ("unknown_operation", event.operation)))

    def answer(self, event: Asked, value: Any) -> None:
        self.commands.append(Answer(event.caller, value))

    def ask_start(self, event: Asked) -> None:
        number = self.state.numbers + 1
        template = self.state.template
        if template is not None:
            child = Child(f"{template.id}:{number}", template, number, args=tuple(event.args))
        else:
            spec = event.args[0]
            try:
                check_spec(spec, self.state.flags.auto_shutdown)
            except SpecError as error:
                self.answer(event, ("error", (error.code, error.value)))
                return
            present = self.state.children.get(spec.id)
            if present is not None:
                error = "already_present" if present.state == "stopped" else "already_started"
                self.answer(event, ("error", error))
                return
            child = Child(spec.id, spec, number)
        self.change(numbers=number)
        self.put(child)
        self.add(StartTask(child.key, "start_child", event.caller))

    def static_child(self, event: Asked) -> Child | None:
        """Return the named child, or answer why not."""
        if self.state.template is not None and event.operation != "terminate_child":
            self.answer(event, ("error", "simple_one_for_one"))
            return None
        child = self.state.children.get(event.args[0])
        if child is None:
            self.answer(event, ("error", "not_found"))
        return child

    def ask_restart(self, event: Asked) -> None:
        child = self.static_child(event)
        if child is None:
            return
        if child.state == "stopped":
            self.add(StartTask(child.key, "restart_child", event.caller))
        else:
            self.answer(event, ("error", child.state))

    def ask_terminate(self, event: Asked) -> None:
        child = self.static_child(event)
        if child is None:
            return
        if child.state == "restarting":
            self.drop(child)
        self.add(StopTask((child.key,)), Answer(event.caller, "ok"))

    def ask_delete(self, event: Asked) -> None:
        child = self.static_child(event)
        if child is None:
            return
        if child.state == "stopped":
            self.change(children=self.state.children.delete(child.key))
            self.answer(event, "ok")
        else:
            self.answer(event, ("error", child.state))


def _expected(spec: ChildSpec, reason: Reason) -> bool:
    """Tell whether a child that was asked to stop ended as it should (OTP ``shutdown/1``)."""
    if spec.stop_within == "brutal_kill":
        return bool(reason == "killed")
    if reason == "shutdown":
        return True
    return is_clean(reason) and spec.restart != "permanent"


def count_children(state: State) -> dict[str, int]:
    """Count as OTP's ``count_children``: specs, active (running), supervisors and workers."""
    children = state.children.values()
    supervisors = sum(child.spec.type == "supervisor" for child in children)
    return {
        "specs": 1 if state.template is not None else len(state.children),
        "active": sum(child.state == "running" for child in children),
        "supervisors": supervisors,
        "workers": len(state.children) - supervisors,
    }
