"""The desk: what an operator may have done to one light actor, by name.

Arguments and results are plain data, because they cross processes. To add an operation is to write
a function and put it into ``OPERATIONS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision import faults
from supervision.errors import OrderError
from supervision.inspect import own_account

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervision.cell import Cell
    from supervision.ref import Ref

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
    return {"details": own_account(ref.actor)}


OPERATIONS: dict[str, Callable[[Cell, Ref, Args], Args | None]] = {
    "account": _account,
    "kill": _kill,
    "suspend": _suspend,
    "resume": _resume,
    "fault": _fault,
    "heal": _heal,
}
