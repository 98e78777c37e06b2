"""Wire format of money: what bidders and the ledger say to each other.

Principle: every request can be delivered twice, late or out of order without moving money twice.
A lease is asked for under a ``request_id``, a settlement is booked under its ``key``, and a return
states the *total* given back so far, so repeating any of them is harmless. One frame carries many
messages; the reply frame carries exactly one answer per message, in the same order.

All amounts are integer micros of USD per impression (``cpm * 1000``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import msgspec

from transport.errors import SpoiltFrameError, TransportError
from transport.money_operators import Adjust, Adjusted, Refund, Refunded
from transport.money_types import (
    DenyReason,
    Id,
    MaybeId,
    Micros,
    Multiplier,
    PositiveMicros,
    SettleStatus,
)
from transport.reading import UNREADABLE
from transport.sealed import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MONEY_VERSION: Final = 1
#: A frame never holds more messages than this, on either side.
MAX_MESSAGES: Final = 1024


class MoneyFrameError(TransportError):
    """A money frame can't be read: not ours, too new or too large. Drop it and count it."""


# --- Requests: bidder -> ledger ---------------------------------------------------------------


class LeaseRequest(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Ask for a short lease of a campaign's budget. Repeating a ``request_id`` repeats the grant.

    The bidder counts the lease's life from the moment it first *sent* this request.
    ``pace`` and ``goal`` are the multipliers that it bids with (0: not known yet); the ledger only
    tells them on, in ``CampaignStanding``.
    """

    request_id: Id
    bidder: Id
    campaign_id: Id
    micros: PositiveMicros
    pace: Multiplier = 0.0
    goal: Multiplier = 0.0


class LeaseReturn(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Give money of a lease back.

    ``returned_micros`` is the total returned of this lease so far, never a difference, so that
    a repeated or overtaken return can't give the same money back twice.
    """

    lease_id: Id
    returned_micros: Micros


class Settle(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Book a won impression at its clearing price, once per ``key``.

    ``bid_micros`` is what we offered (0: not known); no more than that is ever booked.
    """

    key: Id
    campaign_id: Id
    lease_id: MaybeId
    price_micros: Micros
    bid_micros: Micros = 0


class Release(msgspec.Struct, frozen=True, tag=True, gc=False):
    """Say that the impression ``key`` was lost. The ledger passes it on to the lease's owner.

    Only the owner knows whether the reservation still stands, so only the owner frees it;
    the money of a dead owner comes back when the lease's win window is over.
    """

    key: Id
    campaign_id: Id
    lease_id: MaybeId


MoneyRequest: TypeAlias = LeaseRequest | LeaseReturn | Settle | Release | Refund | Adjust


# --- Replies: ledger -> bidder ----------------------------------------------------------------


class LeaseGranted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A lease of ``micros`` (at most what was asked), good for ``lease_s`` from the sending.

    ``remaining_micros`` of the campaign's ``budget_micros`` are not settled yet.
    """

    request_id: Id
    lease_id: Id
    campaign_id: Id
    micros: Micros
    lease_s: float
    win_window_s: float
    remaining_micros: Micros
    budget_micros: Micros


class LeaseDenied(msgspec.Struct, frozen=True, tag=True, gc=False):
    """No money now, and why.

    ``exhausted``: all is settled; ``day_spent``: all that this day may cost; ``all_leased``: some
    may come back, ask later.
    """

    request_id: Id
    campaign_id: Id
    reason: DenyReason
    retry_after_s: float = 1.0
    remaining_micros: Micros = 0
    budget_micros: Micros = 0


class LeaseReturned(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The ledger has taken back ``returned_micros`` of the lease in total."""

    lease_id: Id
    returned_micros: Micros


class SettleAck(msgspec.Struct, frozen=True, tag=True, gc=False):
    """What became of a settlement; it is on disk when this is sent.

    ``settled``: booked on its lease. ``late``: its lease was closed, booked from free budget.
    ``unfunded``: recorded, but no budget left, nothing booked. ``over_bid``: the price was above
    our bid, booked at the bid. ``unknown_lease``: no such lease, booked from free budget if
    ``booked_micros`` says so. A key that was settled before is answered as it was then, marked as
    ``repeated``.
    """

    key: Id
    status: SettleStatus
    booked_micros: Micros = 0
    repeated: bool = False


class ReleaseAck(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The release was passed on."""

    key: Id


class MoneyRefused(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The ledger can't read this message (or, alone in its frame, the frame), or must not do it.

    What it asked for has not happened, and asking again won't help.
    """

    error: str


MoneyReply: TypeAlias = (
    LeaseGranted
    | LeaseDenied
    | LeaseReturned
    | SettleAck
    | ReleaseAck
    | Refunded
    | Adjusted
    | MoneyRefused
)


# --- Notices: ledger -> everyone, over PUB/SUB (topic ``money``) --------------------------------

MONEY_TOPIC: Final = b"money"


class SettledNotice(msgspec.Struct, frozen=True, tag=True, gc=False):
    """A win was booked (or, with ``booked_micros`` 0, recorded as unfunded)."""

    key: Id
    campaign_id: Id
    lease_id: MaybeId
    booked_micros: Micros


class ReleasedNotice(msgspec.Struct, frozen=True, tag=True, gc=False):
    """An impression was lost; whoever reserved for it may use the money again."""

    key: Id
    campaign_id: Id
    lease_id: MaybeId


class LeaseClosed(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The lease's win window is over and ``freed_micros`` went back to the campaign."""

    lease_id: Id
    campaign_id: Id
    freed_micros: Micros


class BudgetExhausted(msgspec.Struct, frozen=True, tag=True, gc=False):
    """The campaign's whole budget is settled."""

    campaign_id: Id
    settled_micros: Micros
    budget_micros: Micros


class CampaignStanding(msgspec.Struct, frozen=True, tag=True, gc=False):
    """How a campaign's money stands; all bidders pace by this and by nothing else.

    ``day_settled_micros`` was spent on ``day`` (ISO date); ``at`` is the ledger's Unix time.
    ``pace`` and ``goal`` are what a bidder said last with a request for a lease (0: none did).
    """

    campaign_id: Id
    budget_micros: Micros
    settled_micros: Micros
    leased_micros: Micros
    free_micros: Micros
    day: Id
    day_settled_micros: Micros
    daily_budget_micros: Micros | None
    at: float
    pace: Multiplier = 0.0
    goal: Multiplier = 0.0


MoneyNotice: TypeAlias = (
    SettledNotice | ReleasedNotice | LeaseClosed | BudgetExhausted | CampaignStanding
)


# --- Frames -----------------------------------------------------------------------------------


class _Requests(msgspec.Struct, frozen=True):
    messages: tuple[MoneyRequest, ...]
    version: int = MONEY_VERSION


class _RawRequests(msgspec.Struct, frozen=True):
    messages: tuple[msgspec.Raw, ...]
    version: int = MONEY_VERSION


class _Replies(msgspec.Struct, frozen=True):
    messages: tuple[MoneyReply, ...]
    version: int = MONEY_VERSION


class _Notices(msgspec.Struct, frozen=True):
    messages: tuple[MoneyNotice, ...]
    version: int = MONEY_VERSION


_AnyFrame = TypeVar("_AnyFrame", _Requests, _RawRequests, _Replies, _Notices)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_requests: Final = msgspec.msgpack.Decoder(_Requests).decode
_decode_raw: Final = msgspec.msgpack.Decoder(_RawRequests).decode
_decode_request: Final[Callable[[msgspec.Raw], MoneyRequest]] = msgspec.msgpack.Decoder(
    MoneyRequest
).decode
_decode_replies: Final = msgspec.msgpack.Decoder(_Replies).decode
_decode_notices: Final = msgspec.msgpack.Decoder(_Notices).decode


def encode_requests(messages: Sequence[MoneyRequest]) -> bytes:
    """Pack requests into one frame. At most ``MAX_MESSAGES``."""
    _check_count(len(messages))
    return seal(_encode(_Requests(tuple(messages))))


def decode_requests(body: bytes) -> tuple[MoneyRequest | MoneyRefused, ...]:
    """Unpack a frame of requests; a bad one among them becomes the answer to it.

    One impossible amount must not take along the good messages that share its frame.

    Raises:
        MoneyFrameError: The frame as a whole is not ours, too new or too large.
    """
    body = _opened("requests", body)
    try:
        return _checked(_decode_requests(body)).messages
    except UNREADABLE:
        return _decode_each(body)


def _decode_each(body: bytes) -> tuple[MoneyRequest | MoneyRefused, ...]:
    try:
        frame = _decode_raw(body)
    except UNREADABLE as error:
        raise _unreadable("requests", error) from error
    return tuple(_decode_or_refuse(message) for message in _checked(frame).messages)


def _decode_or_refuse(message: msgspec.Raw) -> MoneyRequest | MoneyRefused:
    try:
        return _decode_request(message)
    except UNREADABLE as error:
        return MoneyRefused(f"not a money request: {error}")


def encode_replies(messages: Sequence[MoneyReply]) -> bytes:
    """Pack replies, one per request and in its order, into one frame."""
    _check_count(len(messages))
    return seal(_encode(_Replies(tuple(messages))))


def decode_replies(body: bytes) -> tuple[MoneyReply, ...]:
    """Unpack a frame of replies.

    Raises:
        MoneyFrameError: As for ``decode_requests``.
    """
    try:
        frame = _decode_replies(_opened("replies", body))
    except UNREADABLE as error:
        raise _unreadable("replies", error) from error
    return _checked(frame).messages


def encode_notices(messages: Sequence[MoneyNotice]) -> bytes:
    """Pack notices of one burst into one frame. At most ``MAX_MESSAGES``."""
    _check_count(len(messages))
    return seal(_encode(_Notices(tuple(messages))))


def decode_notices(body: bytes) -> tuple[MoneyNotice, ...]:
    """Unpack a frame of notices.

    Raises:
        MoneyFrameError: As for ``decode_requests``.
    """
    try:
        frame = _decode_notices(_opened("notices", body))
    except UNREADABLE as error:
        raise _unreadable("notices", error) from error
    return _checked(frame).messages


def _opened(what: str, frame: bytes) -> bytes:
    try:
        return unseal(frame)
    except SpoiltFrameError as error:
        raise _unreadable(what, error) from error


def _check_count(count: int) -> None:
    if count > MAX_MESSAGES:
        raise MoneyFrameError(
            f"{count} money messages in one frame, at most {MAX_MESSAGES}: split the burst"
        )


def _checked(frame: _AnyFrame) -> _AnyFrame:
    if frame.version > MONEY_VERSION:
        raise MoneyFrameError(
            f"money frame of version {frame.version}, we read up to {MONEY_VERSION}: upgrade us"
        )
    _check_count(len(frame.messages))
    return frame


def _unreadable(what: str, error: Exception) -> MoneyFrameError:
    return MoneyFrameError(f"not a frame of money {what}: {error}; check both sides' versions")
