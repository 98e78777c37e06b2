"""What makes a request the same as an earlier one: the keys of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from transport.money import (
    LeaseRequest,
    LeaseReturn,
    MoneyRequest,
    Release,
    Settle,
)
from transport.money_operators import Adjust, Refund

if TYPE_CHECKING:
    from actors.ledger.journal import Kind

#: The journal's word for each request that it keeps.
KINDS: Final[dict[type[object], Kind]] = {
    LeaseRequest: "lease",
    LeaseReturn: "return",
    Settle: "settle",
    Refund: "refund",
    Adjust: "adjust",
}


def name_of(request: MoneyRequest) -> str:
    """Return what makes a request the same as an earlier one of its kind."""
    match request:
        case LeaseRequest(request_id=name) | Settle(key=name) | Refund(key=name) | Adjust(key=name):
            return name
        case LeaseReturn(lease_id=lease_id, returned_micros=total):
            return f"{lease_id}:{total}"
        case Release(key=name):
            return name
        case _:
            assert_never(request)


def key_of(request: MoneyRequest) -> str:
    """Return the key of a request's journal entry; "" for one that is never looked up."""
    kind = KINDS.get(type(request))
    if kind is None or isinstance(request, LeaseReturn):
        return ""
    return f"{kind}:{name_of(request)}"


def said(request: MoneyRequest) -> str:
    """Return what was asked, as the journal keeps it.

    The multipliers that a bidder tells along with a request are no part of it: it tells its present
    ones with each repetition.
    """
    if isinstance(request, LeaseRequest):
        request = msgspec.structs.replace(request, pace=0.0, goal=0.0)
    return msgspec.json.encode(request).decode()


def means_the_same(request: MoneyRequest, earlier: str) -> bool:
    """Whether a request asks for what the request of its key asked for, as ``said`` then.

    Those who tell of a win know more or less of the bid; only another price is another win.
    """
    if isinstance(request, Settle):
        return request.price_micros == msgspec.json.decode(earlier, type=Settle).price_micros
    return said(request) == earlier
