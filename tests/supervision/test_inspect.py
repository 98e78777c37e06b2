"""Looking in: the shape of the tree, names that operators type, and actors that misbehave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from thespian.actors import Actor, ActorAddress

from supervision import Cell, ChildSpec, LightActor, Ref, Start, Supervisor, SupervisorFlags
from supervision.inspection.tree import find, names_like, process_node, tree_of, walk
from supervision.processes.keeper import ProcessRecord
from tests.supervision.worlds import Notebook

if TYPE_CHECKING:
    from collections.abc import Callable

CONTRACT = {
    "id", "kind", "placement", "pid", "state", "strategy", "restarts", "uptime_s", "mailbox",
    "handled", "last_error", "children",
}  # fmt: skip


class Talker(LightActor):
    """Says of itself what it is told to."""

    def __init__(self, describe: Callable[[], Any]) -> None:
        super().__init__()
        self._describe = describe

    def describe(self) -> Any:
        return self._describe()

    def receiveMessage(self, message: Any, sender: Any) -> Any:
        return message(self) if callable(message) else None


def fault() -> Any:
    raise KeyError("no such field")


def worker(name: str, **fields: Any) -> ChildSpec:
    return ChildSpec(name, Start(Talker, (lambda: {"seen": 1},)), **fields)


def nested() -> Supervisor:
    return Supervisor(SupervisorFlags("rest_for_one", 5, 5), (worker("a"), worker("b")))


def grown(cell: Cell, *specs: ChildSpec) -> Ref:
    root = cell.spawn(
        lambda: Supervisor(SupervisorFlags("one_for_one", 3, 5), specs),
        parent=cell.outside,
        name="top",
    )
    cell.run(0.0)
    return root


def by_name(root: Ref) -> dict[str, dict[str, Any]]:
    return {node["name"]: node for node in walk(tree_of(root, since_s=0.0))}


# -- shape -----------------------------------------------------------------------------------------


def test_every_node_of_the_tree_keeps_the_contract_and_is_plain_data(cell: Cell) -> None:
    group = ChildSpec("group", Start(nested), type="supervisor")
    nodes = by_name(grown(cell, worker("first"), group))
    assert list(nodes) == ["top", "top/first", "top/group", "top/group/a", "top/group/b"]
    assert all(node.keys() >= CONTRACT for node in nodes.values())
    assert json.loads(json.dumps(nodes)) == nodes
    assert nodes["top/group"]["strategy"] == "rest_for_one"
    assert nodes["top"]["allowance_left"] == 3
    assert nodes["top/first"]["details"] == {"seen": 1}


def test_a_node_shows_restarts_state_last_error_and_what_waits(cell: Cell) -> None:
    root = grown(cell, worker("a"), worker("b"))
    child = find(root, ("a",))[0]
    assert isinstance(child, Ref)
    cell.tell(child, lambda _actor: fault())
    cell.run(0.0)
    again = find(root, ("a",))[0]
    assert isinstance(again, Ref)
    cell.suspend(again)
    cell.tell(again, "waits")
    node = by_name(root)["top/a"]
    assert (node["restarts"], node["state"], node["mailbox"]) == (1, "suspended", 1)
    assert node["last_error"] == "KeyError: 'no such field'"
    assert by_name(root)["top/b"]["restarts"] == 0


def test_a_child_without_a_body_is_shown_as_stopped(cell: Cell) -> None:
    root = grown(cell, worker("a", restart="transient"))
    child = find(root, ("a",))[0]
    assert isinstance(child, Ref)
    cell.tell(child, lambda actor: actor.stop())
    cell.run(0.0)
    node = by_name(root)["top/a"]
    assert (node["state"], node["pid"], node["children"]) == ("stopped", None, [])
    assert find(root, ("a",)) == (None, ())


@pytest.mark.parametrize(
    ("describe", "details"),
    [
        (fault, {"error": "describe: KeyError: 'no such field'"}),
        (lambda: {"raw": b"\x00"}, {"raw": "b'\\x00'"}),
        (lambda: {(1, 2): 3}, {"error": "describe: TypeError: keys must be str, int, float,"}),
        (lambda: ["list"], {"account": ["list"]}),
    ],
)
def test_an_actor_that_describes_itself_badly_hurts_nobody_who_looks(
    cell: Cell, describe: Callable[[], Any], details: dict[str, Any]
) -> None:
    root = grown(cell, ChildSpec("a", Start(Talker, (describe,))))
    shown = by_name(root)["top/a"]["details"]
    assert shown.keys() == details.keys()
    assert all(str(shown[key]).startswith(str(details[key])) for key in details)
    json.dumps(shown)


def test_a_plain_thespian_actor_has_no_account_of_itself(cell: Cell) -> None:
    root = cell.spawn(Actor, parent=cell.outside, name="plain")
    cell.run(0.0)
    assert tree_of(root, 0.0)["details"] == {}


# -- processes -------------------------------------------------------------------------------------


def record(kind: str, snapshot: dict[str, Any]) -> ProcessRecord:
    spec = ChildSpec("p", Start(Notebook), type=kind, placement="process")  # type: ignore[arg-type]
    return ProcessRecord(1, 77, -1, None, ActorAddress("x"), None, spec, "top/p", 0.0,
                         snapshot=snapshot)  # fmt: skip


def shown(kind: str, snapshot: dict[str, Any]) -> dict[str, Any]:
    node = process_node(
        record(kind, snapshot), state="running", restarts=2, uptime_s=1.23456, last_error="a\nb\n"
    )
    assert node.keys() >= CONTRACT
    assert (node["pid"], node["restarts"], node["uptime_s"]) == (77, 2, 1.235)
    assert (node["placement"], node["last_error"]) == ("process", "b")
    return node


def test_a_process_that_has_not_spoken_yet_is_shown_all_the_same() -> None:
    for kind in ("worker", "supervisor"):
        node = shown(kind, {})
        assert (node["mailbox"], node["children"], node["details"]) == (0, [], {})


def test_a_supervisor_process_is_its_supervisor_and_a_worker_process_shows_its_cell(
    cell: Cell,
) -> None:
    inside = tree_of(grown(cell, worker("a")), since_s=0.0)
    as_supervisor = shown("supervisor", inside)
    assert as_supervisor["strategy"] == "one_for_one"
    assert [child["id"] for child in as_supervisor["children"]] == ["a"]
    as_host = shown("worker", inside)
    assert as_host["strategy"] is None
    assert as_host["children"] == [inside]


def test_a_worker_process_shows_its_one_actors_mailbox_and_account(cell: Cell) -> None:
    actor = cell.spawn(lambda: Talker(lambda: {"n": 5}), parent=cell.outside, name="top/p")
    cell.run(0.0)
    cell.suspend(actor)
    cell.tell(actor, "waits")
    node = shown("worker", tree_of(actor, 0.0))
    assert (node["mailbox"], node["details"], node["state"]) == (1, {"n": 5}, "suspended")


def test_a_path_is_followed_up_to_a_process_and_the_rest_is_left_over(cell: Cell) -> None:
    group = ChildSpec("group", Start(nested), type="supervisor")
    root = grown(cell, worker("first"), group)
    assert find(root, ()) == (root, ())
    inner = find(root, ("group", "b"))[0]
    assert isinstance(inner, Ref)
    assert inner.path == "top/group/b"
    assert find(root, ("group", "c"))[0] is None
    assert find(root, ("first", "deeper")) == (None, ("deeper",))
    process = record("worker", {})
    root.actor.bodies["group"].handle = process
    assert find(root, ("group", "cell", "x")) == (process, ("cell", "x"))


# -- names -----------------------------------------------------------------------------------------


def named(name: str, *children: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "children": list(children)}


TREE = named(
    "node",
    named("node/ledger"),
    named(
        "node/bidders",
        named("node/bidders/bidder-1", named("node/bidders/bidder-1/profiler")),
        named("node/bidders/bidder-2", named("node/bidders/bidder-2/profiler")),
    ),
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("node", ["node"]),
        ("node/ledger", ["node/ledger"]),
        ("ledger", ["node/ledger"]),
        ("/ledger/", ["node/ledger"]),
        ("profiler", ["node/bidders/bidder-1/profiler", "node/bidders/bidder-2/profiler"]),
        ("bidder-2/profiler", ["node/bidders/bidder-2/profiler"]),
        ("bidders/profiler", ["node/bidders/bidder-1/profiler", "node/bidders/bidder-2/profiler"]),
        ("profiler/bidder-2", []),
        ("edger", []),
        ("", []),
        ("/", []),
    ],
)
def test_a_name_may_leave_out_what_goes_without_saying(wanted: str, found: list[str]) -> None:
    assert names_like(TREE, wanted) == found
