"""The answer to a bid request as types, and the codes that appear in it.

Fields at their default are not written. Prices are CPM in ``BidResponse.cur``, as on the wire.
"""

from __future__ import annotations

from typing import Any

import msgspec

# No-bid reasons (``nbr``), OpenRTB 3.0 / AdCOM list "No-Bid Reason Codes".
NBR_UNKNOWN = 0
NBR_TECHNICAL = 1
NBR_INVALID_REQUEST = 2
NBR_CRAWLER = 3
NBR_NON_HUMAN = 4
NBR_PROXY_IP = 5
NBR_UNSUPPORTED_DEVICE = 6
NBR_BLOCKED_PUBLISHER = 7
NBR_UNMATCHED_USER = 8
NBR_USER_CAPPED = 9
NBR_INSUFFICIENT_TIME = 15
NBR_INCOMPLETE_CHAIN = 16
NBR_BLOCKED_SELLER = 17
# Exchange- or bidder-specific reasons start at 500.
NBR_NO_CAMPAIGN = 500
NBR_NO_BUDGET = 501
NBR_VETOED = 502
NBR_OVERLOADED = 503
NBR_BELOW_FLOOR = 504
NBR_SLOW_MODE = 505
NBR_LEDGER_AWAY = 506

# ``Bid.mtype``: the kind of markup in a bid.
MTYPE_BANNER = 1
MTYPE_VIDEO = 2
MTYPE_AUDIO = 3
MTYPE_NATIVE = 4


class _Wire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Base: immutable, no reference cycles (so the collector need not track it)."""


class Bid(_Wire, frozen=True, gc=False):
    """Our offer for one impression; ``price`` is CPM, ``exp`` seconds until it lapses."""

    id: str
    impid: str
    price: float
    nurl: str = ""
    burl: str = ""
    lurl: str = ""
    adm: str = ""
    adid: str = ""
    adomain: tuple[str, ...] = ()
    iurl: str = ""
    cid: str = ""
    crid: str = ""
    cat: tuple[str, ...] = ()
    attr: tuple[int, ...] = ()
    apis: tuple[int, ...] = ()
    protocol: int = 0
    cattax: int = 1
    bundle: str = ""
    dealid: str = ""
    w: int = 0
    h: int = 0
    dur: int = 0
    exp: int = 0
    mtype: int = 0
    language: str = ""
    ext: dict[str, Any] | None = None


class SeatBid(_Wire, frozen=True, gc=False):
    """The bids of one buyer seat."""

    bid: tuple[Bid, ...]
    seat: str = ""
    group: int = 0


class BidResponse(_Wire, frozen=True, gc=False):
    """The answer; without ``seatbid`` it is a no-bid, whose reason is ``nbr``."""

    id: str = ""
    seatbid: tuple[SeatBid, ...] = ()
    bidid: str = ""
    cur: str = "USD"
    nbr: int | None = None
    ext: dict[str, Any] | None = None
