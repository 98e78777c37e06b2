"""What the rules ask of an impression, reduced to what can make a difference.

Principle: a country that no campaign names is no country, a blocked domain that no advertiser has
is not blocked. What is left answers for the whole impression: two impressions with equal questions
have the same ads, so answers may be kept under them, and a long list costs only what we know of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from models.eligibility.ads import values_of
from models.eligibility.rules import ATTRIBUTES, RANKS, WISHES, Offered, Term, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.eligibility.ads import Ad
    from models.opportunity import Opportunity, Slot


class Question(msgspec.Struct, frozen=True, gc=False):
    """An impression as the rules see it, apart from its slots.

    Attributes:
        offers: For each of `WISHES` what the impression is, as far as any ad wishes it.
        terms: What publisher and law demand of an ad, as far as any ad could break it.
        is_open: It is about the open auction, not about a deal.
    """

    offers: tuple[Offered, ...]
    terms: tuple[Term, ...]
    is_open: bool

    def terms_at(self, slot: Slot) -> tuple[Term, ...]:
        """Return the terms with those that only this slot has (``battr``), in their order."""
        if not slot.blocked_attributes:
            return self.terms
        own = Term(ATTRIBUTES, False, slot.blocked_attributes, "blocked_attribute")
        return tuple(sorted((*self.terms, own), key=lambda term: RANKS[term.reason]))


class Reader:
    """Reads impressions for a set of ads.

    Args:
        ads: All that the answers may come from.
    """

    def __init__(self, ads: Sequence[Ad]) -> None:
        wished, self._facts = values_of(ads)
        self._wishes = tuple(
            (wish.of_impression, known) for wish, known in zip(WISHES, wished, strict=True)
        )

    def question(self, opportunity: Opportunity) -> Question:
        """Return what the rules ask of an impression."""
        offers = tuple(
            [_known_of(read(opportunity), known) if known else () for read, known in self._wishes]
        )
        facts = self._facts
        terms = [
            Term(fact, wanted, named & facts[fact], reason)
            for fact, wanted, named, reason in terms_of(opportunity)
        ]
        # A ban that names nothing of ours forbids nothing; a list of the allowed still does.
        live = tuple([each for each in terms if each.wanted or each.named])
        return Question(offers, live, opportunity.deal is None)


def _known_of(offered: object, known: frozenset[object]) -> Offered:
    """Return what of an offer any ad wishes or avoids."""
    if isinstance(offered, frozenset):
        return offered & known
    return tuple([value for value in offered if value in known])  # type: ignore[attr-defined]
