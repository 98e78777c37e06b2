"""Finds the ads that may be shown, among any number of campaigns, and says why not the others."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Final

import msgspec

from config.campaigns import Campaign, Creative
from models.eligibility import tree
from models.eligibility.ads import AdMaker, size_key
from models.eligibility.calendar import Calendar
from models.eligibility.growth import Grower
from models.eligibility.question import Question, Reader
from models.eligibility.rules import RANKS, REASONS
from models.eligibility.view import View
from models.opportunity import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from models.eligibility.ads import Ad, SizeKey
    from models.opportunity import Opportunity

#: Up to so many ads of a size are all asked why there is no candidate; of more, so many that the
#: search came to or turned away from.
MAX_WHY: Final = 100


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """An ad that may fill a slot."""

    campaign: Campaign
    creative: Creative
    slot: Slot


class CampaignIndex:
    """Finds the ads that may be shown for an opportunity.

    The cost of a search grows with what it finds and with the impression's own facts, not with the
    number of campaigns (`models.eligibility.tree`).

    Args:
        campaigns: All campaigns; those that are not active are left out.
    """

    def __init__(self, campaigns: Iterable[Campaign]) -> None:
        self._campaigns = tuple(campaigns)
        maker = AdMaker()
        self._ads: dict[SizeKey, list[Ad]] = {}
        for campaign in self._active():
            for key, ad in maker.ads_of(campaign):
                self._ads.setdefault(key, []).append(ad)
        every = [ad for ads in self._ads.values() for ad in ads]
        self._calendar = Calendar(
            moment for ad in every for moment in (ad.starts_s, ad.ends_s) if isfinite(moment)
        )
        grower = Grower(self._calendar)
        self._trees = {key: grower.grow(ads) for key, ads in self._ads.items()}
        self._reader = Reader(every)

    def _active(self) -> Iterator[Campaign]:
        return (campaign for campaign in self._campaigns if campaign.active)

    def question(self, opportunity: Opportunity) -> Question:
        """Return all that the rules look at apart from slots and time.

        Impressions with equal questions and slots have equal candidates at the same time.
        """
        return self._reader.question(opportunity)

    def candidates(self, opportunity: Opportunity, now_s: float | None = None) -> list[Candidate]:
        """Return every ad that may fill one of the slots, in a stable order.

        Args:
            opportunity: The impression.
            now_s: Seconds since 1970 (UTC); ``None`` leaves flights out of the question.
        """
        if opportunity.private:
            return []
        return self.answer(self.question(opportunity), opportunity.slots, now_s)

    def answer(
        self, question: Question, slots: Sequence[Slot], now_s: float | None
    ) -> list[Candidate]:
        """Return the candidates of a question: each creative once, in the first slot that takes it.

        Args:
            question: As `question` returned it.
            slots: Of the impression.
            now_s: As for `candidates`.
        """
        found = []
        taken: set[int] = set()
        moment = self._calendar.moment(now_s)
        for slot in slots:
            root = self._trees.get(size_key(slot.format, slot.w, slot.h))
            if root is None:
                continue
            for ad in tree.matches(root, View(question, slot, now_s, moment)):
                if ad.number not in taken:
                    taken.add(ad.number)
                    for creative in ad.creatives:
                        found.append(Candidate(ad.campaign, creative, slot))  # noqa: PERF401
        return found

    def why_none(self, opportunity: Opportunity, now_s: float | None = None) -> str:
        """Return the reason code of the ad that came closest, when there are no candidates.

        Args:
            opportunity: The impression, for which `candidates` returned nothing.
            now_s: As for `candidates`.
        """
        if opportunity.private:
            return "private_auction"
        if not any(self._active()):
            return "no_active_campaign"
        question, moment = self.question(opportunity), self._calendar.moment(now_s)
        furthest = RANKS["no_creative_of_size"]
        for slot in opportunity.slots:
            view = View(question, slot, now_s, moment)
            for ad in self._closest(slot, view):
                why = view.refusal(ad)
                if why is not None and RANKS[why] > furthest:
                    furthest = RANKS[why]
        return REASONS[furthest]

    def _closest(self, slot: Slot, view: View) -> Iterable[Ad]:
        key = size_key(slot.format, slot.w, slot.h)
        ads = self._ads.get(key, [])
        return ads if len(ads) <= MAX_WHY else tree.near(self._trees[key], view, MAX_WHY)

    def why(self, opportunity: Opportunity, now_s: float | None = None) -> dict[str, str]:
        """Return for each campaign that has no candidate the reason of its closest ad.

        This asks every ad of every campaign; it is for explanations, not for each request.

        Args:
            opportunity: The impression.
            now_s: As for `candidates`.

        Returns:
            Reason codes by campaign id, in the order of the campaigns; those with a candidate are
            not in it.
        """
        ranks: dict[str, int | None] = {
            each.id: RANKS["no_creative_of_size" if each.active else "no_active_campaign"]
            for each in self._campaigns
        }
        if opportunity.private:
            return dict.fromkeys(ranks, "private_auction")
        question, moment = self.question(opportunity), self._calendar.moment(now_s)
        for slot in opportunity.slots:
            view = View(question, slot, now_s, moment)
            for ad in self._ads.get(size_key(slot.format, slot.w, slot.h), ()):
                reached = ranks[ad.campaign.id]
                if reached is not None:
                    why = view.refusal(ad)
                    ranks[ad.campaign.id] = None if why is None else max(reached, RANKS[why])
        return {name: REASONS[rank] for name, rank in ranks.items() if rank is not None}
