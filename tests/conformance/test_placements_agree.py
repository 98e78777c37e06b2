"""Random programs on both placements: what light children do, processes do."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tests.conformance.light import LightWorld
from tests.conformance.processes import ProcessWorld
from tests.conformance.programs import Author

if TYPE_CHECKING:
    from tests.conformance.theatre import Theatre
    from tests.conformance.world import World

QUIET_MS = 250.0
"""Longer than whatever a probe waits for on purpose."""
LONGEST_S = 30.0


def play(world: World, author: Author) -> list[dict[str, Any]]:
    """Do a program up to a step that never ends; return what there was to see after each."""
    views = [look(world, world.start(author.setup), 0, {"op": "start"})]
    for number, step in enumerate(author.steps):
        if views[0]["answer"] != "started" or not is_possible(world, step):
            continue
        seen, began_s = len(world.events()), world.clock()
        view = look(world, world.perform(step), seen, step)
        if world.clock() - began_s > LONGEST_S:
            del author.steps[number:]  # a stop that nobody heeds, for ever: true, and dull
            break
        views.append(view)
    return views


def is_possible(world: World, step: dict[str, Any]) -> bool:
    """Tell whether the supervisor that is asked lives, and a handle that is used was given."""
    child, sup = step.get("child"), step.get("sup")
    if sup is not None and not world.lives(sup):
        return False
    return not isinstance(child, dict) or "pid" not in child or child["pid"] in started(world)


def started(world: World) -> set[str]:
    starts = (line.split() for line in world.events())
    return {label.rpartition("#")[0] for kind, label, *_ in starts if kind == "start"}


def look(world: World, answer: Any, seen: int, step: dict[str, Any]) -> dict[str, Any]:
    world.settle(QUIET_MS)
    events = world.events()[seen:]
    tree = world.tree()
    # Of children that end together, and with a killed supervisor, nobody promises an order.
    if world.is_dynamic or "kill" in (step["op"], step.get("reason")) or not orderly(events):
        events = sorted(events)
    if world.is_dynamic and isinstance(tree, list):
        tree = sorted(tree, key=repr)
    counts = world.counts() if tree != "suspended" else None
    state = world.supervisor_state()
    view = {"answer": answer, "events": events, "tree": tree, "counts": counts, "sup": state}
    plain: dict[str, Any] = json.loads(json.dumps(view, default=str))
    return {"step": step, **plain}


def orderly(events: list[str]) -> bool:
    """Tell whether no supervisor was killed, whose children then end in no order."""
    nested = {line.split()[1].rpartition("/")[0] for line in events if "/" in line}
    killed = {line.split()[1].partition("#")[0] for line in events if line.endswith(" killed")}
    return not nested & killed


def test_processes_do_what_light_children_do(seed: int, theatre: Theatre) -> None:
    author = Author(seed)
    with closing(LightWorld()) as world:
        light = play(world, author)
    with closing(ProcessWorld(theatre)) as world:
        process = play(world, author)
    for expected, seen in zip(light, process, strict=True):
        assert seen == expected, f"seed {seed}: {author.setup} {author.steps}"
