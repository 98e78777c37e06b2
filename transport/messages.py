"""Messages between processes, except money: inference, events, decisions.

Frozen, versioned structs. A field is never renamed and never changes its type; a new one gets a
default, so that old frames decode for ever (``tests/transport/golden`` holds one of each version).
Between processes they travel as MessagePack maps; on the event socket also as JSON. Money has its
own module, ``transport.money``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec

from transport.errors import MalformedEventError, SpoiltFrameError
from transport.reading import UNREADABLE
from transport.sealed import unseal

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGES_VERSION = 1

InferStatus = Literal["ok", "late", "error", "shed"]
StepKind = Literal["live", "retried", "fallback"]
Outcome = Literal["bid", "nobid"]
# Bounds of what strangers may send: every number must also fit into a frame and a table.
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


# --- inference ---------------------------------------------------------------------------------


class InferRequest(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Ask ``model`` about one sequence.

    ``deadline_s`` is on the machine's monotonic clock, which all processes of a node share; an
    answer after it is worth nothing. ``tokens`` are event tokens, oldest first.
    """

    id: int
    model: str
    deadline_s: float
    tokens: tuple[int, ...] = ()


class InferBatch(msgspec.Struct, frozen=True, gc=False, tag="infer"):
    """One frame to the inference process: everything asked in one loop turn."""

    requests: tuple[InferRequest, ...]
    version: int = MESSAGES_VERSION


class InferAnswer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The answer to one ``InferRequest``; ``vector`` holds little-endian float32, "ok" only."""

    id: int
    status: InferStatus
    vector: bytes = b""


class InferAnswers(msgspec.Struct, frozen=True, gc=False, tag="inferred"):
    """One frame from the inference process; answers in any order."""

    answers: tuple[InferAnswer, ...]
    version: int = MESSAGES_VERSION


# --- what happened to a bid --------------------------------------------------------------------


class _Event(
    msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="type", tag=str.lower
):
    """Fields that every event has.

    ``key`` is our bid id and ``token`` its signature (``transport.notices``); ``ts`` is Unix time
    in seconds, 0 = unknown. ``price_cpm`` is in the bid's currency or in ``currency``: None where
    the exchange did not say, a text where it is encrypted or a macro's leftover. ``quantity`` is
    how many impressions it paid for, None = all of the bid.

    What we say of an event when we tell it on: it came after its bid's window (``late``), its price
    could not be read (``price_unknown``), its request was a test.
    """

    key: str
    request_id: str = ""
    imp_id: str = ""
    campaign_id: str = ""
    creative_id: str = ""
    lease_id: str = ""
    price_cpm: float | str | None = None
    ts: float = 0.0
    token: str = ""
    version: Int32 = MESSAGES_VERSION
    currency: str = ""
    quantity: float | None = None
    late: bool = False
    price_unknown: bool = False
    test: bool = False


class Win(_Event, frozen=True, gc=False):
    """We won the auction at ``price_cpm``, so far as the exchange knows."""


class Loss(_Event, frozen=True, gc=False):
    """We lost; ``loss_code`` is OpenRTB's loss reason, ``min_to_win_cpm`` what would have won."""

    loss_code: Int32 = 0
    min_to_win_cpm: float | None = None


class Billing(_Event, frozen=True, gc=False):
    """The impression is billable at ``price_cpm``."""


class Impression(_Event, frozen=True, gc=False):
    """The ad was shown."""


class Click(_Event, frozen=True, gc=False):
    """The ad was clicked."""


class Conversion(_Event, frozen=True, gc=False):
    """The user did what the advertiser wants; ``value_micros`` is its worth, if known."""

    value_micros: Int64 | None = None


Event = Win | Loss | Billing | Impression | Click | Conversion


