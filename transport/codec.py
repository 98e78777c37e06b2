"""Bid requests in, answers out: JSON or MessagePack, decoded once at the door.

The common case is one pass of a typed decoder. What that refuses is read again leniently
(``transport.mending``), so that every body gets one of three clear outcomes: a request, an
``InvalidRequestError`` (readable, but against the rules) or a ``MalformedRequestError`` (not
readable at all). Nothing here depends on anything but the body.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec

from transport.errors import InvalidRequestError, MalformedRequestError
from transport.mending import mend
from transport.messages import is_json
from transport.openrtb import (
    NBR_INVALID_REQUEST,
    BidRequest,
    BidResponse,
    Imp,
    Pmp,
)
from transport.reading import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BODY_BYTES = 262_144
MAX_IMPRESSIONS = 64
MAX_TMAX_MS = 10_000
"""A request cannot hold its place for longer than this, whatever it claims."""
MAX_FLOOR_CPM = 1e9


class WireFormat(enum.Enum):
    """How a body is written; the answer is written like the request."""

    JSON = "json"
    MSGPACK = "msgpack"


_strict: dict[WireFormat, Callable[[bytes], BidRequest]] = {
    WireFormat.JSON: msgspec.json.Decoder(BidRequest).decode,
    WireFormat.MSGPACK: msgspec.msgpack.Decoder(BidRequest).decode,
}
_untyped: dict[WireFormat, Callable[[bytes], Any]] = {
    WireFormat.JSON: msgspec.json.Decoder().decode,
    WireFormat.MSGPACK: msgspec.msgpack.Decoder().decode,
}
_encode: dict[WireFormat, Callable[[object], bytes]] = {
    WireFormat.JSON: msgspec.json.Encoder().encode,
    WireFormat.MSGPACK: msgspec.msgpack.Encoder().encode,
}
_UNREADABLE = (*UNREADABLE, TypeError)


def sniff_format(body: bytes) -> WireFormat:
    """Tell the format of ``body`` by its first byte; what is neither counts as JSON."""
    return WireFormat.JSON if is_json(body) else WireFormat.MSGPACK


def decode_request(
    body: bytes, max_body_bytes: int = MAX_BODY_BYTES
) -> tuple[BidRequest, WireFormat]:
    """Decode and check a bid request.

    Args:
        body: JSON or MessagePack.
        max_body_bytes: Larger bodies are refused unread.

    Returns:
        The request and the format in which to answer.

    Raises:
        MalformedRequestError: The body cannot be read.
        InvalidRequestError: It can, but breaks a rule; carries the request's id where there is one.
    """
    wire_format = sniff_format(body)
    if len(body) > max_body_bytes:
        raise MalformedRequestError(f"body of {len(body)} bytes; the limit is {max_body_bytes}")
    try:
        request = _strict[wire_format](body)
    except _UNREADABLE:
        request = _decode_leniently(body, wire_format)
    why = broken_rule(request)
    if why is not None:
        raise InvalidRequestError(request.id, why)
    return request, wire_format


def _decode_leniently(body: bytes, wire_format: WireFormat) -> BidRequest:
    try:
        value = _untyped[wire_format](body)
    except _UNREADABLE as error:
        raise MalformedRequestError(f"not {wire_format.value}: {error}") from error
    if not isinstance(value, dict):
        raise MalformedRequestError("the body is not an object; send one OpenRTB BidRequest")
    request_id = value.get("id")
    return mend(value, BidRequest, request_id if isinstance(request_id, str) else "")


def broken_rule(request: BidRequest) -> str | None:
    """Return which rule of OpenRTB the request breaks, with the field's path, or None."""
    why = _broken_request_rule(request)
    if why is not None:
        return why
    for index, imp in enumerate(request.imp):
        why = _broken_imp_rule(imp)
        if why is not None:
            return f"imp[{index}]{why}"
    return None


def _broken_request_rule(request: BidRequest) -> str | None:
    imps = request.imp
    if not request.id:
        return "id: empty"
    if not imps:
        return "imp: no impression"
    if len(imps) > MAX_IMPRESSIONS:
        return f"imp: {len(imps)} impressions; the limit is {MAX_IMPRESSIONS}"
    if len(imps) > 1 and len({imp.id for imp in imps}) < len(imps):
        return "imp: two impressions have one id"
    if (request.site is not None) + (request.app is not None) + (request.dooh is not None) > 1:
        return "more than one of site, app and dooh"
    return None


def _broken_imp_rule(imp: Imp) -> str | None:
    """Return which rule one impression breaks, as the rest of a path, or None."""
    if not imp.id:
        return ".id: empty"
    if imp.banner is None and imp.video is None and imp.audio is None and imp.native is None:
        return ": none of banner, video, audio and native"
    if imp.video is not None and not imp.video.mimes:
        return ".video.mimes: required field missing"
    if imp.audio is not None and not imp.audio.mimes:
        return ".audio.mimes: required field missing"
    if not 0.0 <= imp.bidfloor <= MAX_FLOOR_CPM:  # also refuses NaN
        return ".bidfloor: not a price"
    return _broken_deal_rule(imp.pmp) if imp.pmp is not None else None


def _broken_deal_rule(pmp: Pmp) -> str | None:
    for index, deal in enumerate(pmp.deals):
        if not deal.id:
            return f".pmp.deals[{index}].id: required field missing"
        if not 0.0 <= deal.bidfloor <= MAX_FLOOR_CPM:
            return f".pmp.deals[{index}].bidfloor: not a price"
    return None


def encode_response(response: BidResponse, wire_format: WireFormat) -> bytes:
    """Encode an answer; fields at their default are left out."""
    return _encode[wire_format](response)


def no_bid(request_id: str, nbr: int, wire_format: WireFormat, reason: str = "") -> bytes:
    """Encode a no-bid.

    Args:
        request_id: The request's id.
        nbr: No-bid reason code of OpenRTB.
        wire_format: The request's format.
        reason: Our own reason code, sent as ``ext.reason``; "" for none.
    """
    ext = {"reason": reason} if reason else None
    return _encode[wire_format](BidResponse(id=request_id, nbr=nbr, ext=ext))


def refusal(error: MalformedRequestError | InvalidRequestError, wire_format: WireFormat) -> bytes:
    """Encode the answer to a request that could not be used: reason 2 and what was wrong."""
    if isinstance(error, InvalidRequestError):
        request_id, why, reason = error.request_id, error.why, "invalid_request"
    else:
        request_id, why, reason = "", str(error), "malformed"
    ext = {"error": why, "reason": reason}
    return _encode[wire_format](BidResponse(id=request_id, nbr=NBR_INVALID_REQUEST, ext=ext))
