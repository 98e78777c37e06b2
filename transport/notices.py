"""Signed notices: only an exchange that got our bid can report what became of it.

A notice URL or an event carries the bid's key and a token, an HMAC-SHA256 over everything that
money depends on. Whoever alters the campaign, the lease or the price gets a token that does not
verify. ``NoticeKey`` packs both into one text that fits in a URL parameter.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec

from config.rates import DOLLAR_MICROS
from transport.errors import NoticeError

if TYPE_CHECKING:
    from typing import Self

TOKEN_BYTES = 16
"""128 bits of the HMAC are kept: beyond guessing, and half as long in a URL."""

MIN_SECRET_BYTES = 16


_VERSION = 1
_encode = msgspec.msgpack.Encoder().encode

_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = 0x36
_OUTER_PAD: Final = 0x5C


def sign(secret: bytes, key: str, campaign_id: str, lease_id: str, bid_micros: int) -> str:
    """Return the token of a bid.

    Args:
        secret: At least ``MIN_SECRET_BYTES`` that only our nodes know.
        key: Our bid id.
        campaign_id: Who pays.
        lease_id: Which lease the money is reserved from.
        bid_micros: The price we offered, micros of USD per impression.

    Raises:
        ValueError: The secret is too short.
    """
    fields = [key, campaign_id, lease_id, bid_micros]
    return _token(secret, _encode(fields))


def verify(secret: bytes, token: str, notice: NoticeKey) -> bool:
    """Tell whether ``token`` is ``sign``'s for these very values, in constant time."""
    expected = sign(secret, notice.key, notice.campaign_id, notice.lease_id, notice.bid_micros)
    return hmac.compare_digest(expected.encode(), token.encode("utf-8", "replace"))


class NoticeKey(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a notice must say about a bid.

    It stands in every URL of a bid, so what has its usual value at the end is left out.

    Attributes:
        key: Our bid id; the ledger settles by it.
        campaign_id: Who pays.
        lease_id: Which lease the money is reserved from.
        bid_micros: What was reserved: the price we offered, for all impressions of the bid, in
            micros of USD.
        creative_id: What is shown.
        version: Of this form.
        issued_s: When the bid was made, seconds since 1970; 0 = unknown.
        uptime_s: The same on the machine's monotonic clock, which nobody sets; 0 = unknown.
        user: Keyed hash of the user, "" where personal data may not be used.
        quantity: How many impressions the bid is for (``qty.multiplier``).
        currency_micros: What one unit of the bid's currency was worth, in micros of USD.
        test: The request was a test: nothing is billed.
    """

    key: str
    campaign_id: str
    lease_id: str
    bid_micros: int
    creative_id: str = ""
    version: int = _VERSION
    issued_s: int = 0
    uptime_s: int = 0
    user: str = ""
    quantity: float = 1.0
    currency_micros: float = DOLLAR_MICROS
    test: bool = False

    def encode(self, secret: bytes) -> str:
        """Return a signed text of URL-safe characters."""
        payload = _encode(self._fields())
        return f"{_to_text(payload)}.{_token(secret, payload)}"

    def _fields(self) -> tuple[object, ...]:
        """Return the fields in order, without usual values at the end."""
        always = (
            self.key,
            self.campaign_id,
            self.lease_id,
            self.bid_micros,
            self.creative_id,
            self.version,
            self.issued_s,
            self.uptime_s,
        )
        if self.test or self.quantity != 1.0 or self.currency_micros != DOLLAR_MICROS:
            return (*always, self.user, self.quantity, self.currency_micros, self.test)
        return (*always, self.user) if self.user else always

    def age_s(self, unix_s: float, uptime_s: float) -> float:
        """Return how long ago the bid was made, in seconds, 0 if that is not known.

        The wall clock may have been set since, and the machine started anew: of the two clocks the
        one that says less is believed, because to refuse a bill that is due does more harm than to
        take one that is too old.

        Args:
            unix_s: Now, seconds since 1970.
            uptime_s: Now, on the machine's monotonic clock.
        """
        if not self.issued_s:
            return 0.0
        age_s = unix_s - self.issued_s
        if 0 < self.uptime_s <= uptime_s:
            age_s = min(age_s, uptime_s - self.uptime_s)
        return max(0.0, age_s)

    @classmethod
    def decode(cls, secret: bytes, text: str) -> Self:
        """Read what ``encode`` wrote.

        Raises:
            NoticeError: The text is not ours, or was altered.
        """
        encoded, _, token = text.partition(".")
        try:
            payload = base64.urlsafe_b64decode(encoded.encode("ascii") + b"=" * (-len(encoded) % 4))
        except (ValueError, binascii.Error) as error:
            raise NoticeError("the notice key is not base64; was it cut or escaped?") from error
        if not hmac.compare_digest(
            _token(secret, payload).encode(), token.encode("utf-8", "replace")
        ):
            raise NoticeError("the notice key does not verify: altered, or signed by another node")
        try:
            return msgspec.msgpack.decode(payload, type=cls)
        except msgspec.DecodeError as error:  # signed by us, but by another version
            raise NoticeError(f"the notice key has an unknown form: {error}") from error


def _token(secret: bytes, payload: bytes) -> str:
    begun_inner, begun_outer = _begun(secret)
    inner = begun_inner.copy()
    inner.update(payload)
    outer = begun_outer.copy()
    outer.update(inner.digest())
    return _to_text(outer.digest()[:TOKEN_BYTES])


@lru_cache(maxsize=8)
def _begun(secret: bytes) -> tuple[Any, Any]:
    """Return HMAC-SHA256's two hashes with the secret taken in (RFC 2104).

    To copy them costs a quarter of what ``hmac.digest`` spends on the same secret for each bid.
    """
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"the notice secret needs at least {MIN_SECRET_BYTES} bytes")
    short = secret if len(secret) <= _BLOCK_BYTES else hashlib.sha256(secret).digest()
    block = short.ljust(_BLOCK_BYTES, b"\0")
    inner = hashlib.sha256(bytes(byte ^ _INNER_PAD for byte in block))
    return inner, hashlib.sha256(bytes(byte ^ _OUTER_PAD for byte in block))


def _to_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=").decode()
