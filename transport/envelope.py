"""What the edge knows of a request besides its body, put before it on its way to a bidder.

Principle: a body stays as it came. What the path, the connection and the clock say of it stands in
a short header before it; a frame without a header is one that an exchange sent over nng. The header
begins with a byte that begins neither JSON nor MessagePack, and carries a seal that only processes
of this node can make: nobody outside can claim another exchange's name or an edge's rights.

    0xC1 | MessagePack array [version, exchange, arrived_s, may_explain, seal] | body
"""

from __future__ import annotations

import hmac
import re
import struct
from typing import Final, NamedTuple

MARK: Final = b"\xc1"
"""The first byte; MessagePack never uses it."""
VERSION: Final = 1
SEAL_BYTES: Final = 16
NAME: Final = re.compile(r"[a-z0-9_-]{1,32}\Z")
"""What an exchange may be called."""

# Parts of the header, as MessagePack writes them.
_HEAD: Final = MARK + b"\x95" + bytes((VERSION,))
_STR_8: Final = 0xD9
_TAIL: Final = struct.Struct(">cdcBB")  # float64, bool, bin8 and its length
_FLOAT_64, _TRUE, _FALSE, _BIN_8 = b"\xcb", b"\xc3", b"\xc2", 0xC4
_NAME_AT: Final = len(_HEAD) + 2


class Envelope(NamedTuple):
    """What is known of a request besides its body.

    Attributes:
        exchange: Who asks, "" for nobody in particular.
        arrived_s: When it came, on the machine's monotonic clock.
        may_explain: The caller may be told why there was no bid.
    """

    exchange: str
    arrived_s: float
    may_explain: bool


def seal_of(secret: bytes) -> bytes:
    """Return the seal of a node's envelopes.

    Args:
        secret: The node's key.
    """
    return hmac.digest(secret, b"envelope", "sha256")[:SEAL_BYTES]


def enclose(envelope: Envelope, body: bytes, seal: bytes) -> bytes:
    """Put an envelope before a body.

    Args:
        envelope: Its ``exchange`` is "" or a :data:`NAME`.
        body: As received.
        seal: Of the node.
    """
    name = envelope.exchange.encode()
    flag = _TRUE if envelope.may_explain else _FALSE
    tail = _TAIL.pack(_FLOAT_64, envelope.arrived_s, flag, _BIN_8, SEAL_BYTES)
    return b"".join((_HEAD, bytes((_STR_8, len(name))), name, tail, seal, body))


def opened(frame: bytes, seal: bytes) -> tuple[Envelope | None, bytes]:
    """Take the envelope off a frame.

    Args:
        frame: As received.
        seal: Of the node.

    Returns:
        The envelope and the body; a frame whose envelope is missing, damaged or not sealed by this
        node comes back whole, without one. (Such a frame is no readable body either.)
    """
    if not frame.startswith(_HEAD) or len(frame) < _NAME_AT or frame[_NAME_AT - 2] != _STR_8:
        return None, frame
    tail_at = _NAME_AT + frame[_NAME_AT - 1]
    seal_at = tail_at + _TAIL.size
    body_at = seal_at + SEAL_BYTES
    if len(frame) < body_at or not hmac.compare_digest(frame[seal_at:body_at], seal):
        return None, frame
    # Whoever can seal is one of us, but a wire may still have spoilt the rest.
    _, arrived_s, flag, _, _ = _TAIL.unpack_from(frame, tail_at)
    name = frame[_NAME_AT:tail_at].decode("ascii", "replace")
    return Envelope(name, arrived_s, flag == _TRUE), frame[body_at:]
