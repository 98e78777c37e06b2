"""The supervisor: a light actor around the pure decision, for children of both placements.

It turns news into events, keeps back those that must wait, and carries out the commands. What it
knows of a child's body is a *handle*: a cell address for a light child, a process record for one
in its own process. The many short-lived children of a dynamic supervisor take a fast lane past all
this (``supervision.fastlane``).
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Any

from thespian.actors import WakeupMessage

from supervision import decision, events
from supervision.actor import STARTING, STOPPING, LightActor
from supervision.backlog import Backlog
from supervision.body import Body, has_ended
from supervision.errors import StartError
from supervision.fastlane import FastLane, qualifies
from supervision.inspection.progress import progress_of
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
from supervision.past import Past
from supervision.ref import Ref
from supervision.specs import ChildSpec, SupervisorFlags, refuse_faults
from supervision.state import Child, State

if TYPE_CHECKING:
    from collections.abc import Sequence

    from supervision.body import Handle
    from supervision.messages import Level
RETRY_PAUSE_S = 0.0
BY_HANDLE = frozenset({"terminate_child", "get_childspec"})
"""Operations that name a dynamic child by its handle."""


class Supervisor(LightActor):
    """Starts children in order, restarts by the strategy, stops in reverse, gives up upward.

    It answers ``Call`` with ``CallResult``, and takes ``StartChild`` for dynamic children.

    Args:
        flags: Strategy and restart intensity.
        specs: The children; for ``simple_one_for_one`` exactly one, the template.

    Attributes:
        state: What the decision knows.
        bodies: The live children, by key.
        past: What is remembered of the children beyond that.
    """

    def __init__(self, flags: SupervisorFlags, specs: Sequence[ChildSpec] = ()) -> None:
        super().__init__()
        self.flags = flags
        self.specs = tuple(specs) if isinstance(specs, list | tuple) else specs
        self.state = State(flags)
        self.bodies: dict[str, Body] = {}
        self.past = Past()
        self._by_handle: dict[Any, Body] = {}
        self._backlog = Backlog()
        self._found: deque[events.Event] = deque()
        self._looked_for: Any = None
        self._fast: FastLane | None = None
        self._end_reason: Reason = None

    # -- life -----------------------------------------------------------------------------------

    def on_start(self) -> Any:
        """Check flags and specs, then start the children; ready when all of them are."""
        refuse_faults(self.flags, self.specs)
        self._take(events.Begin(tuple(self.specs)))
        self._choose_lane()
        return STARTING

    def _choose_lane(self) -> None:
        """Open the fast lane if the template in force allows it, or keep the one there is."""
        template = self.state.template
        if template is None or not qualifies(self.state.flags, template):
            self._fast = None
        elif self._fast is None:
            self._fast = FastLane(self.cell, self._myRef, template)
        else:
            self._fast.spec = template

    def on_stop(self, reason: Reason) -> Any:
        """Stop the children in reverse order, then end."""
        if self._fast is not None and not self._fast.closed:
            self._fast.close(self._fast_children())
        self._take(events.StopAsked(reason))
        return STOPPING

    def receiveMessage(self, message: Any, sender: Any) -> None:
        """Turn a message into an event."""
        match message:
            case StartChild():
                self._start_dynamic(message, sender)
            case ChildStarted(handle, info):
                self._started(handle, info)
            case ChildDeclined(handle):
                self._declined(handle)
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

    # -- news of children -----------------------------------------------------------------------

    def _started(self, handle: Any, info: Any) -> None:
        body = self._by_handle.get(handle)
        if body is None:
            return
        if body.spec.role and isinstance(handle, Ref):
            self.cell.registry.bind(body.spec.role, handle)
        self._take(events.Launched(body.key, body.incarnation, info))

    def _declined(self, handle: Any) -> None:
        body = self._by_handle.get(handle)
        if body is not None:
            self._forget(body)
            self._take(events.Declined(body.key, body.incarnation))

    def _failed(self, handle: Any, reason: Reason, detail: str) -> None:
        body = self._by_handle.get(handle)
        if body is None:
            self._left_fast_lane(ChildExited(handle, reason, detail), "start_error")
            return
        self.past.last_errors[body.key] = detail or str(reason)
        self._forget(body)
        self._take(events.LaunchFailed(body.key, body.incarnation, reason))

    def _exited(self, message: ChildExited) -> None:
        body = self._by_handle.get(message.address)
        if body is None:
            self._left_fast_lane(message, "child_terminated")
            return
        if message.detail:
            self.past.last_errors[body.key] = message.detail
        elif message.reason != "shutdown":
            self.past.last_errors[body.key] = str(message.reason)
        self._forget(body)
        self._take(events.Exited(body.key, body.incarnation, message.reason))

    def _left_fast_lane(self, message: ChildExited, context: str) -> None:
        fast = self._fast
        if fast is None:
            return
        crashed, callers = fast.left(message)
        if crashed:
            offender = fast.spec.as_offender(0, os.getpid())
            report = Report(self.path, context, message.reason, offender, message.detail)
            self.cell.reporter(report)
        for caller in callers:
            self._answer(caller, "ok")
        if self._end_reason is not None and fast.is_empty:
            self.stop(self._end_reason)

    def _forget(self, body: Body) -> None:
        if body.deadline is not None:
            body.deadline.cancel()
        self._by_handle.pop(body.handle, None)
        if self.bodies.get(body.key) is body:
            del self.bodies[body.key]

    # -- events in, commands out ----------------------------------------------------------------

    def _take(self, event: events.Event) -> None:
        """Decide on ``event``, now or when it is its turn, and on all that waited for it."""
        if not self.state.concerns(event):
            self._backlog.keep(event)
            return
        turn: events.Event | None = event
        while turn is not None and self._is_deciding():
            self._step(turn)
            turn = self._next_event()

    def _is_deciding(self) -> bool:
        """Tell whether there is anything left to decide: not when all that is left is to end."""
        return self._myRef.actor is not None and self._end_reason is None

    def _next_event(self) -> events.Event | None:
        """Take the first of the waiting events that can be decided now."""
        awaiting = self.state.awaiting
        if awaiting is None:
            return self._backlog.first()
        if awaiting is not self._looked_for:
            # News that came before they were awaited; later ones find themselves awaited.
            self._looked_for = awaiting
            self._found.extend(self._backlog.of(self.state.pending.items()))
        return self._found.popleft() if self._found else None

    def _step(self, event: events.Event) -> None:
        progress = progress_of(self.state, event)
        if progress is not None:
            context, reason, child, level = progress
            self._tell(context, reason, child, level=level)
        self.state, commands = decision.step(self.state, event, self.cell.clock())
        for command in commands:
            self._carry_out(command)
        if isinstance(event, events.News) and event.key not in self.state.children:
            self.past.forget(event.key)
        elif isinstance(event, events.Asked) and event.operation == "change_specs":
            self.flags = self.state.flags
            self._choose_lane()

    def _carry_out(self, command: events.Command) -> None:
        match command:
            case events.Launch(child):
                self._launch(child)
            case events.Halt(child):
                self._halt(child)
            case events.Answer(caller, value):
                self._answer(caller, value)
            case events.Retry(key):
                self.wake_after(RETRY_PAUSE_S, events.RetryDue(key))
            case events.Tell(context, reason, child, number):
                self._tell(context, reason, child, number)
            case events.Ready():
                self.ready()
            case events.End(reason):
                self._end(reason)

    def _end(self, reason: Reason) -> None:
        for body in tuple(self.bodies.values()):
            self._forget(body)
        if self._fast is None or self._fast.is_empty:
            self.stop(reason)
        else:
            self._end_reason = reason

    def _launch(self, child: Child) -> None:
        spec = child.spec
        path = f"{self.path}/{child.key}"
        self.past.begin(child.key)
        handle: Handle
        if spec.placement == "light":
            handle = self.cell.spawn(
                spec.start.build,
                (child.args,),
                parent=self._myRef,
                name=child.key,
                limit=spec.mailbox_limit,
            )
        else:
            try:
                handle = self._start_process(child, path)
            except StartError as error:
                self.past.last_errors[child.key] = str(error)
                self._backlog.keep(events.LaunchFailed(child.key, child.incarnation, error.reason))
                return
        body = Body(child, handle, self.cell.clock())
        self.bodies[child.key] = body
        self.past.pids[child.key] = body.pid
        self._by_handle[handle] = body

    def _start_process(self, child: Child, path: str) -> Handle:
        if self.cell.processes is None:
            text = f"{path} wants its own process; this cell can make none"
            raise StartError("no_processes_here", text)
        return self.cell.processes.start_process(self._myRef, child.spec, path, child.args)

    def _halt(self, child: Child) -> None:
        body = self.bodies.get(child.key)
        if body is None:
            return  # it has ended by itself already, and that news waits in the backlog
        within = child.spec.stop_within
        if within == "brutal_kill":
            body.kill(self.cell)
            return
        body.stop(self.cell)
        if within != "infinity":
            body.deadline = self.wake_after(within / 1000, body)

    def _woken(self, payload: Any) -> None:
        if isinstance(payload, Ref):
            if self._fast is not None:
                self._fast.overdue(payload)
        elif isinstance(payload, Body):
            if self.bodies.get(payload.key) is payload:
                payload.kill(self.cell)
        else:
            self._take(payload)

    # -- operations -----------------------------------------------------------------------------

    def _start_dynamic(self, message: StartChild, sender: Ref) -> None:
        if self._fast is not None:
            self._fast.start(message, sender)
        else:
            self._take(events.Asked("start_child", message.args, (sender, 0)))

    def _asked(self, message: Call, sender: Ref) -> None:
        caller = (sender, message.number)
        args = message.args
        if self.state.template is not None and message.operation in BY_HANDLE and len(args) == 1:
            body = self._by_handle.get(args[0]) if not isinstance(args[0], str) else None
            if body is not None:
                args = (body.key,)
            elif self._asked_unrecorded(message, args[0], caller):
                return
        self._take(events.Asked(message.operation, args, caller))

    def _asked_unrecorded(self, message: Call, ref: Any, caller: tuple[Ref, int]) -> bool:
        """Answer about a handle that is in no record, if it is dead or of the fast lane."""
        if has_ended(ref):
            if message.operation == "terminate_child":
                self._answer(caller, "ok")  # as OTP: what is dead has been terminated
            return message.operation == "terminate_child"
        if self._fast is None or getattr(ref, "parent", None) is not self._myRef:
            return False
        if message.operation == "terminate_child":
            self._fast.halt(ref, caller)
        else:
            self._answer(caller, self._fast.spec)
        return True

    def _answer(self, caller: tuple[Ref, int], value: Any) -> None:
        asker, number = caller
        if isinstance(value, tuple) and value and value[0] == "started":
            value = ("started", self.bodies[value[1]].handle, value[3])
        elif isinstance(value, list):
            value = [self._row(child) for child in value]
            value += [(ref.name, ref, "worker", "running") for ref in self._fast_children()]
        elif isinstance(value, dict) and self._fast is not None:
            more = len(self._fast_children())
            value = {**value, "active": value["active"] + more, "workers": value["workers"] + more}
        self.send(asker, CallResult(number, value))

    def _fast_children(self) -> list[Ref]:
        if self._fast is None:
            return []
        return [ref for ref in self._myRef.children or () if ref not in self._by_handle]

    def _row(self, child: Child) -> tuple[str, Any, str, str]:
        """A row of ``which_children``: id, handle or ``None``, type, state."""
        body = self.bodies.get(child.key)
        return child.key, body.handle if body else None, child.spec.type, child.state

    def _tell(
        self, context: str, reason: Reason, child: Child, count: int = 1, level: Level = "error"
    ) -> None:
        """Report on a child; ``count`` tells how many it stands for."""
        self.cell.reporter(self.past.report(self.path, context, reason, child, count, level))

    # -- looking in -----------------------------------------------------------------------------

    @property
    def crashes(self) -> int:
        """How many children of the fast lane crashed."""
        return self._fast.crashes if self._fast is not None else 0

    def allowance_left(self) -> int:
        """Restarts that are still allowed now before this supervisor gives up."""
        now = int(self.cell.clock())
        recent = [moment for moment in self.state.restarts if moment >= now - self.flags.period_s]
        return max(0, self.flags.intensity - len(recent))

    def system_format_state(self) -> dict[str, Any]:
        """Return its table as people see it."""
        table = [
            {"id": each.key, "type": each.spec.type, "state": each.state,
             "pid": self.past.pids.get(each.key)}
            for each in self.state.in_order()
        ]  # fmt: skip
        restarts, waiting = list(self.state.restarts), len(self._backlog)
        return {"restarts": restarts, "waiting": waiting, "children": table}
