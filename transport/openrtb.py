"""OpenRTB 2.5/2.6 in one place: request and answer types, and where moved fields are found.

2.6 promoted privacy signals and the supply chain out of ``ext``; exchanges send either form, so
these are read through the functions below, which look in both places.
"""

from __future__ import annotations

from transport.openrtb_imp import (
    Audio,
    Banner,
    Deal,
    DurationFloors,
    Format,
    Imp,
    Native,
    Pmp,
    Quantity,
    Timed,
    Video,
)
from transport.openrtb_request import (
    FIRST_PRICE,
    SECOND_PRICE,
    App,
    BidRequest,
    BidwrightExt,
    Content,
    Data,
    Device,
    Dooh,
    Eid,
    Geo,
    Publisher,
    Regs,
    RegsExt,
    RequestExt,
    Segment,
    Site,
    Source,
    SourceExt,
    SupplyChain,
    SupplyChainNode,
    Uid,
    User,
    UserExt,
)
from transport.openrtb_response import (
    MTYPE_AUDIO,
    MTYPE_BANNER,
    MTYPE_NATIVE,
    MTYPE_VIDEO,
    NBR_BELOW_FLOOR,
    NBR_BLOCKED_PUBLISHER,
    NBR_BLOCKED_SELLER,
    NBR_CRAWLER,
    NBR_INCOMPLETE_CHAIN,
    NBR_INSUFFICIENT_TIME,
    NBR_INVALID_REQUEST,
    NBR_LEDGER_AWAY,
    NBR_NO_BUDGET,
    NBR_NO_CAMPAIGN,
    NBR_NON_HUMAN,
    NBR_OVERLOADED,
    NBR_PROXY_IP,
    NBR_SLOW_MODE,
    NBR_TECHNICAL,
    NBR_UNKNOWN,
    NBR_UNMATCHED_USER,
    NBR_UNSUPPORTED_DEVICE,
    NBR_USER_CAPPED,
    NBR_VETOED,
    Bid,
    BidResponse,
    SeatBid,
)

__all__ = [
    "FIRST_PRICE",
    "MTYPE_AUDIO",
    "MTYPE_BANNER",
    "MTYPE_NATIVE",
    "MTYPE_VIDEO",
    "NBR_BELOW_FLOOR",
    "NBR_BLOCKED_PUBLISHER",
    "NBR_BLOCKED_SELLER",
    "NBR_CRAWLER",
    "NBR_INCOMPLETE_CHAIN",
    "NBR_INSUFFICIENT_TIME",
    "NBR_INVALID_REQUEST",
    "NBR_LEDGER_AWAY",
    "NBR_NON_HUMAN",
    "NBR_NO_BUDGET",
    "NBR_NO_CAMPAIGN",
    "NBR_OVERLOADED",
    "NBR_PROXY_IP",
    "NBR_SLOW_MODE",
    "NBR_TECHNICAL",
    "NBR_UNKNOWN",
    "NBR_UNMATCHED_USER",
    "NBR_UNSUPPORTED_DEVICE",
    "NBR_USER_CAPPED",
    "NBR_VETOED",
    "SECOND_PRICE",
    "App",
    "Audio",
    "Banner",
    "Bid",
    "BidRequest",
    "BidResponse",
    "BidwrightExt",
    "Content",
    "Data",
    "Deal",
    "Device",
    "Dooh",
    "DurationFloors",
    "Eid",
    "Format",
    "Geo",
    "Imp",
    "Native",
    "Pmp",
    "Publisher",
    "Quantity",
    "Regs",
    "RegsExt",
    "RequestExt",
    "SeatBid",
    "Segment",
    "Site",
    "Source",
    "SourceExt",
    "SupplyChain",
    "SupplyChainNode",
    "Timed",
    "Uid",
    "User",
    "UserExt",
    "Video",
    "consent_of",
    "eids_of",
    "exchange_of",
    "gdpr_applies",
    "gpp_of",
    "gpp_sections_of",
    "sends_gpc",
    "supply_chain_of",
    "us_privacy_of",
    "wants_explanation",
]


def gdpr_applies(request: BidRequest) -> bool:
    """Tell whether GDPR is in force (2.6 ``regs.gdpr``, else 2.5 ``regs.ext.gdpr``).

    A value that the specification does not know counts as yes: privacy fails closed.
    """
    regs = request.regs
    if regs is None:
        return False
    if regs.gdpr is not None:
        return regs.gdpr != 0
    return regs.ext is not None and regs.ext.gdpr is not None and regs.ext.gdpr != 0


def us_privacy_of(request: BidRequest) -> str:
    """Return the US privacy string from either place, or ""."""
    regs = request.regs
    if regs is None:
        return ""
    return regs.us_privacy or (regs.ext.us_privacy if regs.ext is not None else "")


def consent_of(request: BidRequest) -> str:
    """Return the TCF consent string from either place, or ""."""
    user = request.user
    if user is None:
        return ""
    return user.consent or (user.ext.consent if user.ext is not None else "")


def eids_of(user: User) -> tuple[Eid, ...]:
    """Return the extended ids from either place."""
    return user.eids or (user.ext.eids if user.ext is not None else ())


def gpp_of(request: BidRequest) -> str:
    """Return the GPP string from either place, or ""."""
    regs = request.regs
    if regs is None:
        return ""
    return regs.gpp or (regs.ext.gpp if regs.ext is not None else "")


def gpp_sections_of(request: BidRequest) -> tuple[int, ...]:
    """Return the numbers of the GPP sections in force from either place, empty if not said."""
    regs = request.regs
    if regs is None:
        return ()
    return regs.gpp_sid or (regs.ext.gpp_sid if regs.ext is not None else ())


def sends_gpc(request: BidRequest) -> bool:
    """Tell whether the browser asks not to be sold (community extension ``regs.ext.gpc``)."""
    regs = request.regs
    return regs is not None and regs.ext is not None and regs.ext.gpc not in {"", "0"}


def supply_chain_of(request: BidRequest) -> SupplyChain | None:
    """Return the supply chain from either place, or None."""
    source = request.source
    if source is None:
        return None
    if source.schain is not None:
        return source.schain
    return source.ext.schain if source.ext is not None else None


def wants_explanation(request: BidRequest) -> bool:
    """Tell whether ``ext.explain`` or ``ext.bidwright.explain`` is 1."""
    ext = request.ext
    if ext is None:
        return False
    return ext.explain == 1 or (ext.bidwright is not None and ext.bidwright.explain == 1)


def exchange_of(request: BidRequest) -> str:
    """Return who asks as ``ext.bidwright.exchange`` says, "" if it does not."""
    ext = request.ext
    return ext.bidwright.exchange if ext is not None and ext.bidwright is not None else ""
