"""How children start, stop and are restarted in the reference model; ``reference`` plays programs.

Everything is done at once and by lists that are walked.
"""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

Words = dict[str, Any]
Result = tuple[str, Any]
STARTED: Result = ("started", None)
IGNORED: Result = ("ignored", None)
DYNAMIC = "simple_one_for_one"


def text(reason: Any) -> str:
    """Write a reason as the tables do."""
    if isinstance(reason, dict):
        ((kind, detail),) = reason.items()
        return f"{kind}:{text(detail)}"
    return str(reason)


def is_clean(reason: str) -> bool:
    return reason in ("normal", "shutdown") or reason.startswith("shutdown:")


@dataclass(eq=False)
class Body:
    """A child that lives, or has died and was not yet missed.

    Attributes:
        habits: The words it was made from; its row may have got new ones since.
    """

    label: str
    row: Row | None
    habits: Words = field(default_factory=dict)
    alive: bool = True
    supervisor: Sup | None = None
    reason: str = ""


@dataclass(eq=False)
class Row:
    """A child as its supervisor has it in its list."""

    spec: Words
    path: str
    name: str
    sup: Sup
    state: str = "stopped"
    body: Body | None = None

    def get(self, word: str) -> Any:
        defaults = {"restart": "permanent", "significant": False, "shutdown": 5000}
        if "sup" in self.spec:
            defaults["shutdown"] = "infinity"
        return self.spec.get(word, defaults.get(word))

    @property
    def kind(self) -> str:
        return str(self.spec.get("type", "supervisor" if "sup" in self.spec else "worker"))


@dataclass(eq=False)
class Sup:
    """A supervisor: its flags, its list of children, and what it has still to look at.

    Attributes:
        waiting: Deaths (bodies) and restarts to be tried again (rows), in order of arrival.
    """

    path: str
    flags: Words
    template: Words | None = None
    rows: list[Row] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    waiting: list[Body | Row] = field(default_factory=list)
    body: Body | None = None
    alive: bool = True
    suspended: bool = False
    stop_asked: str | None = None

    def flag(self, word: str) -> Any:
        defaults = {"strategy": "one_for_one", "intensity": 1, "period": 5}
        return self.flags.get(word, {**defaults, "auto_shutdown": "never"}.get(word))


