"""How a matching tree is built: at each node by what leaves the fewest ads to look at.

Principle: decided greedily on a sample of the node's own ads, as decision trees are. An ad with
many values stands in many places; `MAX_SPREAD` bounds that, and what is not split further is tried
ad by ad. Where ads differ in more sets than are worth a group each, those are put together that
share the commonest value, and their group knows what all and what any of them have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable  # noqa: TC003 - read at run time by the named tuple
from typing import TYPE_CHECKING, Final, NamedTuple

from models.eligibility.rules import FACTS, WISHES
from models.eligibility.tree import Branch, Forms, Groups, Node
from models.eligibility.view import FIRST_FACT, FLIGHT

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from models.eligibility.ads import Ad, Form
    from models.eligibility.calendar import Calendar

#: No node is made for so few ads.
LEAF: Final = 8

#: An ad stands in so many places on average at most.
MAX_SPREAD: Final = 64.0

#: So many ads of a node decide by which wish it is split.
SAMPLE: Final = 64

#: So many decide in what it is grouped.
GROUP_SAMPLE: Final = 256

#: Values of one wish of one ad that are looked at to decide.
SAMPLE_VALUES: Final = 32

#: Wishes with so few different sets are tried set by set; nobody stands in two places then.
FEW_SETS: Final = 8

#: Groups hold so many ads on average at least, or none are made.
LEAST_GROUP: Final = 4

_NOTHING: Final[frozenset[object]] = frozenset()


class Grower:
    """Builds trees.

    Args:
        calendar: Of the flights of all ads.
    """

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    def grow(self, ads: Sequence[Ad]) -> Node:
        """Return the tree of some ads.

        What all of them have is asked once, at the root.
        """
        if len(ads) <= LEAF:
            return tuple(ads)
        shared = {
            respect.number: sets.pop()
            for respect in _RESPECTS
            if len(sets := set(map(respect.read, ads))) == 1 and sets != {_NOTHING}
        }
        node = self._by_wishes(ads, frozenset(shared), 1.0)
        for number, values in shared.items():
            node = Groups(number, [(values, values, node)], ())
        return node

    # --- filing by wishes -----------------------------------------------------------------------

    def _wanted(self, ad: Ad) -> Iterator[tuple[int, Collection[object]]]:
        """Yield the wishes by which an ad can be filed, its flight among them."""
        for number, values in ad.wishes:
            if WISHES[number].wanted:
                yield number, values
        flight = self._calendar.flight(ad.starts_s, ad.ends_s)
        if flight:
            yield FLIGHT, flight

    def _values(self, ad: Ad, wish: int) -> Collection[object]:
        if wish == FLIGHT:
            return self._calendar.flight(ad.starts_s, ad.ends_s)
        return ad.wish(wish)

    def _by_wishes(self, ads: Sequence[Ad], asked: frozenset[int], spread: float) -> Node:
        """File ads by the wish that splits them best, among those not asked above."""
        if len(ads) <= LEAF:
            return tuple(ads)
        best = self._best_wish(ads[:: max(1, len(ads) // SAMPLE)], asked, spread)
        if best is None:
            return _by_form(ads, asked)
        wish, growth, is_few = best
        asked |= {wish}
        if is_few:
            sets = _grouped(ads, _wish_reader(wish))
            rest = self._by_wishes(sets.pop(_NOTHING, ()), asked, spread)
            below = [(each, each, self._by_wishes(sets[each], asked, spread)) for each in sets]
            return Groups(wish, below, rest)
        return self._branch(ads, wish, asked, (spread, growth))

    def _branch(
        self, ads: Sequence[Ad], wish: int, asked: frozenset[int], spread: tuple[float, float]
    ) -> Node:
        """File ads by each of their values of a wish, which spreads them again."""
        before, growth = spread
        children: dict[object, list[Ad]] = {}
        rest: list[Ad] = []
        for ad in ads:
            values = self._values(ad, wish)
            for value in values:
                children.setdefault(value, []).append(ad)
            if not values:
                rest.append(ad)
        below = {
            value: self._by_wishes(group, asked, before * growth)
            for value, group in children.items()
        }
        return Branch(wish, below, self._by_wishes(rest, asked, before))

    def _best_wish(
        self, sample: Sequence[Ad], asked: frozenset[int], spread: float
    ) -> tuple[int, float, bool] | None:
        """Return the wish to file by, the one that leaves the fewest ads; ``None`` if none is left.

        Returns:
            The wish, how far filing by its values spreads an ad, and whether its sets are few.
        """
        sets: dict[int, list[Collection[object]]] = {}
        for ad in sample:
            for wish, values in self._wanted(ad):
                if wish not in asked:
                    sets.setdefault(wish, []).append(values)
        best, fewest = None, 0.0
        for wish, found in sets.items():
            left, growth = _left_by(found)
            if wish == FLIGHT:  # a moment has one value on each level
                left = min(left * self._calendar.levels, len(found))
            left += len(sample) - len(found)
            is_few = wish != FLIGHT and growth > 1.0 and len(set(found)) <= FEW_SETS
            if (is_few or spread * growth <= MAX_SPREAD) and (best is None or left < fewest):
                best, fewest = (wish, growth, is_few), left
        return best


def _left_by(sets: Sequence[Collection[object]]) -> tuple[float, float]:
    """Return how many of these ads a value of theirs leads to, and in how many places each is."""
    counts: dict[object, int] = {}
    places = 0
    for values in sets:
        places += len(values)
        for value, _ in zip(values, range(SAMPLE_VALUES), strict=False):
            counts[value] = counts.get(value, 0) + 1
    led = sum([count * count for count in counts.values()]) / sum(counts.values())
    return led, places / len(sets)


# --- grouping the rest ---------------------------------------------------------------------------


class _Respect(NamedTuple):
    """In what ads may be alike.

    Attributes:
        number: Of the wish or fact, see `View.tests`.
        read: Returns an ad's set.
        rounds: How often ads may be put together by their commonest value.
        known: Values that were asked for above.
    """

    number: int
    read: Callable[[Ad], frozenset[object]]
    rounds: int = 2
    known: frozenset[object] = _NOTHING

    def less(self, common: frozenset[object]) -> _Respect:
        """Return the same for ads of which all have this."""
        return self._replace(rounds=self.rounds - 1, known=self.known | common)


def _wish_reader(wish: int) -> Callable[[Ad], frozenset[object]]:
    return lambda ad: ad.wish(wish)


def _fact_reader(fact: int) -> Callable[[Ad], frozenset[object]]:
    return lambda ad: ad.facts[fact]


_RESPECTS: Final = (
    *[_Respect(number, _wish_reader(number)) for number in range(len(WISHES))],
    *[_Respect(FIRST_FACT + fact, _fact_reader(fact)) for fact in range(len(FACTS))],
)


def _by_form(ads: Sequence[Ad], asked: frozenset[int]) -> Node:
    """Put ads into groups by form, where forms are few, and then by bans and facts."""
    respects = tuple(
        [
            each
            for each in _RESPECTS
            if each.number not in asked
            and not (each.number < FLIGHT and WISHES[each.number].wanted)
        ]
    )
    forms: dict[Form, list[Ad]] = {}
    for ad in ads:
        forms.setdefault(ad.form, []).append(ad)
    if LEAST_GROUP * len(forms) > len(ads):
        return _by_likeness(ads, respects)
    return Forms([(form, _by_likeness(group, respects)) for form, group in forms.items()])


def _by_likeness(ads: Sequence[Ad], respects: tuple[_Respect, ...]) -> Node:
    """Put ads into groups, each time by that in which they differ least."""
    if len(ads) <= 2 * LEAF:
        return tuple(ads)
    sample = ads[:: max(1, len(ads) // GROUP_SAMPLE)]
    respects = tuple([each for each in respects if any(map(each.read, sample))])
    best = _best_respect(sample, respects)
    if best is None:
        return tuple(ads)
    respect, by_commonest = best
    later = tuple([each for each in respects if each is not respect])
    read = respect.read
    if by_commonest:
        read = _commonest(ads, respect)
    groups = _grouped(ads, read)
    rest = groups.pop(_NOTHING, [])
    children = []
    for group in groups.values():
        sets = [respect.read(ad) for ad in group]
        common, union = frozenset.intersection(*sets), frozenset().union(*sets)
        again = (respect.less(common),) if by_commonest else ()
        children.append((common, union, _by_likeness(group, (*later, *again))))
    return Groups(respect.number, children, _by_likeness(rest, later))


def _best_respect(
    sample: Sequence[Ad], respects: tuple[_Respect, ...]
) -> tuple[_Respect, bool] | None:
    """Return in what to group ads, that with the fewest groups, and whether by commonest values."""
    best, fewest = None, len(sample) // LEAST_GROUP
    for respect in respects:
        sets = set(map(respect.read, sample))
        if len(sets) <= fewest:
            best, fewest = (respect, False), len(sets) - 1
        elif respect.rounds and len(sample) > 2 * SAMPLE:  # few ads are not worth a second look
            kinds = _kinds(sample, respect)
            if kinds <= fewest:
                best, fewest = (respect, True), kinds - 1
    return best


def _kinds(sample: Sequence[Ad], respect: _Respect) -> int:
    """Return into how many groups commonest values would put ads; many are not counted out."""
    part = sample[:: max(1, len(sample) // SAMPLE)]
    if 2 * len(set(map(_commonest(part, respect), part))) > len(part):
        return len(sample)
    return len(set(map(_commonest(sample, respect), sample)))


def _commonest(ads: Sequence[Ad], respect: _Respect) -> Callable[[Ad], frozenset[object]]:
    """Return what reads only the commonest value of a set, of those not asked for above."""
    read, known = respect.read, respect.known
    counts: Counter[object] = Counter()
    for ad in ads:
        counts.update(read(ad))
    order = {value: (count, str(value)) for value, count in counts.items()}

    def commonest(ad: Ad) -> frozenset[object]:
        values = read(ad) - known
        return frozenset([max(values, key=order.__getitem__)]) if values else values

    return commonest


def _grouped(
    ads: Sequence[Ad], read: Callable[[Ad], frozenset[object]]
) -> dict[frozenset[object], list[Ad]]:
    groups: dict[frozenset[object], list[Ad]] = {}
    for ad in ads:
        groups.setdefault(read(ad), []).append(ad)
    return groups
