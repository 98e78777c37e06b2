"""Compare what was seen with what the tables expect, and say what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.words import addresses, expected_tree
from tests.conformance.world import SETTLE_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.world import World


def matches(expected: Any, seen: Any) -> bool:
    """Equal, where a text that ends in ``*`` stands for all that begin so."""
    if isinstance(expected, list) and isinstance(seen, list):
        return len(expected) == len(seen) and all(map(matches, expected, seen))
    if isinstance(expected, dict) and isinstance(seen, dict):
        return expected.keys() == seen.keys() and all(matches(expected[k], seen[k]) for k in seen)
    if isinstance(expected, str) and expected.endswith("*"):
        return str(seen).startswith(expected[:-1])
    return bool(expected == seen)


class TooSlowError(AssertionError):
    """All was right but for an upper bound of time; on a busy machine that proves little."""


class Step:
    """One thing that is done, and all that is compared about it.

    Args:
        world: Where it is done.
        where: What a failure says first.
    """

    def __init__(self, world: World, where: str) -> None:
        self._world = world
        self._where = where
        self._seen = len(world.events())
        self._began_s = world.clock()

    def took_ms(self) -> float:
        return (self._world.clock() - self._began_s) * 1000

    def events(self) -> list[str]:
        """What has happened since this step began."""
        return self._world.events()[self._seen :]

    def must(self, holds: bool, what: str, expected: Any, seen: Any) -> None:
        """Fail unless it ``holds``: with the step, what was expected, and what was seen."""
        if holds:
            return
        lines = [
            f"{self._where}: {what} differ",
            f"  expected {expected}",
            f"  seen     {seen}",
            f"  all events of this step: {self.events()}",
            f"  all events before it:    {self._world.events()[: self._seen]}",
        ]
        raise AssertionError("\n".join(lines))

    def is_equal(self, what: str, expected: Any, seen: Any) -> None:
        self.must(expected == seen, what, expected, seen)


def check(world: World, expect: dict[str, Any], act: Callable[[], Any], where: str) -> None:
    """Do one thing of a case and hold what happened against what was expected of it."""
    step = Step(world, where)
    answer = act()
    took_ms = step.took_ms()
    if "returns" in expect:
        expected = expect["returns"]
        step.must(matches(expected, answer), "what it returned", expected, answer)
    least = expect.get("ms_min", 0)
    step.must(took_ms >= least, "the milliseconds it took", f"at least {least}", took_ms)
    if not expect.get("quick"):
        check_samples(world, step, expect)
    most = expect.get("ms_max", took_ms)
    if took_ms > most:
        raise TooSlowError(f"{where}: took {took_ms:.0f} ms, may take {most}")


def check_samples(world: World, step: Step, expect: dict[str, Any]) -> None:
    """Wait until the system is quiet, and look at it."""
    if (settle_ms := expect.get("settle", SETTLE_MS)) > 0:
        world.settle(settle_ms)
    if "events" in expect:
        check_events(step, expect["events"], any_order=expect.get("events_any_order", False))
    if "sup" in expect and not addresses(expect):
        step.is_equal("the states of the supervisor", expect["sup"], world.supervisor_state())
    if "tree" in expect:
        step.is_equal("the trees", expected_tree(expect["tree"]), world.tree())
    if "counts" in expect:
        step.is_equal("the counts", expect["counts"], world.counts())


def check_events(step: Step, expected: list[str], *, any_order: bool) -> None:
    seen = step.events()
    step.must(seen == expected or (any_order and sorted(seen) == sorted(expected)),
              "the events", expected, seen)  # fmt: skip


def compare(world: World, observed: dict[str, Any], act: Callable[[], Any], where: str) -> None:
    """Do one thing of a recorded program and hold what happened against what OTP did."""
    step = Step(world, where)
    answer = act()
    world.settle()
    expected = observed["returns"]
    step.must(matches(expected, answer), "what it returned", expected, answer)
    # Dynamic children are stopped all at once; OTP promises no order among them.
    check_events(step, observed["events"], any_order=world.is_dynamic)
    step.is_equal("the states of the supervisor", observed["sup"], world.supervisor_state())
    expected, seen = observed["tree"], world.tree()
    step.is_equal("the trees", plain_tree(expected, dynamic=world.is_dynamic),
                  plain_tree(seen, dynamic=world.is_dynamic))  # fmt: skip
    step.is_equal("the counts", observed["counts"], world.counts())


def plain_tree(tree: Any, *, dynamic: bool) -> Any:
    """Of a dynamic supervisor's children OTP gives no order."""
    return sorted(tree, key=repr) if dynamic and isinstance(tree, list) else tree
