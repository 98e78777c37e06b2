"""The supervisor: a light actor around the pure decision, for children of both placements.

It turns news into events, keeps back those that must wait, and carries out the commands. What it knows of a child's body
is a *handle*: a cell address for a light child, a process record for one in its own process.

One fast lane: the temporary children of a dynamic supervisor (an orchestrator for each impression) need no decision, since
whatever ends them they are only forgotten. So they are made on ``StartChild`` at once and the cell keeps count of them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage

from supervision import decision
from supervision.actor import STARTING, STOPPING, LightActor
from supervision.errors import SpecError, StartError
from supervision.messages import (
    Call,
    CallResult,
    ChildDeclined,
    ChildExited,
    ChildFailed,
    ChildStarted,
    Reason,
    Report,
    StartChild,
)
from supervision.ref import Ref, Timer
from supervision.specs import ChildSpec, SupervisorFlags, check_flags, check_specs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.ports import ProcessChild

    Handle = Ref | ProcessChild

RETRY_PAUSE_S = 0.0


class _Body:
    """A child's live body and what the shell keeps beside it."""

    __slots__ = ("deadline", "handle", "incarnation", "key", "last_error", "since_s", "spec")

    def __init__(self, child: decision.Child, handle: Handle, since_s: float) -> None:
        self.key = child.key
        self.incarnation = child.incarnation
        self.spec = child.spec
        self.handle = handle
        self.since_s = since_s
        self.deadline: Timer | None = None


