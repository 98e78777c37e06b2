"""Looking in: the supervision tree as data.

It is drawn from what supervisors know, without asking the actors themselves: a supervisor's own
table answers at once, however stuck a child is; what lies inside another process comes from that
process's last heartbeat. The shape of a node is the contract of ``bidwright tree -o json``.
"""

from __future__ import annotations

import difflib
import json
import os
from typing import TYPE_CHECKING, Any

from supervision.actor import LightActor
from supervision.cell import failure_reason
from supervision.processes.keeper import ProcessRecord
from supervision.ref import Ref
from supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from supervision.decision import Child

STATES = {
    "starting": "restarting",
    "restarting": "restarting",
    "running": "running",
    "stopped": "stopped",
}
RATE_WINDOW_S = 1.0


def tree_of(root: Ref, since_s: float) -> dict[str, Any]:
    """Describe the actor ``root``, which its process started at ``since_s``, and all below it."""
    return _light_node(root, root.path, restarts=0, since_s=since_s, last_error=None)


def find(root: Ref, path: tuple[str, ...]) -> tuple[Ref | ProcessRecord | None, tuple[str, ...]]:
    """Follow ``path`` from ``root``.

    Returns:
        What was found, and the names left over behind a process's border.
    """
    here: Ref | ProcessRecord | None = root
    for index, name in enumerate(path):
        if isinstance(here, ProcessRecord):
            return here, path[index:]
        supervisor = here.actor if here is not None else None
        if not isinstance(supervisor, Supervisor):
            return None, path[index:]
        body = supervisor.bodies.get(name)
        here = body.handle if body is not None else None  # type: ignore[assignment]
    return here, ()


def _light_node(
    ref: Ref,
    path: str,
    *,
    restarts: int,
    since_s: float,
    last_error: str | None,
    state: str = "running",
) -> dict[str, Any]:
    actor = ref.actor
    is_supervisor = isinstance(actor, Supervisor)
    node: dict[str, Any] = {
        "id": path.rsplit("/", 1)[-1],
        "name": path,
        "kind": "supervisor" if is_supervisor else "worker",
        "placement": "light",
        "pid": os.getpid(),
        "state": "suspended" if ref.suspended else state,
        "strategy": actor.flags.strategy if is_supervisor else None,
        "restarts": restarts,
        "uptime_s": round(ref.cell.clock() - since_s, 3),
        "mailbox": len(ref.mailbox),
        "handled": ref.handled,
        "rate": _rate(ref, since_s),
        "dropped": ref.dropped,
        "last_error": _last_line(last_error),
        "children": _children(actor, path) if is_supervisor else [],
    }
    if is_supervisor:
        node["allowance_left"] = actor.allowance_left()
        node["allowance"] = actor.flags.intensity
        node["allowance_period_s"] = actor.flags.period_s
        node["active"] = len(ref.children or ())
    elif actor is not None:
        node["details"] = own_account(actor)
    return node


def _rate(ref: Ref, since_s: float) -> float:
    """Messages handled a second over about the last second; before that, since its start.

    Every look may move the mark, and does so once a second: looking more often costs no precision.
    """
    now_s, handled = ref.cell.clock(), ref.handled
    marked_s, before, rate = ref.mark
    if before < 0:
        ref.mark = (now_s, handled, 0.0)
        return round(handled / max(now_s - since_s, RATE_WINDOW_S), 1)
    if now_s - marked_s >= RATE_WINDOW_S:
        rate = round((handled - before) / (now_s - marked_s), 1)
        ref.mark = (now_s, handled, rate)
    return rate


def own_account(actor: Any) -> dict[str, Any]:
    """What the actor says of itself, as plain data; a bug in that hurts nobody who looks in."""
    if not isinstance(actor, LightActor):
        return {}
    try:
        account = json.loads(json.dumps(actor.describe(), default=str))
    except Exception as error:  # noqa: BLE001 - see above
        return {"error": f"describe: {failure_reason(error)}"}
    return account if isinstance(account, dict) else {"account": account}


def _children(actor: Supervisor, path: str) -> list[dict[str, Any]]:
    return [_child_node(actor, child, f"{path}/{child.key}") for child in actor.state.in_order()]


