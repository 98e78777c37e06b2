"""How the tables write things, and how we read them: reasons, labels, plans, trees."""

from __future__ import annotations

from typing import Any

FLAGS = {
    "strategy": "strategy",
    "intensity": "intensity",
    "period": "period_s",
    "auto_shutdown": "auto_shutdown",
}
SPEC = ("id", "restart", "shutdown", "type", "significant")
TOP = ""
"""The path of the supervisor under test; its events call it ``$sup``."""
SUP_STATES = ("alive", "not_started")

Outcome = tuple[str, Any]


WITHOUT_VALUE = ("missing_id", "missing_start")
"""What our errors name together with the offending value, and OTP's alone."""
RENAMED = {"invalid_start": "invalid_mfa"}
"""What is called otherwise here, because it is something else than in Erlang."""


def text_of(reason: Any) -> str:
    """Write a reason as the tables do: parts joined by colons."""
    if isinstance(reason, tuple | list):
        alone = any(isinstance(part, str) and part in WITHOUT_VALUE for part in reason)
        return ":".join(text_of(part) for part in (reason[:-1] if alone else reason))
    return RENAMED.get(reason, reason) if isinstance(reason, str) else str(reason)


def reason_of(value: Any) -> Any:
    """Read a reason as the tables write it."""
    if isinstance(value, dict):
        (kind, detail), *_ = value.items()
        return (kind, detail)
    return value


def outcome_of(entry: Any) -> Outcome:
    """Read an entry of a plan: what becomes of one start."""
    if isinstance(entry, dict):
        ((kind, value),) = entry.items()
        return kind, value
    return entry, None


def addresses(step: dict[str, Any]) -> bool:
    """Tell whether a step's ``sup`` names the supervisor to ask, not the state it is to be in."""
    return isinstance(step.get("sup"), str) and step["sup"] not in SUP_STATES


def branch(node: Any) -> list[Any]:
    """Read a node of an expected tree: ``"id state"`` or ``{id: [...]}``."""
    if isinstance(node, dict):
        ((name, children),) = node.items()
        return [name, "running", expected_tree(children)]
    name, state = node.rsplit(" ", 1)
    return [name, state]


def expected_tree(tree: Any) -> Any:
    return [branch(node) for node in tree] if isinstance(tree, list) else tree


def children_of(setup: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all children that a setup writes down, those of nested supervisors included."""
    children = setup.get("children") or []
    return [*children, *(inner for child in children for inner in children_of(child))]
