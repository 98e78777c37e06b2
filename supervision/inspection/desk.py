"""The desk: what an operator may have done to one light actor, by name.

Arguments and results are plain data, because they cross processes. To add an operation is to write
a function and put it into ``OPERATIONS``.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from supervision.errors import OrderError
from supervision.faults import book as faults
from supervision.inspection import system, tracing
from supervision.inspection.tree import own_account
from supervision.messages import Call
from supervision.ref import Ref
from supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.body import Body
    from supervision.cell import Cell
    from supervision.messages import Reason

    Args = dict[str, Any]


def serve(cell: Cell, ref: Ref, operation: str, args: Args) -> Args:
    """Do ``operation`` to ``ref``; return what there is to say about it.

    Raises:
        OrderError: There is no such operation, or it cannot be done.
    """
    if operation not in OPERATIONS:
        raise OrderError(f"no actor knows the operation {operation!r}")
    return OPERATIONS[operation](cell, ref, args) or {}


def _kill(cell: Cell, ref: Ref, _args: Args) -> None:
    cell.kill(ref)


def _suspend(cell: Cell, ref: Ref, _args: Args) -> None:
    cell.suspend(ref)


def _resume(cell: Cell, ref: Ref, _args: Args) -> None:
    cell.resume(ref)


def _fault(cell: Cell, ref: Ref, args: Args) -> None:
    faults.begin(cell, ref, args)


def _heal(cell: Cell, _ref: Ref, args: Args) -> Args:
    return {"healed": faults.heal(cell, args["id"])}


def _account(_cell: Cell, ref: Ref, _args: Args) -> Args:
    return {
        **system.brief_status(ref),
        "details": own_account(ref.actor),
        "frozen_objects": gc.get_freeze_count(),  # of its process
    }


def _state(_cell: Cell, ref: Ref, _args: Args) -> Args:
    return {"run_state": system.run_state(ref), "state": system.format_state(ref)}


def _trace(_cell: Cell, ref: Ref, args: Args) -> Args:
    since = args.get("since")
    if args.get("stop"):
        tracing.end(ref)
    elif since is None:
        tracing.begin(ref, args.get("limit"), args.get("for_s"))
    return tracing.page(ref, since if isinstance(since, int) and since > 0 else 0)


def _restart_child(cell: Cell, ref: Ref, args: Args) -> None:
    """Have a supervisor start one of its children anew, whatever state that is in."""
    supervisor = ref.actor
    key = args.get("child", "")
    child = supervisor.state.children.get(key) if isinstance(supervisor, Supervisor) else None
    if child is None or child.spec.restart == "temporary":
        raise OrderError(f"{key or 'this'} is no child that would be started again; kill it")
    body = supervisor.bodies.get(key)
    if body is not None and child.spec.restart == "permanent":
        _end_politely(supervisor, body, ("shutdown", args.get("reason", "restarted")))
        return
    # Its end would not bring it back, so its supervisor is asked for both, one after the other.
    nobody = Ref(cell, "operator", None, 0)
    nobody.post(ref, Call("terminate_child", (key,)))
    nobody.post(ref, Call("restart_child", (key,)))


def _end_politely(supervisor: Supervisor, body: Body, reason: Reason) -> None:
    """Ask a child to end within the time of its spec, by itself and not as part of a stop."""
    within = body.spec.stop_within
    if within == "brutal_kill":
        body.kill(supervisor.cell)
        return
    body.stop(supervisor.cell, reason)
    if within != "infinity" and body.deadline is None:
        body.deadline = supervisor.wake_after(within / 1000, body)


OPERATIONS: dict[str, Callable[[Cell, Ref, Args], Args | None]] = {
    "account": _account,
    "state": _state,
    "trace": _trace,
    "restart_child": _restart_child,
    "kill": _kill,
    "suspend": _suspend,
    "resume": _resume,
    "fault": _fault,
    "heal": _heal,
}
