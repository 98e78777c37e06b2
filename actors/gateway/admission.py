"""The door: which request gets a decision, and what the others are told at once.

Principle: refuse cheaply and say why. A body that cannot be read, a rule of OpenRTB broken, too
little time left or too many decisions under way: each gets its no-bid before anything is spent on
it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from actors.decision import reasons
from actors.decision.reasons import nbr_of
from transport.codec import MAX_TMAX_MS, WireFormat, decode_request, no_bid, refusal, sniff_format
from transport.errors import InvalidRequestError, MalformedRequestError
from transport.openrtb import BidRequest
from transport.reading import UNREADABLE


class _Id(msgspec.Struct):
    id: Any = ""


_read_id: Final = {
    WireFormat.JSON: msgspec.json.Decoder(_Id).decode,
    WireFormat.MSGPACK: msgspec.msgpack.Decoder(_Id).decode,
}


class DoorRules(msgspec.Struct, frozen=True):
    """When a request may come in.

    Attributes:
        max_body_bytes: Larger requests are refused unread.
        max_in_flight: Impressions that may be undecided at one time.
        default_tmax_s: Time for an answer where the request names none.
        network_margin_s: Part of the request's time kept for the network.
        min_time_s: With less time than this left there is no point in deciding.
    """

    max_body_bytes: int
    max_in_flight: int
    default_tmax_s: float
    network_margin_s: float
    min_time_s: float


class Admitted(msgspec.Struct, frozen=True):
    """A request that gets a decision within ``time_s`` seconds of its arrival."""

    request: BidRequest
    form: WireFormat
    time_s: float


class Refused(msgspec.Struct, frozen=True):
    """A request that is answered at once: ``answer`` is the encoded no-bid."""

    reason: str
    answer: bytes
    request_id: str = ""


def admit(
    rules: DoorRules, body: bytes, in_flight: int, age_s: float = 0.0, expected_s: float = 0.0
) -> Admitted | Refused:
    """Read a request and decide whether it comes in.

    Args:
        rules: The bounds.
        body: As received.
        in_flight: Impressions undecided now.
        age_s: How long ago it came.
        expected_s: How long a decision takes now.
    """
    try:
        request, form = decode_request(body, rules.max_body_bytes)
    except MalformedRequestError as error:
        return Refused(reasons.MALFORMED, refusal(error, sniff_format(body)))
    except InvalidRequestError as error:
        answer = refusal(error, sniff_format(body))
        return Refused(reasons.INVALID_REQUEST, answer, error.request_id)
    tmax_s = min(request.tmax, MAX_TMAX_MS) / 1000 if request.tmax > 0 else rules.default_tmax_s
    time_s = tmax_s - rules.network_margin_s
    if time_s - age_s < max(rules.min_time_s, expected_s):
        return _no_bid(request.id, form, reasons.INSUFFICIENT_TIME)
    if in_flight + len(request.imp) > rules.max_in_flight:
        return _no_bid(request.id, form, reasons.OVERLOADED)
    return Admitted(request, form, time_s)


def turn_away(body: bytes) -> Refused:
    """Answer a request for which there is no room; of the body only the id is read.

    What cannot be read at all is told so, as ever.
    """
    form = sniff_format(body)
    try:
        request_id = _read_id[form](body).id
    except UNREADABLE as error:
        why = MalformedRequestError(f"not {form.value}: {error}")
        return Refused(reasons.MALFORMED, refusal(why, form))
    if isinstance(request_id, int):  # tolerated, and answered as ``transport.mending`` would
        request_id = str(request_id)
    name = request_id if isinstance(request_id, str) else ""
    return _no_bid(name, form, reasons.OVERLOADED)


def _no_bid(request_id: str, form: WireFormat, reason: str) -> Refused:
    return Refused(reason, no_bid(request_id, nbr_of(reason), form, reason), request_id)
