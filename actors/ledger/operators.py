"""What operators ask of the ledger: to give a booking back, to charge or credit a campaign.

Both move money between what is spent and what is free, within what there is, and once per key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.ledger import books
from actors.ledger.bookkeeping import Days
from transport.money import (
    MoneyRefused,
)
from transport.money_operators import Adjusted, Refunded

if TYPE_CHECKING:
    from actors.ledger.rows import Rows
    from transport.money_operators import Adjust, Refund


def refund(rows: Rows, request: Refund) -> Refunded | MoneyRefused:
    """Give back a booking that was not given back before."""
    settlement = rows.settlement(request.settle_key)
    before = rows.campaigns.get(settlement.campaign_id) if settlement else None
    if settlement is None or before is None:
        return MoneyRefused(f"no win {request.settle_key!r} was settled; check the key")
    left = settlement.booked_micros - settlement.refunded_micros
    micros = request.micros or left
    if not left:
        return MoneyRefused(f"win {request.settle_key!r}: all that was booked is given back")
    # Less where an adjustment has credited the day already.
    most = min(left, rows.day(before.campaign_id, settlement.day).spent_micros)
    if not 0 < micros <= most:
        return MoneyRefused(
            f"win {request.settle_key!r}: {most} micros of its booking can be given back, not"
            f" {micros}"
        )
    campaign, refunded = books.refund(before, settlement, micros)
    rows.keep_settlement(refunded)
    answer = Refunded(request.key, request.settle_key, campaign.campaign_id, micros)
    days = Days(settlement.day, settlement.day)
    rows.answered(request, answer, (before, campaign), days, lease_id=settlement.lease_id)
    return answer


def adjust(rows: Rows, request: Adjust) -> Adjusted | MoneyRefused:
    """Charge or credit a campaign."""
    before = rows.campaigns.get(request.campaign_id)
    if before is None:
        return MoneyRefused(f"there is no campaign {request.campaign_id!r}; check its id")
    day = rows.today(before.campaign_id)
    least, most = -day.spent_micros, day.room_micros(before)
    if not least <= request.micros <= most:
        return MoneyRefused(
            f"campaign {request.campaign_id!r}: on {day.day} between {least} and {most} micros can"
            f" be charged, not {request.micros}"
        )
    answer = Adjusted(request.key, request.campaign_id, request.micros)
    campaign = books.adjust(before, request.micros)
    rows.answered(request, answer, (before, campaign), Days(day.day, day.day))
    return answer
