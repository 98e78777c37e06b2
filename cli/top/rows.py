"""From a view to the rows of each pane: plain functions, sorted and filtered as the keys say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cli.looking import (
    allowance_of,
    allowance_style,
    drawn_lines,
    mailbox_style,
    name_of,
    one_line,
    round_rate,
    short_time,
    state_style,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from cli.looking import TreeNode
    from cli.top.poll import View

BUSIEST: Final = 15
_CELL: Final = "cell"
_LONGEST_ERROR: Final = 80
_MIB: Final = 1 << 20
_HOT: Final = 0.9
_UNWELL: Final = ("stopped", "dead")
_SLOW_MS: Final = 50.0


class Cell(NamedTuple):
    """What stands in a cell; numbers stand on the right."""

    value: str | float | None
    style: str = ""


class Row(NamedTuple):
    """A row of a pane; ``key`` is the actor's name where there is one."""

    key: str
    cells: tuple[Cell, ...]


class Column(NamedTuple):
    """A column of the pane of actors: its heading and by what it sorts."""

    heading: str
    value: Callable[[TreeNode], Any]
    falling: bool = True
    """The largest first at the first press of its key."""


ACTOR_COLUMNS: Final = (
    Column("actor", lambda node: short_name(name_of(node)), falling=False),
    Column("state", lambda node: (node.get("state") == "running", str(node.get("state"))), False),
    Column("restarts", lambda node: node.get("restarts") or 0),
    Column("left", lambda node: _known(node.get("allowance_left"), 1e9), falling=False),
    Column("rate/s", lambda node: node.get("rate") or 0.0),
    Column("mailbox", lambda node: node.get("mailbox") or 0),
    Column("up", lambda node: node.get("uptime_s") or 0.0, falling=False),
    Column("last error", lambda node: str(node.get("last_error") or "")),
    Column("handled", lambda node: node.get("handled") or 0),
    Column("pid", lambda node: node.get("pid") or 0, falling=False),
)
"""The keys 1 to 9, and 0 for the last, sort by them."""

AGENT_HEADINGS: Final = ("agent", "p50 ms", "p99 ms", "live", "retried", "fallback")
BUSY_HEADINGS: Final = ("actor", "rate/s", "mailbox")
PROCESS_HEADINGS: Final = ("process", "pid", "cpu", "MiB", "threads", "files", "")
DEAD_HEADINGS: Final = ("died", "actor", "how", "reason")


@dataclass(frozen=True)
class Order:
    """How the actors are listed.

    Attributes:
        column: Index of the column to sort by; None draws the tree.
        turned: The other way round.
        wanted: Only actors with all of these words in their name, state or error are listed.
    """

    column: int | None = None
    turned: bool = False
    wanted: str = ""

    def pressed(self, column: int) -> Order:
        """Return the order after the key of a column: sort by it, turn round, back to the tree."""
        if column != self.column:
            return Order(column, turned=False, wanted=self.wanted)
        if not self.turned:
            return Order(column, turned=True, wanted=self.wanted)
        return Order(None, turned=False, wanted=self.wanted)


def short_name(name: str) -> str:
    """Return a name as short as people and commands can tell it: ``bidder-1/user-profiler``."""
    parts = name.split("/")
    if _CELL in parts[1:-1]:
        return f"{parts[parts.index(_CELL, 1) - 1]}/{parts[-1]}"
    return "/".join(parts[-2:]) if parts[-1] == _CELL else parts[-1]


def actor_rows(root: TreeNode, order: Order) -> list[Row]:
    """Return the actors, as a tree or sorted."""
    matching = {name_of(node) for node in walk(root) if _matches(node, order.wanted)}
    if order.column is None:
        kept = _with_ancestors(root, matching)
        return [
            _actor_row(line, node, dim=name_of(node) not in matching)
            for line, node in drawn_lines(_only(root, kept))
            if kept
        ]
    column = ACTOR_COLUMNS[order.column]
    nodes = [node for node in walk(root) if name_of(node) in matching]
    nodes.sort(key=column.value, reverse=column.falling != order.turned)
    return [_actor_row(short_name(name_of(node)), node) for node in nodes]


