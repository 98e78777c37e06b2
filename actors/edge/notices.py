"""Notices over HTTP: a URL that an exchange or a browser calls becomes an event for the event desk.

Two spellings of one thing: the short one that ``actors.responses`` writes into bids,
``/notice/win?b=KEY&p=PRICE``, and a readable one for pixels and people,
``/events/win?key=KEY&price=PRICE``. Macros that the exchange does not know arrive empty or
untouched and count as unknown; "AUDIT" marks a rehearsal, which must move no money.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from actors.edge.bidders import NoAnswer
from actors.edge.errors import NoticeFormError
from transport.errors import MalformedEventError
from transport.messages import (
    Billing,
    Click,
    Conversion,
    EventAck,
    Impression,
    Loss,
    Win,
    frame_decoder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transport.messages import Event

MAX_FIELDS: Final = 16
MAX_KEY_LENGTH: Final = 2048
MAX_CPM: Final = 1e9
AUDIT: Final = "AUDIT"
KINDS: Final = ("win", "loss", "billing", "impression", "click", "conversion")
_LONG_NAMES: Final = {"b": "key", "p": "price", "r": "loss", "m": "min_to_win"}
_MACROS: Final = ("price", "loss", "min_to_win")
_NOT_BOOKED: Final = "ledger_unavailable"
"""How the event desk begins what it says of an event that should be sent again."""

_decode_ack = frame_decoder(EventAck)


def read_notice(kind: str, query: bytes, unix_s: float) -> Event | None:
    """Read a notice.

    Args:
        kind: The last part of the path.
        query: What follows the question mark, as received.
        unix_s: When it came, seconds since 1970.

    Returns:
        The event, or ``None`` for a rehearsal.

    Raises:
        NoticeFormError: It is no notice; the message says why.
    """
    if kind not in KINDS:
        raise NoticeFormError(f"{kind!r} is no kind of notice; there are {', '.join(KINDS)}")
    fields = _fields_of(query)
    key = fields.get("key", "")
    if not key or len(key) > MAX_KEY_LENGTH:
        raise NoticeFormError("the bid's key is missing or too long; send it as b or key")
    if any(fields.get(name, "").upper() == AUDIT for name in _MACROS):
        return None
    return _event_of(kind, key, fields, unix_s)


def _event_of(kind: str, key: str, fields: Mapping[str, str], unix_s: float) -> Event:
    price_cpm = _cpm(fields, "price")
    match kind:
        case "win":
            return Win(key, price_cpm=price_cpm, ts=unix_s)
        case "billing":
            return Billing(key, price_cpm=price_cpm, ts=unix_s)
        case "loss":
            code, least_cpm = _whole(fields, "loss"), _cpm(fields, "min_to_win")
            return Loss(key, ts=unix_s, loss_code=code or 0, min_to_win_cpm=least_cpm)
        case "impression":
            return Impression(key, price_cpm=price_cpm, ts=unix_s)
        case "click":
            return Click(key, price_cpm=price_cpm, ts=unix_s)
        case _:
            return Conversion(key, ts=unix_s, value_micros=_whole(fields, "value_micros"))


def _fields_of(query: bytes) -> dict[str, str]:
    """Return the fields by their long names; of a repeated one the first counts."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_FIELDS,
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise NoticeFormError(f"the query cannot be read: {error}") from error
    return {_LONG_NAMES.get(name, name): value for name, value in reversed(pairs)}


def _known(fields: Mapping[str, str], name: str) -> str:
    """Return a field's value, "" where the exchange did not fill it in."""
    value = fields.get(name, "").strip()
    return "" if value.startswith("${") else value


def _cpm(fields: Mapping[str, str], name: str) -> float | None:
    text = _known(fields, name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if "_" in text or not 0.0 <= value <= MAX_CPM:  # also refuses NaN
        raise NoticeFormError(f"{name} is no price in USD CPM: {text[:40]!r}")
    return value


def _whole(fields: Mapping[str, str], name: str) -> int | None:
    text = _known(fields, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):  # noqa: PLR2004 - fits a double
        raise NoticeFormError(f"{name} is no whole number: {text[:40]!r}")
    return int(text)


def status_of(answer: bytes | NoAnswer) -> int:
    """Return the HTTP status that stands for what the event desk said.

    204: it is booked. 400: it is refused for good. 503: nobody confirmed it, send it again.
    """
    if isinstance(answer, NoAnswer):
        return 503
    try:
        ack = _decode_ack(answer)
    except MalformedEventError:
        return 503
    if ack.ok:
        return 204
    return 503 if (ack.error or "").startswith(_NOT_BOOKED) else 400
