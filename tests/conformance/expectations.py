"""Compare what was seen with what the tables expect."""

from __future__ import annotations

from typing import Any

from tests.conformance.world import SETTLE_MS, World, addresses


def matches(expected: Any, seen: Any) -> bool:
    """Equal, where a text that ends in ``*`` stands for all that begin so."""
    if isinstance(expected, list) and isinstance(seen, list):
        return len(expected) == len(seen) and all(map(matches, expected, seen))
    if isinstance(expected, dict) and isinstance(seen, dict):
        return expected.keys() == seen.keys() and all(matches(expected[k], seen[k]) for k in seen)
    if isinstance(expected, str) and expected.endswith("*"):
        return str(seen).startswith(expected[:-1])
    return bool(expected == seen)


def branch(node: Any) -> list[Any]:
    """Read a node of an expected tree: ``"id state"`` or ``{id: [...]}``."""
    if isinstance(node, dict):
        ((name, children),) = node.items()
        return [name, "running", [branch(child) for child in children]]
    name, state = node.rsplit(" ", 1)
    return [name, state]


def expected_tree(tree: Any) -> Any:
    return [branch(node) for node in tree] if isinstance(tree, list) else tree


def plain_tree(tree: Any, *, dynamic: bool) -> Any:
    """Of a dynamic supervisor's children OTP gives no order."""
    return sorted(tree, key=repr) if dynamic and isinstance(tree, list) else tree


def check(world: World, expect: dict[str, Any], act: Any, where: str) -> None:
    """Do one thing and hold what happened against what was expected of it."""
    seen = len(world.log.events)
    began_s = world.clock()
    answer = act()
    took_ms = (world.clock() - began_s) * 1000
    if "returns" in expect:
        assert matches(expect["returns"], answer), f"{where}: returned {answer}"
    if "ms_min" in expect:
        assert took_ms >= expect["ms_min"], f"{where}: took only {took_ms} ms"
    if "ms_max" in expect:
        assert took_ms <= expect["ms_max"], f"{where}: took {took_ms} ms"
    if expect.get("quick"):
        return
    if (settle_ms := expect.get("settle", SETTLE_MS)) > 0:
        world.settle(settle_ms)
    check_events(expect, world.log.events[seen:], where)
    check_samples(world, expect, where)


def check_events(expect: dict[str, Any], events: list[str], where: str) -> None:
    if "events" not in expect:
        return
    if expect.get("events_any_order"):
        assert sorted(events) == sorted(expect["events"]), where
    else:
        assert events == expect["events"], where


def check_samples(world: World, expect: dict[str, Any], where: str) -> None:
    if "sup" in expect and not addresses(expect):
        assert world.supervisor_state() == expect["sup"], where
    if "tree" in expect:
        assert world.tree() == expected_tree(expect["tree"]), where
    if "counts" in expect:
        assert world.counts() == expect["counts"], where
