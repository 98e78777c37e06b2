"""Whom a fault hits: a pattern over the tree's paths, and how many of those that it means.

A pattern is a path in which ``*`` stands for a name and ``**`` for any number of names:
``node/bidders/bidder-*``, ``**/user-profiler``.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from cli.chaos.errors import FaultError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Iterator, Mapping

    TreeNode = Mapping[str, Any]

_PER_CENT = 100


def walk(tree: TreeNode) -> Iterator[TreeNode]:
    """Yield all nodes of a tree, parents before children."""
    yield tree
    for child in tree.get("children") or ():
        yield from walk(child)


def matching(paths: Iterable[str], pattern: str) -> list[str]:
    """Return those of ``paths`` that the pattern means, in their order."""
    expression = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*\*", ".*")
    found = re.compile(expression.replace(r"\*", "[^/]*"))
    return [path for path in paths if found.fullmatch(path)]


def choose(paths: Iterable[str], select: str, mode: str, rng: random.Random) -> list[str]:
    """Return the targets of one fault.

    Args:
        paths: All parts of the tree.
        select: Pattern of the parts that may be hit.
        mode: ``one``, ``all``, ``fixed:N`` or ``percent:P`` of them (rounded up), at random.
        rng: Chooses.

    Raises:
        FaultError: Nothing matches, or there is no such mode.
    """
    found = matching(paths, select)
    if not found:
        raise FaultError(f"no part of the tree is called {select!r}; see `bidwright tree`")
    return sorted(rng.sample(found, how_many(mode, len(found))))


def how_many(mode: str, among: int) -> int:
    """Return how many of ``among`` parts a mode means.

    Raises:
        FaultError: There is no such mode, or not so many parts.
    """
    kind, _, number = mode.partition(":")
    if mode in ("one", "all"):
        return 1 if mode == "one" else among
    if kind not in ("fixed", "percent") or not number.isdigit():
        raise FaultError(f"mode {mode!r} is none of one, all, fixed:N, percent:P")
    count = int(number) if kind == "fixed" else math.ceil(among * int(number) / _PER_CENT)
    if not 0 < count <= among:
        raise FaultError(f"mode {mode!r} means {count} of {among} parts")
    return count
