"""Faults on purpose, for the node as a whole: what operators ask for, and the list of what is on.

A fault inside a process is put into force there and ends there by itself; here is only known that
it should be over by then. Signals are sent from here, by way of descriptors that mean one process
for ever, and only to processes that descend from this one; what was stopped goes on at its time.
"""

from __future__ import annotations

import os
import select
import signal
from dataclasses import asdict, dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from supervision.errors import FaultRefusedError
from supervision.faults.book import report_of
from supervision.faults.catalog import read_request
from supervision.inspection.procfs import descends
from transport.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.clock import Clock
    from supervision.faults.catalog import FaultRequest
    from supervision.messages import Report

    Args = dict[str, Any]

SIGNALS = {"STOP": signal.SIGSTOP, "KILL": signal.SIGKILL, "TERM": signal.SIGTERM}


class Tree(Protocol):
    """What is needed of the node's operators."""

    def find(self, args: Args) -> Args:
        """Return the node of the tree that ``args["name"]`` means."""

    def home_of(self, name: str) -> str:
        """Return the name of the process in which ``name`` lives."""

    def pass_on(self, name: str, operation: str, args: Args) -> Args:
        """Have something done by the actor ``name``."""


@dataclass(slots=True)
class _Active:
    """A fault in force.

    Attributes:
        request: What was asked for.
        path: Its target.
        home: The process in which that lives.
        pid: That process's number ...
        pidfd: ... and the descriptor that means it, and no later process of that number.
        ends_s: When it is over, on the node's clock.
    """

    request: FaultRequest
    path: str
    home: str
    pid: int
    pidfd: int
    ends_s: float


class NodeFaults:
    """Keeps the list of faults of one node.

    Args:
        node: The node's name.
        tree: Finds targets and reaches them.
        clock: Monotonic seconds.
        report: Takes what is to be told of signals.
    """

    def __init__(
        self, node: str, tree: Tree, clock: Clock, report: Callable[[Report], None]
    ) -> None:
        self._node = node
        self._tree = tree
        self._clock = clock
        self._report = report
        self._numbers = count(1)
        self._active: dict[str, _Active] = {}

    # -- what operators ask ---------------------------------------------------------------------

    def begin(self, args: Args) -> Args:
        """Put a fault into force: ``name``, ``kind``, ``args``, ``ttl_s``, ``seed``.

        Raises:
            ControlError: It makes no sense or cannot be; the message says why.
        """
        self.tick()
        number = next(self._numbers)
        target = self._tree.find(args)
        try:
            request = read_request(f"f{number}", args, number)
            _check_target(request, target)
            fault = self._hold(request, target)
        except FaultRefusedError as error:
            raise ControlError("bad_fault", str(error)) from error
        try:
            if request.scope == "process":
                self._strike(fault)
            else:
                self._tree.pass_on(target["name"], "fault", asdict(request))
        except ControlError:
            os.close(fault.pidfd)
            raise
        self._active[request.id] = fault
        return self._row(fault)

    def heal(self, args: Args) -> Args:
        """End the fault of an ``id``, those on a ``name``, or all.

        Raises:
            ControlError: There is no such fault or no such actor.
        """
        self.tick()
        wanted = list(self._active.values())
        if args.get("id"):
            wanted = [fault for fault in wanted if fault.request.id == args["id"]]
            if not wanted:
                raise ControlError("not_found", f"there is no fault {args['id']!r} in force")
        elif args.get("name"):
            name = self._tree.find(args)["name"]
            wanted = [fault for fault in wanted if fault.path == name]
        for fault in wanted:
            self._end(fault, "healed")
        return {"healed": len(wanted)}

    def listing(self, _args: Args) -> Args:
        """Return all faults in force."""
        self.tick()
        return {"faults": [self._row(fault) for fault in self._active.values()]}

    def tick(self) -> None:
        """End what is over; never takes long."""
        now_s = self._clock()
        for fault in tuple(self._active.values()):
            if _is_dead(fault.pidfd):
                self._end(fault, "its process ended")
            elif fault.ends_s <= now_s:
                self._end(fault, "its time was over")

    # -- beginning and ending -------------------------------------------------------------------

    def _hold(self, request: FaultRequest, target: Args) -> _Active:
        """Get hold of the target's process, whatever becomes of its number.

        Raises:
            FaultRefusedError: It has none, or one that is none of ours.
        """
        name, pid = target["name"], target["pid"]
        if pid is None:
            raise FaultRefusedError(f"{name} does not run at the moment; try again later")
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise FaultRefusedError(f"{name} has just ended; try again later") from error
        if not descends(pid, os.getpid()):  # looked at after it was held, so it stays true
            os.close(pidfd)
            raise FaultRefusedError(f"process {pid} of {name} is none of this node's any more")
        ends_s = self._clock() + request.ttl_s
        return _Active(request, name, self._tree.home_of(name), pid, pidfd, ends_s)

    def _strike(self, fault: _Active) -> None:
        word = fault.request.args["signal"]
        self._tell("fault_on", fault, "asked for")
        signal.pidfd_send_signal(fault.pidfd, SIGNALS[word])

    def _end(self, fault: _Active, why: str) -> None:
        request = fault.request
        del self._active[request.id]
        dead = _is_dead(fault.pidfd)
        if request.scope == "process":
            if request.args["signal"] == "STOP" and not dead:
                signal.pidfd_send_signal(fault.pidfd, signal.SIGCONT)
            self._tell("fault_off", fault, why)
        elif dead:
            self._tell("fault_off", fault, why)
        elif why == "healed":
            self._heal_inside(fault)
        os.close(fault.pidfd)

    def _heal_inside(self, fault: _Active) -> None:
        """Have a fault ended where it is; one that is over already has ended there by itself."""
        try:
            self._tree.pass_on(fault.home, "heal", {"id": fault.request.id})
        except ControlError as error:  # it will end at its own time
            self._tell("fault_off", fault, f"healed, but not reached: {error}")

    # -- telling --------------------------------------------------------------------------------

    def _row(self, fault: _Active) -> Args:
        request = fault.request
        return {
            "id": request.id,
            "address": f"{self._node}:{fault.path}",
            "kind": request.kind,
            "args": request.args,
            "seed": request.seed,
            "pid": fault.pid,
            "ends_in_s": round(max(0.0, fault.ends_s - self._clock()), 3),
        }

    def _tell(self, context: str, fault: _Active, why: str) -> None:
        self._report(report_of(context, fault.request, fault.path, why))


def _check_target(request: FaultRequest, target: Args) -> None:
    """Refuse a fault that does not fit its target.

    Raises:
        FaultRefusedError: It does not; the text says what would.
    """
    name, kind, scope = target["name"], request.kind, request.scope
    is_process = target["placement"] == "process"
    if scope == "process" and not is_process:
        raise FaultRefusedError(f"{kind} is for processes, and {name} lives inside of one")
    if scope == "inside" and (not is_process or target["kind"] == "supervisor"):
        raise FaultRefusedError(f"{kind} is for processes that work; {name} is none")
    if scope in ("actor", "link") and target["children"]:
        raise FaultRefusedError(f"{kind} is for actors that work, and {name} has others below it")
    if scope in ("actor", "link") and target["kind"] == "supervisor":
        raise FaultRefusedError(f"{kind} is for actors that work, and {name} supervises")
    if kind == "crash_on_start" and is_process:
        raise FaultRefusedError(
            f"{kind} is for actors inside a process: {name} starts in a fresh one, without faults"
        )


def _is_dead(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], 0)[0])
