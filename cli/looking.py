"""What the views of the tree share: lines, colours, rates. Plain data in, plain data out.

A view must go on when the node is older or newer than itself, so every part of a tree node but its
id may be missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    TreeNode = Mapping[str, Any]

STATE_STYLES = {
    "running": "green",
    "restarting": "bold yellow",
    "starting": "bold yellow",
    "suspended": "bold magenta",
    "stopped": "bold red",
}
"""Colours of states, as rich names them; a state that is not here is red."""

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_WAITING = 100
_JAMMED = 1000
_SLOW = 10


def walk(root: TreeNode) -> Iterator[TreeNode]:
    """Yield all nodes of a tree, parents before children."""
    yield root
    for child in root.get("children") or ():
        yield from walk(child)


def name_of(node: TreeNode) -> str:
    """Return the name that commands understand: the path, or the id where that is all there is."""
    return str(node.get("name") or node.get("id") or "?")


def slow_lines(root: TreeNode) -> Iterator[str]:
    """Yield who of a tree bids slowly, because no news of its money comes."""
    for node in walk(root):
        silent = (node.get("details") or {}).get("silent")
        if silent:
            names = ", ".join(each or "an exchange without a name" for each in silent)
            yield f"{name_of(node)} bids slowly: nothing is heard of its bids from {names}"


def drawn_lines(node: TreeNode, lead: str = "", branch: str = "") -> Iterator[tuple[str, TreeNode]]:
    """Yield each node with its id behind the lines that connect it to its parent."""
    hidden = f" (+{node['hidden']})" if node.get("hidden") else ""
    yield f"{lead}{branch}{node.get('id', '?')}{hidden}", node
    if branch:
        lead += "│  " if branch == "├─ " else "   "
    children = node.get("children") or []
    for index, child in enumerate(children):
        last = index == len(children) - 1
        yield from drawn_lines(child, lead, "└─ " if last else "├─ ")


def pruned(node: TreeNode, depth: int) -> dict[str, Any]:
    """Return the tree down to ``depth`` levels below its root; ``hidden`` counts what is left out.

    Args:
        node: The root.
        depth: 0 for the root alone.
    """
    children = node.get("children") or ()
    if depth > 0:
        return {**node, "children": [pruned(child, depth - 1) for child in children]}
    hidden = sum(1 for child in children for _ in walk(child))
    return {**node, "children": [], **({"hidden": hidden} if hidden else {})}


def short_time(seconds: float | None) -> str:
    """Return a duration as people say it: ``12.3 s``, ``4 min``, ``2.5 h``, ``3.1 d``."""
    if seconds is None:
        return ""
    if seconds < _MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h" if seconds < _DAY_S else f"{seconds / _DAY_S:.1f} d"


def one_line(text: object, longest: int) -> str:
    """Return a text without line breaks, cut to ``longest`` characters."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= longest else f"{line[: max(0, longest - 1)]}…"


def end_of(path: object, longest: int) -> str:
    """Return the last ``longest`` characters of a path, where it is longer than that."""
    text = str(path or "")
    return text if len(text) <= longest else f"…{text[-max(1, longest - 1) :]}"


def rates_between(before: TreeNode, after: TreeNode, elapsed_s: float) -> dict[str, float]:
    """Return messages handled a second by name, from two looks at a tree.

    Who was restarted meanwhile has no rate.
    """
    if elapsed_s <= 0:
        return {}
    old = {name_of(node): node for node in walk(before)}
    rates = {}
    for node in walk(after):
        known = old.get(name_of(node))
        if known is None or known.get("restarts") != node.get("restarts"):
            continue
        more = node.get("handled", 0) - known.get("handled", 0)
        if more >= 0:
            rates[name_of(node)] = more / elapsed_s
    return rates


def with_rates(before: TreeNode | None, after: TreeNode, elapsed_s: float) -> dict[str, Any]:
    """Return ``after`` where each node has a ``rate``: the node's own, or that of the two looks."""
    rates = {} if before is None else rates_between(before, after, elapsed_s)

    def rated(node: TreeNode) -> dict[str, Any]:
        children = [rated(child) for child in node.get("children") or ()]
        own = node.get("rate", rates.get(name_of(node)))
        return {**node, "rate": own, "children": children}

    return rated(after)


def allowance_of(node: TreeNode) -> str:
    """Return how many restarts a supervisor may still make, as ``9/10``; "" for workers."""
    left, most = node.get("allowance_left"), node.get("allowance")
    if left is None:
        return ""
    return f"{left}/{most}" if most is not None else str(left)


def allowance_style(node: TreeNode) -> str:
    """Return the colour of a restart allowance: red when the next death is one too many."""
    left, most = node.get("allowance_left"), node.get("allowance")
    if left is None:
        return ""
    if left <= 0:
        return "bold red"
    return "yellow" if most is not None and left < most else "dim"


def state_style(state: object) -> str:
    """Return the colour of a state."""
    return STATE_STYLES.get(str(state), "bold red")


def mailbox_style(waiting: int | None) -> str:
    """Return the colour of a mailbox with so many messages."""
    if not waiting:
        return "dim"
    if waiting >= _JAMMED:
        return "bold red"
    return "yellow" if waiting >= _WAITING else ""


def round_rate(rate: float | None) -> float | None:
    """Return a rate a second with as many digits as people read."""
    if rate is None:
        return None
    return round(rate, 1) if 0 < rate < _SLOW else round(rate)
