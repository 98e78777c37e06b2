"""The light placement as the case tables see it: one cell in virtual time, and the operations."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

from supervision import (
    Call,
    CallResult,
    Cell,
    ChildSpec,
    IgnoreStart,
    LightActor,
    Ref,
    SpecError,
    Start,
    StartError,
    SupervisorFlags,
    VirtualClock,
)
from supervision.messages import ChildDeclined, ChildExited, ChildFailed, ChildStarted
from supervision.specs import check_specs
from tests.conformance.probes import (
    ExitNow,
    Log,
    Plan,
    Probe,
    ProbeSupervisor,
    Stranger,
    reason_of,
    text_of,
)

FLAGS = {
    "strategy": "strategy",
    "intensity": "intensity",
    "period": "period_s",
    "auto_shutdown": "auto_shutdown",
}
SPEC = ("id", "restart", "shutdown", "type", "significant")
SUP_STATES = ("alive", "not_started")
SETTLE_MS = 40
LONGEST_S = 60.0
QUIET_ROUNDS = 200


def addresses(step: dict[str, Any]) -> bool:
    """Tell whether a step's ``sup`` names the supervisor to ask, not the state it is to be in."""
    return isinstance(step.get("sup"), str) and step["sup"] not in SUP_STATES


class Starter(LightActor):
    """Starts the top supervisor and asks it; keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[Any] = []
        self.results: dict[int, Any] = {}

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if isinstance(message, CallResult):
            self.results[message.number] = message.value
        else:
            self.news.append(message)


class World:
    """One supervisor under test, its children, and virtual time."""

    def __init__(self) -> None:
        self.log = Log()
        self.clock = VirtualClock()
        self.cell = Cell(self.clock, random.Random(0))
        self.starter = Starter()
        self.parent = self.cell.spawn(lambda: self.starter, name="starter")
        self.top: Ref | None = None
        self.is_dynamic = False
        self._numbers = 0

    def close(self) -> None:
        self.cell.poller.close()

    # -- building -------------------------------------------------------------------------------

    def flags(self, setup: dict[str, Any]) -> Any:
        if "raw_flags" in setup:
            return tuple(setup["raw_flags"]["tuple"])
        given = setup.get("sup", {})
        # Keys that we do not know are left out: in Python they would be refused when written.
        return SupervisorFlags(**{FLAGS[key]: given[key] for key in given if key in FLAGS})

    def spec(self, given: dict[str, Any], parent: str, *, dynamic: bool = False) -> Any:
        if "raw_spec" in given:
            return given["raw_spec"]
        path = f"{parent}/{given['id']}" if parent else str(given["id"])
        fields = {key: given[key] for key in SPEC if key in given}
        fields.update({key: value for key, value in given.get("raw", {}).items() if key in SPEC})
        if "sup" in given:
            fields.setdefault("type", "supervisor")
            start = Start(partial(self.make_supervisor, path, given))
        elif dynamic:
            start = Start(partial(self.make_dynamic, parent, given))
        else:
            start = Start(partial(self.make_probe, path, given, Plan(given.get("plan"))))
        if "start" in given.get("omit", ()):
            start = None  # type: ignore[assignment]
        return ChildSpec(start=start, **fields)

    def specs(self, setup: dict[str, Any], parent: str = "") -> list[Any]:
        dynamic = setup.get("sup", {}).get("strategy") == "simple_one_for_one"
        return [self.spec(child, parent, dynamic=dynamic) for child in setup.get("children") or []]

    def make_probe(self, path: str, knobs: dict[str, Any], plan: Plan) -> Any:
        kind, value = self.log.plans.get(path, plan).next_outcome()
        if kind == "returns":
            self.log.note("fail", self.log.attempt(path))
            return value
        return Probe(self.log, path, (kind, value), knobs)

    def make_dynamic(self, parent: str, knobs: dict[str, Any], handle: str) -> Any:
        path = f"{parent}/{handle}" if parent else handle
        plan = self.log.plans.setdefault(path, Plan(knobs.get("plan")))
        return self.make_probe(path, knobs, plan)

    def make_supervisor(self, path: str, given: dict[str, Any]) -> ProbeSupervisor:
        if given.get("init") == "ignore":
            raise IgnoreStart
        if given.get("init") == "raise":
            raise StartError("init_raised")
        if isinstance(given.get("init"), dict):
            raise StartError(("bad_return", given["init"]["returns"]))
        return ProbeSupervisor(self.log, path, self.flags(given), self.specs(given, path))

    # -- running --------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        self.cell.run(seconds)

    def settle(self, quiet_ms: float = SETTLE_MS) -> None:
        """Let time pass until nothing has happened for ``quiet_ms``."""
        for _ in range(QUIET_ROUNDS):
            seen = len(self.log.events)
            self.run(quiet_ms / 1000)
            if len(self.log.events) == seen:
                return
        raise AssertionError(f"the system never came to rest: {self.log.events[-20:]}")

    def start(self, setup: dict[str, Any]) -> Any:
        self.is_dynamic = setup.get("sup", {}).get("strategy") == "simple_one_for_one"
        self.top = self.cell.spawn(
            partial(self.make_supervisor, "", setup), parent=self.parent, name="$sup"
        )
        self.cell.run(LONGEST_S, until=lambda: bool(self.starter.news))
        match self.starter.news[0]:
            case ChildStarted():
                return "started"
            case ChildDeclined():
                return "ignored"
            case ChildFailed(_, reason, _):
                return ["error", text_of(reason)]
            case other:
                raise AssertionError(f"unexpected news of the supervisor: {other}")

    def call(self, operation: str, *args: Any, sup: Ref | None = None) -> Any:
        """Ask a supervisor and wait for its answer; ``noproc`` if it is dead."""
        target = sup or self.top
        assert target is not None
        self._numbers += 1
        number = self._numbers
        if not self.parent.post(target, Call(operation, args, number)):
            return "noproc"
        results = self.starter.results
        self.cell.run(LONGEST_S, until=lambda: number in results or target.actor is None)
        self.cell.run(0.0)
        return self.readable(results[number]) if number in results else "noproc"

    def readable(self, value: Any) -> Any:
        match value:
            case ("started", _, None):
                return "started"
            case ("started", _, info):
                return ["started_info", info]
            case ("ignored",):
                return "ignored"
            case ("error", reason):
                return ["error", text_of(reason)]
            case ChildSpec():
                shown = {key: getattr(value, key) for key in SPEC}
                return {**shown, "shutdown": value.stop_within}
            case _:
                return value

    # -- looking --------------------------------------------------------------------------------

    def supervisor_state(self) -> Any:
        if self.top is not None and self.top.actor is not None:
            return "alive"
        for news in self.starter.news:
            if isinstance(news, ChildExited):
                return ["exited", text_of(news.reason)]
        return "not_started"

    def tree(self, sup: Ref | None = None) -> Any:
        target = sup or self.top
        assert target is not None
        if target.actor is None:
            return "dead"
        if target.suspended:
            return "suspended"
        rows = self.call("which_children", sup=target)
        return [self.branch(*row) for row in rows]

    def branch(self, key: str, handle: Ref | None, kind: str, state: str) -> list[Any]:
        actor = handle.actor if handle is not None else None
        label = key if actor is None else actor.label.rpartition("/")[2]
        if kind == "supervisor" and handle is not None:
            return [label, state, self.tree(handle)]
        return [label, state]

    def counts(self) -> Any:
        if self.top is None or self.top.actor is None:
            return None
        counts = self.call("count_children")
        return [counts[key] for key in ("specs", "active", "supervisors", "workers")]

    # -- operations -----------------------------------------------------------------------------

    def perform(self, step: dict[str, Any]) -> Any:
        operation = getattr(self, f"op_{step['op']}", None)
        if operation is None:
            raise AssertionError(f"no such operation: {step['op']}")
        return operation(step)

    def target(self, step: dict[str, Any]) -> Ref | None:
        return self.log.handles[step["sup"]] if addresses(step) else None

    def child(self, step: dict[str, Any]) -> Any:
        """What an operation calls its child: an id, or a handle."""
        match step["child"]:
            case {"pid": name}:
                return self.log.handles[name]
            case {"stranger": _}:
                return self.cell.spawn(Stranger)
            case name:
                return name

    def op_start_child(self, step: dict[str, Any]) -> Any:
        if "args" in step:
            return self.call("start_child", step["args"])
        spec = self.spec(step["spec"], step["sup"] if addresses(step) else "")
        return self.call("start_child", spec, sup=self.target(step))

    def op_terminate_child(self, step: dict[str, Any]) -> Any:
        return self.call(step["op"], self.child(step), sup=self.target(step))

    op_restart_child = op_delete_child = op_get_childspec = op_terminate_child

    def op_check_specs(self, step: dict[str, Any]) -> Any:
        specs: Any = [self.spec(spec, "") for spec in step["specs"]]
        try:
            # Something that holds specs and is no list.
            given: Any = specs if step.get("as_list", True) else {"0": specs[0]}
            check_specs(given, step.get("auto_shutdown", "any_significant"))
        except SpecError as error:
            return ["error", text_of((error.code, error.value))]
        return "ok"

    def op_exit_async(self, step: dict[str, Any]) -> Any:
        names = step["child"] if isinstance(step["child"], list) else [step["child"]]
        sent = [
            self.parent.post(self.log.handles[name], ExitNow(reason_of(step["reason"])))
            for name in names
            if name in self.log.handles
        ]
        return "ok" if any(sent) else "noop"

    op_exit = op_exit_async

    def op_kill(self, step: dict[str, Any]) -> Any:
        ref = self.log.handles.get(step["child"])
        if ref is None or ref.actor is None:
            return "noop"
        self.cell.kill(ref)
        return "ok"

    def op_stop(self, step: dict[str, Any]) -> Any:
        top = self.top
        assert top is not None
        reason = reason_of(step.get("reason", "shutdown"))
        if reason == "kill":
            self.cell.kill(top)
        else:
            self.cell.stop(top, reason)
        self.cell.run(LONGEST_S, until=lambda: top.actor is None)
        return "ok"

    def op_set_plan(self, step: dict[str, Any]) -> Any:
        self.log.plans[step["child"]] = Plan(step["plan"])
        return "ok"

    def op_sleep(self, step: dict[str, Any]) -> Any:
        self.run(step["ms"] / 1000)
        return "ok"

    def op_noop(self, step: dict[str, Any]) -> Any:
        return "ok"

    def op_message(self, step: dict[str, Any]) -> Any:
        assert self.top is not None
        self.parent.post(self.top, {"unexpected": "message"})
        return "ok"

    def op_suspend(self, step: dict[str, Any]) -> Any:
        assert self.top is not None
        self.cell.suspend(self.top)
        return "ok"

    def op_resume(self, step: dict[str, Any]) -> Any:
        assert self.top is not None
        self.cell.resume(self.top)
        return "ok"

    def op_upgrade(self, step: dict[str, Any]) -> Any:
        setup = step["setup"]
        if setup.get("init") == "ignore":
            return "ok"  # whoever has no new specs does not ask
        answer = self.call("change_specs", self.flags(setup), self.specs(setup))
        return ["error", f"error:{answer[1]}"] if answer != "ok" else answer
