"""Random programs in the vocabulary of the tables: any supervisor, and anything done to it.

Left out is what the placements read differently on purpose (docs/SEMANTICS.md, "Conformance").
"""

from __future__ import annotations

import random
from typing import Any

from tests.conformance.builder import DYNAMIC
from tests.conformance.words import children_of

Words = dict[str, Any]

IDS = ("a", "b", "c", "d")
RESTARTS = ("permanent", "transient", "temporary")
REASONS = ("normal", "shutdown", "crash", {"shutdown": "info"})
PAUSE_MS = 60
"""Of starts and stops that take their time; shorter than ``PATIENCE_MS``."""
PATIENCE_MS = 150
PLANS: tuple[list[Any], ...] = (
    ["ok", {"error": "boom"}, "ok"],
    ["ok", {"error": "boom"}],
    ["ok", "ignore", "ok"],
    [{"ok_info": "more"}],
    ["ok", {"raise": "bug"}, "ok"],
    ["ok", {"init_exit": "gone"}, "ok"],
    ["ok", {"returns": "junk"}, "ok"],
    ["ok", {"ok_then_exit": "crash"}, "ok"],
    ["ok", {"slow_fail": PAUSE_MS}, "ok"],
)
REACTIONS: tuple[Any, ...] = ({"exit": "other"}, {"exit": "normal"}, {"delay": PAUSE_MS}, "ignore")


class Author:
    """Writes one program: a setup and steps."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._handles: list[str] = []
        self._dynamic = self._rng.random() < 0.2
        flags = self._flags(DYNAMIC if self._dynamic else None)
        ids = ("w",) if self._dynamic else IDS[: self._rng.randint(1, 4)]
        nests = not self._dynamic
        self._top = flags
        self.setup: Words = {
            "sup": flags,
            "children": [self._child(i, flags, nests=nests) for i in ids],
        }
        self.steps = [step for _ in range(self._rng.randint(4, 9)) for step in self._next()]
        if self._rng.random() < 0.5:
            self.steps.append({"op": "stop", "reason": self._rng.choice(("shutdown", "kill", "x"))})

    def _flags(self, strategy: str | None = None) -> Words:
        rng = self._rng
        static = rng.choice(("one_for_one", "one_for_all", "rest_for_one"))
        flags: Words = {"intensity": rng.choice((0, 1, 2, 5)), "period": 3600}
        if strategy is None and rng.random() < 0.2:
            flags["auto_shutdown"] = rng.choice(("any_significant", "all_significant"))
        return {**flags, "strategy": strategy or static}

    def _child(self, name: str, flags: Words, *, nests: bool) -> Words:
        rng = self._rng
        child: Words = {"id": name, "restart": rng.choice(RESTARTS)}
        if nests and rng.random() < 0.25:
            inner = self._flags()
            ids = ("x", "y")[: rng.randint(1, 2)]
            children = [self._child(each, inner, nests=False) for each in ids]
            child |= {"sup": inner, "children": children}
        else:
            child |= self._knobs()
        may = "auto_shutdown" in flags and child["restart"] != "permanent"
        return {**child, "significant": True} if may and rng.random() < 0.6 else child

    def _knobs(self) -> Words:
        rng = self._rng
        knobs: Words = {"shutdown": rng.choice((400, "brutal_kill", "infinity"))}
        if rng.random() < 0.4:
            knobs["plan"] = rng.choice(PLANS)
        if rng.random() < 0.2:
            knobs["on_stop"] = rng.choice(REACTIONS)
        if knobs.get("on_stop") == "ignore":
            knobs["shutdown"] = PATIENCE_MS
        if rng.random() < 0.05:
            knobs["traps"] = False
        if rng.random() < 0.05:
            knobs["slow_start"] = PAUSE_MS
        return knobs

    # -- steps ----------------------------------------------------------------------------------

    def _name(self) -> str:
        if self._dynamic:
            return self._rng.choice(self._handles or ["h0"])
        return self._rng.choice([*self._paths()])

    def _paths(self) -> list[str]:
        paths = []
        children: list[Words] = self.setup["children"]
        for child in children:
            inner = [f"{child['id']}/{each['id']}" for each in children_of(child)]
            paths += [child["id"], *inner]
        return paths

    def _next(self) -> list[Words]:
        rng = self._rng
        hurts: list[Words] = [
            {"op": "exit", "child": self._name(), "reason": rng.choice(REASONS)},
            {"op": "kill", "child": self._name()},
            {"op": "set_plan", "child": self._name(), "plan": rng.choice(PLANS)},
            {"op": "message"},
        ]
        if rng.random() < 0.4:
            return [rng.choice(hurts)]
        return self._ask_dynamic() if self._dynamic else self._ask_static()

    def _ask_dynamic(self) -> list[Words]:
        if self._rng.random() < 0.6:
            self._handles.append(f"h{len(self._handles) + 1}")
            return [{"op": "start_child", "args": self._handles[-1]}]
        known = [{"pid": name} for name in self._handles[:1]]
        name = self._rng.choice([*known, "w", {"stranger": True}])
        return [{"op": self._rng.choice(("terminate_child", "get_childspec")), "child": name}]

    def _ask_static(self) -> list[Words]:
        rng = self._rng
        which = rng.random()
        if which < 0.4:
            operations = ("terminate_child", "restart_child", "delete_child", "get_childspec")
            path, _, name = self._name().rpartition("/")
            step: Words = {"op": rng.choice(operations), "child": name}
            return [{**step, "sup": path} if path else step]
        if which < 0.6:
            spec = self._child(rng.choice(("n1", "n2", "a")), self._top, nests=True)
            return [{"op": "start_child", "spec": spec}]
        if which < 0.75:
            tops = [path for path in self._paths() if "/" not in path]
            names = rng.sample(tops, min(2, len(tops)))
            return [{"op": "exit_async", "child": names, "reason": rng.choice(REASONS)}]
        if which < 0.85:
            hurt: Words = {"op": "exit", "child": self._name(), "reason": "crash"}
            return [{"op": "suspend"}, hurt, {"op": "resume"}]
        children = [self._child(name, self._top, nests=True) for name in rng.sample((*IDS, "z"), 3)]
        return [{"op": "upgrade", "setup": {"sup": {**self._top, "intensity": 3},
                                            "children": children}}]  # fmt: skip
