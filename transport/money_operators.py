"""What operators and the ledger say to each other; part of the wire format of ``transport.money``.

Each request is done once per ``key``, which the operator chooses, and a repeated one is answered as
the first was. All amounts are integer micros of USD.
"""

from __future__ import annotations

import msgspec

from transport.money_types import Id, Micros, Reason, SignedMicros


class Refund(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Give back a booking, or a part of it: the exchange took an impression off its bill.

    Once per ``key``, which the operator chooses. ``micros`` 0 means all that is left of it.
    """

    key: Id
    settle_key: Id
    micros: Micros = 0
    reason: Reason = ""


class Adjust(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Charge a campaign for something that is no win, or (less than 0) give something back.

    Once per ``key``, which the operator chooses.
    """

    key: Id
    campaign_id: Id
    micros: SignedMicros
    reason: Reason = ""


class Refunded(msgspec.Struct, frozen=True, tag=True, gc=False):
    """So much of a booking was given back, first or before."""

    key: Id
    settle_key: Id
    campaign_id: Id
    micros: Micros


class Adjusted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The campaign was charged so much, first or before."""

    key: Id
    campaign_id: Id
    micros: SignedMicros