class Mechanism:
    """Supervisors and workers without messages.

    Attributes:
        events: All that happened, in order, in the words of the tables.
        reports: ``(context, reason, id, number of children)`` of each report.
        now_ms: The time; who drives it sets it before each step.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.reports: list[tuple[str, str, str, int]] = []
        self.now_ms = 0.0
        self.top: Sup | None = None
        self.end = ""
        self.is_dynamic = False
        self._attempts: Counter[str] = Counter()
        self._plans: dict[str, list[Any]] = {}
        self._bodies: dict[str, Body] = {}

    # -- starting -------------------------------------------------------------------------------

    def _label(self, path: str) -> str:
        self._attempts[path] += 1
        return f"{path}#{self._attempts[path]}"

    def _rows(self, sup: Sup, specs: list[Words]) -> list[Row]:
        return [self._row(sup, spec, spec["id"]) for spec in specs]

    def _row(self, sup: Sup, spec: Words, name: str) -> Row:
        path = f"{sup.path}/{name}" if sup.path else name
        return Row(spec, path, name, sup)

    def _start_supervisor(self, path: str, given: Words, row: Row | None) -> Result:
        init = given.get("init")
        if init == "ignore":
            return IGNORED
        if init is not None:
            return "failed", "init_raised" if init == "raise" else f"bad_return:{init['returns']}"
        sup = Sup(path, given.get("sup", {}))
        children = given.get("children") or []
        if sup.flag("strategy") == DYNAMIC:
            sup.template = children[0]
        else:
            sup.rows = self._rows(sup, deepcopy(children))
        for child in list(sup.rows):
            kind, why = self._start(child)
            if kind == "failed":
                self._report("start_error", why, child)
                self._stop_all(sup)
                if path:
                    self.events.append(f"fail {self._label(path)}")
                return "failed", f"shutdown:failed_to_start_child:{child.name}:{why}"
        self._install(sup, path, row)
        self._work_off(sup)
        return STARTED

    def _install(self, sup: Sup, path: str, row: Row | None) -> None:
        label = "$sup"
        if path:
            label = self._label(path)
            self.events.append(f"start {label}")
        else:
            self.top = sup
        sup.body = Body(label, row, supervisor=sup)
        self._bodies[path] = sup.body
        if row is not None:
            row.body = sup.body

    def _start(self, row: Row) -> Result:
        """Start a child; of one that declines or fails nothing is left but its row."""
        spec = row.spec
        if "sup" in spec:
            kind, value = self._start_supervisor(row.path, deepcopy(spec), row)
        else:
            kind, value = self._start_worker(row)
        if kind == "started":
            row.state = "running"
        else:
            row.state = "stopped"
            row.body = None
            if kind == "ignored" and self._is_forgotten(row):
                row.sup.rows.remove(row)
        return kind, value

    def _start_worker(self, row: Row) -> Result:
        outcome = self._next_outcome(row)
        value: Any = None
        word = outcome
        if isinstance(outcome, dict):
            ((word, value),) = outcome.items()
        label = self._label(row.path)
        if word != "returns":  # a wrong value comes at once
            self.now_ms += value if word == "slow_fail" else row.spec.get("slow_start", 0)
        if word in ("ok", "ok_info", "ok_then_exit"):
            self.events.append(f"start {label}")
            row.body = self._bodies[row.path] = Body(label, row, row.spec)
            if word == "ok_then_exit":
                self._die(row.body, text(value))
            return "started", value if word == "ok_info" else None
        if word == "ignore":
            self.events.append(f"ignore {label}")
            return IGNORED
        self.events.append(f"fail {label}")
        return "failed", word if word in ("slow_fail", "already_started") else text(value)

    def _next_outcome(self, row: Row) -> Any:
        if row.path in self._plans:
            plan = self._plans[row.path]
        elif row.sup.template is not None:
            plan = self._plans[row.path] = list(row.spec.get("plan") or ["ok"])
        else:
            plan = row.spec.setdefault("plan", ["ok"])
        return plan.pop(0) if len(plan) > 1 else plan[0]

    def _is_forgotten(self, row: Row) -> bool:
        return row.get("restart") == "temporary" or row.sup.template is not None

    # -- stopping -------------------------------------------------------------------------------

    def _die(self, body: Body, reason: str) -> None:
        """A child ends; its supervisor will look at that in its time."""
        body.alive = False
        body.reason = reason
        self.events.append(f"exit {body.label} {reason}")
        if body.row is not None:
            body.row.sup.waiting.append(body)

    def _stop(self, row: Row) -> None:
        """Stop a running child as its specification says; report it if it ends otherwise."""
        body = row.body
        assert body is not None
        if body.alive:
            self._end_body(row, body)
        row.sup.waiting.remove(body)
        if not self._ended_as_it_should(row, body.reason):
            self._report("shutdown_error", body.reason, row)
        self._down(row)

    def _down(self, row: Row) -> None:
        row.body = None
        row.state = "stopped"
        if self._is_forgotten(row):
            row.sup.rows.remove(row)

    def _end_body(self, row: Row, body: Body) -> None:
        if row.get("shutdown") == "brutal_kill":
            self._kill(body)
        elif body.supervisor is not None:
            self._terminate(body.supervisor, "shutdown")
        else:
            self._die(body, self._last_reaction(row, body.habits))

    def _last_reaction(self, row: Row, habits: Words) -> str:
        """How a worker takes a polite request: the reason of its end, and the time it takes."""
        reaction: Any = habits.get("on_stop", "comply") if habits.get("traps", True) else "comply"
        if reaction == "comply":
            return "shutdown"
        if isinstance(reaction, dict) and "exit" in reaction:
            return text(reaction["exit"])
        limit = row.get("shutdown")
        wanted = float("inf") if reaction == "ignore" else float(reaction["delay"])
        allowed = float("inf") if limit == "infinity" else float(limit)
        self.now_ms += min(wanted, allowed)
        return "shutdown" if wanted < allowed else "killed"

    def _ended_as_it_should(self, row: Row, reason: str) -> bool:
        if row.get("shutdown") == "brutal_kill" and reason == "killed":
            return True
        if row.get("shutdown") != "brutal_kill" and reason == "shutdown":
            return True
        return is_clean(reason) and row.get("restart") != "permanent"

    def _stop_all(self, sup: Sup) -> None:
        if sup.template is not None:
            self._stop_all_at_once(sup)
            return
        for row in list(reversed(sup.rows)):
            if row.state == "running":
                self._stop(row)

    def _stop_all_at_once(self, sup: Sup) -> None:
        """Dynamic children get their time side by side and share a report for each reason."""
        began_ms, ended_ms = self.now_ms, self.now_ms
        odd: Counter[str] = Counter()
        for row in [row for row in sup.rows if row.state == "running"]:
            body = row.body
            assert body is not None
            self.now_ms = began_ms
            if body.alive:
                self._end_body(row, body)
            ended_ms = max(ended_ms, self.now_ms)
            if not self._ended_as_it_should(row, body.reason):
                odd[body.reason] += 1
        self.now_ms = ended_ms
        for reason, number in odd.items():
            assert sup.template is not None
            self.reports.append(("shutdown_error", reason, sup.template["id"], number))
        sup.rows.clear()
        sup.waiting.clear()

    def _terminate(self, sup: Sup, reason: str) -> None:
        self._stop_all(sup)
        self._end_supervisor(sup, reason)

    def _end_supervisor(self, sup: Sup, reason: str) -> None:
        sup.alive = False
        assert sup.body is not None
        self._die(sup.body, reason)
        if sup.body.row is None:
            self.end = reason

    def _kill(self, body: Body) -> None:
        """End it at once; a supervisor takes its children along, who lives longest first."""
        sup = body.supervisor
        if sup is None:
            self._die(body, "killed")
            return
        children = [row.body for row in sup.rows if row.body is not None and row.body.alive]
        for child in sorted(children, key=self._birth):
            self._kill(child)
        self._end_supervisor(sup, "killed")

    def _birth(self, body: Body) -> int:
        return self.events.index(f"start {body.label}")

    # -- restarting -----------------------------------------------------------------------------

    def _work_off(self, sup: Sup) -> None:
        """Look, in order of arrival, at deaths and at what is to be tried again."""
        while sup.alive and not sup.suspended and sup.waiting:
            next_one = sup.waiting.pop(0)
            if isinstance(next_one, Body):
                self._look_at_death(sup, next_one)
            elif next_one in sup.rows and next_one.state == "restarting":
                self._restart(sup, next_one)
        above = sup.body.row.sup if sup.body is not None and sup.body.row is not None else None
        if above is not None and not sup.alive:
            self._work_off(above)

    def _look_at_death(self, sup: Sup, body: Body) -> None:
        row = body.row
        assert row is not None
        clean = is_clean(body.reason)
        kind = row.get("restart")
        comes_back = kind == "permanent" or (kind == "transient" and not clean)
        if comes_back or not clean:
            self._report("child_terminated", body.reason, row)
        if comes_back:
            row.body = None
            self._restart(sup, row)
            return
        self._down(row)
        if row.get("significant"):
            others = [
                other
                for other in sup.rows
                if other.get("significant") and other.state in ("running", "restarting")
            ]
            auto = sup.flag("auto_shutdown")
            if auto == "any_significant" or (auto == "all_significant" and not others):
                self._terminate(sup, "shutdown")

    def _recent_restarts(self, sup: Sup) -> int:
        """Count in whole seconds, both ends of the period included."""
        now_s = int(self.now_ms // 1000)
        return len([at_s for at_s in sup.restarts if now_s - at_s <= sup.flag("period")])

    def _restart(self, sup: Sup, row: Row) -> None:
        now_s = int(self.now_ms // 1000)
        # What is past its period is forgotten now, whatever the period becomes later.
        sup.restarts = [at_s for at_s in sup.restarts if now_s - at_s <= sup.flag("period")]
        sup.restarts.append(now_s)
        if self._recent_restarts(sup) > sup.flag("intensity"):
            self._report("shutdown", "reached_max_restart_intensity", row)
            self._down(row)
            self._terminate(sup, "shutdown")
            return
        row.state = "stopped"
        group = self._group(sup, row)
        for other in reversed(group):
            if other.state == "running":
                self._stop(other)
            elif other is not row and other.get("restart") == "temporary":
                self._down(other)
        for other in group:
            if other not in sup.rows:
                continue  # temporary: forgotten when it stopped
            kind, why = self._start(other)
            if kind == "failed":
                self._report("start_error", why, other)
                other.state = "restarting"
                sup.waiting.append(other)
                return

    @staticmethod
    def _group(sup: Sup, row: Row) -> list[Row]:
        if sup.flag("strategy") == "one_for_all":
            return list(sup.rows)
        if sup.flag("strategy") == "rest_for_one":
            return sup.rows[sup.rows.index(row) :]
        return [row]

    def _report(self, context: str, reason: str, row: Row) -> None:
        self.reports.append((context, reason, row.spec["id"], 1))
