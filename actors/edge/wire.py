"""From bytes to HTTP and back, for bid requests: what the edge reads of them, and how it answers.

Principle: the gateway is the one judge of a request. The edge reads no more of it than how long it
may take and whether it wants an explanation, and of the answer no more than whether there is a bid;
both bodies pass through untouched. Nothing here depends on anything but its arguments.
"""

from __future__ import annotations

import gzip
import math
import zlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from actors.decision import reasons
from actors.decision.reasons import nbr_of
from actors.edge.bidders import NoAnswer
from transport.codec import MAX_TMAX_MS, WireFormat, sniff_format
from transport.openrtb import NBR_INVALID_REQUEST, NBR_TECHNICAL, NBR_UNKNOWN
from transport.reading import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LEAST_GZIP_BYTES: Final = 512
"""A smaller answer would not gain anything from being compressed."""
_GZIP_LEVEL: Final = 1
_ZLIB_OR_GZIP: Final = 47

Headers = list[tuple[bytes, bytes]]
_VERSION: Final = (b"x-openrtb-version", b"2.6")
_VARY: Final = (b"vary", b"accept-encoding")
_CONTENT_TYPE: Final = {
    WireFormat.JSON: (b"content-type", b"application/json"),
    WireFormat.MSGPACK: (b"content-type", b"application/msgpack"),
}
_NBR: Final[Mapping[NoAnswer, int]] = {
    NoAnswer.LATE: nbr_of(reasons.OUT_OF_TIME),
    NoAnswer.UNREACHABLE: NBR_TECHNICAL,
    NoAnswer.OVERLOADED: nbr_of(reasons.OVERLOADED),
}


class HttpReply(NamedTuple):
    """What leaves over HTTP; ``nbr`` is the no-bid reason number where there is one."""

    status: int
    headers: Headers
    body: bytes = b""
    nbr: int | None = None


class Head(NamedTuple):
    """What the edge reads of a bid request: its ``tmax``, 0 for none, and ``explain``."""

    tmax_ms: float
    explain: bool


class Wishes(NamedTuple):
    """What a request's headers say: how its body is packed, whether its answer may be."""

    encoding: bytes
    takes_gzip: bool


class _Request(msgspec.Struct):
    tmax: Any = 0
    ext: Any = None


class _Answer(msgspec.Struct):
    id: str = ""
    nbr: int | None = None
    seatbid: tuple[msgspec.Raw, ...] = ()


_read_request: Final = {
    WireFormat.JSON: msgspec.json.Decoder(_Request).decode,
    WireFormat.MSGPACK: msgspec.msgpack.Decoder(_Request).decode,
}
_read_answer: Final = {
    WireFormat.JSON: msgspec.json.Decoder(_Answer).decode,
    WireFormat.MSGPACK: msgspec.msgpack.Decoder(_Answer).decode,
}


def head_of(body: bytes) -> Head:
    """Read what the edge needs of a bid request; of one that it cannot read, nothing."""
    try:
        request = _read_request[sniff_format(body)](body)
    except UNREADABLE:
        return Head(0.0, explain=False)
    return Head(_milliseconds(request.tmax), _wants_story(request.ext))


def _milliseconds(tmax: Any) -> float:
    if isinstance(tmax, bool) or not isinstance(tmax, int | float | str):
        return 0.0
    try:
        value = float(tmax)
    except (ValueError, OverflowError):
        return 0.0
    return value if 0.0 < value < math.inf else 0.0


def _wants_story(ext: Any) -> bool:
    if not isinstance(ext, dict):
        return False
    ours = ext.get("bidwright")
    return ext.get("explain") == 1 or (isinstance(ours, dict) and ours.get("explain") == 1)


def answer_time_s(tmax_ms: float, default_tmax_ms: float, margin_s: float) -> float:
    """Return how many seconds after a request's arrival the edge's answer must leave.

    Args:
        tmax_ms: What the request names, 0 for nothing (OpenRTB 2.6, section 3.2.1).
        default_tmax_ms: For requests that name nothing.
        margin_s: Kept for sending the answer.
    """
    return max(0.0, min(tmax_ms or default_tmax_ms, MAX_TMAX_MS) / 1000 - margin_s)


def reply_to_bid(answer: bytes | NoAnswer, *, explain: bool) -> HttpReply:
    """Put a gateway's answer into HTTP: 200 with the bid, 204 without, 400 for an unreadable body.

    Args:
        answer: The gateway's frame, or why there is none.
        explain: The request asks for the story, so that also a no-bid has a body.
    """
    if isinstance(answer, NoAnswer):
        return no_bid(_NBR[answer])
    form = sniff_format(answer)
    try:
        read = _read_answer[form](answer)
    except UNREADABLE:
        return no_bid(NBR_TECHNICAL)
    if read.nbr == NBR_INVALID_REQUEST and not read.id:
        return refusal(400, nbr=read.nbr)
    nbr = NBR_UNKNOWN if read.nbr is None else read.nbr
    if read.seatbid:
        return HttpReply(200, _with_body(form, answer), answer)
    if explain:
        return HttpReply(200, _with_body(form, answer), answer, nbr)
    return no_bid(nbr)


def _with_body(form: WireFormat, body: bytes) -> Headers:
    return [_CONTENT_TYPE[form], (b"content-length", b"%d" % len(body)), _VERSION]


def no_bid(nbr: int) -> HttpReply:
    """Return the answer without a bid."""
    return HttpReply(204, [_VERSION, (b"x-openrtb-nbr", b"%d" % nbr)], nbr=nbr)


def refusal(status: int, *extra: tuple[bytes, bytes], nbr: int | None = None) -> HttpReply:
    """Return the answer to what is no usable request: no content, and ``extra`` headers."""
    return HttpReply(status, [(b"content-length", b"0"), _VERSION, *extra], nbr=nbr)


def wishes_of(headers: Iterable[tuple[bytes, bytes]]) -> Wishes:
    """Read the headers that say how bodies are packed; ``encoding`` is b"" for a plain body."""
    encoding, takes_gzip = b"", False
    for name, value in headers:
        if name == b"content-encoding":
            encoding = value.strip().lower()
        elif name == b"accept-encoding":
            takes_gzip = _takes_gzip(value)
    return Wishes(b"" if encoding == b"identity" else encoding, takes_gzip)


def _takes_gzip(accepted: bytes) -> bool:
    for each in accepted.lower().split(b","):
        coding, _, weight = each.partition(b";")
        if coding.strip() in (b"gzip", b"x-gzip"):
            return weight.replace(b" ", b"") not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False


def packed(reply: HttpReply) -> HttpReply:
    """Compress an answer where that is worth it, for a caller who takes it so."""
    if len(reply.body) < LEAST_GZIP_BYTES:
        return reply
    body = gzip.compress(reply.body, _GZIP_LEVEL, mtime=0)
    headers = [header for header in reply.headers if header[0] != b"content-length"]
    headers += [(b"content-length", b"%d" % len(body)), (b"content-encoding", b"gzip"), _VARY]
    return reply._replace(headers=headers, body=body)


def inflate(body: bytes, max_bytes: int) -> bytes | None:
    """Uncompress a gzip or deflate body.

    Returns:
        ``None`` when it is damaged, or larger than ``max_bytes`` uncompressed.
    """
    stream = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        plain = stream.decompress(body, max_bytes + 1)
    except zlib.error:
        return None
    return plain if stream.eof and len(plain) <= max_bytes else None
