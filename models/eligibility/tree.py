"""A matching tree over ads: a search meets those that match and few others.

Principle: an ad is filed under the values that it wishes, rarest first, so that an impression's own
values lead to it; ads without a wish are reached without one. This is the matching tree of
Aguilera, Strom, Sturman, Astley and Chandra (PODC 1999) with the choice of Fabret et al. (SIGMOD
2001), who file a subscription under the predicates that leave the fewest to be looked at: each node
asks about the wish that splits its own ads best (`models.eligibility.growth`). Why a tree: lists of
ads for each value would have to be intersected, and the list of those without a wish is nearly all
of them; bitmaps cost one bit for each campaign however few match.

What no value leads to (bans, facts about ads, forms) stands below: ads that are alike in it are put
in groups, and a group is refused at once. So a search costs nodes on the way and groups, but not
the ads behind them.

The tree only leads: every ad it comes to is still tried by all rules, so a wrong turn could cost
time and never an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.eligibility.ads import Ad, Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from models.eligibility.view import View


class Branch:
    """Ads by the values of one wish.

    Args:
        wish: Number of the wish.
        children: Below each value.
        rest: Those without the wish.
    """

    __slots__ = ("_children", "_rest", "_wish")

    def __init__(self, wish: int, children: Mapping[object, Node], rest: Node) -> None:
        self._wish = wish
        self._children = children
        self._rest = rest

    def follow(self, view: View, ahead: list[Node]) -> None:
        """Add the nodes below in which there may be matches."""
        children = self._children
        for value in view.offers[self._wish]:
            child = children.get(value)
            if child is not None:
                ahead.append(child)
        if self._rest:
            ahead.append(self._rest)

    def below(self) -> Iterable[Node]:
        """Return all nodes below."""
        yield from self._children.values()
        if self._rest:
            yield self._rest


class Groups:
    """Ads in groups, of whose sets in one respect it is known what all and what any contain.

    Args:
        respect: Number of the wish or fact, see `View.tests`.
        children: What all ads of a group have, what any of them has, and the group.
        rest: Those that have nothing.
    """

    __slots__ = ("_children", "_respect", "_rest")

    def __init__(self, respect: int, children: Sequence[Group], rest: Node) -> None:
        self._respect = respect
        self._children = children
        self._rest = rest

    def follow(self, view: View, ahead: list[Node]) -> None:
        """Add the nodes below in which there may be matches."""
        tests = view.tests(self._respect)
        for common, union, child in self._children:
            for wanted, named in tests:
                if (union if wanted else common).isdisjoint(named) is wanted:
                    break
            else:
                ahead.append(child)
        if self._rest:
            ahead.append(self._rest)

    def below(self) -> Iterable[Node]:
        """Return all nodes below."""
        for _, _, child in self._children:
            yield child
        if self._rest:
            yield self._rest


class Forms:
    """Ads by the form of their creatives.

    Args:
        children: Form and ads of each group.
    """

    __slots__ = ("_children",)

    def __init__(self, children: Sequence[tuple[Form, Node]]) -> None:
        self._children = children

    def follow(self, view: View, ahead: list[Node]) -> None:
        """Add the nodes below in which there may be matches."""
        ahead.extend([child for form, child in self._children if view.unfit(form) is None])

    def below(self) -> Iterable[Node]:
        """Return all nodes below."""
        for _, child in self._children:
            yield child


Group = tuple[frozenset[object], frozenset[object], "Node"]
Node = Branch | Groups | Forms | tuple[Ad, ...]


def matches(root: Node, view: View) -> list[Ad]:
    """Return the ads that an impression may have, in their order."""
    found: dict[int, Ad] = {}
    ahead = [root]
    while ahead:
        node = ahead.pop()
        if isinstance(node, tuple):
            for ad in node:
                if ad.number not in found and view.refusal(ad) is None:
                    found[ad.number] = ad
        else:
            node.follow(view, ahead)
    return [found[number] for number in sorted(found)]


def near(root: Node, view: View, most: int) -> Iterable[Ad]:
    """Yield ads that a search comes to or turns away from, at most so many."""
    ahead = [root]
    while ahead and most > 0:
        node = ahead.pop()
        if isinstance(node, tuple):
            yield from node[:most]
            most -= len(node)
            continue
        before = len(ahead)
        node.follow(view, ahead)
        if len(ahead) == before:  # nobody matches below, so anybody may tell why
            ahead.append(next(iter(node.below())))
