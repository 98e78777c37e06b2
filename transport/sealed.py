"""Seals: a checksum before a frame, so that one spoilt on its way is refused and not believed.

A wrong bit in a MessagePack frame mostly makes another valid frame: another price, another name.
Where a wrong number costs money, frames carry the CRC-32 of what follows, behind a byte that begins
no MessagePack value. A frame without a seal, from an older sender, is taken as it is.
"""

from __future__ import annotations

import zlib
from typing import Final

from transport.errors import SpoiltFrameError

MARK: Final = 0xC1
"""The one byte that MessagePack never uses."""
_HEAD: Final = bytes((MARK,))
_HEAD_BYTES: Final = 5


class _Checking:
    """Whether seals are looked at in this process."""

    def __init__(self) -> None:
        self.is_on = True


_checking = _Checking()


def check_seals(*, is_on: bool) -> None:
    """Say once, at the edge of a process, whether it looks at seals; it does unless told not to."""
    _checking.is_on = is_on


def seal(body: bytes) -> bytes:
    """Return ``body`` behind its checksum."""
    return _HEAD + zlib.crc32(body).to_bytes(4, "big") + body


def unseal(frame: bytes) -> bytes:
    """Return the body of a frame, sealed or not.

    Raises:
        SpoiltFrameError: It is not what its sender sealed.
    """
    if not frame or frame[0] != MARK:
        return frame
    body = frame[_HEAD_BYTES:]
    if _checking.is_on and zlib.crc32(body).to_bytes(4, "big") != frame[1:_HEAD_BYTES]:
        raise SpoiltFrameError("the frame was spoilt on its way: its checksum is wrong")
    return body
