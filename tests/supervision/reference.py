"""A supervisor as its manual tells it: plain lists, plain loops, no messages, no clock of its own.

It plays the programs of the case tables (``setup`` and ``steps`` in their words) and says what they
return, which events there are, which reports, and what the tree looks like then. It was written
from OTP's reference manual and what is known of its behaviour, knows nothing of our supervisor, and
is slow on purpose: every list is walked, everything is done at once. What makes it worth comparing
with is that it gives the same answers as OTP did in all recorded programs and in those cases that
it can play (``test_reference.py``).

Not played: what happens at the same moment in two supervisors, suspended supervisors that are asked
something, and wrong specifications but a few.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tests.supervision.reference_mechanism import DYNAMIC, Mechanism, Row, Sup, Words, text


class Reference(Mechanism):
    """One program under way."""

    # -- the program ----------------------------------------------------------------------------

    def start(self, setup: Words) -> Any:
        """Start the supervisor of the program."""
        setup = deepcopy(setup)
        self.is_dynamic = setup.get("sup", {}).get("strategy") == DYNAMIC
        kind, value = self._start_supervisor("", setup, None)
        if kind == "failed":
            return ["error", value]
        return kind

    def perform(self, step: Words) -> Any:
        """Do one step; return what it returned."""
        step = deepcopy(step)
        return getattr(self, f"_op_{step['op']}")(step)

    # -- what can be seen -----------------------------------------------------------------------

    def supervisor_state(self) -> Any:
        if self.top is None:
            return "not_started"
        return "alive" if self.top.alive else ["exited", self.end]

    def tree(self, sup: Sup | None = None) -> Any:
        sup = sup or self.top
        if sup is None or not sup.alive:
            return "dead"
        if sup.suspended:
            return "suspended"
        branches = []
        for row in sup.rows:
            inner = row.body.supervisor if row.body is not None else None
            branch: list[Any] = [row.name, row.state]
            branches.append([*branch, self.tree(inner)] if inner is not None else branch)
        return branches

    def counts(self) -> Any:
        if self.top is None or not self.top.alive:
            return None
        rows = self.top.rows
        supervisors = len([row for row in rows if row.kind == "supervisor"])
        running = len([row for row in rows if row.state == "running"])
        specs = len(rows) if self.top.template is None else 1
        return [specs, running, supervisors, len(rows) - supervisors]

    def allowance_left(self) -> int:
        """Restarts that the top supervisor may still make now."""
        assert self.top is not None
        intensity: int = self.top.flag("intensity")
        return max(0, intensity - self._recent_restarts(self.top))

    def living(self, sup: Sup | None = None) -> list[str]:
        """Return the paths of all that live, supervisors before their children."""
        sup = sup or self.top
        if sup is None or not sup.alive:
            return []
        found = []
        for row in sup.rows:
            if row.body is not None and row.body.alive:
                found.append(row.path)
                if row.body.supervisor is not None:
                    found += self.living(row.body.supervisor)
        return found

    # -- operations -----------------------------------------------------------------------------

    def _asked(self, step: Words) -> Sup | None:
        """Return the supervisor that a step is for, if it lives."""
        path = step.get("sup", "")
        path = "" if path in ("alive", "not_started") else path
        body = self._bodies.get(path)
        sup = body.supervisor if body is not None else None
        return sup if sup is not None and sup.alive else None

    @staticmethod
    def _find(sup: Sup, child: Any) -> Row | None:
        for row in sup.rows:
            if row.name == child:
                return row
        return None

    def _op_start_child(self, step: Words) -> Any:
        sup = self._asked(step)
        if sup is None:
            return "noproc"
        if sup.template is not None:
            row = self._row(sup, sup.template, step["args"])
        else:
            problem = self._why_not(sup, step["spec"])
            if problem is not None:
                return ["error", problem]
            row = self._row(sup, step["spec"], step["spec"]["id"])
        sup.rows.append(row)
        kind, value = self._start(row)
        if kind == "failed":
            sup.rows.remove(row)
        return self._answer(sup, kind, value)

    def _answer(self, sup: Sup, kind: str, value: Any) -> Any:
        self._work_off(sup)
        if kind == "failed":
            return ["error", value]
        return ["started_info", value] if value is not None else kind

    def _why_not(self, sup: Sup, spec: Words) -> str | None:
        restart = spec.get("restart", "permanent")
        if restart not in ("permanent", "transient", "temporary"):
            return f"invalid_restart_type:{restart}"
        if spec.get("significant") and restart == "permanent":
            return "bad_combination:restart=permanent+significant=true"
        if spec.get("significant") and sup.flag("auto_shutdown") == "never":
            return "bad_combination:auto_shutdown=never+significant=true"
        row = self._find(sup, spec["id"])
        if row is None:
            return None
        return "already_started" if row.state == "running" else "already_present"

    def _op_terminate_child(self, step: Words) -> Any:
        sup = self._asked(step)
        if sup is None:
            return "noproc"
        child = step["child"]
        if sup.template is not None:
            return self._terminate_dynamic(sup, child)
        row = self._find(sup, child)
        if row is None:
            return ["error", "not_found"]
        if row.state == "running":
            self._stop(row)
        else:
            self._down(row)
        self._work_off(sup)
        return "ok"

    def _terminate_dynamic(self, sup: Sup, child: Any) -> Any:
        if not isinstance(child, dict):
            return ["error", "simple_one_for_one"]
        row = self._find(sup, child["pid"])
        if row is not None and row.state == "running":
            self._stop(row)
            self._work_off(sup)
        return "ok"

    def _op_restart_child(self, step: Words) -> Any:
        sup = self._asked(step)
        if sup is None:
            return "noproc"
        if sup.template is not None:
            return ["error", "simple_one_for_one"]
        row = self._find(sup, step["child"])
        if row is None:
            return ["error", "not_found"]
        if row.state != "stopped":
            return ["error", row.state]
        return self._answer(sup, *self._start(row))

    def _op_delete_child(self, step: Words) -> Any:
        sup = self._asked(step)
        if sup is None:
            return "noproc"
        if sup.template is not None:
            return ["error", "simple_one_for_one"]
        row = self._find(sup, step["child"])
        if row is None:
            return ["error", "not_found"]
        if row.state != "stopped":
            return ["error", row.state]
        sup.rows.remove(row)
        return "ok"

    def _op_get_childspec(self, step: Words) -> Any:
        sup = self._asked(step)
        if sup is None:
            return "noproc"
        child = step["child"]
        row = self._find(sup, child["pid"] if isinstance(child, dict) else child)
        if row is None or (sup.template is not None and not isinstance(child, dict)):
            return ["error", "simple_one_for_one" if sup.template is not None else "not_found"]
        words = {word: row.get(word) for word in ("restart", "shutdown", "significant")}
        return {"id": row.spec["id"], "type": row.kind, **words}

    def _op_upgrade(self, step: Words) -> Any:
        """Take new flags and specs: known children live on, new ones stand stopped.

        The new list gives the order; who is not mentioned stays, as the last.
        """
        sup, setup = self._asked(step), step["setup"]
        if sup is None:
            return "noproc"
        if setup.get("init") == "ignore":
            return "ok"
        specs = setup.get("children") or []
        sup.flags = setup.get("sup", {})
        if sup.template is not None:
            sup.template = specs[0]
            for row in sup.rows:
                row.spec = specs[0]
            return "ok"
        rows = []
        for spec in specs:
            row = self._find(sup, spec["id"]) or self._row(sup, spec, spec["id"])
            row.spec = spec
            rows.append(row)
        sup.rows = rows + [row for row in sup.rows if row not in rows]
        return "ok"

    # -- what happens to children ---------------------------------------------------------------

    def _op_exit(self, step: Words) -> Any:
        return self._op_exit_async({**step, "child": [step["child"]]})

    def _op_exit_async(self, step: Words) -> Any:
        paths = step["child"] if isinstance(step["child"], list) else [step["child"]]
        bodies = [self._bodies[path] for path in paths if path in self._bodies]
        dying = [body for body in bodies if body.alive]
        for body in dying:
            self._die(body, text(step["reason"]))
        for body in dying:
            assert body.row is not None
            self._work_off(body.row.sup)
        return "ok" if dying else "noop"

    def _op_kill(self, step: Words) -> Any:
        body = self._bodies.get(step["child"])
        if body is None or not body.alive:
            return "noop"
        self._kill(body)
        assert body.row is not None
        self._work_off(body.row.sup)
        return "ok"

    def _op_stop(self, step: Words) -> Any:
        sup, reason = self.top, step.get("reason", "shutdown")
        if sup is not None and sup.alive:
            assert sup.body is not None
            if reason == "kill":
                self._kill(sup.body)
            else:
                self._terminate(sup, text(reason))
        return "ok"

    def _op_set_plan(self, step: Words) -> Any:
        self._plans[step["child"]] = list(step["plan"])
        return "ok"

    def _op_sleep(self, step: Words) -> Any:
        self.now_ms += step["ms"]
        return "ok"

    def _op_noop(self, _step: Words) -> Any:
        return "ok"

    _op_message = _op_noop

    def _op_suspend(self, _step: Words) -> Any:
        assert self.top is not None
        self.top.suspended = True
        return "ok"

    def _op_resume(self, _step: Words) -> Any:
        assert self.top is not None
        self.top.suspended = False
        self._work_off(self.top)
        return "ok"