def _known(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _matches(node: TreeNode, wanted: str) -> bool:
    if not wanted:
        return True
    text = f"{name_of(node)} {node.get('state')} {node.get('last_error') or ''}".lower()
    return all(word in text for word in wanted.lower().split())


def _with_ancestors(root: TreeNode, names: set[str]) -> set[str]:
    kept = {name_of(root)} if name_of(root) in names else set()
    for child in root.get("children") or ():
        below = _with_ancestors(child, names)
        kept |= below | ({name_of(root)} if below else set())
    return kept


def _only(node: TreeNode, names: set[str]) -> dict[str, Any]:
    children = [child for child in node.get("children") or () if name_of(child) in names]
    return {**node, "children": [_only(child, names) for child in children]}


def _actor_row(name: str, node: TreeNode, *, dim: bool = False) -> Row:
    restarts, waiting, error = node.get("restarts"), node.get("mailbox"), node.get("last_error")
    supervises = node.get("kind") == "supervisor"
    cells = (
        Cell(name, "dim" if dim else "bold" if supervises else ""),
        Cell(node.get("state"), state_style(node.get("state"))),
        Cell(restarts, "bold yellow" if restarts else "dim"),
        Cell(allowance_of(node), allowance_style(node)),
        Cell(round_rate(node.get("rate")), "" if node.get("rate") else "dim"),
        Cell(waiting, mailbox_style(waiting)),
        Cell(short_time(node.get("uptime_s"))),
        Cell(one_line(error, _LONGEST_ERROR), "red"),
        Cell(node.get("handled"), "dim"),
        Cell(str(node.get("pid") or ""), "dim"),
    )
    return Row(name_of(node), cells)


# --- the panes on the side ------------------------------------------------------------------------


def busy_rows(root: TreeNode) -> list[Row]:
    """Return the actors that handle most, and those for which most waits."""
    workers = [node for node in walk(root) if node.get("rate") or node.get("mailbox")]
    workers.sort(key=lambda node: (node.get("rate") or 0.0, node.get("mailbox") or 0), reverse=True)
    return [
        Row(
            name_of(node),
            (
                Cell(short_name(name_of(node))),
                Cell(round_rate(node.get("rate"))),
                Cell(node.get("mailbox"), mailbox_style(node.get("mailbox"))),
            ),
        )
        for node in workers[:BUSIEST]
    ]


def agent_rows(root: TreeNode) -> list[Row]:
    """Return how each agent answers; of several bidders the times are those of the slowest."""
    told: dict[str, list[TreeNode]] = {}
    for node in walk(root):
        if {"answered", "fallbacks"} <= (node.get("details") or {}).keys():
            told.setdefault(str(node["id"]), []).append(node)
    return [_agent_row(name, nodes) for name, nodes in told.items()]


def _agent_row(name: str, nodes: Sequence[TreeNode]) -> Row:
    accounts = [node["details"] for node in nodes]
    retried, fallbacks = _sum(accounts, "retried"), _sum(accounts, "fallbacks")
    answered = _sum(accounts, "answered")
    asked = answered + fallbacks
    return Row(
        name_of(nodes[0]),
        (
            Cell(name),
            _time_cell(_most(accounts, "p50_ms")),
            _time_cell(_most(accounts, "p99_ms")),
            Cell(_share(answered - retried, asked), "green"),
            Cell(_share(retried, asked), "yellow" if retried else "dim"),
            Cell(_share(fallbacks, asked), "bold red" if fallbacks else "dim"),
        ),
    )


def process_rows(view: View) -> list[Row]:
    """Return the processes, the busiest first."""
    processes = view.processes or {}
    ordered = sorted(processes, key=lambda path: view.cpu.get(path, 0.0), reverse=True)
    return [_process_row(path, processes[path], view.cpu.get(path)) for path in ordered]


def _process_row(path: str, facts: Mapping[str, Any], cores: float | None) -> Row:
    rss, state = facts.get("rss_bytes"), str(facts.get("os_state") or "")
    return Row(
        path,
        (
            Cell(short_name(path)),
            Cell(str(facts.get("pid", "")), "dim"),
            Cell(None if cores is None else f"{cores:.0%}", _heat(cores)),
            Cell(None if rss is None else round(rss / _MIB)),
            Cell(facts.get("threads"), "dim"),
            Cell(facts.get("fds"), "dim"),
            Cell(state, "bold red" if state.startswith(_UNWELL) else "dim"),
        ),
    )


def dead_rows(dead: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return who died last, the newest on top."""
    return [
        Row(
            str(each.get("address", "")).partition(":")[2],
            (
                Cell(str(each.get("ts", ""))[11:19], "dim"),
                Cell(short_name(str(each.get("address", "")).partition(":")[2])),
                Cell(each.get("kind"), "yellow"),
                Cell(one_line(each.get("reason"), _LONGEST_ERROR), "red"),
            ),
        )
        for each in reversed(dead)
    ]


# --- the heading ----------------------------------------------------------------------------------


def heading(view: View) -> list[list[Cell]]:
    """Return what stands on top: how the node does, what its gateways do, who is well."""
    status = view.status
    state = "away" if view.trouble else status.get("state")
    first = [
        Cell(f"{status.get('node', 'bidwright')} ", "bold"),
        Cell(str(state or "?"), "bold green" if state == "ready" else "bold red"),
        Cell(f"   up {short_time(status.get('uptime_s')) or '?'}"),
        Cell(
            f"   rebuilds {status.get('rebuilds', '?')}", "yellow" if status.get("rebuilds") else ""
        ),
    ]
    if view.trouble:
        first.append(Cell(f"   {one_line(view.trouble, _LONGEST_ERROR)}", "bold yellow"))
    return [first, _traffic(view.tree), _census(view.tree)]


def _traffic(root: TreeNode | None) -> list[Cell]:
    nodes = [] if root is None else [node.get("details") or {} for node in walk(root)]
    gateways = [each for each in nodes if {"requests", "shed", "late"} <= each.keys()]
    if not gateways:
        return []
    window_s = max(each.get("window_s") or 1 for each in gateways)
    shed, late = _sum(gateways, "shed"), _sum(gateways, "late")
    p50_ms, p99_ms = _most(gateways, "p50_ms"), _most(gateways, "p99_ms")
    times = "" if p50_ms is None else f"   p50 {p50_ms:.1f} ms   p99 {p99_ms:.1f} ms"
    return [
        Cell(f"{_sum(gateways, 'requests_per_s'):,.0f} requests/s", "bold cyan"),
        Cell(f"   {_sum(gateways, 'bids') / window_s:,.0f} bids/s{times}"),
        Cell(f"   shed {shed:,.0f}", "bold red" if shed else "dim"),
        Cell(f"   late {late:,.0f}", "bold red" if late else "dim"),
    ]


def _census(root: TreeNode | None) -> list[Cell]:
    if root is None:
        return []
    nodes = list(walk(root))
    states: dict[str, int] = {}
    for node in nodes:
        states[str(node.get("state"))] = states.get(str(node.get("state")), 0) + 1
    told = [
        Cell(f"{'   ' if index else ''}{count} {state}", state_style(state))
        for index, (state, count) in enumerate(sorted(states.items()))
    ]
    fullest = max(nodes, key=lambda node: node.get("mailbox") or 0)
    waiting = sum(node.get("mailbox") or 0 for node in nodes)
    told.append(Cell(f"   restarts {sum(node.get('restarts') or 0 for node in nodes):,}"))
    told.append(Cell(f"   waiting {waiting:,}", mailbox_style(fullest.get("mailbox"))))
    if fullest.get("mailbox"):
        told.append(Cell(f", most at {short_name(name_of(fullest))}", "dim"))
    return told


def _sum(accounts: Iterable[Mapping[str, Any]], name: str) -> float:
    return sum(each.get(name) or 0 for each in accounts)


def _most(accounts: Iterable[Mapping[str, Any]], name: str) -> float | None:
    return max((each[name] for each in accounts if each.get(name) is not None), default=None)


def _time_cell(taken_ms: float | None) -> Cell:
    if taken_ms is None:
        return Cell(None)
    return Cell(f"{taken_ms:.2f}", "bold yellow" if taken_ms > _SLOW_MS else "")


def _share(part: float, whole: float) -> str | None:
    return f"{part / whole:.1%}" if whole else None


def _heat(cores: float | None) -> str:
    return "bold yellow" if cores is not None and cores > _HOT else ""
