"""Which ads may be shown, remembered: most impressions ask what was asked a moment ago.

Principle: eligibility is a pure function of some facts of an impression, so its answers can be kept
under exactly those facts. What no campaign asks about is left out of the question, and flights come
in as the number of those that have begun or ended, so an answer is never older than they are.
"""

from __future__ import annotations

from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from models.eligibility import Candidate
from models.opportunity import Slot

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from config.campaigns import Campaign
    from models.eligibility import CampaignIndex, Question
    from models.opportunity import Opportunity


class Eligible(msgspec.Struct, frozen=True):
    """The ads that may be shown for an impression, and for all others like it.

    Attributes:
        ads: In a stable order; nobody may change it. They stand in slots of the impression that
            was the first to ask, whose floors are not those of others: see `placed`.
        campaign_ids: Their campaigns, each once.
        why_none: Reason code when there is none.
        slots: Of the impression that was the first to ask.
    """

    ads: tuple[Candidate, ...]
    campaign_ids: tuple[str, ...] = ()
    why_none: str = ""
    slots: tuple[Slot, ...] = ()

    def placed(self, ad: Candidate, slots: tuple[Slot, ...]) -> Candidate:
        """Return one of the ads in the slot that another impression has in its slot's place.

        Args:
            ad: One of these, or one that has been placed.
            slots: Of the impression: of the same shapes, with floors of their own.
        """
        for old, new in zip(self.slots, slots, strict=False):
            if ad.slot is old:
                return ad if new is old else Candidate(ad.campaign, ad.creative, new)
        return ad


_PRIVATE: Final = Eligible((), (), "private_auction")

#: All of a slot that decides which ads fit: its floor, the most fickle part, does not.
_shape: Final = attrgetter(*[name for name in Slot.__struct_fields__ if name != "floor"])


def eligible_of(
    ads: Sequence[Candidate], why_none: str = "", slots: tuple[Slot, ...] = ()
) -> Eligible:
    """Return these ads with their campaigns and the slots they stand in, or why there is none."""
    ids = tuple(dict.fromkeys(each.campaign.id for each in ads))
    return Eligible(tuple(ads), ids, "" if ads else why_none, slots)


class EligibleAds:
    """Finds and remembers.

    Args:
        index: The rules.
        campaigns: What the index was made from.
        max_remembered: Answers kept at most; then it begins anew.
    """

    def __init__(
        self, index: CampaignIndex, campaigns: Sequence[Campaign], max_remembered: int = 8_192
    ) -> None:
        self._index = index
        self._max_remembered = max_remembered
        self._known: dict[Hashable, Eligible] = {}
        self._moments = sorted(_moments(campaigns))

    def find(self, opportunity: Opportunity, unix_s: float) -> Eligible:
        """Return the ads that may be shown: the same object for impressions that differ in floors.

        Args:
            opportunity: One look at an impression.
            unix_s: The present moment, seconds since 1970.
        """
        if opportunity.private:
            return _PRIVATE
        question = self._index.question(opportunity)
        moment = bisect_right(self._moments, unix_s)
        key = (question, moment, tuple(map(_shape, opportunity.slots)))
        found = self._known.get(key)
        if found is None:
            found = self._ask(question, opportunity, unix_s)
            if len(self._known) >= self._max_remembered:
                self._known.clear()
            self._known[key] = found
        return found

    def why(self, opportunity: Opportunity, unix_s: float) -> dict[str, str]:
        """Return for each campaign without an eligible ad why it has none, for explanations."""
        return self._index.why(opportunity, unix_s)

    def _ask(self, question: Question, opportunity: Opportunity, unix_s: float) -> Eligible:
        ads = self._index.answer(question, opportunity.slots, unix_s)
        why_none = "" if ads else self._index.why_none(opportunity, unix_s)
        return eligible_of(ads, why_none, opportunity.slots)


def _moments(campaigns: Sequence[Campaign]) -> set[float]:
    """Return when flights begin or end, Unix seconds."""
    moments = [campaign.starts_at for campaign in campaigns]
    moments += [campaign.ends_at for campaign in campaigns]
    return {moment.timestamp() for moment in moments if moment is not None}