class Supervisor(LightActor):
    """Starts its children in order, restarts them by the strategy, stops them in reverse, gives up upward.

    Args:
        flags: Strategy and restart intensity.
        specs: The children; for ``simple_one_for_one`` exactly one, the template.

    It answers ``Call`` (see there) with ``CallResult``, and takes ``StartChild`` for dynamic children.
    """

    def __init__(self, flags: SupervisorFlags, specs: Sequence[ChildSpec] = ()) -> None:
        super().__init__()
        self.flags = flags
        self.specs = tuple(specs)
        self.state = decision.State(flags)
        self.bodies: dict[str, _Body] = {}
        self.last_errors: dict[str, str] = {}
        self.starts: dict[str, int] = {}
        self.crashes = 0
        self._by_handle: dict[Any, _Body] = {}
        self._backlog: deque[decision.Event] = deque()
        self._begun = False

    # -- life ---------------------------------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Check flags and specs, then start the children; ready when all of them are."""
        try:
            check_flags(self.flags)
        except SpecError as error:
            raise StartError(("supervisor_data", error.code, error.value)) from error
        try:
            check_specs(self.specs, self.flags.auto_shutdown)
        except SpecError as error:
            raise StartError(("start_spec", error.code, error.value)) from error
        self._take(decision.Begin(self.specs))
        return STARTING

    def on_stop(self, reason: Reason) -> Any:
        """Stop the children in reverse order, then end."""
        self._take(decision.StopAsked(reason))
        return STOPPING

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Turn a message into an event."""
        match message:
            case StartChild():
                self._start_dynamic(message, sender)
            case ChildStarted(handle, info):
                self._news(handle, decision.Launched, info)
            case ChildDeclined(handle):
                self._news(handle, decision.Declined)
            case ChildFailed(handle, reason, detail):
                self._failed(handle, reason, detail)
            case ChildExited():
                self._exited(message)
            case Call():
                self._asked(message, sender)
            case WakeupMessage():
                self._woken(message.payload)
            case _:
                self.cell.dead_letters += 1

    # -- news of children ---------------------------------------------------------------------------------------

    def _news(self, handle: Any, event: Any, *details: Any) -> None:
        body = self._by_handle.get(handle)
        if body is None:
            return
        if event is decision.Launched and body.spec.role and isinstance(handle, Ref):
            self.cell.registry.bind(body.spec.role, handle)
        if event is decision.Declined:
            self._forget(body)
        self._take(event(body.key, body.incarnation, *details))

    def _failed(self, handle: Any, reason: Reason, detail: str) -> None:
        body = self._by_handle.get(handle)
        if body is not None:
            self.last_errors[body.key] = detail or str(reason)
            self._forget(body)
            self._take(decision.LaunchFailed(body.key, body.incarnation, reason))

    def _exited(self, message: ChildExited) -> None:
        body = self._by_handle.get(message.address)
        if body is None:
            if self._is_fast_lane():  # only crashes of fast-lane children are reported to us
                self.crashes += 1
                self._report("child_terminated", message.reason, self.specs[0], 0, message.detail)
            return
        if message.detail:
            self.last_errors[body.key] = message.detail
        elif message.reason != "shutdown":
            self.last_errors[body.key] = str(message.reason)
        self._forget(body)
        self._take(decision.Exited(body.key, body.incarnation, message.reason))

    def _forget(self, body: _Body) -> None:
        if body.deadline is not None:
            body.deadline.cancel()
        self._by_handle.pop(body.handle, None)
        if self.bodies.get(body.key) is body:
            del self.bodies[body.key]

    # -- events in, commands out --------------------------------------------------------------------------------

    def _take(self, event: decision.Event) -> None:
        """Decide on ``event``, now or when it is its turn, and on all that waited for what it changes."""
        self._backlog.append(event)
        while self._myRef.actor is not None and (turn := self._next_event()) is not None:
            self._step(turn)

    def _next_event(self) -> decision.Event | None:
        """Take the first event that can be decided now; while a child is awaited that is only news of it."""
        for event in self._backlog:
            if self.state.concerns(event):
                self._backlog.remove(event)
                return event
        return None

    def _step(self, event: decision.Event) -> None:
        self.state, commands = decision.step(self.state, event, self.cell.clock())
        for command in commands:
            self._carry_out(command)

    def _carry_out(self, command: decision.Command) -> None:
        match command:
            case decision.Launch(child):
                self._launch(child)
            case decision.Halt(child):
                self._halt(child)
            case decision.Answer(caller, value):
                self._answer(caller, value)
            case decision.Retry(key):
                self.wake_after(RETRY_PAUSE_S, decision.RetryDue(key))
            case decision.Tell(context, reason, child):
                detail = self.last_errors.get(child.key, "")
                self._report(context, reason, child.spec, child.incarnation, detail)
            case decision.Ready():
                self._begun = True
                self.ready()
            case decision.End(reason):
                self._end(reason)

    def _end(self, reason: Reason) -> None:
        for body in tuple(self.bodies.values()):
            self._forget(body)
        self.stop(reason)

    def _launch(self, child: decision.Child) -> None:
        spec = child.spec
        path = f"{self.path}/{child.key}"
        if spec.placement == "process":
            if self.cell.processes is None:
                raise StartError(f"{path} wants a process of its own, but its supervisor lives where none can be made")
            body = _Body(child, self.cell.processes.start_process(self._myRef, spec, path), self.cell.clock())
        else:
            ref = self.cell.spawn(
                spec.start.build, (child.args,), parent=self._myRef, name=child.key, limit=spec.mailbox_limit
            )
            body = _Body(child, ref, self.cell.clock())
        self.starts[child.key] = self.starts.get(child.key, 0) + 1
        self.bodies[child.key] = body
        self._by_handle[body.handle] = body

    def _halt(self, child: decision.Child) -> None:
        body = self.bodies.get(child.key)
        if body is None:
            return  # it has ended by itself already, and that news waits in the backlog
        within = child.spec.stop_within
        if within == "brutal_kill":
            self._kill(body)
            return
        if isinstance(body.handle, Ref):
            self.cell.stop(body.handle, "shutdown")
        else:
            assert self.cell.processes is not None
            self.cell.processes.stop_process(body.handle, "shutdown")
        if within != "infinity":
            body.deadline = self.wake_after(within / 1000, body)

    def _kill(self, body: _Body) -> None:
        if isinstance(body.handle, Ref):
            self.cell.kill(body.handle)
        else:
            assert self.cell.processes is not None
            self.cell.processes.kill_process(body.handle)

    def _woken(self, payload: Any) -> None:
        if isinstance(payload, _Body):
            if self.bodies.get(payload.key) is payload:
                self._kill(payload)
        else:
            self._take(payload)

    # -- operations ---------------------------------------------------------------------------------------------

    def _is_fast_lane(self) -> bool:
        return (
            self.flags.strategy == "simple_one_for_one"
            and self.specs[0].restart == "temporary"
            and self.specs[0].placement == "light"
        )

    def _start_dynamic(self, message: StartChild, sender: Ref) -> None:
        if not self._is_fast_lane():
            self._take(decision.Asked("start_child", message.args, (sender, 0)))
            return
        spec = self.specs[0]
        ref = self.cell.spawn(
            spec.start.build,
            (message.args,),
            parent=self._myRef,
            name=message.name,
            limit=spec.mailbox_limit,
            quiet=True,
        )
        # The one who wanted it hears at once if it dies before it has answered.
        ref.waiters = {sender: 1}
        if ref.actor is None:
            self.cell.tell_waiters(ref, ref.exit_reason)

    def _asked(self, message: Call, sender: Ref) -> None:
        args = message.args
        if message.operation == "terminate_child" and args and args[0] in self._by_handle:
            args = (self._by_handle[args[0]].key,)
        self._take(decision.Asked(message.operation, args, (sender, message.number)))

    def _answer(self, caller: tuple[Ref, int], value: Any) -> None:
        asker, number = caller
        if isinstance(value, tuple) and value and value[0] == "started":
            value = ("started", self.bodies[value[1]].handle, value[3])
        elif isinstance(value, list):
            value = [self._child_row(child) for child in value]
        self.send(asker, CallResult(number, value))

    def _child_row(self, child: decision.Child) -> tuple[str, Any, str, str]:
        """A row of ``which_children``: id, handle or ``None``, type, state."""
        body = self.bodies.get(child.key)
        return child.key, body.handle if body else None, child.spec.type, child.state

    def _report(self, context: str, reason: Reason, spec: ChildSpec, incarnation: int, detail: str) -> None:
        offender = {
            "id": spec.id,
            "incarnation": incarnation,
            "restart": spec.restart,
            "shutdown": spec.stop_within,
            "type": spec.type,
            "placement": spec.placement,
        }
        self.cell.reporter(Report(self.path, context, reason, offender, detail))

    # -- looking in ---------------------------------------------------------------------------------------------

    def allowance_left(self) -> int:
        """Restarts that are still allowed within the present period before this supervisor gives up."""
        now = int(self.cell.clock())
        recent = [moment for moment in self.state.restarts if moment >= now - self.flags.period_s]
        return max(0, self.flags.intensity - len(recent))
