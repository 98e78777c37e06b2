"""From what the tables write to flags, specifications, actors and questions to a supervisor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from supervision import ChildSpec, IgnoreStart, Start, StartError, SupervisorFlags
from tests.conformance.probes import Probe, ProbeSupervisor
from tests.conformance.words import FLAGS, SPEC, TOP, text_of

if TYPE_CHECKING:
    from supervision import Cell
    from tests.conformance.journal import Journal

DYNAMIC = "simple_one_for_one"


class Builder:
    """Makes what a setup describes, for the placement of its journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def flags(self, setup: dict[str, Any]) -> Any:
        if "raw_flags" in setup:
            raw = setup["raw_flags"]
            return tuple(raw["tuple"]) if isinstance(raw, dict) and "tuple" in raw else raw
        given = setup.get("sup", {})
        # Keys that we do not know are left out: in Python they would be refused when written.
        return SupervisorFlags(**{FLAGS[key]: given[key] for key in given if key in FLAGS})

    def specs(self, setup: dict[str, Any], parent: str = TOP) -> list[Any]:
        dynamic = setup.get("sup", {}).get("strategy") == DYNAMIC
        return [self.spec(child, parent, dynamic=dynamic) for child in setup.get("children") or []]

    def spec(self, given: dict[str, Any], parent: str = TOP, *, dynamic: bool = False) -> Any:
        if "raw_spec" in given:
            return given["raw_spec"]
        given = {"id": None, **given, **given.get("raw", {})}
        if "sup" in given:
            given.setdefault("type", "supervisor")
        start = given.get("start") or self._start(given, parent, dynamic=dynamic)
        fields = {"start": start, **{key: given[key] for key in SPEC if key in given}}
        for key in given.get("omit", ()):
            fields.pop(key)
        # What cannot be left out in Python is nothing instead.
        needed = {"id": fields.pop("id", None), "start": fields.pop("start", None)}
        return ChildSpec(**needed, **fields, placement=self._journal.placement)

    def _start(self, given: dict[str, Any], parent: str, *, dynamic: bool) -> Start:
        path = f"{parent}/{given['id']}" if parent else str(given["id"])
        if "sup" in given:
            return Start(build_supervisor, (self._journal, path, given))
        if dynamic:
            return Start(build_dynamic, (self._journal, parent, given))
        return Start(build_probe, (self._journal, path, given, self._journal.new_key()))

    def question(
        self, operation: str, words: dict[str, Any], cell: Cell
    ) -> tuple[str, tuple[Any, ...]]:
        """Read what is asked of a supervisor: the operation and its arguments."""
        match operation:
            case "which_children" | "count_children":
                return operation, ()
            case "upgrade":
                setup = words["setup"]
                return "change_specs", (self.flags(setup), self.specs(setup, words["parent"]))
            case "start_child" if "args" in words:
                return operation, (words["args"],)
            case "start_child":
                return operation, (self.spec(words["spec"], words["parent"]),)
            case _:
                return operation, (self._child(words["child"], cell),)

    def _child(self, name: Any, cell: Cell) -> Any:
        """What an operation calls its child: an id, or a handle."""
        match name:
            case {"pid": path}:
                return self._journal.handle(path)
            case {"stranger": _}:
                return self._journal.stranger(cell)
            case _:
                return name

    def readable(self, value: Any) -> Any:
        """Write a supervisor's answer as the tables do: plain data."""
        match value:
            case ("started", _, info):
                return "started" if info is None else ["started_info", info]
            case ("ignored",):
                return "ignored"
            case ("error", reason):
                return ["error", text_of(reason)]
            case ChildSpec():
                shown = {key: getattr(value, key) for key in SPEC}
                return {**shown, "shutdown": value.stop_within}
            case list():
                return [[key, self._path_of(handle), *rest] for key, handle, *rest in value]
            case _:
                return value

    def _path_of(self, handle: Any) -> str | None:
        return None if handle is None else self._journal.path_of(handle)


def build_probe(journal: Journal, path: str, knobs: dict[str, Any], key: str) -> Any:
    kind, value = journal.outcome(path, key, knobs.get("plan") or ["ok"])
    if kind == "returns":
        journal.note("fail", journal.attempt(path))
        return value
    return Probe(journal, path, (kind, value), knobs)


def build_dynamic(journal: Journal, parent: str, knobs: dict[str, Any], handle: str) -> Any:
    path = f"{parent}/{handle}" if parent else handle
    return build_probe(journal, path, knobs, f"plan 0 of {path}")


def build_supervisor(journal: Journal, path: str, given: dict[str, Any]) -> ProbeSupervisor:
    if given.get("init") == "ignore":
        raise IgnoreStart
    if given.get("init") == "raise":
        raise StartError("init_raised")
    if isinstance(given.get("init"), dict):
        raise StartError(("bad_return", given["init"]["returns"]))
    builder = Builder(journal)
    return ProbeSupervisor(journal, path, builder.flags(given), builder.specs(given, path))
