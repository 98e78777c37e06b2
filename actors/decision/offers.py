"""A bid as it leaves: its signed name, its price on the wire, its markup.

Principle: whoever decides also writes. An ad that can't be written ends the one orchestrator that
chose it, and the gateway answers for it; it never ends the gateway, on which all others wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.decision.records import user_hash, user_salt
from actors.gateway.responses import bid_of
from transport.notices import NoticeKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.gateway.responses import NoticeForm
    from actors.messages import Bid as DecidedBid
    from models.opportunity import Opportunity
    from transport.openrtb import Bid


@dataclass(frozen=True, slots=True)
class OfferWriter:
    """Writes the bids of one bidder.

    Attributes:
        form: What a bid promises, and how its ad is written.
        secret: Signs the names of bids.
        unix_clock: Seconds since 1970.
    """

    form: NoticeForm
    secret: bytes
    unix_clock: Callable[[], float]

    def offer(self, bid: DecidedBid, opportunity: Opportunity, now_s: float) -> Bid:
        """Return a decided bid as it leaves.

        Args:
            bid: The decision.
            opportunity: What it is for.
            now_s: Seconds of the machine's monotonic clock.
        """
        name = name_of(bid, opportunity, (self.unix_clock(), now_s), self.secret)
        return bid_of(self.form, opportunity, bid, name.encode(self.secret))


def name_of(
    bid: DecidedBid, opportunity: Opportunity, now: tuple[float, float], secret: bytes
) -> NoticeKey:
    """Return what every notice about a bid will say.

    Args:
        bid: The decision.
        opportunity: The impression; its user is named, as a keyed hash, only where somebody counts
            how often a user sees the ad.
        now: Seconds since 1970, and seconds of the machine's monotonic clock.
        secret: Keys the hash.
    """
    campaign, creative = bid.candidate.campaign, bid.candidate.creative
    is_counted = bool(campaign.caps or creative.caps) and not opportunity.test
    return NoticeKey(
        key=bid.key,
        campaign_id=campaign.id,
        lease_id=bid.lease_id,
        bid_micros=bid.cost_micros or bid.bid_micros,
        creative_id=creative.id,
        issued_s=int(now[0]),
        uptime_s=int(now[1]),
        user=user_hash(opportunity.user_id, user_salt(secret)) if is_counted else "",
        quantity=opportunity.quantity,
        currency_micros=opportunity.currency_micros,
        test=opportunity.test,
    )
