"""Read the answer to a bid request as an exchange does: is it one that we may use?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from config.rates import MICROS_PER_CPM
from transport.openrtb import BidResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transport.openrtb import Bid

_from_json = msgspec.json.Decoder(BidResponse)


class Reading(NamedTuple):
    """What an answer says.

    Attributes:
        bids: The usable bids; empty when there are none or when the answer is faulty.
        fault: The rule that the answer breaks, "" when it breaks none.
        reason: Why there is no bid, "" when there is one.
        explanation: ``ext.bidwright`` of the answer, empty when it wasn't asked for.
    """

    bids: tuple[Bid, ...] = ()
    fault: str = ""
    reason: str = ""
    explanation: Mapping[str, Any] = {}


def read_answer(request: Mapping[str, Any], body: bytes) -> Reading:
    """Return what the JSON answer ``body`` to ``request`` says; never raises."""
    try:
        answer = _from_json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Reading(fault="unreadable")
    ext = answer.ext or {}
    explanation = ext.get("bidwright")
    explained = explanation if isinstance(explanation, dict) else {}
    bids = tuple(bid for seat in answer.seatbid for bid in seat.bid)
    fault = _fault(request, answer, bids)
    if fault:
        return Reading(fault=fault, explanation=explained)
    return Reading(bids, "", "" if bids else no_bid_reason(answer), explained)


def no_bid_reason(answer: BidResponse) -> str:
    """Return the reason of a no-bid: the node's own word for it, else its number."""
    ext = answer.ext or {}
    for words in (ext, ext.get("bidwright")):
        if isinstance(words, dict) and isinstance(words.get("reason"), str):
            return str(words["reason"])
    if isinstance(ext.get("error"), str):
        return "invalid request"
    return f"nbr {answer.nbr}" if answer.nbr is not None else "no reason given"


def _fault(request: Mapping[str, Any], answer: BidResponse, bids: tuple[Bid, ...]) -> str:
    if "id" in request and answer.id != str(request["id"]):
        return "wrong request id"
    if not bids:
        return ""
    if answer.cur not in (request.get("cur") or ["USD"]):
        return "currency not allowed"
    imps = {str(imp.get("id")): imp for imp in request.get("imp", [])}
    faults = (_bid_fault(imps.get(bid.impid), bid, answer.cur) for bid in bids)
    return next((fault for fault in faults if fault), "")


def _bid_fault(imp: Mapping[str, Any] | None, bid: Bid, currency: str) -> str:
    if imp is None:
        return "unknown impression id"
    if bid.price <= 0:
        return "price is not positive"
    if imp.get("bidfloorcur", "USD") == currency and bid.price < imp.get("bidfloor", 0):
        return "price below floor"
    return ""


def micros_of(price_cpm: float) -> int:
    """Return a price in CPM as micros per impression."""
    return round(price_cpm * MICROS_PER_CPM)


def cpm_of(price_micros: int) -> float:
    """Return a price in micros per impression as CPM."""
    return price_micros / MICROS_PER_CPM