def _child_node(actor: Supervisor, child: Child, path: str) -> dict[str, Any]:
    body = actor.bodies.get(child.key)
    state = STATES[child.state]
    facts: dict[str, Any] = {
        "restarts": actor.past.restarts(child.key),
        "last_error": actor.past.last_errors.get(child.key),
    }
    if body is None:
        return _absent_node(child, path, state, facts)
    if isinstance(body.handle, Ref):
        return _light_node(body.handle, path, since_s=body.since_s, state=state, **facts)
    assert isinstance(body.handle, ProcessRecord)
    return process_node(
        body.handle, state=state, uptime_s=actor.cell.clock() - body.since_s, **facts
    )


def _absent_node(child: Child, path: str, state: str, facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": child.key,
        "name": path,
        "kind": child.spec.type,
        "placement": child.spec.placement,
        "pid": None,
        "state": state,
        "strategy": None,
        "restarts": facts["restarts"],
        "uptime_s": 0.0,
        "mailbox": 0,
        "handled": 0,
        "rate": 0.0,
        "dropped": 0,
        "last_error": _last_line(facts["last_error"]),
        "children": [],
    }


def process_node(
    record: ProcessRecord, *, state: str, restarts: int, uptime_s: float, last_error: str | None
) -> dict[str, Any]:
    """Describe a process child: its supervisor's facts, and its inside as of its last heartbeat.

    A process whose root is a supervisor of type ``supervisor`` is that supervisor; a worker process
    that hosts a cell shows the cell as its child; any other worker shows its one actor's mailbox as
    its own.
    """
    inside = record.snapshot
    node: dict[str, Any] = {
        "id": record.spec.id,
        "name": record.path,
        "kind": record.spec.type,
        "placement": "process",
        "pid": record.pid,
        "state": "suspended" if inside.get("state") == "suspended" else state,
        "strategy": None,
        "restarts": restarts,
        "uptime_s": round(uptime_s, 3),
        "mailbox": inside.get("mailbox", 0),
        "handled": inside.get("handled", 0),
        "rate": inside.get("rate", 0.0),
        "dropped": inside.get("dropped", 0),
        "last_error": _last_line(last_error),
        "children": [],
    }
    if inside.get("kind") != "supervisor":
        node["details"] = inside.get("details", {})
    elif record.spec.type == "supervisor":
        node["strategy"] = inside["strategy"]
        node["children"] = inside["children"]
        for fact in ("allowance_left", "allowance", "allowance_period_s"):
            node[fact] = inside.get(fact)
    else:
        node["children"] = [inside]
    return node


def _last_line(error: str | None) -> str | None:
    """The last line of a traceback says what went wrong."""
    return error.strip().splitlines()[-1][:300] if error and error.strip() else None


def give_addresses(tree: dict[str, Any], node: str) -> dict[str, Any]:
    """Give each node of ``tree`` the address that names it among all nodes; return the tree."""
    for part in walk(tree):
        part["address"] = f"{node}:{part['name']}"
    return tree


def names_like(tree: dict[str, Any], wanted: str) -> list[str]:
    """Return the full names of the nodes that ``wanted`` may mean.

    That is the node of that path, or else those whose paths have its parts in order, one last:
    ``user-profiler`` names the only one, ``bidder-2/user-profiler`` one of several.
    """
    parts = [part for part in wanted.strip("/").split("/") if part]
    names = [node["name"] for node in walk(tree)]
    if wanted in names:
        return [wanted]
    return [name for name in names if parts and _ends_like(name.split("/"), parts)]


def names_near(tree: dict[str, Any], wanted: str) -> list[str]:
    """Return ids that look like the last part of ``wanted``, the likeliest first, three at most."""
    ids = {str(node["name"]).rsplit("/", 1)[-1] for node in walk(tree)}
    return difflib.get_close_matches(wanted.rstrip("/").rsplit("/", 1)[-1], sorted(ids), n=3)


def walk(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all nodes of a tree, parents before children."""
    nodes = [tree]
    for child in tree["children"]:
        nodes.extend(walk(child))
    return nodes


def _ends_like(path: list[str], parts: list[str]) -> bool:
    """Tell whether ``parts`` stand in ``path`` in order, the last one at its end."""
    if path[-1] != parts[-1]:
        return False
    rest = iter(path)
    return all(part in rest for part in parts)
