"""The answer to a bid request, from the decisions about its impressions.

Principle: pure and total: whatever came of the impressions, there is exactly one answer, in the
format of the request. What we promise on the wire (price at least the floor, a size that fits, how
to tell us of a win) is put together here and nowhere else.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from actors.decision.reasons import nbr_of
from actors.markup.trackers import MARK, Trackers
from actors.markup.workshop import Workshop
from config.rates import DOLLAR, DOLLAR_MICROS, MICROS_PER_CPM
from transport.openrtb import (
    MTYPE_AUDIO,
    MTYPE_BANNER,
    MTYPE_NATIVE,
    MTYPE_VIDEO,
    Bid,
    BidResponse,
    SeatBid,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from actors.markup.workshop import Template
    from actors.messages import Bid as DecidedBid
    from config.campaigns import Campaign
    from config.creatives import Creative
    from models.opportunity import Opportunity, Slot

IAB_CONTENT_1: Final = 1
"""The taxonomy of categories that a bid has where it names none (2.6, section 4.2.3)."""
_MTYPE: Final = {
    "banner": MTYPE_BANNER,
    "video": MTYPE_VIDEO,
    "audio": MTYPE_AUDIO,
    "native": MTYPE_NATIVE,
}
_PRICE_STEPS: Final = 1_000_000
_ROUNDING: Final = 1e-4


class NoticeForm:
    """What a bid promises, and by which addresses it wants to hear what became of it.

    Args:
        base_url: Where notices are taken over HTTP, without a slash at the end.
        expires_s: How long after the bid a win is still ours to pay.
    """

    __slots__ = ("_billing", "_loss", "_secure_workshop", "_win", "_workshop", "expires_s")

    def __init__(self, base_url: str, expires_s: int) -> None:
        trackers = Trackers(base_url)
        self.expires_s = expires_s
        self._workshop = self._secure_workshop = Workshop(trackers)
        if not base_url.startswith("https://"):
            self._secure_workshop = Workshop(Trackers(base_url, in_markup=False))
        self._win, self._loss, self._billing = (
            tuple(url.split(MARK)) for url in (trackers.win, trackers.loss, trackers.billing)
        )

    def template(self, creative: Creative, slot: Slot, *, secure: bool) -> Template:
        """Return the markup of an ad for a placement, without what a secure one may not hold."""
        workshop = self._secure_workshop if secure else self._workshop
        return workshop.template(creative, slot)

    def win(self, token: str) -> str:
        """Return ``nurl`` of the bid with this signed name."""
        return token.join(self._win)

    def loss(self, token: str) -> str:
        """Return ``lurl`` of the bid with this signed name."""
        return token.join(self._loss)

    def billing(self, token: str) -> str:
        """Return ``burl`` of the bid with this signed name."""
        return token.join(self._billing)


def bid_of(form: NoticeForm, opportunity: Opportunity, bid: DecidedBid, token: str) -> Bid:
    """Put one bid into words (OpenRTB 2.6, section 4.2.3).

    Args:
        form: Where notices go, and the markup.
        opportunity: What the bid is for.
        bid: The decision.
        token: The signed name of the bid; it is the bid's id and comes back with every notice.
    """
    candidate = bid.candidate
    campaign, creative, slot = candidate.campaign, candidate.creative, candidate.slot
    template = form.template(creative, slot, secure=opportunity.secure)
    deal, life_s = opportunity.deal, opportunity.life_s
    cattax, cat = categories_of(campaign, opportunity.category_taxonomy)
    return Bid(
        id=token,
        impid=opportunity.imp_id,
        price=price_cpm(bid.bid_micros, opportunity.currency_micros),
        nurl=form.win(token),
        # Markup that bills when it is shown must not be billed a second time (2.6, section 7.8).
        burl="" if template.bills else form.billing(token),
        lurl=form.loss(token),
        adm=template.fill(token),
        adid=creative.id,
        adomain=(campaign.advertiser_domain,),
        bundle=campaign.advertised_bundle,
        iurl=creative.image_url,
        cid=campaign.id,
        crid=creative.id,
        cat=cat,
        cattax=cattax,
        attr=creative.attributes,
        apis=tuple([api for api in creative.apis if api in slot.apis]) if creative.apis else (),
        protocol=template.protocol,
        dealid="" if deal is None else deal.id,
        w=creative.w or slot.w,
        h=creative.h or slot.h,
        dur=creative.duration_s,
        exp=min(life_s, form.expires_s) if life_s > 0 else form.expires_s,
        mtype=_MTYPE[creative.format],
        language=creative.language,
    )


def categories_of(campaign: Campaign, taxonomy: int) -> tuple[int, tuple[str, ...]]:
    """Return an ad's categories in the taxonomy that was asked for, else in the first one.

    Returns:
        AdCOM's number of the taxonomy, and the codes.
    """
    if taxonomy != IAB_CONTENT_1 and taxonomy in campaign.categories_in:
        return taxonomy, campaign.categories_in[taxonomy]
    return IAB_CONTENT_1, campaign.categories


def price_cpm(bid_micros: int, currency_micros: float) -> float:
    """Return a price as it stands in the answer: for a thousand impressions, in its currency.

    It is rounded up, to a millionth of the currency's unit, so that a bid at the floor does not
    fall below what the exchange wrote; what that adds is far less than a micro an impression.

    Args:
        bid_micros: Per impression, in micros of USD.
        currency_micros: What one unit of the currency is worth, in micros of USD.
    """
    if currency_micros == DOLLAR_MICROS:
        return bid_micros / MICROS_PER_CPM
    steps = bid_micros * MICROS_PER_CPM * _PRICE_STEPS / currency_micros
    return math.ceil(steps - _ROUNDING) / _PRICE_STEPS


def response_of(
    request_id: str,
    bids: Mapping[str, Sequence[Bid]],
    no_bid_reasons: Mapping[str, str],
    story: Sequence[Mapping[str, object]] = (),
    currency: str = DOLLAR,
) -> BidResponse:
    """Join what came of a request's impressions.

    Args:
        request_id: Repeated in the answer.
        bids: The bids by the seat that they are made under.
        no_bid_reasons: Why there is no bid, by impression.
        story: What each decision did, for requests that ask for an explanation.
        currency: Of all prices.
    """
    ext: dict[str, Any] = {}
    if story:
        ext["bidwright"] = {"impressions": list(story)}
    if bids:
        seats = tuple([SeatBid(tuple(theirs), seat) for seat, theirs in bids.items()])
        return BidResponse(
            id=request_id, seatbid=seats, bidid=seats[0].bid[0].id, cur=currency, ext=ext or None
        )
    reason = next(iter(no_bid_reasons.values()), "")
    ext["reason"] = reason
    if len(no_bid_reasons) > 1:
        ext["reasons"] = dict(no_bid_reasons)
    return BidResponse(id=request_id, nbr=nbr_of(reason), ext=ext)
