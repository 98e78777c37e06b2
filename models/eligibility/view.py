"""One slot of one impression before the rules: which ads it takes, and why not the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.eligibility.rules import WISHES
from models.fitting import why_unfit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.eligibility.ads import Ad, Form
    from models.eligibility.question import Question
    from models.eligibility.rules import Offered
    from models.opportunity import Slot

_REASONS = tuple(wish.reason for wish in WISHES)
_WANTED = tuple(wish.wanted for wish in WISHES)

#: Number under which an index files ads by their flights; the rule itself looks at the times.
FLIGHT = len(WISHES)

#: Respects from here on are facts.
FIRST_FACT = FLIGHT + 1


class View:
    """What a search looks for.

    Args:
        question: Of the impression.
        slot: One of its slots.
        now_s: Seconds since 1970 (UTC); ``None`` leaves flights out of the question.
        moment: The stretches of time in which that lies, see `Calendar`.

    Attributes:
        offers: See `Question`; last the stretches of time.
    """

    __slots__ = ("_is_open", "_now_s", "_slot", "_terms", "_unfit", "offers")

    def __init__(
        self, question: Question, slot: Slot, now_s: float | None, moment: Sequence[int]
    ) -> None:
        self.offers = (*question.offers, moment)
        self._now_s = now_s
        self._is_open = question.is_open
        self._terms = question.terms_at(slot)
        self._slot = slot
        self._unfit: dict[Form, str | None] = {}

    def refusal(self, ad: Ad) -> str | None:
        """Return the reason of the first rule against an ad, or ``None``."""
        why = self.unfit(ad.form)
        if why is not None:
            return why
        now_s, offers = self._now_s, self.offers
        if now_s is not None and not ad.starts_s <= now_s < ad.ends_s:
            return "outside_flight"
        for number, values in ad.wishes:
            if values.isdisjoint(offers[number]) is _WANTED[number]:
                return self._wish_reason(number, ad)
        facts = ad.facts
        for fact, wanted, named, reason in self._terms:
            if facts[fact].isdisjoint(named) is wanted:
                return reason
        return None

    def unfit(self, form: Form) -> str | None:
        """Return why creatives of a form do not fit the slot, or ``None``."""
        known = self._unfit
        if form in known:
            return known[form]
        why = known[form] = why_unfit(form.creative, self._slot)
        return why

    def tests(self, respect: int) -> list[tuple[bool, Offered]]:
        """Return the sets which those of ads must meet, or else (``False``) be apart from.

        Args:
            respect: Number of a wish, or of a fact after `FIRST_FACT`.
        """
        if respect < FIRST_FACT:
            return [(_WANTED[respect], self.offers[respect])]
        fact = respect - FIRST_FACT
        return [(term.wanted, term.named) for term in self._terms if term.fact == fact]

    def _wish_reason(self, number: int, ad: Ad) -> str:
        """Say which of two lists was meant where one rule stands for both."""
        reason, wish = _REASONS[number], ad.campaign.targeting
        if reason == "deal":
            return "not_in_open_auction" if self._is_open else reason
        if reason == "domain":
            sites = wish.domains if _WANTED[number] else wish.blocked_domains
            return reason if sites else "bundle"
        return reason
