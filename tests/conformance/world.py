"""The world of one case: a supervisor under test, and what the tables may do to it.

What a step means is the same everywhere and stands here; how it is brought about differs by
placement and stands in ``light`` (one cell in virtual time) and ``processes`` (real ones).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from supervision import SpecError
from supervision.specs import check_specs
from tests.conformance.builder import DYNAMIC, Builder
from tests.conformance.words import TOP, addresses

if TYPE_CHECKING:
    from supervision.clock import Clock

SETTLE_MS = 40
LONGEST_S = 60.0
COUNTS = ("specs", "active", "supervisors", "workers")


def supervisor_of(step: dict[str, Any]) -> str:
    """Return the path of the supervisor that a step addresses."""
    return str(step["sup"]) if addresses(step) else TOP


class World(ABC):
    """One supervisor under test and its children.

    Attributes:
        builder: Makes specs for this placement.
        clock: Seconds of this world's time.
        is_dynamic: Whether the supervisor under test is a ``simple_one_for_one``.
    """

    builder: Builder
    clock: Clock
    is_dynamic = False

    # -- what a placement brings along ----------------------------------------------------------

    @abstractmethod
    def events(self) -> list[str]:
        """Return all that has happened so far, in order, as the tables write it."""

    @abstractmethod
    def open(self, setup: dict[str, Any]) -> Any:
        """Start the supervisor under test; return what starting it returned."""

    @abstractmethod
    def call(self, operation: str, words: dict[str, Any], sup: str = TOP) -> Any:
        """Ask the supervisor ``sup``; return its answer as plain data, ``noproc`` if it is dead."""

    @abstractmethod
    def settle(self, quiet_ms: float = SETTLE_MS) -> None:
        """Let time pass until nothing has happened for ``quiet_ms``."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def supervisor_state(self) -> Any:
        """Return ``alive``, ``not_started`` or ``["exited", reason]``."""

    @abstractmethod
    def lives(self, path: str) -> bool:
        """Tell whether the latest incarnation of ``path`` is alive."""

    @abstractmethod
    def is_suspended(self, path: str) -> bool:
        """Tell whether the live supervisor ``path`` is suspended."""

    @abstractmethod
    def supervises(self, path: str) -> bool:
        """Tell whether ``path`` is a supervisor."""

    @abstractmethod
    def exit(self, path: str, reason: Any) -> bool:
        """Have a child end by itself; false if it is dead."""

    @abstractmethod
    def exit_at_once(self, paths: list[str], reason: Any) -> bool:
        """Have children end before their supervisor looks at any of them; false if all are dead."""

    @abstractmethod
    def kill(self, path: str) -> bool:
        """Kill from outside; false if it is dead."""

    @abstractmethod
    def stop(self, reason: Any) -> None:
        """Have the supervisor's parent ask it to stop; return when it has ended."""

    @abstractmethod
    def set_plan(self, path: str, entries: list[Any]) -> None:
        """Replace a child's plan from its next start on."""

    @abstractmethod
    def order(self, what: str, sup: str = TOP) -> None:
        """Do ``message``, ``suspend`` or ``resume`` to a supervisor."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing of this world behind."""

    # -- starting and looking -------------------------------------------------------------------

    def start(self, setup: dict[str, Any]) -> Any:
        self.is_dynamic = setup.get("sup", {}).get("strategy") == DYNAMIC
        return self.open(setup)

    def tree(self, path: str = TOP) -> Any:
        if not self.lives(path):
            return "dead"
        if self.is_suspended(path):
            return "suspended"
        rows = self.call("which_children", {}, path)
        return [self._branch(*row) for row in rows] if rows != "noproc" else "dead"

    def _branch(self, key: str, path: str | None, kind: str, state: str) -> list[Any]:
        if path is None:
            return [key, state]
        name = path.rpartition("/")[2]
        return [name, state, self.tree(path)] if self.supervises(path) else [name, state]

    def counts(self, path: str = TOP) -> Any:
        if not self.lives(path):
            return None
        counts = self.call("count_children", {}, path)
        return [counts[key] for key in COUNTS] if counts != "noproc" else None

    # -- operations -----------------------------------------------------------------------------

    def perform(self, step: dict[str, Any]) -> Any:
        operation = getattr(self, f"op_{step['op']}", None)
        if operation is None:
            raise AssertionError(f"no such operation: {step['op']}")
        return operation(step)

    def op_start_child(self, step: dict[str, Any]) -> Any:
        sup = supervisor_of(step)
        words = {"args": step["args"]} if "args" in step else {"spec": step["spec"], "parent": sup}
        return self.call("start_child", words, sup)

    def op_terminate_child(self, step: dict[str, Any]) -> Any:
        return self.call(step["op"], {"child": step["child"]}, supervisor_of(step))

    op_restart_child = op_delete_child = op_get_childspec = op_terminate_child

    def op_which_children(self, step: dict[str, Any]) -> Any:
        return self.tree(supervisor_of(step))

    def op_count_children(self, step: dict[str, Any]) -> Any:
        return self.counts(supervisor_of(step))

    def op_upgrade(self, step: dict[str, Any]) -> Any:
        if step["setup"].get("init") == "ignore":
            return "ok"  # whoever has no new specs does not ask
        sup = supervisor_of(step)
        answer = self.call("upgrade", {"setup": step["setup"], "parent": sup}, sup)
        return ["error", f"error:{answer[1]}"] if isinstance(answer, list) else answer

    def op_check_specs(self, step: dict[str, Any]) -> Any:
        specs: Any = [self.builder.spec(spec) for spec in step["specs"]]
        try:
            # Something that holds specs and is no list.
            given: Any = specs if step.get("as_list", True) else {"0": specs[0]}
            check_specs(given, step.get("auto_shutdown", "any_significant"))
        except SpecError as error:
            return self.builder.readable(("error", (error.code, error.value)))
        return "ok"

    def op_exit_async(self, step: dict[str, Any]) -> Any:
        paths = step["child"] if isinstance(step["child"], list) else [step["child"]]
        if len(paths) == 1:
            done = self.exit(paths[0], step["reason"])
        else:
            done = self.exit_at_once(paths, step["reason"])
        return "ok" if done else "noop"

    op_exit = op_exit_async

    def op_kill(self, step: dict[str, Any]) -> Any:
        return "ok" if self.kill(step["child"]) else "noop"

    def op_stop(self, step: dict[str, Any]) -> Any:
        self.stop(step.get("reason", "shutdown"))
        return "ok"

    def op_set_plan(self, step: dict[str, Any]) -> Any:
        self.set_plan(step["child"], step["plan"])
        return "ok"

    def op_sleep(self, step: dict[str, Any]) -> Any:
        self.sleep(step["ms"] / 1000)
        return "ok"

    def op_noop(self, step: dict[str, Any]) -> Any:
        return "ok"

    def op_message(self, step: dict[str, Any]) -> Any:
        self.order(step["op"], supervisor_of(step))
        return "ok"

    op_suspend = op_resume = op_message
