"""Notices over HTTP: a URL that an exchange or a browser calls becomes an event for the event desk.

Two spellings of one thing: the short one that ``actors.gateway.responses`` writes into bids,
``/notice/win?b=KEY&p=PRICE``, and a readable one for pixels and people,
``/events/win?key=KEY&price=PRICE``. Macros that the exchange does not know arrive empty or
untouched and count as unknown (OpenRTB 2.6, section 4.4). A price that is none, because it is
encrypted, say, is handed on as it is: the event desk books what we offered. "AUDIT" marks a
rehearsal, which must move no money.
"""

from __future__ import annotations

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
MAX_PRICE_LENGTH: Final = 256
_CODE_LENGTH: Final = 3
_LONG_NAMES: Final = {
    "b": "key",
    "p": "price",
    "c": "currency",
    "n": "multiplier",
    "r": "loss",
    "m": "min_to_win",
}
_MACROS: Final = ("price", "currency", "multiplier", "loss", "min_to_win")
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
    fields = fields_of(query)
    key = fields.get("key", "")
    if not key or len(key) > MAX_KEY_LENGTH:
        raise NoticeFormError("the bid's key is missing or too long; send it as b or key")
    if any(fields.get(name, "").upper() == AUDIT for name in _MACROS):
        return None
    return _event_of(kind, key, fields, unix_s)


def _event_of(kind: str, key: str, fields: Mapping[str, str], unix_s: float) -> Event:
    price_cpm, currency = _price(fields), _currency(fields)
    match kind:
        case "win" | "billing":
            return (Win if kind == "win" else Billing)(
                key,
                price_cpm=price_cpm,
                ts=unix_s,
                currency=currency,
                quantity=_number(fields, "multiplier"),
            )
        case "loss":
            return Loss(
                key,
                ts=unix_s,
                currency=currency,
                loss_code=_whole(fields, "loss", strict=False) or 0,
                min_to_win_cpm=_number(fields, "min_to_win"),
            )
        case "impression":
            return Impression(key, price_cpm=price_cpm, ts=unix_s, currency=currency)
        case "click":
            return Click(key, price_cpm=price_cpm, ts=unix_s, currency=currency)
        case _:
            return Conversion(key, ts=unix_s, value_micros=_whole(fields, "value_micros"))


def fields_of(query: bytes) -> dict[str, str]:
    """Return the fields by their long names; of a repeated one the first counts.

    Raises:
        NoticeFormError: The query cannot be read.
    """
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


def _price(fields: Mapping[str, str]) -> float | str | None:
    """Return the price: a number, a text that is none, or None where nothing was said."""
    text = _known(fields, "price")[:MAX_PRICE_LENGTH]
    if not text:
        return None
    value = _float(text)
    return text if value is None else value


def _number(fields: Mapping[str, str], name: str) -> float | None:
    """Return a number that teaches or corrects; nothing rests on it, so none is no fault."""
    return _float(_known(fields, name))


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if "_" not in text and 0.0 <= value <= MAX_CPM else None  # NaN is not, either


def _currency(fields: Mapping[str, str]) -> str:
    code = _known(fields, "currency").upper()
    return code if len(code) == _CODE_LENGTH and code.isascii() and code.isalpha() else ""


def _whole(fields: Mapping[str, str], name: str, *, strict: bool = True) -> int | None:
    text = _known(fields, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9 + 6 * strict):
        if not strict:
            return None
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
