"""The answer to a bid request, from the decisions about its impressions.

Principle: pure and total: whatever came of the impressions, there is exactly one answer, in the
format of the request. What we promise on the wire (price at least the floor, a size that fits, how
to tell us of a win) is put together here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from actors.reasons import nbr_of
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

    from actors.messages import Bid as DecidedBid

SEAT: Final = "bidwright"
MICROS_PER_CPM: Final = 1000
_MTYPE: Final = {
    "banner": MTYPE_BANNER,
    "video": MTYPE_VIDEO,
    "audio": MTYPE_AUDIO,
    "native": MTYPE_NATIVE,
}
# What an exchange fills in when it calls back (OpenRTB 2.6, section 4.4).
_PRICE: Final = "&p=${AUCTION_PRICE}"
_LOSS: Final = "&r=${AUCTION_LOSS}&m=${AUCTION_MIN_TO_WIN}"


class NoticeForm(msgspec.Struct, frozen=True):
    """How exchanges tell us what became of a bid.

    Attributes:
        base_url: Where notices are taken over HTTP, without a slash at the end.
        expires_s: How long after the bid a win is still ours to pay.
    """

    base_url: str
    expires_s: int


def bid_of(form: NoticeForm, imp_id: str, bid: DecidedBid, token: str) -> Bid:
    """Put one bid into words.

    Args:
        form: Where notices go.
        imp_id: The impression.
        bid: The decision.
        token: The signed name of the bid; it is the bid's id and comes back with every notice.
    """
    campaign, creative, slot = bid.candidate.campaign, bid.candidate.creative, bid.candidate.slot
    notice = f"{form.base_url}/notice/"
    name = f"?b={token}"
    return Bid(
        id=token,
        impid=imp_id,
        price=bid.bid_micros / MICROS_PER_CPM,
        nurl=f"{notice}win{name}{_PRICE}",
        burl=f"{notice}billing{name}{_PRICE}",
        lurl=f"{notice}loss{name}{_PRICE}{_LOSS}",
        adm=creative.adm,
        adid=creative.id,
        adomain=(campaign.advertiser_domain,),
        cid=campaign.id,
        crid=creative.id,
        cat=campaign.categories,
        attr=creative.attributes,
        w=creative.w or slot.w,
        h=creative.h or slot.h,
        dur=creative.duration_s,
        exp=form.expires_s,
        mtype=_MTYPE[creative.format],
        language=creative.language,
    )


def response_of(
    request_id: str,
    bids: Sequence[Bid],
    no_bid_reasons: Mapping[str, str],
    story: Sequence[Mapping[str, object]] = (),
) -> BidResponse:
    """Join what came of a request's impressions.

    Args:
        request_id: Repeated in the answer.
        bids: The bids, at most one for each impression.
        no_bid_reasons: Why there is no bid, by impression.
        story: What each decision did, for requests that ask for an explanation.
    """
    ext: dict[str, Any] = {}
    if story:
        ext["bidwright"] = {"impressions": list(story)}
    if bids:
        seat = SeatBid(bid=tuple(bids), seat=SEAT)
        return BidResponse(id=request_id, seatbid=(seat,), bidid=bids[0].id, ext=ext or None)
    reason = next(iter(no_bid_reasons.values()), "")
    ext["reason"] = reason
    if len(no_bid_reasons) > 1:
        ext["reasons"] = dict(no_bid_reasons)
    return BidResponse(id=request_id, nbr=nbr_of(reason), ext=ext)
