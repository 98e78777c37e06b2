"""What may be asked of a supervisor: OTP's operations on its children, as pure as the decision.

Each is a function of the :class:`~supervision.decision.Draft` in the making and the question; it
answers at once, or puts tasks on the agenda with the answer behind them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from immutables import Map

from supervision.errors import SpecError
from supervision.events import Answer, Asked
from supervision.specs import ChildSpec, SupervisorFlags, check_spec, check_start
from supervision.state import Child, StartTask, StopTask, count_children

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervision.decision import Draft
    from supervision.messages import Reason

ONE_ARGUMENT = frozenset({"restart_child", "terminate_child", "delete_child", "get_childspec"})


def carry_out(draft: Draft, event: Asked) -> None:
    """Do what is asked, or answer why not: ``("error", reason)``."""
    operation = OPERATIONS.get(event.operation)
    if operation is None:
        draft.answer(event.caller, ("error", ("unknown_operation", event.operation)))
    elif event.operation in ONE_ARGUMENT and len(event.args) != 1:
        draft.answer(event.caller, ("error", "badarg"))
    else:
        operation(draft, event)


def _ask_start(draft: Draft, event: Asked) -> None:
    number = draft.state.numbers + 1
    template = draft.state.template
    if template is not None:
        child = Child(f"{template.id}:{number}", template, number, args=tuple(event.args))
    else:
        spec: Any = event.args[0] if len(event.args) == 1 else event.args
        problem = _why_not(draft, spec)
        if problem is not None:
            draft.answer(event.caller, ("error", problem))
            return
        child = Child(spec.id, spec, number)
    draft.change(numbers=number)
    draft.put(child)
    draft.add(StartTask(child.key, "start_child", event.caller))


def _why_not(draft: Draft, spec: Any) -> Reason | None:
    """Say why a child of ``spec`` cannot be added, or ``None`` if it can."""
    try:
        check_spec(spec, draft.state.flags.auto_shutdown)
    except SpecError as error:
        return (error.code, error.value)
    present = draft.state.children.get(spec.id)
    if present is None:
        return None
    return "already_started" if present.state == "running" else "already_present"


def _named_child(draft: Draft, event: Asked) -> Child | None:
    """Return the child that is asked about, or answer why not."""
    name = event.args[0]
    child = draft.state.children.get(name) if isinstance(name, str) else None
    if child is None:
        dynamic = draft.state.template is not None and isinstance(name, str)
        problem = "simple_one_for_one" if dynamic else "not_found"
        draft.answer(event.caller, ("error", problem))
    return child


def _static_child(draft: Draft, event: Asked) -> Child | None:
    """Return the named child of a static supervisor, or answer why not."""
    if draft.state.template is None:
        return _named_child(draft, event)
    draft.answer(event.caller, ("error", "simple_one_for_one"))
    return None


def _ask_restart(draft: Draft, event: Asked) -> None:
    child = _static_child(draft, event)
    if child is None:
        return
    if child.state == "stopped":
        draft.add(StartTask(child.key, "restart_child", event.caller))
    else:
        draft.answer(event.caller, ("error", child.state))


def _ask_terminate(draft: Draft, event: Asked) -> None:
    child = _named_child(draft, event)
    if child is None:
        return
    if child.state != "running":
        draft.drop(child)  # of a temporary child that stands stopped nothing is kept either
    draft.add(StopTask((child.key,)), Answer(event.caller, "ok"))


def _ask_delete(draft: Draft, event: Asked) -> None:
    child = _static_child(draft, event)
    if child is None:
        return
    if child.state == "stopped":
        draft.delete(child.key)
        draft.answer(event.caller, "ok")
    else:
        draft.answer(event.caller, ("error", child.state))


def _ask_spec(draft: Draft, event: Asked) -> None:
    child = _named_child(draft, event)
    if child is not None:
        draft.answer(event.caller, child.spec)


def _ask_children(draft: Draft, event: Asked) -> None:
    draft.answer(event.caller, draft.state.in_order())


def _ask_counts(draft: Draft, event: Asked) -> None:
    draft.answer(event.caller, count_children(draft.state))


def _ask_change(draft: Draft, event: Asked) -> None:
    """Take new flags and specs; nothing is started or stopped by that (OTP ``code_change``)."""
    if len(event.args) != 2:  # noqa: PLR2004 - flags and specs
        draft.answer(event.caller, ("error", "badarg"))
        return
    flags, specs = event.args
    try:
        check_start(flags, specs)
        _check_kind(draft, flags)
    except SpecError as error:
        draft.answer(event.caller, ("error", (error.code, error.value)))
        return
    draft.change(flags=flags)
    if draft.state.template is not None:
        _change_template(draft, specs[0])
    else:
        _change_children(draft, specs)
    draft.answer(event.caller, "ok")


def _check_kind(draft: Draft, flags: SupervisorFlags) -> None:
    """Refuse to turn a static supervisor into a dynamic one, or back."""
    if (flags.strategy == "simple_one_for_one") != (draft.state.template is not None):
        change = f"{draft.state.flags.strategy} to {flags.strategy}"
        raise SpecError("bad_strategy_change", change)


def _change_template(draft: Draft, template: ChildSpec) -> None:
    """Children get the new template, but for the temporary: they live out the life they have."""
    changed = Map(
        {
            key: child if child.spec.restart == "temporary" else replace(child, spec=template)
            for key, child in draft.state.children.items()
        }
    )
    draft.change(template=template, children=changed)


def _change_children(draft: Draft, specs: Sequence[ChildSpec]) -> None:
    """Known ids get their new spec, new ones stand stopped, unmentioned ones stay, as the last."""
    old = draft.state.children
    listed = [(old.get(spec.id) or Child(spec.id, spec, 0), spec) for spec in specs]
    ids = {spec.id for spec in specs}
    rest = [(child, child.spec) for child in draft.state.in_order() if child.key not in ids]
    children = {
        child.key: replace(child, spec=spec, order=order)
        for order, (child, spec) in enumerate((*listed, *rest))
    }
    numbers = max(draft.state.numbers, len(children))
    draft.change(children=Map(children), numbers=numbers)


OPERATIONS: dict[str, Callable[[Draft, Asked], None]] = {
    "start_child": _ask_start,
    "restart_child": _ask_restart,
    "terminate_child": _ask_terminate,
    "delete_child": _ask_delete,
    "get_childspec": _ask_spec,
    "which_children": _ask_children,
    "count_children": _ask_counts,
    "change_specs": _ask_change,
}