class EventAck(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The answer to an event; it leaves only after the event's money is booked.

    ``late``: it came after its bid's window, when money was no longer kept for it.
    """

    ok: bool
    duplicate: bool = False
    error: str | None = None
    version: int = MESSAGES_VERSION
    late: bool = False


# --- the decision log --------------------------------------------------------------------------


class StepTaken(msgspec.Struct, frozen=True, gc=False):
    """One step of a decision: who answered and how long it took."""

    step: str
    kind: StepKind
    ms: float


class DecisionRecord(msgspec.Struct, frozen=True, gc=False):
    """Everything that a learner or an auditor needs to know of one decision.

    Money in micros of USD per impression; ``ts`` Unix seconds; ``propensity`` the probability with
    which the creative was chosen; ``vector`` the interest vector used. ``deal_id`` is the deal that
    the look was about, "" for the open auction; ``quantity`` how many impressions one play is; of a
    ``test`` nothing is billed; ``pace`` is what the expected value was multiplied with for the bid,
    ``shaded_by_micros`` by how much it was then lowered because the winner pays its bid, unless it
    was left alone as a ``shading_control``.
    """

    request_id: str
    imp_id: str
    ts: float
    bidder: str
    outcome: Outcome
    reason: str = ""
    nbr: int | None = None
    campaign_id: str = ""
    creative_id: str = ""
    bid_micros: int = 0
    floor_micros: int = 0
    propensity: float = 0.0
    predicted_ctr: float = 0.0
    expected_value_micros: float = 0.0
    key: str = ""
    lease_id: str = ""
    vector: tuple[float, ...] = ()
    steps: tuple[StepTaken, ...] = ()
    versions: dict[str, str] = {}
    country: str = ""
    device: str = ""
    category: str = ""
    user_hash: str = ""
    version: int = MESSAGES_VERSION
    deal_id: str = ""
    currency: str = "USD"
    quantity: float = 1.0
    test: bool = False
    pace: float = 1.0
    shaded_by_micros: int = 0
    shading_control: bool = False


# --- codecs ------------------------------------------------------------------------------------

encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
"""Encode any message struct (also those of ``transport.money``) as a MessagePack frame."""

_S = TypeVar("_S")
_MSGPACK_MAP_STARTS = frozenset([*range(0x80, 0x90), 0xDE, 0xDF])


def frame_decoder(kind: type[_S]) -> Callable[[bytes], _S]:
    """Make the decoder of one frame type or of a tagged union of them.

    Args:
        kind: A struct type or a union of tagged ones.

    Returns:
        A function that raises ``MalformedEventError`` when a frame, sealed or not, is not of that
        type, or not what was sealed.
    """
    decode = msgspec.msgpack.Decoder(kind).decode

    def decode_frame(frame: bytes) -> _S:
        try:
            return decode(unseal(frame))
        except (*UNREADABLE, SpoiltFrameError) as error:
            raise MalformedEventError(f"frame is no {kind}: {error}") from error

    return decode_frame


decode_infer_batch = frame_decoder(InferBatch)
decode_infer_answers = frame_decoder(InferAnswers)
decode_decision = frame_decoder(DecisionRecord)

_event_from_json = msgspec.json.Decoder(Event)
_event_from_msgpack = msgspec.msgpack.Decoder(Event)
_encode_json = msgspec.json.Encoder().encode


def is_json(body: bytes) -> bool:
    """Tell JSON text from MessagePack by the first byte (an object starts differently in each)."""
    return not body or body[0] not in _MSGPACK_MAP_STARTS


def decode_event(body: bytes) -> Event:
    """Decode an event, JSON or MessagePack.

    Raises:
        MalformedEventError: It is no event; the message names the field.
    """
    decoder = _event_from_json if is_json(body) else _event_from_msgpack
    try:
        event: Event = decoder.decode(body)
    except UNREADABLE as error:
        raise MalformedEventError(f"not an event: {error}") from error
    return event


def encode_event(event: Event, *, as_json: bool = False) -> bytes:
    """Encode an event for the event socket or a topic."""
    return _encode_json(event) if as_json else encode(event)


def encode_ack(ack: EventAck, *, as_json: bool = False) -> bytes:
    """Encode the answer to an event, in the format in which the event came."""
    return _encode_json(ack) if as_json else encode(ack)
